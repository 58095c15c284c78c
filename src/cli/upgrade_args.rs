//! The flags that say what sockets ask for in their upgrades.
//!
//! Belongs here: their help, reading them with the files and variables that they name, and keeping their values
//! out of what a run records of itself. Does not: the requests (`plan::upgrade_options`).
//!
//! Values may be secrets, so clap sees them as texts: it would show a wrong one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use clap::Args;
use zeroize::Zeroizing;

use super::url_words::{secret_urls, without_secrets};
use crate::dialect;
use crate::dialect::signature::is_secret;
use crate::host::io_words::unread;
use crate::notice::Notice;
use crate::plan::upgrade_options::{Fields, UpgradeOptions, check_values, is_cookie};
use crate::population::connect_to::ConnectTo;
use crate::population::data::DataTable;
use crate::population::nodes::NodeUrl;
use crate::population::socket_text::SocketText;
use crate::wire::header::{check_name, is_token};
use crate::wire::upgrade::base64;

const UPGRADE: &str = "Upgrade (values may hold {data:COLUMN}, {env:NAME}, {user} and {socket}; no output shows them)";

/// The longest file that is read: millions of tokens fit, a device that never ends does not.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Flags of `run` about the upgrade.
#[derive(Args, Clone, Debug)]
pub struct UpgradeArgs {
    /// A further header of the upgrade, as 'NAME: VALUE'; may be repeated
    #[arg(long, value_name = "FIELD", help_heading = UPGRADE)]
    header: Vec<String>,

    /// Headers from a file, one on each line; # begins a comment
    #[arg(long, value_name = "FILE", help_heading = UPGRADE)]
    header_file: Vec<PathBuf>,

    /// Offer this subprotocol; may be repeated, the preferred one first. The node must choose one
    #[arg(long, value_name = "NAME", help_heading = UPGRADE)]
    subprotocol: Vec<String>,

    /// The page that the sockets claim to come from, like <https://app.example>
    #[arg(long, value_name = "URL", help_heading = UPGRADE)]
    origin: Option<String>,

    /// The Host header, where it is not the host of the node's URL
    #[arg(long, value_name = "NAME[:PORT]", help_heading = UPGRADE)]
    host: Option<String>,

    /// HOST:PORT:ADDRESS:PORT: connect to ADDRESS:PORT for nodes whose URL has HOST:PORT; the Host header and the
    /// report keep the URL; may be repeated
    #[arg(long, value_name = "PLACES", help_heading = UPGRADE)]
    connect_to: Vec<ConnectTo>,

    /// Send the token that this variable of the environment holds as Authorization: Bearer
    #[arg(long, value_name = "VARIABLE", help_heading = UPGRADE)]
    bearer_env: Option<String>,

    /// The same from a file
    #[arg(long, value_name = "FILE", help_heading = UPGRADE)]
    bearer_file: Option<PathBuf>,

    /// Send the USER:PASSWORD that this variable of the environment holds as Authorization: Basic
    #[arg(long, value_name = "VARIABLE", help_heading = UPGRADE)]
    basic_env: Option<String>,

    /// The same from a file
    #[arg(long, value_name = "FILE", help_heading = UPGRADE)]
    basic_file: Option<PathBuf>,

    /// A cookie, as NAME=VALUE; may be repeated
    #[arg(long, value_name = "COOKIE", help_heading = UPGRADE)]
    cookie: Vec<String>,

    /// Join NAME=VALUE to the query of every node's URL, replacing a parameter of the same name; may be
    /// repeated. A token may be {env:NAME} here, which no list of processes shows
    #[arg(long, value_name = "PAIR", help_heading = UPGRADE)]
    query: Vec<String>,

    /// Values for {data:COLUMN}: a CSV file whose first line names its columns, and a row for each socket
    #[arg(long, value_name = "FILE", help_heading = UPGRADE)]
    data: Option<PathBuf>,

    /// The field of the answer that names the node behind an address which took the socket, like X-Served-By:
    /// the report has a row for each node so named
    #[arg(long, value_name = "NAME", help_heading = UPGRADE)]
    node_header: Option<String>,

