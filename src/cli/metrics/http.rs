//! A request for metrics, and what is answered: as much of HTTP/1.1 as a scraper speaks.
//!
//! Belongs here: reading a request's head, choosing the format, status lines. Does not: sockets (`clients`).
//!
//! Whoever asks may be anybody: a head is read up to [`HEAD_BYTES_MAX`], nothing of a body is.

use httparse::{Error, Header, Request, Status};

use crate::report::metrics::exposition::Format;

/// The longest head of a request that is read.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;

/// What a client wants, as far as it has said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// More is to come.
    Nothing,
    /// The metrics, in the format that its `Accept` has.
    Metrics(Format),
    /// Something that it does not get.
    Refused(Refusal),
}

/// Why there are no metrics for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no request.
    Malformed,
    /// Another path.
    NotHere,
    /// Not GET or HEAD.
    Method,
    /// Its head has no end.
    TooLong,
    /// It took too long.
    TooSlow,
}

impl Refusal {
    /// The answer: its head, and a line that says why.
    pub(super) fn answer(self) -> (Vec<u8>, &'static str) {
        let (status, header, text) = match self {
            Self::Malformed => ("400 Bad Request", "", "this is no HTTP request\n"),
            Self::NotHere => ("404 Not Found", "", "the metrics are at /metrics\n"),
            Self::Method => {
                ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "metrics can only be read\n")
            }
            Self::TooLong => {
                ("431 Request Header Fields Too Large", "", "the request is too long\n")
            }
            Self::TooSlow => ("408 Request Timeout", "", "the request did not come to its end\n"),
        };
        (head(status, header, "text/plain; charset=utf-8", text.len()), text)
    }
}

/// The head of an answer with `len` bytes of metrics.
pub(super) fn ok(format: Format, len: usize) -> Vec<u8> {
    head("200 OK", "Vary: Accept\r\n", format.content_type(), len)
}

fn head(status: &str, header: &str, content_type: &str, len: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\n{header}Content-Type: {content_type}\r\nContent-Length: {len}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// What has come of a request.
pub(super) fn asked(bytes: &[u8]) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Asked::Nothing,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => {
            return Asked::Refused(Refusal::TooLong);
        }
        Err(_) => return Asked::Refused(Refusal::Malformed),
        Ok(Status::Complete(_)) => {}
    }
    let path = request.path.unwrap_or_default();
    if path.split('?').next() != Some("/metrics") {
        return Asked::Refused(Refusal::NotHere);
    }
    match request.method {
        Some("GET" | "HEAD") => Asked::Metrics(accepted(request.headers)),
        _ => Asked::Refused(Refusal::Method),
    }
}

/// Whether the answer, whatever it is, must end with its head.
pub(super) fn is_head(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HEAD ")
}

/// OpenMetrics where it is asked for and not less than text: who says nothing gets text.
fn accepted(headers: &[Header<'_>]) -> Format {
    let accepts = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("accept"));
    let accepts = accepts.filter_map(|header| std::str::from_utf8(header.value).ok());
    let (mut open_metrics, mut text) = (0.0_f64, 0.0_f64);
    for range in accepts.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let (mut weight, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "q" => weight = value.parse().unwrap_or(0.0),
                "version" => version = Some(value),
                _ => {}
            }
        }
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            if version.is_none_or(|version| version == "1.0.0") {
                open_metrics = open_metrics.max(weight);
            }
        } else if media.eq_ignore_ascii_case("text/plain") {
            text = text.max(weight);
        }
    }
    let is_open = open_metrics > 0.0 && open_metrics >= text;
    if is_open { Format::OpenMetrics } else { Format::Prometheus }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(accept: &str) -> Asked {
        asked(format!("GET /metrics HTTP/1.1\r\nHost: h\r\n{accept}\r\n").as_bytes())
    }

    #[test]
    fn the_format_is_the_one_that_the_scraper_likes_more() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("Accept: */*\r\n", Format::Prometheus),
            ("Accept: text/plain;version=0.0.4\r\n", Format::Prometheus),
            ("accept: application/openmetrics-text\r\n", Format::OpenMetrics),
            ("Accept: application/openmetrics-text;version=0.0.1\r\n", Format::Prometheus),
            ("Accept: application/openmetrics-text;q=0\r\n", Format::Prometheus),
            (
                "Accept: application/openmetrics-text;q=0.3, text/plain;q=0.7\r\n",
                Format::Prometheus,
            ),
            // Prometheus 2.42 and 3.
            (
                "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
                 version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
                Format::OpenMetrics,
            ),
            (
                "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2\r\n",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(get(accept), Asked::Metrics(format), "{accept}");
        }
    }

    #[test]
    fn what_is_not_to_be_had_is_refused_by_its_name() {
        let of = |request: &str| asked(request.as_bytes());
        let refused = Asked::Refused;
        assert_eq!(of("POST /metrics HTTP/1.1\r\n\r\n"), refused(Refusal::Method));
        assert_eq!(of("GET / HTTP/1.1\r\n\r\n"), refused(Refusal::NotHere));
        assert_eq!(of("GET /metrics/../x HTTP/1.1\r\n\r\n"), refused(Refusal::NotHere));
        assert_eq!(
            of("GET /metrics?name[]=x HTTP/1.1\r\n\r\n"),
            Asked::Metrics(Format::Prometheus)
        );
        assert_eq!(of("\x16\x03\x01"), refused(Refusal::Malformed));
        assert_eq!(of("GET /metrics HTTP/1.1\r\nHost: h\r\n"), Asked::Nothing);
        assert_eq!(of(&format!("GET /{}", "x".repeat(9_000))), refused(Refusal::TooLong));
        let many = "a: b\r\n".repeat(65);
        assert_eq!(of(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n")), refused(Refusal::TooLong));
        assert_eq!(of("HEAD /metrics HTTP/1.0\r\n\r\n"), Asked::Metrics(Format::Prometheus));
        let head = String::from_utf8(Refusal::Method.answer().0).unwrap();
        assert!(head.starts_with("HTTP/1.1 405 ") && head.contains("\r\nAllow: GET, HEAD\r\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much_for_it(bytes in prop::collection::vec(any::<u8>(), 0..9_000)) {
            let answer = asked(&bytes);
            prop_assert!(answer != Asked::Nothing || bytes.len() < HEAD_BYTES_MAX);
        }
    }
}
