//! What a received application message means: whose copies it carries, if anyone's.
//!
//! Belongs here: putting texts and ids together into sightings. Does not: frames (`wire`), to which
//! message a copy is attributed and whether it is late, lost or doubled (`measure`).
//!
//! A copy is one occurrence of a tag of this run with its text unaltered around it. A message may
//! carry none, one or many. Every message can be searched; the search defines what it means. Most
//! are built like the one before and are read by comparing (`dialect::layout`), to the same result; and
//! most of those are as long, too, and are taken frame by frame (`dialect::stencil`).

use super::Dialect;
use super::base64_text::decode_all;
use super::correlation::CorrelationId;
use super::layout::{Layout, LayoutMarks};
use super::matching::Wanted;
use super::pattern::Values;
use super::stencil::{Bodies, Class, NO_BODIES, Reading, Stencil, Taken};
use super::stream::StreamTexts;
use super::tag::RUN_PREFIX_LEN;
use super::text::TextShape;
use crate::dialect::json_objects::{Element, JsonObjects};
use crate::dialect::payload_search::{Seen, Texts};
use crate::dialect::recognized::Recognized;
use crate::wire::decoder::LeftOut;

/// Fewer bytes are nothing of a text, not even the beginning of its tag that names the run.
const DECODED_MIN: usize = RUN_PREFIX_LEN;

/// Reads messages for one run; built before the clock, allocates nothing after.
#[derive(Debug)]
pub struct Scanner {
    texts: Texts,
    walker: Option<JsonObjects>,
    /// One for copies with text, one for ids alone: what a worker's sockets see by turns.
    layouts: [Layout; 2],
    /// Which of them fitted last.
    recent: usize,
    /// Frames of each of them.
    stencils: [Stencil; 2],
    bodies: Bodies,
    /// What few dialects have.
    rare: Option<Box<Rare>>,
    /// In place of all that where messages do not end with frames.
    stream: Option<Box<StreamTexts>>,
}

/// What keeps messages from being read by comparing.
#[derive(Debug)]
struct Rare {
    /// Only these messages say anything.
    copies: Option<Wanted>,
    /// Texts are in base64; what they were decoded to.
    decoded: Option<Vec<u8>>,
}

impl Rare {
    fn of(dialect: &Dialect, shape: &TextShape) -> Option<Box<Self>> {
        let copies = dialect.copies.as_ref().map(|copies| copies.with(&Values::default()));
        // Each message is decoded from four places on, with a byte behind each.
        let room = || Vec::with_capacity(4 * (dialect.message_len(shape) + 256));
        let decoded = dialect.template.in_base64.then(room);
        let is_rare = copies.is_some() || decoded.is_some();
        is_rare.then(|| Box::new(Self { copies, decoded }))
    }

    fn is_no_copy(&self, message: &[u8]) -> bool {
        self.copies.as_ref().is_some_and(|copies| !copies.is_in(message))
    }
}

impl Scanner {
    /// A scanner for the texts of `shape` that carry tags of `run`.
    pub fn new(dialect: &Dialect, shape: &TextShape, run: u32) -> Self {
        let rare = Rare::of(dialect, shape);
        // A stencil would not look for it.
        let stencil = || {
            let mut stencil = Stencil::new(run);
            if rare.is_some() {
                stencil.read_by(Reading::ByMessage);
            }
            stencil
        };
        Self {
            texts: Texts::new(shape, run),
            walker: dialect.correlation.as_ref().map(JsonObjects::new),
            layouts: [Layout::new(dialect), Layout::new(dialect)],
            recent: 0,
            stencils: [stencil(), stencil()],
            bodies: NO_BODIES,
            rare,
            stream: dialect.stream.then(|| Box::new(StreamTexts::new(shape, run))),
        }
    }

    /// The same, after runs of ours from `first` on: their copies are told from strangers' messages.
    pub fn after(mut self, first: u32) -> Self {
        self.texts.after(first);
        self.stream.iter_mut().for_each(|stream| stream.after(first));
        self
    }

    /// The same, with frames compared in this way.
    pub fn read_by(mut self, reading: Reading) -> Self {
        if self.rare.is_none() {
            self.stencils.iter_mut().for_each(|stencil| stencil.read_by(reading));
        }
        self
    }

    /// Takes whole frames from the front of `bytes`, header and all, as long as each is built like
    /// one before it; what they say is visited. A copy comes with the number of copies that it stands for:
    /// itself, and those after it in its sender's stream. What is not taken may be anything.
    #[inline]
    pub fn run(&mut self, bytes: &[u8], visit: &mut impl FnMut(Recognized, u32)) -> Taken {
        let mut taken = Taken::default();
        let mut which = self.recent;
        let mut fits = [true; 2];
        while fits[which] {
            let more = self.stencils[which].run(&bytes[taken.bytes..], &mut self.bodies, visit);
            if more.frames > 0 {
                self.recent = which;
                taken.frames += more.frames;
                taken.bytes += more.bytes;
                fits = [true; 2];
            }
            fits[which] = false;
            which = 1 - which;
        }
        taken
    }

    /// Visits what `message` says: at least one sighting.
    #[inline]
    pub fn scan(&mut self, message: &[u8], visit: &mut impl FnMut(Recognized)) {
        match self.recognise(message) {
            Some(sighting) => visit(sighting),
            None => self.search(message, visit),
        }
    }

    /// What `message` says, if it is built like one before it, and then it is UTF-8: all that differs
    /// are values in ASCII. Otherwise [`Self::search`] tells.
    #[inline]
    pub fn recognise(&mut self, message: &[u8]) -> Option<Recognized> {
        if self.rare.as_ref().is_some_and(|rare| rare.decoded.is_some() || rare.is_no_copy(message))
        {
            return None;
        }
        let mut which = self.recent;
        let sighting = self.layouts[which].read(message, &self.texts).or_else(|| {
            which = 1 - which;
            self.layouts[which].read(message, &self.texts)
        })?;
        self.recent = which;
        if self.layouts[which].has_outline() && self.stencils[which].misses(message.len()) {
            let outline =
                |outline: &mut _| self.layouts[which].outline(message, &self.texts, outline);
            self.stencils[which].cut((message, false), outline);
        }
        Some(sighting)
    }

    /// Whether [`Self::recognise_abridged`] may recognise anything.
    pub fn hears_abridged(&self) -> bool {
        self.rare.is_none() && self.layouts[0].has_fitted()
    }

    /// What a message with one copy says from whose text bytes are left out, if it is built like one before it.
    /// With them it would say the same.
    pub fn recognise_abridged(&mut self, message: &[u8], left_out: LeftOut) -> Option<Recognized> {
        self.layouts[0].read_abridged(message, left_out, &self.texts)
    }

    /// Visits what `window` of a connection's bytes says from `from` on, where messages do not end with
    /// frames, and returns from where on it is open: what follows must be seen again together with more.
    ///
    /// # Panics
    /// The dialect's messages end with frames.
    #[inline]
    pub fn stream(&self, window: &[u8], from: usize, visit: &mut impl FnMut(Recognized)) -> usize {
        let stream = self.stream.as_deref().expect("a dialect with stream = true");
        stream.judge(window, from, visit)
    }

    /// A frame of a stream whose payload was heard by [`Self::stream`] alone, with nothing open before it and
    /// nothing behind: [`Self::run`] takes frames like it, if they say a copy each and leave nothing open.
    #[inline]
    pub fn note_frame(&mut self, payload: &[u8], is_binary: bool) {
        if self.stencils[0].misses(payload.len()) {
            self.cut_in_stream(payload, is_binary);
        }
    }