    /// Send messages as binary
    #[arg(long, help_heading = UPGRADE)]
    binary: bool,
}

/// A value of a flag that cannot be followed. It never holds the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct UpgradeFlagError {
    place: String,
    reason: String,
}

impl UpgradeFlagError {
    fn new(place: impl Into<String>, reason: impl ToString) -> Self {
        Self { place: place.into(), reason: reason.to_string() }
    }
}

type Read<T> = Result<T, UpgradeFlagError>;

impl UpgradeArgs {
    /// What they ask for, over what the dialect wishes.
    ///
    /// # Errors
    /// The first flag that cannot be followed.
    pub fn options(&self, wishes: &dialect::Upgrade, push_sockets: u32) -> Read<UpgradeOptions> {
        let mut options = UpgradeOptions {
            host: self.host()?,
            requires_subprotocol: !self.subprotocol.is_empty(),
            data: Arc::new(self.table()?),
            node_header: self.node_header()?,
            ..UpgradeOptions::default()
        };
        for name in &self.subprotocol {
            if !is_token(name) {
                let reason =
                    format!("`{}` is not a name (no spaces, no commas)", name.escape_debug());
                return Err(UpgradeFlagError::new("--subprotocol", reason));
            }
            options.subprotocols.push(name.clone());
        }
        self.read_headers(&mut options)?;
        self.read_authorization(&mut options)?;
        for (place, text) in places("--cookie", &self.cookie) {
            read_cookies(&place, text, &mut options)?;
        }
        for (place, text) in places("--query", &self.query) {
            let (name, value) = pair(&place, text)?;
            let text = parse(&place, value, &options.data)?;
            let text = if is_telling(name) { text.secret() } else { text };
            options.query.push((name.to_owned(), text));
        }
        options
            .over(wishes, push_sockets, &variable)
            .map_err(|error| UpgradeFlagError::new("--dialect", error))
    }

    /// What the dialect's opening has a place for: a column of `--data`.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn column(&self, column: &str, options: &UpgradeOptions) -> Read<SocketText> {
        parse("--dialect", &format!("{{data:{column}}}"), &options.data).map(SocketText::secret)
    }

    /// Messages travel as binary.
    pub const fn binary(&self) -> bool {
        self.binary
    }

    /// The nodes, connected to where `--connect-to` says.
    pub fn connected(&self, urls: &[NodeUrl]) -> Vec<NodeUrl> {
        urls.iter().map(|url| url.connected_to(&self.connect_to)).collect()
    }

    /// Rows are used more than once.
    pub fn too_few_rows(&self, options: &UpgradeOptions, sockets: u64) -> Option<Notice> {
        let (file, rows) = (self.data.as_ref()?, options.data.rows());
        let file = file.display().to_string();
        (sockets > rows as u64).then_some(Notice::RowsUsedAgain { file, rows, sockets })
    }

    fn host(&self) -> Read<Option<String>> {
        let Some(host) = &self.host else { return Ok(None) };
        let is_host = !host.contains(['/', '?', '#', '@', '\\'])
            && format!("ws://{host}/").parse::<NodeUrl>().is_ok();
        if is_host {
            return Ok(Some(host.clone()));
        }
        let reason = format!("`{}` is no host: write NAME or NAME:PORT", host.escape_debug());
        Err(UpgradeFlagError::new("--host", reason))
    }

    fn node_header(&self) -> Read<Option<String>> {
        let Some(name) = &self.node_header else { return Ok(None) };
        if is_token(name) {
            return Ok(Some(name.clone()));
        }
        let reason = format!("`{}` is not the name of a header", name.escape_debug());
        Err(UpgradeFlagError::new("--node-header", reason))
    }

    fn table(&self) -> Read<DataTable> {
        let Some(path) = &self.data else { return Ok(DataTable::default()) };
        let text = file("--data", path)?;
        let place = format!("--data {}", path.display());
        DataTable::parse(&text).map_err(|error| UpgradeFlagError::new(place, error))
    }

    fn read_headers(&self, options: &mut UpgradeOptions) -> Read<()> {
        for path in &self.header_file {
            let text = file("--header-file", path)?;
            for (number, line) in text.lines().enumerate() {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    let place = format!("--header-file {}, line {}", path.display(), number + 1);
                    read_header(&place, line, true, options)?;
                }
            }
        }
        for (place, text) in places("--header", &self.header) {
            read_header(&place, text, false, options)?;
        }
        let Some(origin) = &self.origin else { return Ok(()) };
        if has(&options.headers, "Origin") {
            let reason = "a header says it, too: give one of them";
            return Err(UpgradeFlagError::new("--origin", reason));
        }
        let text = parse("--origin", origin, &options.data)?;
        add_header("--origin", "Origin", text, options)
    }

    fn read_authorization(&self, options: &mut UpgradeOptions) -> Read<()> {
        let sources = [
            ("--bearer-env", self.bearer_env.as_deref().map(Source::Variable)),
            ("--bearer-file", self.bearer_file.as_deref().map(Source::File)),
            ("--basic-env", self.basic_env.as_deref().map(Source::Variable)),
            ("--basic-file", self.basic_file.as_deref().map(Source::File)),
        ];
        for (flag, source) in sources {
            let Some(source) = source else { continue };
            if has(&options.headers, "Authorization") {
                let reason = "Authorization has a value already, by another flag: give one of them";
                return Err(UpgradeFlagError::new(flag, reason));
            }
            let secret = source.read(flag)?;
            let value = if flag.starts_with("--basic") {
                let Some((_, password)) = secret.split_once(':') else {
                    return Err(UpgradeFlagError::new(flag, "it holds no USER:PASSWORD"));
                };
                options.secrets.extend([hidden(password), hidden(&secret)]);
                format!("Basic {}", base64(secret.as_bytes()))
            } else {
                format!("Bearer {}", *secret)
            };
            add_header(flag, "Authorization", hidden(&Zeroizing::new(value)), options)?;
        }
        Ok(())
    }
}

