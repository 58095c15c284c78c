//! The answer to an upgrade, looked into: its head, its body, and fields by name.
//!
//! Belongs here: finding them in bytes. Does not: what makes an answer right (`upgrade`), why it is not (`refusal`).

/// Head and body of the last answer: interim ones (1xx) before it say nothing.
pub fn last_answer(mut response: &[u8]) -> Option<(&[u8], &[u8])> {
    loop {
        let end = memchr::memmem::find(response, b"\r\n\r\n")?;
        let (head, body) = (response.get(..end)?, response.get(end + 4..)?);
        // 101 is an answer, though of that class.
        let class = matches!(head, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', b'1', ..]);
        if !class || head[10..].starts_with(b"01") {
            return Some((head, body));
        }
        response = body;
    }
}

/// The values of a head's field, in order; those that are no UTF-8 are none.
pub fn fields<'h>(head: &'h [u8], name: &str) -> impl Iterator<Item = &'h str> {
    let lines = head.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let of_name = pairs.filter(move |(found, _)| found.trim().eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_of_the_last_answer_by_name_without_case() {
        let bytes = b"HTTP/1.1 103 Early\r\nX-Node: early\r\n\r\nHTTP/1.1 101 OK\r\nx-node:  a \r\nX-Node: b:c\r\n\
            X-Node-2: d\r\nX-Node: \xff\r\n\r\nX-Node: body";
        let (head, body) = last_answer(bytes).unwrap();
        assert_eq!(fields(head, "X-NODE").collect::<Vec<_>>(), ["a", "b:c"]);
        assert_eq!(body, b"X-Node: body");
    }
}
