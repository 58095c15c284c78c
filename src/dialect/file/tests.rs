//! Tests of reading dialect files.

use proptest::prelude::*;

use super::*;
use crate::dialect::pattern::{Marks, Values};
use crate::dialect::text::TextShape;
use crate::dialect::{Tag, builtin};

fn read_with(text: &str, settings: &[(&str, &str)]) -> Result<Dialect, String> {
    let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let settings: Vec<_> = settings.iter().map(own).collect();
    let environment = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let source = Source { file: "my.toml", text, settings: &settings, environment: &environment };
    super::read(&source).map_err(|error| error.to_string())
}

const HEAD: &str = "schema = \"fanstorm.dialect/1\"\nname = \"mine\"\n";

fn read(rest: &str) -> Result<Dialect, String> {
    read_with(&format!("{HEAD}{rest}"), &[])
}

fn pushed(dialect: &Dialect) -> String {
    let mut message = Vec::new();
    let tag = Tag { run: 0xdead_beef, sender: 3, sequence: 9 };
    dialect.render(&TextShape::new(26).unwrap(), tag, &mut message);
    message.iter().map(|&byte| char::from(byte)).collect()
}

#[test]
fn a_signature_is_that_of_what_it_stands_around_and_its_key_is_a_secret() {
    let text = format!(
        "{HEAD}[parameters]\nsecret = 'no'\nsalt = 'no'\n[[opening]]\nsend = '{{hmac_sha256:secret:what do ya {{hex:77}}ant \
         for nothing?}}{{hmac_sha256:salt:x}}'\n[message]\ntemplate = '{{text}}'"
    );
    let dialect = read_with(&text, &[("secret", "Jefe"), ("salt", "pepper")]).unwrap();
    let sent = dialect.opening.steps[0].send.as_ref().unwrap().bytes(&Values::default());
    // RFC 4231, section 4.3.
    assert!(sent.starts_with(b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    assert_eq!(sent.len(), 128);
    assert_eq!(dialect.secrets, ["Jefe", "pepper"]);
    assert!(!format!("{:?}", dialect.opening).contains("Jefe"));
}

/// What stands behind the head of a file, and the beginning of what is said to it.
const WRONG: &[(&str, &str)] = &[
    // What escapes stand for must not command a terminal.
    (
        "[message]\ntemplate = \"{text}{env:\\u001b[31m\\t}\"",
        "my.toml:4:12: `\"{text}{env:\\\\u001b[31m\\\\t}\"`: `{env:\\u{1b}[31m\\t}`: the environment has no variable `\\u{1b}[31m\\t`: export it",
    ),
    (
        "[[opening]]\nexpect = 'a'\ncapture.id = { after = 'a', until = 'b' }\n[[opening]]\nsend = '{id}'\n[message]\ntemplate = '{text}'",
        "my.toml:7:9: `{id}`: what an earlier step has captured is {capture:id}",
    ),
    (
        "[[opening]]\nsend = '{hmac_sha256:secret:a}'\n[message]\ntemplate = '{text}'",
        "my.toml:4:9: `{hmac_sha256:`: `secret` is no parameter: name the one that holds the key",
    ),
    (
        "[parameters]\nk = 's'\n[message]\ntemplate = '{text}{hmac_sha256:k:a}'",
        "my.toml:6:19: `{hmac_sha256:`: this place has a value in an [[opening]] alone",
    ),
    (
        "reply = { when = 'a', send = 'b' }\n[message]\ntemplate = '{text}'",
        "my.toml:3:9: `{ when = 'a', send = 'b' }`: there may be several: write [[",
    ),
    (
        "[message]\ntemplate = '{text}'\ntext = 'hex'",
        "my.toml:5:8: `'hex'`: unknown variant `hex`, expected `plain` or `base64`",
    ),
    (
        "stream = true\n[message]\ntemplate = '{text}'\ntext = 'base64'",
        "my.toml:6:8: `'base64'`: with stream = true a text is found as it is",
    ),
    (
        "[message]\ntemplate = '{text}'\ntext = 'base64'\nid_key = 'a'\ntext_key = 'b'",
        "my.toml:5:8: `'base64'`: with id_key a text is found in JSON",
    ),
    (
        "[message]\ntemplate = '{text}'\ncopy = '{data:u}'",
        "my.toml:5:9: `{data:u}`: this place has a value in an [[opening]], the [message], a [[heartbeat]]",
    ),
    (
        "[[opening]]\nexpect = 'a'\ncapture.'data:u' = { after = 'a', until = 'b' }\n[message]\ntemplate = '{text}'",
        "my.toml:5:9: `'data:u'`: a name is letters",
    ),
    (
        "opening = [{}]\n[message]\ntemplate = '{text}'",
        "my.toml:3:12: `{}`: a step sends something, or expects it",
    ),
    (
        "stream = true\n[message]\ntemplate = '{text}'\ncopy = 'a'",
        "my.toml:6:8: `'a'`: with stream = true there are no messages",
    ),
    (
        "stream = true\n[message]\ntemplate = '{text}'\nid_key = 'a'\ntext_key = 'b'",
        "my.toml:6:10: `'a'`: with stream = true copies",
    ),
    (
        "stream = true\n[[reply]]\nwhen = { exactly = 'a' }\nsend = 'b'\n[message]\ntemplate = '{text}'",
        "my.toml:5:8: `{ exactly = 'a' }`: with stream = true no message begins",
    ),
    (
        "stream = true\n[[opening]]\nexpect = 'a'\ncapture.b = { after = 'a', until = 'b' }\n[message]\ntemplate = '{text}'",
        "my.toml:6:9: `b`: with stream = true nothing can be captured",
    ),
    (
        "subscriptions = 0\n[message]\ntemplate = '{text}'",
        "my.toml:3:17: `0`: a connection holds from 1 to",
    ),
    (
        "subscriptions = 65536\n[message]\ntemplate = '{text}'",
        "my.toml:3:17: `65536`: a connection holds",
    ),
    (
        "subscriptions = '2'\n[message]\ntemplate = '{text}'",
        "my.toml:3:17: `'2'`: invalid type: string \"2\", expected i64",
    ),
    ("ping = '0s'\n[message]\ntemplate = '{text}'", "my.toml:3:8: `'0s'`: longer than 0"),
    (
        "fames = 'text'\n[message]\ntemplate = '{text}'",
        "my.toml:3:1: unknown key `fames`, expected one of `schema`, `name`, `frames`",
    ),
    (
        "frames = 'txt'\n[message]\ntemplate = '{text}'",
        "my.toml:3:10: `'txt'`: unknown variant `txt`, expected one of `text`, `binary`, `any`",
    ),
    ("", "my.toml:1:1: `schema = \"fanstorm.dialect/1\"`: missing key `message`"),
    (
        "[message]\ntemplate = 'hi'",
        "my.toml:4:12: `'hi'`: 0 places for {text}: a message needs exactly one",
    ),
    (
        "[message]\ntemplate = 'x{text}{text}'",
        "my.toml:4:12: `'x{text}{text}'`: 2 places for {text}",
    ),
    (
        "[message]\ntemplate = 'x {txt}{text}'",
        "my.toml:4:15: `{txt}`: {txt} is no place and no parameter: use one of {text}, {len}, ",
    ),
    ("[message]\ntemplate = \"\\u00e9\\n{x}{text} {x}\"", "my.toml:4:21: `{x}`: {x} is no place"),
    (
        "goodbye = ['a', '{uuid}']\n[message]\ntemplate = '{text}'",
        "my.toml:3:18: `{uuid}`: this place has a value in what is sent, headers, the path or the query",
    ),
    (
        "[upgrade]\nquery = 'a={ref}'\n[message]\ntemplate = '{text}'",
        "my.toml:4:12: `{ref}`: this place has a value in an [[opening]], the [message], a [[heartbeat]]",
    ),
    (
        "[message]\ntemplate = '{text}{capture:sid}'",
        "my.toml:4:19: `{capture:sid}`: no earlier step captures `sid`",
    ),
    (
        "stream = true\ngoodbye = { exactly = 'a' }\n[message]\ntemplate = '{text}'",
        "my.toml:4:11: `{ exactly = 'a' }`: with stream = true no message begins",
    ),
    (
        "[message]\ntemplate = '{text}{mqtt:a}'",
        "my.toml:4:19: `{mqtt:a}`: its length is no text: say frames = \"binary\"",
    ),
    (
        "[message]\ntemplate = '{text}{hex:80}'",
        "my.toml:4:19: `{hex:80}`: bytes above 7f are no text",
    ),
    ("[message]\ntemplate = '{text}{hex:8}'", "my.toml:4:19: `{hex:8}`: not bytes in hexadecimal"),
    (
        "[message]\ntemplate = '{text}{bytes:a'",
        "my.toml:4:19: `{bytes:a`: `{bytes:` has no closing brace",
    ),
    (
        "[message]\ntemplate = '{text}{env:NO}'",
        "my.toml:4:19: `{env:NO}`: the environment has no variable `NO`",
    ),
    (
        "frames = 'binary'\n[message]\ntemplate = '{u16:{text}}'",
        "my.toml:5:13: `{u16:{text}}`: a text may be longer",
    ),
    (
        "[message]\ntemplate = '{text}'\nid_key = 'id'",
        "my.toml:5:10: `'id'`: ids need both keys: `text_key` is missing",
    ),
    ("[message]\ntemplate = '{text}'\ncopy = ''", "my.toml:5:8: `''`: every message would match"),
    (
        "[message]\ntemplate = '{text}'\ncopy = { begins = 'a' }",
        "my.toml:5:8: `{ begins = 'a' }`: unknown key `begins`, expected one of `exactly`",
    ),
    (
        "[message]\ntemplate = '{text}'\ncopy = 7",
        "my.toml:5:8: invalid type: integer `7`, expected a string, or a table",
    ),
    (
        "[[opening]]\nrefuse = 'no'\n[message]\ntemplate = '{text}'",
        "my.toml:4:10: `'no'`: `refuse` is about an answer",
    ),
    (
        "[[opening]]\nsend = '{text}'\n[message]\ntemplate = '{text}'",
        "my.toml:4:9: `{text}`: this place has a value in the [message] alone",
    ),
    (
        "[[opening]]\nsend = '{capture:sid}'\n[message]\ntemplate = '{text}'",
        "my.toml:4:9: `{capture:sid}`: no earlier step captures `sid`",
    ),
    (
        "[parameters]\nlen = '1'\n[message]\ntemplate = '{text}'",
        "my.toml:4:1: `len`: {len} has a meaning of its own",
    ),
    (
        "[parameters]\nroom = 1\n[message]\ntemplate = '{text}'",
        "my.toml:4:8: invalid type: integer `1`, expected a string",
    ),
    (
        "[[heartbeat]]\nevery = '5'\nsend = 'x'\n[message]\ntemplate = '{text}'",
        "my.toml:4:9: `'5'`: ",
    ),
    (
        "[[heartbeat]]\nevery = '0s'\nsend = 'x'\n[message]\ntemplate = '{text}'",
        "my.toml:4:9: `'0s'`: longer than 0",
    ),
    (
        "[[reply]]\nwhen = 'x{socket}'\nsend = 'x'\n[message]\ntemplate = '{text}'",
        "my.toml:4:10: `{socket}`: this place has a value in what is sent, headers, the path or the query alone",
    ),
    (
        "[message]\ntemplate = 'a",
        "my.toml:4:14: `template = 'a`: invalid literal string, expected `'`",
    ),
];

#[test]
fn a_wrong_file_is_refused_with_its_place_the_offending_text_and_what_would_be_right() {
    let mut wrong = Vec::new();
    for (rest, error) in WRONG {
        let told = read(rest).map(|dialect| pushed(&dialect)).unwrap_err();
        if !told.starts_with(error) || told.lines().count() != 1 {
            wrong.push(format!("{rest}\n  {told}\n  {error}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let old =
        read_with("schema = 'fanstorm.dialect/9'\nname = 'x'\n[message]\ntemplate = '{text}'", &[]);
    assert_eq!(
        old.unwrap_err(),
        "my.toml:1:10: `'fanstorm.dialect/9'`: this version reads \"fanstorm.dialect/1\""
    );
}

#[test]
fn parameters_have_the_files_values_until_they_are_set() {
    let text = format!(
        "{HEAD}[parameters]\nroom = 'room.1'\n[message]\ntemplate = '{{{{room}}={{room}} {{text}}'"
    );
    let with =
        |settings: &[(&str, &str)]| read_with(&text, settings).map(|dialect| pushed(&dialect));
    assert!(with(&[]).unwrap().starts_with("{room}=room.1 fs"));
    assert!(with(&[("room", "a"), ("room", "{text}")]).unwrap().starts_with("{room}={text} fs"));
    assert_eq!(
        with(&[("rom", "x")]).unwrap_err(),
        "--set rom=…: my.toml has no parameter `rom`: it has room"
    );
}

#[test]
fn a_parameter_may_come_from_the_environment_as_secrets_must() {
    let text = format!(
        "{HEAD}[parameters]\na = 'x{{env:TOKEN}}{{b}}'\nb = '1'\n[message]\ntemplate = '{{a}}{{b}} {{text}}'"
    );
    let with = |settings: &[(&str, &str)]| read_with(&text, settings);
    let own = with(&[]).unwrap();
    assert!(pushed(&own).starts_with("xs3cret{b}1 fs"));
    assert_eq!(own.secrets, ["s3cret"]);
    let set = with(&[("a", ""), ("b", "{env:TOKEN}")]).unwrap();
    assert!(pushed(&set).starts_with("s3cret fs"));
    let missing = with(&[("b", "{env:NO}")]).unwrap_err();
    assert_eq!(missing, "--set b: the environment has no variable `NO`: export it");
    let missing = read("[parameters]\na = '{env:NO}'\n[message]\ntemplate = '{text}'").unwrap_err();
    assert_eq!(missing, "my.toml:4:1: `a`: the environment has no variable `NO`: export it");
}

#[test]
fn every_place_of_a_message_becomes_its_bytes() {
    let dialect = read(
        "frames = 'binary'\n[message]\n\
         template = '{hex:30}{mqtt:{u16:room/1}{text}} {len} {seq} {socket} {bytes:{\"a\":\"{text}\"}} {\"a\":{}} {ref} {user} {node}'",
    );
    let text = "fsdeadbeef000300000000090b";
    // 2 + 6 + 26 bytes follow the length.
    let expected =
        format!("0\u{22}\0\u{6}room/1{text} 26 1000000009 3 34 {{\"a\":{{}}}} 1000000009 user3 0");
    assert_eq!(pushed(&dialect.unwrap()), expected);
}

#[test]
fn a_length_has_as_many_bytes_as_mqtt_gives_it() {
    let reader = Reader {
        parameters: &BTreeMap::new(),
        environment: &|_| None,
        position: Position::Fixed,
        captured: &[],
        is_text: false,
    };
    // The table of MQTT 3.1.1, section 2.2.3.
    for (len, prefix) in [
        (0, &[0_u8][..]),
        (127, &[0x7f]),
        (128, &[0x80, 1]),
        (16_383, &[0xff, 0x7f]),
        (16_384, &[0x80, 0x80, 1]),
        (2_097_151, &[0xff, 0xff, 0x7f]),
        (2_097_152, &[0x80, 0x80, 0x80, 1]),
    ] {
        let bytes = reader.read(&format!("{{mqtt:{}}}", "x".repeat(len))).unwrap();
        let bytes = bytes.bytes(&Values::default());
        assert_eq!((&bytes[..prefix.len()], bytes.len()), (prefix, prefix.len() + len));
    }
}

#[test]
fn secrets_of_the_environment_are_sent_and_never_shown() {
    // Those of the upgrade are put in by who hides them from all output.
    let dialect = read(
        "[upgrade]\nheaders = { Authorization = 'Bearer {env:TOKEN}' }\n[[opening]]\nsend = 'login {env:TOKEN}'\n\
         expect = 'ok {env:TOKEN}'\n[message]\ntemplate = '{text}'",
    )
    .unwrap();
    assert_eq!(
        dialect.upgrade.headers,
        [("Authorization".to_owned(), "Bearer {env:TOKEN}".to_owned())]
    );
    let send = dialect.opening.steps[0].send.as_ref().unwrap();
    assert_eq!(
        (send.bytes(&Values::default()), send.to_string()),
        (b"login s3cret".to_vec(), "login {env:TOKEN}".to_owned())
    );
}

#[test]
fn what_a_file_asks_of_the_upgrade_arrives() {
    let upgrade = read(
        "[parameters]\nv = '4'\n[upgrade]\npath = '/socket.io/{node}/{uuid}'\nquery = 'EIO={v}&as={data:user}{socket}'\nsubprotocols = ['mqtt', 'mqttv3.1']\n\
         require_subprotocol = true\norigin = 'http://a'\n[message]\ntemplate = '{text}'",
    )
    .unwrap()
    .upgrade;
    let expected = Upgrade {
        path: "/socket.io/{node}/{uuid}".into(),
        query: "EIO=4&as={data:user}{socket}".into(),
        subprotocols: vec!["mqtt".into(), "mqttv3.1".into()],
        require_subprotocol: true,
        headers: Vec::new(),
        origin: "http://a".into(),
        receive: None,
    };
    assert_eq!(upgrade, expected);
}

#[test]
fn push_and_receive_sockets_may_ask_for_different_things() {
    let text = |more: &str| {
        format!(
            "[upgrade]\npath = '/both'\nquery = 'a=1'\nsubprotocols = ['x']\nheaders = {{ A = '1', B = '2' }}\n\
             {more}\n[message]\ntemplate = '{{text}}'"
        )
    };
    let upgrade = |more: &str| read(&text(more)).unwrap().upgrade;
    let common = upgrade("");
    assert_eq!((common.path.as_str(), &common.receive), ("/both", &None));
    // What says the same is no difference.
    assert_eq!(upgrade("[upgrade.receive]\npath = '/both'"), common);
    let both = upgrade(
        "[upgrade.push]\nheaders = { b = '3' }\n[upgrade.receive]\npath = '/listen'\nquery = ''\nsubprotocols = []\norigin = 'o'",
    );
    let headers = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let receive = Upgrade {
        path: "/listen".into(),
        query: String::new(),
        subprotocols: Vec::new(),
        origin: "o".into(),
        ..common.clone()
    };
    let push = Upgrade { headers: headers(&[("A", "1"), ("b", "3")]), ..common };
    assert_eq!(both, Upgrade { receive: Some(Box::new(receive)), ..push });
    let wrong = read(&text("[upgrade.receive]\nrequire_subprotocol = true")).unwrap_err();
    assert!(wrong.contains("my.toml:9:1: unknown key `require_subprotocol`"), "{wrong}");
}

#[test]
fn a_builtin_file_says_what_it_is_and_has_its_own_name() {
    for file in builtin::ALL {
        assert!(file.text.starts_with("# "), "{}", file.name);
        let dialect = read_with(file.text, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(dialect.name, file.name);
    }
}

proptest! {
    /// Whatever a person writes is a dialect or one line with a place that is in the file.
    #[test]
    fn any_file_is_read_or_refused_with_a_place_in_it(
        which in 0..builtin::ALL.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}=\"':a-z\\n#é]{0,3}"), 0..4),
    ) {
        let mut text = builtin::ALL[which].text.to_owned();
        for (at, with) in edits {
            let at = at.index(text.len());
            let at = (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap();
            let end = (at + with.len()..=text.len()).find(|&end| text.is_char_boundary(end));
            let end = end.unwrap_or(text.len());
            text.replace_range(at..end, &with);
        }
        if let Err(told) = read_with(&text, &[]) {
            let mut parts = told.splitn(4, ':');
            prop_assert_eq!(parts.next(), Some("my.toml"), "{}", told);
            let (line, column) = (parts.next().unwrap(), parts.next().unwrap());
            let (line, column): (usize, usize) = (line.parse().unwrap(), column.parse().unwrap());
            let line = format!("{text}\n").split('\n').nth(line - 1).map(|line| line.chars().count());
            prop_assert!(line.is_some_and(|chars| column >= 1 && column <= chars + 1), "{}", told);
            prop_assert_eq!(told.lines().count(), 1);
        }
    }

    /// Text without a brace is itself, and braces that begin no place are, too.
    #[test]
    fn what_begins_no_place_is_itself(text in "([a-z{}\":, ]|\\{\"|\\{\\}|é){0,40}") {
        let plain = !text.contains("{{")
            && !text.match_indices('{').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()));
        prop_assume!(plain);
        let reader = Reader {
            parameters: &BTreeMap::new(),
            environment: &|_| None,
            position: Position::Fixed,
            captured: &[],
            is_text: true,
        };
        let mut out = Vec::new();
        prop_assert_eq!(reader.read(&text).unwrap().render(&Values::default(), &mut out), Marks::default());
        prop_assert_eq!(out, text.into_bytes());
    }
}