/// Where a secret is.
enum Source<'a> {
    Variable(&'a str),
    File(&'a Path),
}

impl Source<'_> {
    fn read(self, flag: &str) -> Read<Zeroizing<String>> {
        let (place, text) = match self {
            Self::Variable(name) => {
                let none = "the environment has no such variable";
                let place = format!("{flag} {name}");
                let text = variable(name).ok_or_else(|| UpgradeFlagError::new(&place, none))?;
                (place, text)
            }
            Self::File(path) => (format!("{flag} {}", path.display()), file(flag, path)?),
        };
        let text = Zeroizing::new(text);
        let text = Zeroizing::new(text.trim().to_owned());
        if text.is_empty() { Err(UpgradeFlagError::new(place, "it is empty")) } else { Ok(text) }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

fn file(flag: &str, path: &Path) -> Read<String> {
    let place = || format!("{flag} {}", path.display());
    let refused = |reason: String| UpgradeFlagError::new(place(), reason);
    let about = fs::metadata(path).map_err(|error| refused(unread(&error)))?;
    if about.len() > FILE_BYTES_MAX {
        return Err(refused("it is larger than 1 GiB".to_owned()));
    }
    let bytes = fs::read(path).map_err(|error| refused(unread(&error)))?;
    String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))
}

/// Each value of a flag with the words that name it: its number, where there are several.
fn places<'a>(flag: &'a str, values: &'a [String]) -> impl Iterator<Item = (String, &'a str)> {
    values.iter().enumerate().map(move |(place, value)| {
        let number =
            if values.len() > 1 { format!(" number {}", place + 1) } else { String::new() };
        (format!("{flag}{number}"), value.as_str())
    })
}

fn hidden(text: &str) -> SocketText {
    SocketText::hidden(text)
}

fn parse(place: &str, text: &str, data: &DataTable) -> Read<SocketText> {
    SocketText::parse(text, data, &variable).map_err(|error| UpgradeFlagError::new(place, error))
}

fn has(fields: &Fields, name: &str) -> bool {
    fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
}

