//! Values that differ from socket to socket: a table with a row for each.
//!
//! Belongs here: reading CSV (RFC 4180), and which row is whose. Does not: the file (`cli`), where a value is put
//! (`socket_text`).

use std::fmt;

/// Columns by name, and rows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DataTable {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Values may be secrets.
impl fmt::Debug for DataTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataTable {{ columns: {:?}, rows: {} }}", self.columns, self.rows.len())
    }
}

/// Why a text is no table; it never holds a value of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct DataError {
    /// From 1.
    pub line: usize,
    /// A clause.
    pub reason: String,
}

impl DataTable {
    /// Reads a table whose first line names the columns. Lines end with a line feed or as on Windows.
    ///
    /// # Errors
    /// The first line that does not fit.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        let refused = |line, reason: String| DataError { line, reason };
        let Some((_, columns)) = records.next_record()? else {
            return Err(refused(1, "the file is empty: its first line names the columns".into()));
        };
        let columns: Vec<String> = columns.iter().map(|name| name.trim().to_owned()).collect();
        for (place, name) in columns.iter().enumerate() {
            if name.is_empty() || columns[..place].contains(name) {
                let reason = format!("column {} needs a name of its own", place + 1);
                return Err(refused(1, reason));
            }
        }
        let mut rows = Vec::new();
        while let Some((line, row)) = records.next_record()? {
            if row.len() != columns.len() {
                let (found, named) = (row.len(), columns.len());
                let reason = format!("{found} values where the first line names {named} columns");
                return Err(refused(line, reason));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(refused(2, "there are names of columns but no row of values".to_owned()));
        }
        Ok(Self { columns, rows })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// All names, as a person lists them.
    pub fn columns(&self) -> String {
        self.columns.join(", ")
    }

    /// How many rows there are.
    pub const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the longest value of a column.
    pub fn longest(&self, column: usize) -> Option<usize> {
        self.rows.iter().map(|row| row[column].len()).max()
    }

    /// A socket's value: where there are fewer rows than sockets, they are used again from the first on.
    pub fn value(&self, socket: u32, column: usize) -> &str {
        &self.rows[socket as usize % self.rows.len()][column]
    }
}

/// What is left to be read.
struct Records<'t> {
    rest: &'t str,
    line: usize,
}

impl Records<'_> {
    /// The next record that is not an empty line, and its first line.
    fn next_record(&mut self) -> Result<Option<(usize, Vec<String>)>, DataError> {
        while let Some(rest) = after_line_end(self.rest) {
            (self.rest, self.line) = (rest, self.line + 1);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (line, mut record) = (self.line, Vec::new());
        loop {
            record.push(self.field()?);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
                continue;
            }
            if let Some(rest) = after_line_end(self.rest) {
                (self.rest, self.line) = (rest, self.line + 1);
            } else if !self.rest.is_empty() {
                return Err(self.refused("text behind a closing quote"));
            }
            return Ok(Some((line, record)));
        }
    }

    fn field(&mut self) -> Result<String, DataError> {
        let Some(mut rest) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let end = if self.rest[..end].ends_with('\r') && self.rest[end..].starts_with('\n') {
                end - 1
            } else {
                end
            };
            let (field, rest) = self.rest.split_at(end);
            if field.contains('"') {
                return Err(
                    self.refused("a quote inside a value: put the value in quotes, and double it")
                );
            }
            self.rest = rest;
            return Ok(field.to_owned());
        };
        let mut field = String::new();
        loop {
            let Some(end) = rest.find('"') else {
                return Err(self.refused("a quoted value has no end"));
            };
            field.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            let Some(more) = rest.strip_prefix('"') else { break };
            field.push('"');
            rest = more;
        }
        self.line += field.matches('\n').count();
        self.rest = rest;
        Ok(field)
    }

    fn refused(&self, reason: &str) -> DataError {
        DataError { line: self.line, reason: reason.to_owned() }
    }
}

fn after_line_end(text: &str) -> Option<&str> {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_socket_has_its_row_and_rows_are_used_again() {
        let table = DataTable::parse("\u{feff}user,token\r\nanna,a1\r\nbert,\"b,2\"\r\n").unwrap();
        let token = table.column("token").unwrap();
        let values: Vec<_> = (0..4).map(|socket| table.value(socket, token)).collect();
        assert_eq!(values, ["a1", "b,2", "a1", "b,2"]);
        assert_eq!((table.column("Token"), table.rows()), (None, 2));
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_line_and_without_its_values() {
        for (text, told) in [
            ("", "line 1: the file is empty"),
            ("a,b\n", "line 2: there are names of columns but no row"),
            ("a,a\n1,2\n", "line 1: column 2"),
            ("a,\n1,2\n", "line 1: column 2"),
            ("a,b\n1,2\n\nsecret\n", "line 4: 1 values where the first line names 2 columns"),
            ("a,b\n\"x\ny\",1\n\"secret", "line 4: a quoted value has no end"),
            ("a,b\nsec\"ret,2\n", "line 2: a quote inside a value"),
            ("a,b\n\"secret\"x,2\n", "line 2: text behind a closing quote"),
        ] {
            let error = DataTable::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(told) && !error.contains("secret"), "{error}");
        }
        let table = DataTable::parse("a\nsecret\n").unwrap();
        assert!(!format!("{table:?}").contains("secret"), "{table:?}");
    }

    proptest! {
        #[test]
        fn whatever_was_written_is_read_again(
            rows in prop::collection::vec(prop::collection::vec("[a\",\n\r ]{0,5}", 2), 1..6), quoted: bool,
        ) {
            let write = |value: &String| {
                let must = quoted || value.is_empty() || value.contains(['"', ',', '\n', '\r']);
                if must { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.clone() }
            };
            let lines = rows.iter().map(|row| row.iter().map(write).collect::<Vec<_>>().join(","));
            let text: Vec<_> = std::iter::once("x,y".to_owned()).chain(lines).collect();
            for end in ["\n", "\r\n"] {
                let table = DataTable::parse(&text.join(end)).unwrap();
                for (socket, row) in rows.iter().enumerate() {
                    for (column, value) in row.iter().enumerate() {
                        prop_assert_eq!(table.value(socket as u32, column), value);
                    }
                }
                prop_assert_eq!(table.rows(), rows.len());
            }
        }
    }
}
