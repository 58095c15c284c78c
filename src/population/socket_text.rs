//! A text with places for what differs from socket to socket.
//!
//! Belongs here: `{data:COLUMN}`, `{user}`, `{socket}`, `{node}`, `{uuid}` and `{env:NAME}` in it. Does not: where the text goes
//! (`plan::upgrade_options`), the rows (`data`).

use std::fmt;

use zeroize::Zeroizing;

use super::data::DataTable;
use crate::dialect::pattern::uuid;

/// A variable of the environment, by name.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Who says a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// Number of the socket.
    pub socket: u32,
    /// Place of its node in the list.
    pub node: u32,
    /// The bits of its UUID.
    pub uuid: u128,
}

/// Why a text cannot be rendered; it holds names alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocketTextError {
    /// No table.
    #[error("{{data:{0}}} without --data: name the CSV file that has this column")]
    NoData(String),
    /// No such column.
    #[error("{{data:{column}}}: the columns of --data are {columns}")]
    NoColumn {
        /// As written.
        column: String,
        /// Those that there are.
        columns: String,
    },
    /// No such variable.
    #[error("{{env:{0}}}: the environment has no such variable")]
    NoVariable(String),
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// The same, and nobody may read it: it is wiped from memory when it goes.
    Hidden(Zeroizing<String>),
    Socket,
    Node,
    Uuid,
    /// The column `user`, or `user` and the socket's number.
    User(Option<usize>),
    Column(usize),
}

/// As a socket says it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SocketText {
    parts: Vec<Part>,
}

/// Words in front of a secret that are none.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Digest", "Token"];

/// It may be a secret.
impl fmt::Debug for SocketText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketText({} parts)", self.parts.len())
    }
}

impl SocketText {
    /// Braces around anything else are literal, so that JSON needs no escaping.
    ///
    /// # Errors
    /// A name in it leads to nothing.
    pub fn parse(
        text: &str,
        data: &DataTable,
        env: &Environment<'_>,
    ) -> Result<Self, SocketTextError> {
        let (mut parts, mut rest, mut literal) = (Vec::new(), text, String::new());
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            literal.push_str(before);
            let inside = from[1..].split_once('}').map(|(inside, _)| inside);
            let part = match inside.map(|inside| inside.split_once(':').unwrap_or((inside, ""))) {
                Some(("socket", "")) => Part::Socket,
                Some(("node", "")) => Part::Node,
                Some(("uuid", "")) => Part::Uuid,
                Some(("user", "")) => Part::User(data.column("user")),
                Some(("data", column)) => Part::Column(place_of(column, data)?),
                Some(("env", name)) => {
                    let value =
                        env(name).ok_or_else(|| SocketTextError::NoVariable(name.into()))?;
                    Part::Hidden(Zeroizing::new(value))
                }
                _ => {
                    literal.push('{');
                    rest = &from[1..];
                    continue;
                }
            };
            parts.push(Part::Literal(std::mem::take(&mut literal)));
            parts.push(part);
            rest = &from[inside.map_or(0, str::len) + 2..];
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        parts.retain(|part| !matches!(part, Part::Literal(text) if text.is_empty()));
        Ok(Self { parts })
    }

    /// The same for all sockets, and nobody may read it; nothing in it stands for something.
    pub fn hidden(text: &str) -> Self {
        Self { parts: vec![Part::Hidden(Zeroizing::new(text.to_owned()))] }
    }

    /// Nobody may read it.
    pub fn secret(mut self) -> Self {
        for part in &mut self.parts {
            if let Part::Literal(text) = part {
                *part = Part::Hidden(Zeroizing::new(std::mem::take(text)));
            }
        }
        self
    }

    /// Nothing is said.
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// As this socket says it.
    pub fn render(&self, asker: Asker, data: &DataTable) -> String {
        self.render_with(asker, data, &str::to_owned)
    }