/// Values of such a name are secrets, by whatever way they come.
fn is_telling(name: &str) -> bool {
    const WORDS: [&str; 10] =
        ["auth", "token", "key", "secret", "pass", "session", "sid", "jwt", "sign", "credential"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// Whether what a node says is searched for this value of its URL: a shorter one is a word like any other.
pub(super) fn may_be_secret(name: &str, value: &str) -> bool {
    const TOKEN_BYTES_MIN: usize = 12;
    is_telling(name) || value.len() >= TOKEN_BYTES_MIN
}

fn read_header(place: &str, text: &str, is_secret: bool, options: &mut UpgradeOptions) -> Read<()> {
    let Some((name, value)) = text.split_once(':') else {
        let reason = "there is no colon in it: write 'NAME: VALUE'";
        return Err(UpgradeFlagError::new(place, reason));
    };
    let (name, value) = (name.trim_end(), value.trim());
    check_name(name).map_err(|error| UpgradeFlagError::new(place, error))?;
    if is_cookie(name) {
        return read_cookies(place, value, options);
    }
    let text = parse(place, value, &options.data)?;
    let text = if is_secret || is_telling(name) { text.secret() } else { text };
    add_header(place, name, text, options)
}

fn add_header(place: &str, name: &str, text: SocketText, options: &mut UpgradeOptions) -> Read<()> {
    check_values(name, &text, &options.data)
        .map_err(|error| UpgradeFlagError::new(place, error))?;
    options.headers.push((name.to_owned(), text));
    Ok(())
}

fn pair<'t>(place: &str, text: &'t str) -> Read<(&'t str, &'t str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value.trim())),
        _ => Err(UpgradeFlagError::new(place, "write NAME=VALUE")),
    }
}

/// One or several, as a `Cookie` header has them.
fn read_cookies(place: &str, text: &str, options: &mut UpgradeOptions) -> Read<()> {
    for cookie in text.split(';').filter(|cookie| !cookie.trim().is_empty()) {
        let (name, value) = pair(place, cookie)?;
        if !is_token(name) {
            let reason = format!("`{}` is not the name of a cookie", name.escape_debug());
            return Err(UpgradeFlagError::new(place, reason));
        }
        let text = parse(place, value, &options.data)?.secret();
        check_values(&format!("the cookie {name}"), &text, &options.data)
            .map_err(|error| UpgradeFlagError::new(place, error))?;
        options.cookies.push((name.to_owned(), text));
    }
    Ok(())
}

/// What the program was called with, as a run may record it: names of headers, cookies and parameters without
/// their values, URLs as they may be shown; of `--set` without those that are secrets by their names.
pub(super) fn recorded(words: impl IntoIterator<Item = String>) -> Vec<String> {
    const FLAGS: [(&str, char); 4] =
        [("--header", ':'), ("--cookie", '='), ("--query", '='), ("--set", '=')];
    let words: Vec<String> = words.into_iter().collect();
    let urls = secret_urls(&words);
    let (mut is_value, mut is_set) = (None, false);
    let mut recorded = Vec::new();
    for word in words {
        if let Some(mark) = is_value.take() {
            recorded.push(without_value(&word, mark, is_set));
            continue;
        }
        let word = without_secrets(&word, &urls);
        is_value = FLAGS.iter().find(|(flag, _)| *flag == word).map(|&(_, mark)| mark);
        is_set = word == "--set";
        let joined = FLAGS.iter().find_map(|&(flag, mark)| {
            let value = word.strip_prefix(flag)?.strip_prefix('=')?;
            Some(format!("{flag}={}", without_value(value, mark, flag == "--set")))
        });
        recorded.push(joined.unwrap_or(word));
    }
    recorded
}