    #[cold]
    fn cut_in_stream(&mut self, payload: &[u8], is_binary: bool) {
        let Some(stream) = &self.stream else { return };
        let Some(text) = stream.only_text(payload) else { return };
        let tag_offset = self.texts.tag_offset();
        self.stencils[0].cut((payload, is_binary), |outline| {
            outline.add(Class::Literal, text.start);
            outline.add_text(tag_offset, text.len());
            outline.add(Class::Literal, payload.len() - text.end);
        });
    }

    /// Visits what `message` says, and remembers how it is built.
    #[cold]
    pub fn search(&mut self, message: &[u8], visit: &mut impl FnMut(Recognized)) {
        if let Some(rare) = &mut self.rare {
            if rare.is_no_copy(message) {
                return visit(Recognized::Foreign);
            }
            if let Some(mut decoded) = rare.decoded.take() {
                decode_all(message, DECODED_MIN, &mut decoded);
                self.look_through(&decoded, visit);
                if let Some(rare) = &mut self.rare {
                    rare.decoded = Some(decoded);
                }
                return;
            }
        }
        let mut only = None;
        let mut sightings = 0;
        self.look_through(message, &mut |sighting| {
            only = Some(sighting);
            sightings += 1;
            visit(sighting);
        });
        if let (Some(sighting), 1) = (only, sightings) {
            self.learn(message, sighting);
        }
    }

    fn look_through(&mut self, message: &[u8], visit: &mut impl FnMut(Recognized)) {
        let mut foreign = true;
        let mut note = |sighting| {
            foreign = false;
            visit(sighting);
        };
        match &mut self.walker {
            None => {
                self.texts.scan(message, None, &mut note);
            }
            Some(walker) => search_elements(walker, &self.texts, message, &mut note),
        }
        if foreign {
            visit(Recognized::Foreign);
        }
    }

    /// Remembers the build of a message whose only sighting was this one. Batches are not worth
    /// it: the number of their elements varies.
    fn learn(&mut self, message: &[u8], sighting: Recognized) {
        let (slot, id) = match sighting {
            Recognized::Copy { id, .. } => (0, id),
            Recognized::Id(id) => (1, Some(id)),
            Recognized::Earlier { .. } | Recognized::Corrupt | Recognized::Foreign => return,
        };
        // Binary messages may hold anything; none that is recognised may break the rule for text.
        if !self.layouts[slot].learns() || std::str::from_utf8(message).is_err() {
            return;
        }
        let mut marks = LayoutMarks::default();
        if slot == 0 {
            marks.text = self.texts.find(message);
        }
        if self.texts.first_halves(message) > usize::from(marks.text.is_some()) {
            return;
        }
        if let (Some(walker), Some(_)) = (&mut self.walker, id) {
            let mut elements = 0;
            walker.walk(message, |element| {
                marks.id = Some(element.id);
                elements += 1;
            });
            if elements != 1 {
                return;
            }
        }
        self.layouts[slot].learn(message, &marks);
    }
}