    /// The same with each value encoded, and the words around them as they are.
    pub fn render_with(
        &self,
        asker: Asker,
        data: &DataTable,
        encode: &dyn Fn(&str) -> String,
    ) -> String {
        let socket = asker.socket;
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Hidden(text) => encode(text),
            Part::Socket => socket.to_string(),
            Part::Node => asker.node.to_string(),
            Part::Uuid => uuid(asker.uuid),
            Part::User(None) => format!("user{socket}"),
            Part::User(Some(column)) | Part::Column(column) => encode(data.value(socket, *column)),
        };
        self.parts.iter().map(part).collect()
    }

    /// What of it nobody may read: each part that is a secret with its words, and the whole that it is in.
    pub fn secrets(&self, socket: u32, data: &DataTable) -> Vec<String> {
        let secret = |part: &Part| match part {
            Part::Hidden(text) => Some(text.to_string()),
            Part::Column(column) => Some(data.value(socket, *column).to_owned()),
            Part::Literal(_) | Part::Socket | Part::Node | Part::Uuid | Part::User(_) => None,
        };
        let mut secrets: Vec<String> = self.parts.iter().filter_map(secret).collect();
        if secrets.is_empty() {
            return secrets;
        }
        let words: Vec<String> =
            secrets.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
        secrets.extend(words);
        secrets.push(self.render(Asker { socket, ..Asker::default() }, data));
        secrets.retain(|text| !SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(text)));
        secrets
    }

    /// How many sockets say something else than all others before them.
    pub fn variants(&self, data: &DataTable) -> u32 {
        let has_column =
            self.parts.iter().any(|part| matches!(part, Part::Column(_) | Part::User(Some(_))));
        if has_column { u32::try_from(data.rows()).unwrap_or(u32::MAX) } else { 1 }
    }
}

fn place_of(column: &str, data: &DataTable) -> Result<usize, SocketTextError> {
    if data.rows() == 0 {
        return Err(SocketTextError::NoData(column.to_owned()));
    }
    data.column(column).ok_or_else(|| SocketTextError::NoColumn {
        column: column.to_owned(),
        columns: data.columns(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SocketText, SocketTextError> {
        let env = |name: &str| (name == "KEY").then(|| "{data:none}".to_owned());
        SocketText::parse(text, &table(), &env)
    }

    fn table() -> DataTable {
        DataTable::parse("user,token\nanna,a1\nbert,b2\n").unwrap()
    }

    #[test]
    fn every_socket_says_its_own_row_and_number() {
        for (text, second) in [
            ("Bearer {data:token}", "Bearer b2"),
            ("{data:user}-{socket}{data:token}", "bert-1b2"),
            ("{user}", "bert"),
            ("{node}/{uuid}", "7/00000000-0000-4000-8000-000000000000"),
            ("{\"a\":{\"b\":{socket}}}", "{\"a\":{\"b\":1}}"),
            ("{", "{"),
            ("{}", "{}"),
            ("{{socket}", "{1"),
            ("plain", "plain"),
            ("", ""),
            // What a variable holds is taken as it is.
            ("{env:KEY}", "{data:none}"),
        ] {
            let asker = Asker { socket: 1, node: 7, uuid: 0 };
            assert_eq!(parse(text).unwrap().render(asker, &table()), second, "{text}");
        }
    }

    #[test]
    fn a_name_that_leads_to_nothing_is_told() {
        for (text, told) in [
            ("{data:name}", "the columns of --data are user, token"),
            ("x {env:NO}", "{env:NO}: the environment has no such variable"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(told));
        }
        let none = DataTable::default();
        let user = SocketText::parse("as {user}", &none, &|_| None).unwrap();
        assert_eq!(user.render(Asker { socket: 7, ..Asker::default() }, &none), "as user7");
        let error = SocketText::parse("{data:x}", &none, &|_| None).unwrap_err();
        assert!(error.to_string().contains("{data:x} without --data"), "{error}");
    }

    #[test]
    fn what_comes_from_a_table_or_the_environment_is_a_secret_with_all_its_words() {
        assert_eq!(parse("room {socket}").unwrap().secrets(0, &table()), [""; 0]);
        let secrets = parse("Bearer {data:token}").unwrap().secrets(0, &table());
        assert!(secrets.contains(&"a1".to_owned()) && secrets.contains(&"Bearer a1".to_owned()));
        let marked = parse("Bearer abc").unwrap().secret().secrets(0, &table());
        assert!(marked.contains(&"abc".to_owned()) && !marked.contains(&"Bearer".to_owned()));
        assert!(!format!("{:?}", parse("{env:KEY}")).contains("none"));
    }
}