fn without_value(text: &str, mark: char, is_set: bool) -> String {
    match text.split_once(mark) {
        Some((name, value)) if is_set && (!is_secret(name) || value.starts_with("{env:")) => {
            text.to_owned()
        }
        Some((name, _)) if is_token(name.trim()) => {
            let space = if mark == ':' { " " } else { "" };
            format!("{name}{mark}{space}[hidden]")
        }
        _ => "[hidden]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;
    use tempfile::NamedTempFile;

    use super::*;
    use crate::population::nodes::{PushNode, Targets};
    use crate::population::socket_text::Asker;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        upgrade: UpgradeArgs,
    }

    fn options(words: &[&str]) -> Read<UpgradeOptions> {
        let words = std::iter::once(&"fanstorm").chain(words);
        let args = Alone::try_parse_from(words).unwrap().upgrade;
        args.options(&dialect::Upgrade::default(), 1)
    }

    fn written(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// What the socket asks of a node.
    fn asked(options: &UpgradeOptions, socket: u32) -> (String, String, Vec<String>) {
        let url = ["ws://127.0.0.1:1/chat".parse().unwrap()];
        let none = |_: &str, _: u16| unreachable!("no names here");
        let targets = Targets::new(&url, &PushNode::First, &none, &mut Vec::new()).unwrap();
        let request = options.request(&targets.nodes[0], Asker { socket, ..Asker::default() }, &[]);
        let lines = request.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        (request.host.clone(), request.target.clone(), lines.collect())
    }

    #[test]
    fn no_flags_ask_for_nothing() {
        assert_eq!(options(&[]), Ok(UpgradeOptions::default()));
    }

    #[test]
    fn every_flag_arrives_in_the_request_of_its_socket() {
        let data = written("user,token\nanna,t-anna\nbert,t-bert\n");
        let headers =
            written("# of the gateway\n\nX-Tenant: 7\r\nAuthorization:Bearer {data:token}\n");
        let [data, headers] = [&data, &headers].map(|file| file.path().to_str().unwrap());
        let asked_for = options(&[
            "--header",
            "X-Room:  a:b ",
            "--header=cookie: a=1; b={socket}",
            "--header-file",
            headers,
            "--subprotocol",
            "v12.stomp",
            "--subprotocol",
            "mqtt",
            "--origin",
            "https://app.test",
            "--host",
            "chat.test:81",
            "--cookie",
            "user={data:user}",
            "--query",
            "room=a&b",
            "--query",
            "as={data:user}",
            "--data",
            data,
        ]);
        let (host, target, headers) = asked(&asked_for.unwrap(), 1);
        assert_eq!((host.as_str(), target.as_str()), ("chat.test:81", "/chat?room=a%26b&as=bert"));
        let expected = [
            "X-Tenant: 7",
            "Authorization: Bearer t-bert",
            "X-Room: a:b",
            "Origin: https://app.test",
            "Sec-WebSocket-Protocol: v12.stomp, mqtt",
            "Cookie: a=1; b=1; user=bert",
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_password_comes_from_a_file_or_the_environment_and_goes_as_rfc_7617_shows() {
        let file = written("Aladdin:open sesame\n");
        let path = file.path().to_str().unwrap();
        let (_, _, headers) = asked(&options(&["--basic-file", path]).unwrap(), 0);
        assert_eq!(headers, ["Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]);
        let (_, _, headers) = asked(&options(&["--bearer-file", path]).unwrap(), 0);
        assert_eq!(headers, ["Authorization: Bearer Aladdin:open sesame"]);
        let error = options(&["--bearer-env", "FANSTORM_NO_SUCH"]).unwrap_err().to_string();
        assert_eq!(error, "--bearer-env FANSTORM_NO_SUCH: the environment has no such variable");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_flag_and_without_its_value() {
        let (empty, no_user) = (written(" \n"), written("s3cret\n"));
        let (bad, breaking) =
            (written("A: s3cret\nB s3cret\n"), written("v\n\"s3cret\r\nX: 1\"\n"));
        let [empty, no_user, bad, breaking] =
            [&empty, &no_user, &bad, &breaking].map(|file| file.path().to_str().unwrap());
        let cases: &[(&[&str], &str)] = &[
            (
                &["--header", "Host: s3cret"],
                "--header: Host is not set by a header: give --host NAME",
            ),
            (
                &["--header", "A: 1", "--header", "Sec-WebSocket-Protocol: s3cret"],
                "--header number 2: ",
            ),
            (&["--header", "Sec-WebSocket-Protocol: s3cret"], "give --subprotocol NAME"),
            (&["--header", "s3cret"], "--header: there is no colon in it"),
            (&["--header", "A B: s3cret"], "`A B` is not the name of a header"),
            (&["--header", ": s3cret"], "`` is not the name of a header"),
            (&["--header", "A: s3cret\r\nB: x"], "--header: the value of A has a line break"),
            (&["--header", "A: {data:x}"], "--header: {data:x} without --data"),
            (
                &["--header", "A: {data:v}", "--data", breaking],
                "--header: the value of A has a line break",
            ),
            (&["--header-file", bad], "line 2: there is no colon in it"),
            (&["--header-file", "/no/such"], "--header-file /no/such: there is no such file"),
            (&["--header", "Origin: a", "--origin", "b"], "--origin: a header says it, too"),
            (&["--origin", "s3cret\n"], "--origin: the value of Origin has a line break"),
            (&["--subprotocol", "a, b"], "--subprotocol: `a, b` is not a name"),
            (&["--node-header", "a b"], "--node-header: `a b` is not the name of a header"),
            (&["--host", "a/b"], "--host: `a/b` is no host"),
            (&["--host", "a\r\nX: 1"], "--host: `a\\r\\nX: 1` is no host"),
            (&["--cookie", "s3cret"], "--cookie: write NAME=VALUE"),
            (&["--cookie", "a b=s3cret"], "--cookie: `a b` is not the name of a cookie"),
            (&["--query", "s3cret"], "--query: write NAME=VALUE"),
            (&["--bearer-file", empty], "it is empty"),
            (&["--basic-file", no_user], "it holds no USER:PASSWORD"),
            (
                &["--bearer-file", no_user, "--header", "authorization: s3cret"],
                "--bearer-file: Authorization has",
            ),
            (&["--data", empty], "line 1: column 1 needs a name of its own"),
        ];
        for (words, told) in cases {
            let error = options(words).unwrap_err().to_string();
            assert!(error.contains(told), "{words:?}: {error}");
            assert!(!error.contains("s3cret") && !error.contains(['\n', '\r']), "{error:?}");
        }
    }

    #[test]
    fn what_a_run_records_of_its_words_has_the_names_and_no_value() {
        let words = [
            "run",
            "--header",
            "X-Key: s3cret",
            "--header=Cookie: s3cret",
            "--cookie",
            "sid=s3cret",
            "--query=t=s3cret",
            "--header",
            "s3cret",
            "--header-file",
            "f",
            "--query",
            "=s3cret",
            "--node",
            "ws://u:s3cret@h/?t=s3cret",
            "--push-node=ws://h/?t=s3cret&x",
            "--set",
            "passcode=s3cret",
            "--set=secret=s3cret",
            "--set",
            "room=lobby",
            "--set=token={env:TOKEN}",
            "-q",
        ];
        let recorded = recorded(words.map(str::to_owned));
        let expected = [
            "run",
            "--header",
            "X-Key: [hidden]",
            "--header=Cookie: [hidden]",
            "--cookie",
            "sid=[hidden]",
            "--query=t=[hidden]",
            "--header",
            "[hidden]",
            "--header-file",
            "f",
            "--query",
            "[hidden]",
            "--node",
            "ws://[hidden]@h/?t=[hidden]",
            "--push-node=ws://h/?t=[hidden]&x",
            "--set",
            "passcode=[hidden]",
            "--set=secret=[hidden]",
            "--set",
            "room=lobby",
            "--set=token={env:TOKEN}",
            "-q",
        ];
        assert_eq!(recorded, expected);
    }

    #[test]
    fn values_of_a_telling_name_or_from_elsewhere_are_taken_out_of_what_nodes_say() {
        let headers = written("X-Any: from-file\n");
        let path = headers.path().to_str().unwrap();
        let asked_for = options(&[
            "--header",
            "X-Api-Key: apik3y",
            "--header",
            "X-Room: lobby",
            "--cookie",
            "a=c00kie",
            "--query",
            "access_token=tok3n",
            "--query",
            "room=hall",
            "--header-file",
            path,
        ]);
        let said = "apik3y lobby c00kie tok3n hall from-file".to_owned();
        let shown = asked_for.unwrap().hide(0, said);
        assert_eq!(shown, "[hidden] lobby [hidden] [hidden] hall [hidden]");
    }
}