fn search_elements(
    walker: &mut JsonObjects,
    texts: &Texts,
    message: &[u8],
    note: &mut impl FnMut(Recognized),
) {
    let mut done = 0;
    walker.walk(message, |Element { span, id, has_text }| {
        let id = CorrelationId::from_bytes(&message[id]);
        texts.scan(&message[done..span.start], None, note);
        done = span.end;
        let seen = texts.scan(&message[span], Some(id), note);
        if seen == Seen::Nothing && !has_text {
            note(Recognized::Id(id));
        }
    });
    texts.scan(&message[done..], None, note);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Correlation;
    use crate::dialect::naive;
    use crate::dialect::tag::{Tag, run_prefix};
    use crate::wire::frame::plain_header;

    const RUN: u32 = 0x1b2c_3d4e;

    fn collect(scanner: &mut Scanner, message: &[u8]) -> Vec<Recognized> {
        let mut found = Vec::new();
        scanner.scan(message, &mut |sighting| found.push(sighting));
        found.sort();
        found
    }

    fn shape(payload_bytes: usize) -> TextShape {
        TextShape::new(payload_bytes).expect("large enough")
    }

    fn text(shape: &TextShape, run: u32, sender: u16, sequence: u64) -> String {
        let mut text = Vec::new();
        shape.render(Tag { run, sender, sequence }, &mut text);
        String::from_utf8(text).expect("texts are ASCII")
    }

    fn id(text: &str) -> CorrelationId {
        CorrelationId::from_bytes(text.as_bytes())
    }

    /// What a stream says whose frames have these payloads, as a worker hears it; how many were taken whole.
    fn in_frames(scanner: &mut Scanner, payloads: &[Vec<u8>]) -> (Vec<Recognized>, u64) {
        let framed = |payload: &Vec<u8>| {
            let (header, len) = plain_header(true, payload.len()).unwrap();
            [&header[..len], payload].concat()
        };
        let frames: Vec<Vec<u8>> = payloads.iter().map(framed).collect();
        let (mut found, mut whole, mut open, mut at) = (Vec::new(), 0, Vec::new(), 0);
        while at < frames.len() {
            if open.is_empty() {
                let taken = scanner.run(&frames[at..].concat(), &mut |sighting, many| {
                    let Recognized::Copy { sender, sequence, id } = sighting else { panic!() };
                    let each = sequence..sequence + u64::from(many);
                    found.extend(each.map(|sequence| Recognized::Copy { sender, sequence, id }));
                });
                let bytes: usize =
                    frames[at..].iter().take(taken.frames as usize).map(Vec::len).sum();
                assert_eq!(taken.bytes, bytes);
                whole += taken.frames;
                at += taken.frames as usize;
            }
            let Some(payload) = payloads.get(at) else { break };
            let was_closed = open.is_empty();
            open.extend_from_slice(payload);
            let up_to = scanner.stream(&open, 0, &mut |sighting| found.push(sighting));
            open.drain(..up_to);
            if was_closed && open.is_empty() {
                scanner.note_frame(payload, true);
            }
            at += 1;
        }
        found.sort();
        (found, whole)
    }

    fn stream_scanner(shape: &TextShape) -> Scanner {
        Scanner::new(&Dialect { stream: true, ..Dialect::raw() }, shape, RUN)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn frames_of_a_stream_that_are_taken_whole_say_what_the_stream_says(
            kinds in vec((0_usize..12, any::<u16>(), 0_u64..1 << 40), 0..60),
            payload_bytes in prop_oneof![26_usize..60, Just(150)],
            glued in vec(any::<bool>(), 60),
        ) {
            let shape = shape(payload_bytes);
            let piece = |&(kind, sender, number): &(usize, u16, u64)| {
                let text = text(&shape, RUN, sender, number);
                match kind {
                    0 => format!("{text}\r\n"),
                    1 => text,
                    2 => "PING\r\n".to_owned(),
                    3 => text[..payload_bytes / 2].to_owned(),
                    4 => text[payload_bytes / 2..].to_owned(),
                    5 => "f".to_owned(),
                    6 => format!("{}a{}", &text[..20], &text[21..]),
                    _ => format!("MSG room.1 1 {payload_bytes}\r\n{text}\r\n"),
                }
                .into_bytes()
            };
            let pieces: Vec<Vec<u8>> = kinds.iter().map(piece).collect();
            let expected = {
                let mut all = naive::in_stream(&shape, RUN, 0, &pieces.concat());
                all.sort();
                all
            };
            let mut payloads: Vec<Vec<u8>> = Vec::new();
            for (piece, glued) in pieces.iter().zip(glued) {
                match payloads.last_mut() {
                    Some(last) if glued && last.len() < 300 && piece.len() < 40 => last.extend(piece),
                    _ => payloads.push(piece.clone()),
                }
            }
            prop_assert_eq!(in_frames(&mut stream_scanner(&shape), &payloads).0, expected);
        }
    }

    #[test]
    fn frames_of_one_message_each_are_taken_whole_where_more_than_the_tag_ends_them() {
        let frames = |payload_bytes: usize, behind: &str| -> u64 {
            let shape = shape(payload_bytes);
            let said =
                |number| format!("MSG room.1 1 150\r\n{}{behind}", text(&shape, RUN, 3, number));
            let payloads: Vec<_> = (0..200).map(|number| said(number).into_bytes()).collect();
            let (found, whole) = in_frames(&mut stream_scanner(&shape), &payloads);
            assert_eq!(found.len(), 200);
            whole
        };
        assert_eq!((frames(150, "\r\n"), frames(150, ""), frames(26, "\r\n")), (199, 199, 199));
        assert_eq!(frames(43, ""), 0, "its last digits may begin another text");
    }

    /// What a node sends to the clients of the node that took the push.
    fn push_node_copy(text: &str, id: u64) -> String {
        let ids = format!(r#""nodeId":1003,"id":{id},"messageId":"1003{id}""#);
        let time = format!("2026-11-24T09:01:05.{:03}Z", id % 1000);
        let rest =
            format!(r#""chatId":11,"text":"{text}","dateTime":"{time}","sender":"fanstorm""#);
        let head = r#"{"type":"newMessagesForClient","source":1003,"payload":["#;
        format!("{head}{{{ids},{rest}}}]}}")
    }

    /// What it sends to everyone else.
    fn other_node_copy(source: u32, id: u64) -> String {
        let head = format!(r#"{{"type":"newMessagesForClient","source":{source},"payload":["#);
        format!(r#"{head}{{"messageId":"1003{id}"}}]}}"#)
    }

    /// Builds that other clusters might have: number ids, spaces, another order of keys, UUIDs.
    fn other_build(which: usize, text: &str, id: u64) -> String {
        match which {
            0 => {
                format!(r#"{{"payload": [{{"text": "{text}", "messageId": {id}, "at": {id}.5}}]}}"#)
            }
            1 => format!(
                "{{\n  \"messageId\" : \"8f14e45f-{id:04x}-467f\",\n  \"text\" : \"{text}\"\n}}"
            ),
            2 => format!(r#"[{{"text":"{text}","messageId":"as{id}s","n":-{id},"k9":"k{id}"}}]"#),
            3 => format!(r#"42["msg",{{"messageId":{id},"text":"{text}"}}]"#),
            _ => format!("MSG chat {id} {}\r\n{text}\r\n", text.len()),
        }
    }

    // JSON as a server might write it, in any order and with any spaces.
    #[derive(Clone, Debug)]
    enum Json {
        Bare(String),
        Text(String),
        List(Vec<Self>),
        Object(Vec<(&'static str, Self)>),
    }

    impl Json {
        fn has_id_key(&self) -> bool {
            let Self::Object(members) = self else {
                return false;
            };
            members.iter().any(|(key, _)| *key == "messageId")
        }

        /// A text whose damage is only told by nothing else being near it. The parser behind the
        /// twin forgets what was near, so outside of elements there must be none.
        fn lost_its_head(&self) -> bool {
            let tail = shape(150).tail_marker().map(<[u8]>::to_vec).expect("it has words");
            let tail = String::from_utf8(tail).expect("words are ASCII");
            matches!(self, Self::Text(text) if text.contains(&tail) && !text.starts_with("fans"))
        }

        fn write(&self, space: &str, out: &mut String) {
            match self {
                Self::Bare(bare) => out.push_str(bare),
                Self::Text(text) => out.push_str(&serde_json::to_string(text).unwrap()),
                Self::List(values) => {
                    for (index, value) in values.iter().enumerate() {
                        out.extend([if index == 0 { "[" } else { "," }, space]);
                        value.write(space, out);
                    }
                    out.push_str(if values.is_empty() { "[]" } else { "]" });
                }
                Self::Object(members) => {
                    for (index, (key, value)) in members.iter().enumerate() {
                        out.extend([if index == 0 { "{" } else { "," }, space]);
                        out.extend(["\"", key, "\"", space, ":", space]);
                        value.write(space, out);
                    }
                    out.push_str(if members.is_empty() { "{}" } else { "}" });
                }
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Edit {
        Nothing,
        Change(prop::sample::Index, String),
        CutBack(prop::sample::Index),
        CutFront(prop::sample::Index),
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let at = any::<prop::sample::Index>;
        prop_oneof![
            6 => Just(Edit::Nothing),
            2 => (at(), "[a-z0-9 ]").prop_map(|(at, with)| Edit::Change(at, with)),
            1 => at().prop_map(Edit::CutBack),
            1 => at().prop_map(Edit::CutFront),
        ]
    }

    /// Our text, whole, damaged, cut, of another run, or somebody else's.
    fn any_text(payload_bytes: usize) -> impl Strategy<Value = String> {
        let shape = shape(payload_bytes);
        let run = prop_oneof![6 => Just(RUN), 1 => any::<u32>()];
        let whole = (any::<u16>(), 0u64..1 << 40, run)
            .prop_map(move |(sender, sequence, run)| text(&shape, run, sender, sequence));
        let ours = (whole, any_edit()).prop_map(|(text, edit)| match edit {
            Edit::Nothing => text,
            Edit::Change(at, with) => {
                let at = at.index(text.len());
                format!("{}{with}{}", &text[..at], &text[at + 1..])
            }
            Edit::CutBack(at) => text[..at.index(text.len())].to_owned(),
            Edit::CutFront(at) => text[at.index(text.len())..].to_owned(),
        });
        let chat = prop_oneof![
            "\\PC{0,30}",
            "[\"\\\\{}:, a]{0,20}",
            Just(r#"{"messageId":"7"}"#.to_owned()),
            Just("messageId".to_owned()),
            Just("fanstorm message for you".to_owned()),
        ];
        prop_oneof![4 => ours, 1 => chat]
    }

    fn any_id() -> impl Strategy<Value = Json> {
        prop_oneof![
            4 => "[A-Za-z0-9-]{1,20}".prop_map(Json::Text),
            2 => any::<u32>().prop_map(|id| Json::Bare(id.to_string())),
            1 => Just(Json::Bare("null".into())),
            1 => Just(Json::Text(String::new())),
            1 => Just(Json::List(vec![Json::Bare("1".into())])),
        ]
    }

    fn filler() -> impl Strategy<Value = Json> {
        prop_oneof![
            "[\"\\\\{}:,0-9a ]{0,12}".prop_map(Json::Text),
            any::<i32>().prop_map(|number| Json::Bare(number.to_string())),
            Just(Json::Bare("true".into())),
            Just(Json::Text("text".into())),
            Just(Json::Object(vec![("k", Json::Object(vec![]))])),
            "[0-9]{1,4}".prop_map(|id| Json::Object(vec![("messageId", Json::Text(id))])),
        ]
    }

    fn any_element(payload_bytes: usize) -> impl Strategy<Value = Json> {
        let text = option::weighted(0.7, any_text(payload_bytes).prop_map(Json::Text));
        let members =
            (option::weighted(0.9, any_id()), text, option::of(filler()), option::of(filler()));
        members
            .prop_map(|(id, text, a, b)| {
                let has_id = matches!(&id, Some(Json::Text(id)) if !id.is_empty())
                    || matches!(&id, Some(Json::Bare(id)) if id != "null");
                let is_leaf = ![&a, &b].into_iter().flatten().any(Json::has_id_key);
                let text = text.filter(|text| (has_id && is_leaf) || !text.lost_its_head());
                let members = [("messageId", id), ("text", text), ("dateTime", a), ("meta", b)];
                let present = members.into_iter().filter_map(|(key, value)| Some((key, value?)));
                present.collect()
            })
            .prop_flat_map(|members: Vec<_>| Just(members).prop_shuffle())
            .prop_map(Json::Object)
    }

    fn any_message(payload_bytes: usize) -> impl Strategy<Value = String> {
        let elements = vec(any_element(payload_bytes), 0..4).prop_map(Json::List);
        let loose = any_text(payload_bytes).prop_map(Json::Text);
        let loose =
            option::weighted(0.1, loose).prop_map(|text| text.filter(|text| !text.lost_its_head()));
        let space = prop_oneof![3 => Just(""), 1 => Just(" "), 1 => Just("\n\t")];
        (elements, loose, option::weighted(0.2, any_id()), filler(), space)
            .prop_flat_map(|(elements, loose, envelope_id, filler, space)| {
                let mut members = vec![("type", filler), ("payload", elements)];
                members.extend(loose.map(|text| ("note", text)));
                members.extend(envelope_id.map(|id| ("messageId", id)));
                (Just(members).prop_shuffle(), Just(space))
            })
            .prop_map(|(members, space)| {
                let mut message = String::new();
                Json::Object(members).write(space, &mut message);
                message
            })
    }

    /// What a worker's sockets see one after another: mostly a few builds, over and over.
    fn any_session(payload_bytes: usize) -> impl Strategy<Value = Vec<String>> {
        let common = (0usize..9, any::<u16>(), 0u64..1000, 1001u32..1004);
        let common = common.prop_map(move |(build, sender, sequence, source)| {
            let text = text(&shape(payload_bytes), RUN, sender, sequence);
            match build {
                0..=1 => push_node_copy(&text, sequence * 7),
                2..=3 => other_node_copy(source, sequence * 7),
                build => other_build(build - 4, &text, sequence * 7),
            }
        });
        vec(prop_oneof![6 => common, 1 => any_message(payload_bytes)], 1..12)
    }

    fn any_payload_bytes() -> impl Strategy<Value = usize> {
        prop::sample::select(vec![26, 29, 36, 43, 60, 150])
    }

    fn session() -> impl Strategy<Value = (usize, Vec<String>)> {
        any_payload_bytes().prop_flat_map(|bytes| (Just(bytes), any_session(bytes)))
    }

    /// A server's frame of a whole text message.
    fn frame(message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x81];
        match message.len() {
            len @ ..=125 => frame.push(len as u8),
            len => {
                frame.push(126);
                frame.extend((len as u16).to_be_bytes());
            }
        }
        frame.extend(message);
        frame
    }

    /// Each of the copies that a visit stands for.
    fn each(sighting: Recognized, many: u32, visit: &mut impl FnMut(Recognized)) {
        for more in 0..u64::from(many) {
            visit(match sighting {
                Recognized::Copy { sender, sequence, id } => {
                    Recognized::Copy { sender, sequence: sequence + more, id }
                }
                other => other,
            });
        }
    }

    /// What whole frames of `message` say, taken as they are where the scanner takes them.
    fn hear(scanner: &mut Scanner, frames: &[u8], message: &[u8]) -> Vec<Recognized> {
        let mut seen = Vec::new();
        let mut rest = frames;
        while !rest.is_empty() {
            let taken = scanner.run(rest, &mut |sighting, many| {
                each(sighting, many, &mut |sighting| seen.push(sighting));
            });
            rest = &rest[taken.bytes..];
            if !rest.is_empty() {
                scanner.scan(message, &mut |sighting| seen.push(sighting));
                rest = &rest[frame(message).len()..];
            }
        }
        seen.sort();
        seen
    }

    fn dialects() -> [Dialect; 2] {
        [Dialect::dsatter(), Dialect::raw()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_naive_twin_sees_the_same((payload_bytes, session) in session()) {
            let shape = shape(payload_bytes);
            for dialect in dialects() {
                let mut scanner = Scanner::new(&dialect, &shape, RUN);
                for message in &session {
                    let expected = naive::sightings(&dialect, &shape, RUN, message.as_bytes());
                    let seen = collect(&mut scanner, message.as_bytes());
                    prop_assert_eq!(seen, expected, "{}", message);
                }
            }
        }

        #[test]
        fn what_was_remembered_never_changes_what_a_message_means(
            (payload_bytes, session) in session(),
            edits in vec(
                (any::<prop::sample::Index>(), "[\"\\\\{}:,0-9a-zs .-]{0,3}", 0usize..4),
                1..12,
            ),
        ) {
            let shape = shape(payload_bytes);
            for dialect in dialects() {
                let mut warm = Scanner::new(&dialect, &shape, RUN);
                for (message, (at, with, cut)) in session.iter().zip(edits.iter().cycle()) {
                    let edited = edit(message.as_bytes(), at.index(message.len()), with, *cut);
                    for message in [message.as_bytes(), &edited, message.as_bytes()] {
                        let mut fresh = Scanner::new(&dialect, &shape, RUN);
                        let expected = collect(&mut fresh, message);
                        let text = String::from_utf8_lossy(message);
                        prop_assert_eq!(collect(&mut warm, message), expected, "{}", text);
                    }
                }
            }
        }

        /// At every size, and wherever it is: in the run's nonce, too.
        #[test]
        fn frames_taken_as_they_are_mean_what_their_messages_do(
            (payload_bytes, session) in session(),
            edits in vec(
                (any::<prop::sample::Index>(), "[\"\\\\{}:,0-9a-zs .-]{0,3}", 0usize..4),
                1..12,
            ),
            repeat in prop_oneof![1usize..4, 60usize..70],
            cut: prop::sample::Index,
        ) {
            let shape = shape(payload_bytes);
            for dialect in dialects() {
                let mut warm = [Reading::Widest, Reading::Portable, Reading::ByMessage]
                    .map(|reading| Scanner::new(&dialect, &shape, RUN).read_by(reading));
                for (message, (at, with, cut_out)) in session.iter().zip(edits.iter().cycle()) {
                    let message = message.as_bytes();
                    let edited = edit(message, at.index(message.len()), with, *cut_out);
                    for message in [message, message, &edited, message] {
                        let frames = frame(message).repeat(repeat);
                        let mut fresh = Scanner::new(&dialect, &shape, RUN);
                        let once = collect(&mut fresh, message);
                        let mut expected = once.repeat(repeat);
                        expected.sort();
                        let text = String::from_utf8_lossy(message);
                        for warm in &mut warm {
                            // What a read cuts is not a frame yet.
                            let cut = frames.len() - cut.index(frames.len());
                            let whole = cut / (frames.len() / repeat);
                            let taken = warm.run(&frames[..cut], &mut |_, _| ());
                            prop_assert!(taken.frames <= whole as u64, "{}", text);
                            prop_assert_eq!(hear(warm, &frames, message), expected.clone(), "{}", text);
                        }
                    }
                }
            }
        }

        #[test]
        fn frames_of_senders_that_take_turns_are_told_apart(
            stretches in vec((0_u16..3, 1_u64..5), 1..90),
            start in prop_oneof![Just(0), Just((1_u64 << 40) - 3)],
            damaged: prop::sample::Index,
            byte: u8,
        ) {
            let shape = shape(150);
            let mut next = [start; 3];
            let mut sent = Vec::new();
            for (sender, many) in stretches {
                for _ in 0..many {
                    let sequence = &mut next[usize::from(sender)];
                    sent.push((sender, *sequence));
                    *sequence = (*sequence + 1) & ((1 << 40) - 1);
                }
            }
            let frames = |of: &[(u16, u64)]| -> Vec<u8> {
                of.iter().flat_map(|&(k, n)| frame(text(&shape, RUN, k, n).as_bytes())).collect()
            };
            let good = frames(&sent);
            let len = good.len() / sent.len();
            let mut bad = good.clone();
            let damaged = damaged.index(bad.len());
            bad[damaged] = byte;
            let whole = if bad == good { sent.len() } else { damaged / len };
            for reading in [Reading::Widest, Reading::Portable] {
                let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN).read_by(reading);
                for _ in 0..2 {
                    collect(&mut scanner, text(&shape, RUN, 9, 9).as_bytes());
                }
                for (bytes, frames) in [(&good, sent.len()), (&bad, whole)] {
                    let (mut seen, mut visits) = (Vec::new(), 0);
                    let taken = scanner.run(bytes, &mut |sighting, many| {
                        visits += 1;
                        each(sighting, many, &mut |sighting| seen.push(sighting));
                    });
                    let copy = |&(sender, sequence)| Recognized::Copy { sender, sequence, id: None };
                    prop_assert_eq!(seen, sent[..frames].iter().map(copy).collect::<Vec<_>>());
                    prop_assert_eq!(taken, Taken { frames: frames as u64, bytes: frames * len });
                    prop_assert!(visits <= frames);
                }
            }
        }

        #[test]
        fn an_altered_text_is_corrupt_and_never_a_copy_nor_foreign(
            payload_bytes in prop_oneof![26usize..60, Just(150)],
            at: prop::sample::Index,
            byte in "[a-z0-9 ]",
            sender: u16,
            sequence in 0u64..1 << 40,
            warm: bool,
        ) {
            let shape = shape(payload_bytes);
            let at = at.index(payload_bytes);
            let good = text(&shape, RUN, sender, sequence);
            let bad = format!("{}{byte}{}", &good[..at], &good[at + 1..]);
            for dialect in dialects() {
                let mut scanner = Scanner::new(&dialect, &shape, RUN);
                for wrap in [|text: &str| text.to_owned(), |text: &str| push_node_copy(text, 141)] {
                    if warm {
                        collect(&mut scanner, wrap(&text(&shape, RUN, 1, 1)).as_bytes());
                    }
                    let seen = collect(&mut scanner, wrap(&bad).as_bytes());
                    let is_copy = matches!(seen[..], [Recognized::Copy { .. }]);
                    prop_assert_eq!(is_copy, good == bad);
                    prop_assert!(is_copy || seen == [Recognized::Corrupt], "{:?}", seen);
                }
            }
        }

        #[test]
        fn any_bytes_have_a_meaning(
            message in vec(any::<u8>(), 0..80),
            text in "[\"\\\\{}:,a]{0,40}",
        ) {
            for dialect in dialects() {
                let mut scanner = Scanner::new(&dialect, &shape(26), RUN);
                prop_assert_eq!(collect(&mut scanner, &message), [Recognized::Foreign]);
                prop_assert_eq!(collect(&mut scanner, text.as_bytes()), [Recognized::Foreign]);
            }
        }
    }

    fn edit(message: &[u8], at: usize, with: &str, cut: usize) -> Vec<u8> {
        let after = (at + cut).min(message.len());
        [&message[..at], with.as_bytes(), &message[after..]].concat()
    }

    #[test]
    fn the_frames_that_dsatter_sends_mean_what_they_should() {
        let mut scanner = Scanner::new(&Dialect::dsatter(), &shape(150), RUN);
        let ours = text(&shape(150), RUN, 2, 77);
        let copy = Recognized::Copy { sender: 2, sequence: 77, id: Some(id("1003141")) };
        let theirs = concat!(
            r#"{"type":"newMessagesForClient","source":1003,"payload":[{"nodeId":1003,"id":141,"#,
            r#""messageId":"1003141","chatId":11,"text":"Test message 0 from client","#,
            r#""dateTime":"2026-11-24T09:01:05.335Z","sender":"pythonClientUser"}]}"#,
        );
        for _ in 0..2 {
            assert_eq!(collect(&mut scanner, push_node_copy(&ours, 141).as_bytes()), [copy]);
            let id_only = other_node_copy(1001, 141);
            assert_eq!(collect(&mut scanner, id_only.as_bytes()), [Recognized::Id(id("1003141"))]);
            assert_eq!(collect(&mut scanner, theirs.as_bytes()), [Recognized::Foreign]);
            let reply = br#"{"type":"clientSyncReply","payload":[]}"#;
            assert_eq!(collect(&mut scanner, reply), [Recognized::Foreign]);
        }
    }

    proptest! {
        #[test]
        fn what_is_recognised_is_utf8_though_nobody_looked(
            (payload_bytes, session) in session(),
            at: prop::sample::Index,
            byte in 0x80_u8..,
        ) {
            let shape = shape(payload_bytes);
            for dialect in dialects() {
                let mut scanner = Scanner::new(&dialect, &shape, RUN);
                for message in &session {
                    let mut damaged = message.clone().into_bytes();
                    let at = at.index(damaged.len());
                    damaged[at] = byte;
                    // As if it had been binary, where anything goes: seen twice, so that it would be
                    // recognised if it had been learned.
                    for bytes in [message.as_bytes(), &damaged, &damaged] {
                        let valid = std::str::from_utf8(bytes).is_ok();
                        prop_assert!(scanner.recognise(bytes).is_none() || valid);
                        collect(&mut scanner, bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn the_second_message_of_a_build_is_read_by_its_layout() {
        let shape = shape(150);
        let ours = |sequence| text(&shape, RUN, 0, sequence);
        let mut builds: Vec<(Dialect, [String; 2])> = vec![
            (Dialect::raw(), [ours(1), ours(2)]),
            (Dialect::raw(), [push_node_copy(&ours(1), 9), push_node_copy(&ours(2), 100_000)]),
            (Dialect::dsatter(), [push_node_copy(&ours(1), 9), push_node_copy(&ours(2), 100_000)]),
            (Dialect::dsatter(), [other_node_copy(1001, 9), other_node_copy(1002, 100_000)]),
        ];
        for which in [0, 1, 3, 4] {
            let pair = [other_build(which, &ours(1), 9), other_build(which, &ours(2), 999)];
            builds.push((Dialect::dsatter(), pair));
        }
        for (dialect, [first, second]) in builds {
            let mut scanner = Scanner::new(&dialect, &shape, RUN);
            assert_eq!(scanner.recognise(second.as_bytes()), None);
            collect(&mut scanner, first.as_bytes());
            let remembered = scanner.recognise(second.as_bytes());
            let expected = naive::sightings(&dialect, &shape, RUN, second.as_bytes());
            assert_eq!(remembered.as_slice(), expected, "{second}");
        }
    }

    /// A byte is right or wrong by what stands there, and every way of comparing must agree.
    #[test]
    fn every_byte_in_every_place_of_a_frame_is_taken_as_the_search_would_take_it() {
        let bare = text(&shape(26), RUN, 3, 0xabcdef);
        let words = text(&shape(60), RUN, 3, 0xabcdef);
        for (dialect, payload_bytes, message) in [
            (Dialect::raw(), 26, bare.clone()),
            (Dialect::raw(), 60, words.clone()),
            (Dialect::dsatter(), 60, push_node_copy(&words, 141)),
            (Dialect::dsatter(), 26, other_node_copy(1001, 141)),
            (Dialect::dsatter(), 26, r#"{"messageId":"7"}"#.to_owned()),
        ] {
            let shape = shape(payload_bytes);
            let good = frame(message.as_bytes());
            let header = good.len() - message.len();
            for reading in [Reading::Widest, Reading::Portable] {
                let mut scanner = Scanner::new(&dialect, &shape, RUN).read_by(reading);
                for _ in 0..2 {
                    collect(&mut scanner, message.as_bytes());
                }
                assert_eq!(scanner.run(&good, &mut |_, _| ()).frames, 1, "{message}");
                for place in 0..good.len() {
                    for byte in 0..=u8::MAX {
                        let mut frame = good.clone();
                        frame[place] = byte;
                        let mut seen = Vec::new();
                        let taken = scanner.run(&frame, &mut |sighting, _| seen.push(sighting));
                        if taken.frames > 0 {
                            assert_eq!(frame[..header], good[..header]);
                            let mut fresh = Scanner::new(&dialect, &shape, RUN);
                            assert_eq!(seen, collect(&mut fresh, &frame[header..]));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_that_change_each_time_are_given_up_and_one_that_stays_is_taken_up_again() {
        let shape = shape(60);
        let message = |digits: usize, n| {
            format!("{} {}", "7".repeat(digits), text(&shape, RUN, 1, n)).into_bytes()
        };
        let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN);
        let taken = |scanner: &mut Scanner, digits, n| {
            let message = message(digits, n);
            let taken = scanner.run(&frame(&message), &mut |_, _| ()).frames;
            if taken == 0 {
                collect(scanner, &message);
            }
            taken
        };
        let changing: u64 = (0..2_000).map(|n| taken(&mut scanner, 1 + n as usize % 9, n)).sum();
        assert!(changing < 300, "{changing}");
        let staying: u64 = (0..9_000).map(|n| taken(&mut scanner, 5, n)).sum();
        assert!(staying > 4_000, "{staying}");
    }

    #[test]
    fn a_batch_gives_every_copy_and_every_id_once() {
        let shape = shape(60);
        let mut scanner = Scanner::new(&Dialect::dsatter(), &shape, RUN);
        let ours = text(&shape, RUN, 4, 6);
        let first = format!(r#"{{"messageId":"a"}},{{"text":"{ours}","messageId":5}}"#);
        let batch = format!(r#"{{"payload":[{first},{{"messageId":"c","text":"hello"}}]}}"#);
        let copy = Recognized::Copy { sender: 4, sequence: 6, id: Some(id("5")) };
        assert_eq!(collect(&mut scanner, batch.as_bytes()), [copy, Recognized::Id(id("a"))]);

        let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN);
        let three: String = (0..3).map(|n| text(&shape, RUN, 0, n)).collect();
        let copy = |sequence| Recognized::Copy { sender: 0, sequence, id: None };
        assert_eq!(collect(&mut scanner, three.as_bytes()), [copy(0), copy(1), copy(2)]);
    }

    /// Issue 11, A4: what is left of the lead-in in short texts was taken for a mark of ours.
    #[test]
    fn what_other_people_write_is_foreign_at_every_payload_size() {
        let sentences = [
            "I got your message today",
            "a message fs you",
            "the storm message was for a rainstorm message board",
            "alarm message 0123456789abcdef0123",
            "what if one node takes it and every other one is down?",
            "message ",
            "fs 1b2c 3d4e",
            "commit 3d4e0001000000000002a75c00000000",
        ];
        for payload_bytes in 26..200 {
            for dialect in dialects() {
                let mut scanner = Scanner::new(&dialect, &shape(payload_bytes), RUN);
                for said in sentences {
                    for message in [said.to_owned(), push_node_copy(said, 7)] {
                        let seen = collect(&mut scanner, message.as_bytes());
                        assert_eq!(seen, [Recognized::Foreign], "{payload_bytes}: {message}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_copy_of_an_earlier_run_of_ours_is_told_with_its_nonce_and_no_other_is() {
        // Nonces may wrap; the last of these is the run that is read.
        for (first, run) in [(RUN - 2, RUN), (u32::MAX, 1)] {
            for bytes in [26, 40, 150] {
                let shape = shape(bytes);
                let mut scanner = Scanner::new(&Dialect::dsatter(), &shape, run).after(first);
                let copy = |nonce| push_node_copy(&text(&shape, nonce, 2, 9), 5);
                let earlier = |nonce| Recognized::Earlier {
                    run: nonce,
                    sender: 2,
                    sequence: 9,
                    id: Some(id("10035")),
                };
                for nonce in [first, run.wrapping_sub(1)] {
                    assert_eq!(collect(&mut scanner, copy(nonce).as_bytes()), [earlier(nonce)]);
                }
                for nonce in [first.wrapping_sub(1), run.wrapping_add(1)] {
                    let seen = collect(&mut scanner, copy(nonce).as_bytes());
                    assert_eq!(seen, [Recognized::Foreign]);
                }
                // In one message with a copy of this run.
                let both = format!("{}{}", copy(first), copy(run));
                let ours = Recognized::Copy { sender: 2, sequence: 9, id: Some(id("10035")) };
                assert_eq!(collect(&mut scanner, both.as_bytes()), [ours, earlier(first)]);
            }
        }
    }

    #[test]
    fn a_replay_of_another_run_is_foreign_with_and_without_an_id() {
        let shape = shape(150);
        let replay = text(&shape, RUN + 1, 0, 0);
        for dialect in dialects() {
            let mut scanner = Scanner::new(&dialect, &shape, RUN);
            for message in [replay.clone(), push_node_copy(&replay, 5)] {
                assert_eq!(collect(&mut scanner, message.as_bytes()), [Recognized::Foreign]);
            }
        }
    }

    #[test]
    fn a_probe_is_an_ordinary_copy() {
        let shape = shape(26);
        let probe = text(&shape, RUN, u16::MAX, 0);
        let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN);
        let copy = Recognized::Copy { sender: u16::MAX, sequence: 0, id: None };
        assert_eq!(collect(&mut scanner, probe.as_bytes()), [copy]);
    }

    /// Scans `first`, so that it is remembered, and says what `second` then means.
    fn after(dialect: &Dialect, run: u32, first: &str, second: &str) -> Vec<Recognized> {
        let mut scanner = Scanner::new(dialect, &shape(26), run);
        assert_eq!(collect(&mut scanner, first.as_bytes()).len(), 1);
        assert!(scanner.recognise(first.as_bytes()).is_some());
        collect(&mut scanner, second.as_bytes())
    }

    #[test]
    fn a_copy_in_place_of_a_remembered_value_is_seen() {
        let bare = |sequence| text(&shape(26), RUN, 1, sequence);
        let message = |sender: &str| format!(r#"{{"text":"{}","sender":"{sender}"}}"#, bare(1));
        let copy = |sequence| Recognized::Copy { sender: 1, sequence, id: None };
        let seen = after(&Dialect::dsatter(), RUN, &message("u1"), &message(&bare(2)));
        assert_eq!(seen, [copy(1), copy(2)]);
    }

    #[test]
    fn a_copy_in_place_of_a_remembered_replay_is_seen() {
        // All digits after `fs`, so that only the letters before them tell it from a number.
        let all_digits = |run, sender| {
            let mut texts = (0..1000).map(|sequence| text(&shape(26), run, sender, sequence));
            let digits = |text: &String| text.bytes().skip(2).all(|byte| byte.is_ascii_digit());
            texts.find(digits).expect("many checks are decimal")
        };
        let (ours, also_ours) = (all_digits(0x2222_2222, 1), all_digits(0x2222_2222, 2));
        let with_replay = format!("{ours} {}", all_digits(0x1111_1111, 1));
        let both = format!("{ours} {also_ours}");
        assert_eq!(after(&Dialect::raw(), 0x2222_2222, &with_replay, &both).len(), 2);
    }

    /// At sizes whose texts have no whole lead-in, half of the run's prefix and digits are evidence.
    #[test]
    fn half_a_tag_in_place_of_a_remembered_value_is_corrupt() {
        let decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let body = |run, of_digits: bool| {
            let texts = (0..1000).map(|sequence| text(&shape(26), run, 1, sequence));
            let mut bodies = texts.map(|text| text[10..].to_owned());
            bodies.find(|body| decimal(body) == of_digits).expect("checks are of either kind")
        };
        let wrong = |body: &str| body.replacen('1', "2", 1);
        // What is in front of the digits, and after them; whether all is a number.
        for (run, before, after, of_digits) in [
            (RUN, r#"{"k":"c3d4e"#, r#""}"#, false),
            (RUN, r#"{"k":"9-c3d4e"#, r#"-9"}"#, false),
            (0x2222_2222, r#"{"k":22222"#, "}", true),
            (0x2222_2222, r#"{"k":922222"#, "9}", true),
            (RUN, r#"{"fs1b2":"9-"#, r#""}"#, false),
            (RUN, r#"{"fs1b2":"9-"#, r#"-9"}"#, false),
            (RUN, r#"{"k":"fs1b2 9a: "#, r#""}"#, true),
        ] {
            let body = body(run, of_digits);
            for (dialect, bytes) in dialects().into_iter().flat_map(|d| [(d.clone(), 26), (d, 42)])
            {
                let ours = text(&shape(bytes), run, 3, 4);
                let message = |body: &str| format!("[{before}{body}{after},\"{ours}\"]");
                let mut scanner = Scanner::new(&dialect, &shape(bytes), run);
                let copy = Recognized::Copy { sender: 3, sequence: 4, id: None };
                let (harmless, damaged) = (message(&wrong(&body)), message(&body));
                for _ in 0..4 {
                    let seen = hear(&mut scanner, &frame(harmless.as_bytes()), harmless.as_bytes());
                    assert_eq!(seen, [copy], "{harmless}");
                }
                let seen = hear(&mut scanner, &frame(damaged.as_bytes()), damaged.as_bytes());
                assert_eq!(seen, [copy, Recognized::Corrupt], "{damaged}");
            }
        }
    }

    proptest! {
        /// The search through the whole message says what it means. Edits may be anywhere, and so may the bytes
        /// that are left out, if only they repeat those before them.
        #[test]
        fn an_abridged_message_means_what_the_whole_one_does(
            is_dsatter: bool,
            payload_bytes in 500_usize..3_000,
            edit in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            (sender, sequence) in (any::<u16>(), 0_u64..1 << 40),
            (at, periods) in (any::<prop::sample::Index>(), 1_usize..20),
        ) {
            let shape = shape(payload_bytes);
            let dialect = if is_dsatter { Dialect::dsatter() } else { Dialect::raw() };
            let message = |sequence| {
                let text = text(&shape, RUN, sender, sequence);
                if is_dsatter { push_node_copy(&text, 500) } else { text }.into_bytes()
            };
            let mut scanner = Scanner::new(&dialect, &shape, RUN);
            prop_assert!(!scanner.hears_abridged());
            for before in 0..2 {
                collect(&mut scanner, &message(before));
            }
            prop_assert!(scanner.hears_abridged());
            let mut whole = message(sequence);
            let is_edited = edit.is_some();
            if let Some((at, byte)) = edit {
                let at = at.index(whole.len());
                whole[at] = byte;
            }
            let at = at.index(whole.len()).max(TextShape::PERIOD);
            let repeats = |&len: &usize| {
                (at..at + len).all(|at| whole.get(at) == Some(&whole[at - TextShape::PERIOD]))
            };
            let lens = (1..=periods).map(|periods| periods * TextShape::PERIOD);
            let Some(len) = lens.take_while(repeats).last() else { return Ok(()) };
            let mut abridged = whole.clone();
            abridged.drain(at..at + len);
            let left_out = LeftOut { at: at as u32, len: len as u32 };
            let said = scanner.recognise_abridged(&abridged, left_out);
            let expected = collect(&mut Scanner::new(&dialect, &shape, RUN), &whole);
            prop_assert!(is_edited || said.is_some());
            if let Some(said) = said {
                prop_assert_eq!(expected, [said]);
            }
        }
    }

    /// A text that is shorter by a period is none of ours, however it came to be so.
    #[test]
    fn what_is_left_out_of_a_message_must_be_of_its_words() {
        let shape = shape(1_000);
        let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN);
        let text = text(&shape, RUN, 1, 2).into_bytes();
        collect(&mut scanner, &text);
        let without = |at: usize, periods: usize| {
            let len = periods * TextShape::PERIOD;
            let mut abridged = text.clone();
            abridged.drain(at..at + len);
            (abridged, LeftOut { at: at as u32, len: len as u32 })
        };
        let (abridged, left_out) = without(400, 3);
        let copy = Recognized::Copy { sender: 1, sequence: 2, id: None };
        assert_eq!(scanner.recognise_abridged(&abridged, left_out), Some(copy));
        // More, less, and where there is a tag or no text before it.
        let LeftOut { at, len } = left_out;
        for (at, len) in [
            (at, len + 1),
            (at, len - TextShape::PERIOD as u32),
            (at, 0),
            (100, len),
            (0, len),
            (704, len),
        ] {
            let said = scanner.recognise_abridged(&abridged, LeftOut { at, len });
            assert_eq!(said, None, "{at} {len}");
        }
        assert_eq!(scanner.recognise_abridged(&text, left_out), None);
    }

    #[test]
    fn a_key_in_place_of_a_remembered_one_is_seen() {
        let mut dialect = Dialect::dsatter();
        dialect.correlation = Some(Correlation { id_key: "id".into(), text_key: "t".into() });
        let ours = text(&shape(26), RUN, 1, 2);
        let message = |key: &str| format!(r#"{{"{key}":"5","t":"{ours}"}}"#);
        let copy = Recognized::Copy { sender: 1, sequence: 2, id: Some(id("5")) };
        assert_eq!(after(&dialect, RUN, &message("k9"), &message("id")), [copy]);
    }

    #[test]
    fn learning_is_given_up_where_it_never_pays_and_nothing_is_lost_by_it() {
        let shape = shape(60);
        let mut scanner = Scanner::new(&Dialect::raw(), &shape, RUN);
        let mut words = (0..200u32).map(|n| {
            let word: String = format!("{n:03}").chars().map(|c| (c as u8 + 50) as char).collect();
            format!("{word} {}", text(&shape, RUN, 1, u64::from(n)))
        });
        for (sequence, message) in words.by_ref().take(100).enumerate() {
            let copy = Recognized::Copy { sender: 1, sequence: sequence as u64, id: None };
            assert_eq!(collect(&mut scanner, message.as_bytes()), [copy]);
        }
        assert!(!scanner.layouts[0].learns());
        let last = words.next().expect("there are 200");
        for _ in 0..2 {
            assert_eq!(scanner.recognise(last.as_bytes()), None);
            assert_eq!(collect(&mut scanner, last.as_bytes()).len(), 1);
        }
    }

    #[test]
    fn keys_with_digits_are_never_remembered_past() {
        let mut dialect = Dialect::dsatter();
        dialect.correlation = Some(Correlation { id_key: "k 1".into(), text_key: "t".into() });
        let mut scanner = Scanner::new(&dialect, &shape(26), RUN);
        let message = |key| format!(r#"{{"k {key}":"7","z":{{"k 1":"{key}"}}}}"#);
        assert_eq!(collect(&mut scanner, message(2).as_bytes()), [Recognized::Id(id("2"))]);
        assert_eq!(collect(&mut scanner, message(3).as_bytes()), [Recognized::Id(id("3"))]);
        let plain = |key| format!(r#"{{"k 1":"7","k {key}":"8"}}"#);
        assert_eq!(collect(&mut scanner, plain(2).as_bytes()), [Recognized::Id(id("7"))]);
        assert_eq!(collect(&mut scanner, plain(1).as_bytes()), [Recognized::Id(id("8"))]);
    }

    #[test]
    fn objects_nested_past_every_use_hide_ids_but_no_copy() {
        let shape = shape(26);
        let mut scanner = Scanner::new(&Dialect::dsatter(), &shape, RUN);
        let ours = text(&shape, RUN, 1, 2);
        let deep = format!(
            r#"{}{{"messageId":"1","text":"{ours}"}}{}"#,
            r#"{"a":"#.repeat(100),
            "}".repeat(100)
        );
        let copy = Recognized::Copy { sender: 1, sequence: 2, id: None };
        assert_eq!(collect(&mut scanner, deep.as_bytes()), [copy]);
    }

    /// What is left of one altered text may lie where the next one's lead-in would be.
    #[test]
    fn two_halves_of_altered_texts_close_to_each_other_are_two_corrupt_copies() {
        let message = concat!(
            r#"{"type":true,"payload":[{"messageId":534288961,"text":"fanstorm message fs"},"#,
            r#"{"text":" fs1b2c3d4e3e626e96ad6198bc one node takes i","messageId":"uC2IE"}]}"#,
        );
        for message in
            [message, "fanstorm message fs\"},{\"text\":\" fs1b2c3d4e3e626e96ad6198bc one"]
        {
            let mut scanner = Scanner::new(&Dialect::dsatter(), &shape(60), 0x1b2c_3d4e);
            assert_eq!(collect(&mut scanner, message.as_bytes()), [Recognized::Corrupt; 2]);
        }
    }

    /// An acknowledgement may repeat the text: built like a copy, and none.
    #[test]
    fn where_a_dialect_says_which_messages_are_copies_no_other_is() {
        let shape = shape(60);
        let head = "schema = 'fanstorm.dialect/1'\nname = 't'\n[message]\ntemplate = '{text}'\n";
        for copy in ["'\"id\":\"1\"'", "{ starting_with = '{\"id\":\"1\"' }"] {
            let text = format!("{head}copy = {copy}");
            let source = crate::dialect::file::Source {
                file: "t",
                text: &text,
                settings: &[],
                environment: &|_| None,
            };
            let dialect = crate::dialect::file::read(&source).unwrap();
            let mut scanner = Scanner::new(&dialect, &shape, RUN);
            for sequence in 0..200 {
                let ours = self::text(&shape, RUN, 1, sequence);
                for id in [1, 2] {
                    let message = format!(r#"{{"id":"{id}","t":"{ours}"}}"#);
                    let copy = Recognized::Copy { sender: 1, sequence, id: None };
                    let expected = if id == 1 { copy } else { Recognized::Foreign };
                    assert_eq!(collect(&mut scanner, message.as_bytes()), [expected]);
                    let frame = [&[0x81, message.len() as u8], message.as_bytes()].concat();
                    assert_eq!(scanner.run(&frame, &mut |_, _| {}), Taken::default());
                }
            }
        }
    }

    fn in_base64() -> Dialect {
        let text = "schema = 'fanstorm.dialect/1'\nname = 't'\n[message]\ntemplate = '{text}'\ntext = 'base64'";
        let source =
            crate::dialect::file::Source { file: "t", text, settings: &[], environment: &|_| None };
        crate::dialect::file::read(&source).unwrap()
    }

    proptest! {
        /// The twin reads the same texts as they are, so far apart that none can be taken for a part of its
        /// neighbour: in base64 none can.
        #[test]
        fn texts_in_base64_mean_what_they_mean_as_they_are(
            (payload_bytes, texts) in prop_oneof![26_usize..60, Just(150)]
                .prop_flat_map(|bytes| (Just(bytes), vec(any_text(bytes), 0..4))),
            is_padded: bool,
            before in "[ {:\"]|[a-z0-9+/]{0,7}",
            earlier in 0_u32..3,
        ) {
            use base64::Engine;
            use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
            let shape = shape(payload_bytes);
            let scanner = |dialect| Scanner::new(&dialect, &shape, RUN).after(RUN - earlier);
            let (mut plain, mut coded) = (scanner(Dialect::raw()), scanner(in_base64()));
            let expected = collect(&mut plain, texts.join(&"\0".repeat(300)).as_bytes());
            let encoded = |text: &String| match is_padded {
                true => STANDARD.encode(text),
                false => STANDARD_NO_PAD.encode(text),
            };
            let message: String =
                texts.iter().map(|text| format!("{before}{}\"}}", encoded(text))).collect();
            prop_assert_eq!(collect(&mut coded, message.as_bytes()), expected, "{}", message);
        }
    }

    /// With 12 bytes as the least that is decoded the text in base64 was a stranger's.
    #[test]
    fn the_first_ten_bytes_of_a_tag_alone_are_an_altered_text_in_base64_too() {
        use base64::Engine;
        use base64::engine::general_purpose::STANDARD_NO_PAD;
        let (shape, text) = (shape(150), run_prefix(RUN));
        let mut plain = Scanner::new(&Dialect::raw(), &shape, RUN);
        let mut coded = Scanner::new(&in_base64(), &shape, RUN);
        let message = format!("{{\"text\":\"{}\"}}", STANDARD_NO_PAD.encode(text));
        assert_eq!(collect(&mut plain, &text), [Recognized::Corrupt]);
        assert_eq!(collect(&mut coded, message.as_bytes()), [Recognized::Corrupt]);
    }
}
