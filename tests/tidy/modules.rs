//! Who uses whom: every path in the code resolved to the file that defines what it names.
//!
//! Belongs here: `use` trees, inline paths, re-exports, the table of rooms and the search for
//! cycles. Does not: rules about single capabilities (`owners`).
//!
//! A re-export (`pub use child::Name`) is not a use: it is the room's front door. A path through
//! it is followed to the file behind it, so that a door hides neither a direction nor a cycle.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::source::{Source, Token, closing, tokens};

/// The rooms from the bottom up. A room may use the rows above its own, never its own row's
/// neighbours and never a row below.
const LAYERS: [&[&str]; 11] = [
    &["units"],
    &["wire", "host"],
    // Above `wire`: a dialect says whether its messages are text or binary, an opcode's name.
    &["dialect", "audit", "notice", "tls"],
    &["load", "population"],
    &["plan"],
    &["measure"],
    // Side by side: the engine measures and does not judge, a verdict knows no rings.
    &["engine", "verdict"],
    &["experiment"],
    &["report"],
    &["cli"],
    &["main"],
];

/// Stands apart: a mistake that client and cluster share would cancel out, so it may use nothing
/// but the units, and only those who start it may name it.
const APART: (&str, &[&str], &[&str]) = ("cluster", &["units"], &["cli", "main"]);

/// Within a room: files of the first path may not use those of the second.
const CLOSED: [(&str, &str, &str); 2] = [
    (
        "report::text",
        "report::document",
        "let `report::story` say it: formats for people write a story alone",
    ),
    (
        "report::columns",
        "report::document",
        "let `report::story` say it: formats for people write a story alone",
    ),
];

/// Uses that the rows would allow: a report is made of what an experiment came to, and must be as good
/// from a file.
const NEVER: [(&str, &str); 1] = [("report", "engine")];

type Path = Vec<String>;

/// One path of the code: where it stands and what it names.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) line: usize,
    /// From the crate root without `crate`, or from an external crate's name.
    pub(crate) path: Path,
    /// True when the path begins in this crate.
    pub(crate) ours: bool,
    reexport_as: Option<(Path, String)>,
}

/// One file with its module path and all that it names.
pub(crate) struct Module {
    pub(crate) file: String,
    path: Path,
    pub(crate) references: Vec<Reference>,
}

/// All files under `src/`.
pub(crate) struct Modules {
    pub(crate) all: Vec<Module>,
    by_path: BTreeMap<Path, usize>,
    reexports: BTreeMap<(Path, String), Path>,
}

struct Use {
    from: usize,
    to: usize,
    line: usize,
}

impl Modules {
    pub(crate) fn read(sources: &[Source]) -> Self {
        let files: Vec<_> =
            sources.iter().filter_map(|s| Some((module_path(&s.path)?, s))).collect();
        let known: BTreeSet<Path> = files.iter().map(|(path, _)| path.clone()).collect();
        let all: Vec<Module> = files
            .into_iter()
            .map(|(path, source)| Module {
                file: source.path.clone(),
                references: references(&source.shipped, &path, &known),
                path,
            })
            .collect();
        let by_path = all.iter().enumerate().map(|(i, m)| (m.path.clone(), i)).collect();
        let reexports = all
            .iter()
            .flat_map(|m| &m.references)
            .filter(|r| r.ours)
            .filter_map(|r| Some((r.reexport_as.clone()?, r.path.clone())))
            .collect();
        Self { all, by_path, reexports }
    }

    /// Uses that go against the table of rooms.
    pub(crate) fn against_direction(&self) -> Vec<String> {
        let mut found: Vec<String> = self.all.iter().filter_map(unknown_room).collect();
        for edge in self.uses(true) {
            let (from, to) = (&self.all[edge.from], &self.all[edge.to]);
            found.extend(closed(from, to, edge.line));
            if to.path.is_empty() || may_use(room(&from.path), room(&to.path)) {
                continue;
            }
            found.push(format!(
                "{}:{}: `{}` uses `{}`, which the direction of the rooms forbids: move what both \
                 need into a room below both, or hand it over as an argument",
                from.file,
                edge.line,
                room(&from.path),
                room(&to.path)
            ));
        }
        found
    }

    /// Circles between files, each with the lines that close it; every file that stands in one is
    /// in at least one of them.
    pub(crate) fn cycles(&self) -> Vec<String> {
        let uses = self.uses(false);
        let mut told = BTreeSet::new();
        let mut found = Vec::new();
        for start in 0..self.all.len() {
            if told.contains(&start) {
                continue;
            }
            if let Some(circle) = shortest_circle(&uses, start) {
                told.extend(circle.iter().map(|edge| edge.from));
                found.push(self.circle_text(&circle));
            }
        }
        found
    }

    fn circle_text(&self, circle: &[&Use]) -> String {
        let steps: Vec<String> = circle
            .iter()
            .map(|edge| format!("{}:{}", self.all[edge.from].file, edge.line))
            .collect();
        format!(
            "{} → {}: these files use each other in a circle; move what they share into a file \
             of its own that uses neither",
            steps.join(" → "),
            self.all[circle[0].from].file
        )
    }

    /// Uses between two different files; `through_doors` counts re-exports as uses too.
    fn uses(&self, through_doors: bool) -> Vec<Use> {
        let mut found = Vec::new();
        for (from, module) in self.all.iter().enumerate() {
            for reference in module.references.iter().filter(|r| r.ours) {
                if reference.reexport_as.is_some() && !through_doors {
                    continue;
                }
                let to = self.resolve(&reference.path);
                if to.is_some_and(|to| to != from) {
                    found.extend(to.map(|to| Use { from, to, line: reference.line }));
                }
            }
        }
        found
    }

    /// The file that defines what `path` names, doors followed.
    fn resolve(&self, path: &Path) -> Option<usize> {
        let mut path = path.clone();
        for _ in 0..8 {
            let len = (0..=path.len()).rev().find(|&n| self.by_path.contains_key(&path[..n]))?;
            let door = path.get(len).map(|name| (path[..len].to_vec(), name.clone()));
            match door.and_then(|door| self.reexports.get(&door)) {
                Some(behind) => path = [behind.as_slice(), &path[len + 1..]].concat(),
                None => return self.by_path.get(&path[..len]).copied(),
            }
        }
        None
    }
}

/// Breadth first from `start` until a use leads back to it.
fn shortest_circle(uses: &[Use], start: usize) -> Option<Vec<&Use>> {
    let mut came_by: BTreeMap<usize, &Use> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in uses.iter().filter(|edge| edge.from == node) {
            if edge.to == start {
                let mut circle = vec![edge];
                while circle[0].from != start {
                    circle.insert(0, came_by[&circle[0].from]);
                }
                return Some(circle);
            }
            if let Entry::Vacant(new) = came_by.entry(edge.to) {
                new.insert(edge);
                queue.push_back(edge.to);
            }
        }
    }
    None
}

/// The library and the binary share `src/`: `main` is a room of its own, `lib.rs` the root.
fn module_path(file: &str) -> Option<Path> {
    let inside = file.strip_prefix("src/")?.strip_suffix(".rs")?;
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    Some(if inside == "lib" { Vec::new() } else { inside.split('/').map(str::to_owned).collect() })
}

/// Modules that exist for tests only, files of their own, named as file paths without `.rs`.
pub(crate) fn blank_test_modules(sources: &mut [Source]) {
    let declared: Vec<Path> = sources
        .iter()
        .filter_map(|s| Some((module_path(&s.path)?, s)))
        .flat_map(|(path, s)| s.test_modules.iter().map(move |m| joined(&path, m)))
        .collect();
    for source in sources {
        let path = module_path(&source.path);
        if path.is_some_and(|path| declared.iter().any(|d| path.starts_with(d))) {
            source.blank_shipped();
        }
    }
}

fn joined(path: &[String], name: &str) -> Path {
    [path, &[name.to_owned()]].concat()
}

fn room(path: &[String]) -> &str {
    path.first().map_or("lib", String::as_str)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&room))
}

fn closed(from: &Module, to: &Module, line: usize) -> Option<String> {
    let is_in = |module: &Module, room: &str| {
        let names: Vec<_> = room.split("::").collect();
        module.path.len() >= names.len() && module.path.iter().zip(names).all(|(a, b)| a == b)
    };
    let (_, to, instead) = CLOSED.iter().find(|(a, b, _)| is_in(from, a) && is_in(to, b))?;
    Some(format!("{}:{line}: uses `{to}`, which is closed to it: {instead}", from.file))
}

fn unknown_room(module: &Module) -> Option<String> {
    let room = room(&module.path);
    let known = room == "lib" || room == APART.0 || layer(room).is_some();
    (!known).then(|| {
        format!(
            "{}: `{room}` has no place in LAYERS (tests/tidy/modules.rs): give it one",
            module.file
        )
    })
}

fn may_use(from: &str, to: &str) -> bool {
    let (apart, its_uses, its_users) = APART;
    if from == to || from == "lib" {
        true
    } else if NEVER.contains(&(from, to)) {
        false
    } else if from == apart {
        its_uses.contains(&to)
    } else if to == apart {
        its_users.contains(&from)
    } else {
        layer(to) < layer(from)
    }
}

/// All paths of a file. `module` is its own path, `known` the paths of all modules.
fn references(view: &str, module: &Path, known: &BTreeSet<Path>) -> Vec<Reference> {
    let all = tokens(view);
    let mut reader = Reader { all: &all, known, inline: Vec::new(), aliases: BTreeMap::new() };
    let mut found = Vec::new();
    let mut index = 0;
    while index < all.len() {
        reader.leave_inline(index);
        index = reader.step(index, module, &mut found);
    }
    found
}

struct Reader<'a> {
    all: &'a [Token<'a>],
    known: &'a BTreeSet<Path>,
    /// Inline modules we are in: name and index of the closing brace.
    inline: Vec<(String, usize)>,
    /// What a `use` made of a name.
    aliases: BTreeMap<String, (Path, bool)>,
}

impl Reader<'_> {
    fn text(&self, index: usize) -> &str {
        self.all.get(index).map_or("", |t| t.text)
    }

    fn before(&self, index: usize, back: usize) -> &str {
        index.checked_sub(back).map_or("", |i| self.text(i))
    }

    fn leave_inline(&mut self, index: usize) {
        self.inline.retain(|(_, end)| index <= *end);
    }

    fn here(&self, module: &Path) -> Path {
        let inline = self.inline.iter().map(|(name, _)| name.clone());
        let root: &[String] = if room(module) == "main" { &[] } else { module };
        root.iter().cloned().chain(inline).collect()
    }

    /// Reads what begins at `index` and returns where the next thing begins.
    fn step(&mut self, index: usize, module: &Path, found: &mut Vec<Reference>) -> usize {
        let token = self.all[index];
        if token.text == "mod" && self.text(index + 2) == "{" {
            self.inline.push((self.text(index + 1).to_owned(), closing(self.all, index + 2)));
            return index + 3;
        }
        if token.text == "use" && self.text(index + 1) != "<" {
            return self.use_item(index, module, found);
        }
        if !token.is_name() || matches!(self.before(index, 1), "::" | ".") {
            return index + 1;
        }
        let (path, end) = self.path_at(index);
        if path.len() > 1 && !self.is_visibility(index) {
            let (path, ours) = self.rooted(path, module);
            found.push(Reference { line: token.line, path, ours, reexport_as: None });
        }
        end
    }

    /// `pub(in crate::engine)` names no code.
    fn is_visibility(&self, index: usize) -> bool {
        self.before(index, 1) == "in" && self.before(index, 2) == "("
    }

    fn path_at(&self, index: usize) -> (Path, usize) {
        let mut path = vec![self.text(index).to_owned()];
        let mut end = index + 1;
        while self.text(end) == "::" && self.all.get(end + 1).is_some_and(Token::is_name) {
            path.push(self.text(end + 1).to_owned());
            end += 2;
        }
        (path, end)
    }

    fn use_item(&mut self, index: usize, module: &Path, found: &mut Vec<Reference>) -> usize {
        let public = matches!(self.before(index, 1), "pub" | ")");
        let mut leaves = Vec::new();
        let start = index + 1 + usize::from(self.text(index + 1) == "::");
        let end = self.use_tree(start, &Vec::new(), &mut leaves);
        for (line, path, name) in leaves {
            let (path, ours) = self.rooted(path, module);
            self.aliases.insert(name.clone(), (path.clone(), ours));
            let reexport_as = (public && ours).then(|| (self.here(module), name));
            found.push(Reference { line, path, ours, reexport_as });
        }
        end
    }

    /// Reads `a::{b, c as d, e::*}` into its leaves: line, path, local name.
    fn use_tree(
        &self,
        start: usize,
        prefix: &Path,
        leaves: &mut Vec<(usize, Path, String)>,
    ) -> usize {
        let (mut path, mut index) = (prefix.clone(), start);
        let line = self.all.get(start).map_or(0, |t| t.line);
        loop {
            match self.text(index) {
                "{" => {
                    let end = closing(self.all, index);
                    let mut inner = index + 1;
                    while inner < end {
                        inner = self.use_tree(inner, &path, leaves) + 1;
                    }
                    return end + 1;
                }
                "::" | "*" => {}
                "," | "}" | ";" | "as" | "" => break,
                name => path.push(name.to_owned()),
            }
            index += 1;
        }
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let alias = if self.text(index) == "as" { self.text(index + 1) } else { "" };
        index += if alias.is_empty() { 0 } else { 2 };
        let name = if alias.is_empty() { path.last().cloned() } else { Some(alias.to_owned()) };
        leaves.push((line, path, name.unwrap_or_default()));
        index
    }

    /// Resolves the first names of a path: to the crate root, or to an external crate.
    fn rooted(&self, path: Path, module: &Path) -> (Path, bool) {
        let here = self.here(module);
        match path[0].as_str() {
            "crate" | "fanstorm" => (path[1..].to_vec(), true),
            "self" => ([here, path[1..].to_vec()].concat(), true),
            "super" => {
                let ups = path.iter().take_while(|p| *p == "super").count();
                let up = here[..here.len().saturating_sub(ups)].to_vec();
                ([up, path[ups..].to_vec()].concat(), true)
            }
            first if self.known.contains(&joined(&here, first)) => ([here, path].concat(), true),
            first => match self.aliases.get(first) {
                Some((behind, ours)) => ([behind.clone(), path[1..].to_vec()].concat(), *ours),
                None => (path, false),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Modules {
        let mut sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, text)).collect();
        blank_test_modules(&mut sources);
        Modules::read(&sources)
    }

    fn direction(files: &[(&str, &str)]) -> String {
        modules(files).against_direction().join("\n")
    }

    const WIRE: (&str, &str) = ("src/wire/mod.rs", "pub struct Frame;");
    const ENGINE: (&str, &str) = ("src/engine/mod.rs", "pub struct Worker;");

    #[test]
    fn a_use_of_a_higher_room_is_caught_in_every_spelling() {
        for text in [
            "use crate::engine::Worker;",
            "use crate::{engine::{self, Worker}};",
            "fn f() { crate::engine::run() }",
            "use super::engine as machine;",
            "use ::fanstorm::engine;",
            "pub use crate::engine::Worker;",
            "fn f(x: &crate::engine::Worker) {}",
        ] {
            let found = direction(&[ENGINE, ("src/wire/mod.rs", text)]);
            assert!(
                found.starts_with("src/wire/mod.rs:1: `wire` uses `engine`"),
                "{text}: {found}"
            );
        }
    }

    #[test]
    fn a_use_of_a_lower_room_is_fine() {
        let files = [
            ("src/engine/mod.rs", "use crate::{units::Nanos, wire::Frame};"),
            WIRE,
            ("src/units.rs", ""),
        ];
        assert_eq!(direction(&files), "");
    }

    #[test]
    fn neighbours_of_one_row_are_closed_to_each_other() {
        let found = direction(&[ENGINE, ("src/report/mod.rs", "use crate::engine::Worker;")]);
        assert!(found.contains("`report` uses `engine`"), "{found}");
    }

    #[test]
    fn a_format_for_people_uses_no_document() {
        let document = ("src/report/document/mod.rs", "pub struct Document;");
        let uses = "use crate::report::document::Document;";
        for format in ["src/report/text/mod.rs", "src/report/text/page.rs", "src/report/columns.rs"]
        {
            let found = direction(&[document, (format, uses)]);
            assert!(found.starts_with(format) && found.contains("closed to it"), "{found}");
        }
        assert_eq!(direction(&[document, ("src/report/story/mod.rs", uses)]), "");
    }

    #[test]
    fn the_cluster_shares_nothing_with_the_client_in_either_direction() {
        let found = direction(&[WIRE, ("src/cluster/node.rs", "use crate::wire::Frame;")]);
        assert!(found.contains("`cluster` uses `wire`"), "{found}");
        let cluster = ("src/cluster/mod.rs", "");
        let found = direction(&[cluster, ("src/engine/mod.rs", "use crate::cluster;")]);
        assert!(found.contains("`engine` uses `cluster`"), "{found}");
        assert_eq!(direction(&[cluster, ("src/cli/mod.rs", "use crate::cluster;")]), "");
        assert_eq!(
            direction(&[cluster, ("src/main.rs", "fn main() { fanstorm::cluster::run() }")]),
            ""
        );
    }

    #[test]
    fn a_door_does_not_hide_what_stands_behind_it() {
        let files = [
            ("src/lib.rs", "pub use engine::Worker;\npub mod engine;"),
            ENGINE,
            ("src/wire/mod.rs", "use crate::Worker;"),
        ];
        assert!(direction(&files).contains("`wire` uses `engine`"), "{}", direction(&files));
    }

    #[test]
    fn tests_may_use_any_room() {
        let inline = "#[cfg(test)] mod tests { use crate::engine::Worker; }";
        assert_eq!(direction(&[ENGINE, ("src/wire/mod.rs", inline)]), "");
        let files = [
            ENGINE,
            ("src/wire/mod.rs", "#[cfg(test)] mod naive;"),
            ("src/wire/naive.rs", "use crate::engine::Worker;"),
        ];
        assert_eq!(direction(&files), "");
    }

    #[test]
    fn a_room_that_nobody_placed_is_asked_for_its_place() {
        let found = direction(&[("src/helpers.rs", "")]);
        assert!(found.contains("`helpers` has no place"), "{found}");
    }

    #[test]
    fn files_that_use_each_other_in_a_circle_are_reported_with_the_way_round() {
        let files = [
            ("src/engine/worker.rs", "use crate::units::Nanos;\nuse super::session::Session;"),
            ("src/engine/session.rs", "use crate::engine::fleet;"),
            ("src/engine/fleet.rs", "\n\nfn f() { super::worker::run() }"),
        ];
        let found = modules(&files).cycles();
        assert_eq!(found.len(), 1, "{found:?}");
        for step in ["worker.rs:2", "session.rs:1", "fleet.rs:3"] {
            assert!(found[0].contains(step), "{step}: {found:?}");
        }
    }

    #[test]
    fn one_circle_does_not_hide_another() {
        let files = [
            ("src/engine/a.rs", "use super::b::X; use super::c::X;"),
            ("src/engine/b.rs", "use super::a::X;"),
            ("src/engine/c.rs", "use super::d::X;"),
            ("src/engine/d.rs", "use super::c::X;"),
        ];
        assert_eq!(modules(&files).cycles().len(), 2);
    }

    #[test]
    fn a_front_door_makes_no_circle_but_a_real_use_does() {
        let child = ("src/engine/ring.rs", "use super::Ring;");
        let door = ("src/engine/mod.rs", "pub mod ring;\npub use ring::Real;\npub trait Ring {}");
        assert_eq!(modules(&[door, child]).cycles(), Vec::<String>::new());
        let user = ("src/engine/mod.rs", "pub trait Ring {}\nfn f() { ring::Real::new() }");
        assert_eq!(modules(&[user, child]).cycles().len(), 1);
    }

    #[test]
    fn a_circle_through_a_door_is_still_a_circle() {
        let files = [
            ("src/engine/mod.rs", "pub use worker::Worker;"),
            ("src/engine/worker.rs", "use super::session::Session;"),
            ("src/engine/session.rs", "use super::Worker;"),
        ];
        assert_eq!(modules(&files).cycles().len(), 1);
    }

    #[test]
    fn visibility_and_super_inside_an_inline_module_name_no_other_file() {
        let files = [
            ("src/engine/mod.rs", "fn f() { a::g() }"),
            ("src/engine/a.rs", "pub(in crate::engine) fn g() {}\nmod b { use super::g; }"),
        ];
        assert_eq!(modules(&files).cycles(), Vec::<String>::new());
    }

    #[test]
    fn names_are_followed_through_their_use_to_the_external_crate() {
        let found = modules(&[("src/wire/a.rs", "use std::process as p;\nfn f() { p::exit(1) }")]);
        let paths: Vec<String> =
            found.all[0].references.iter().map(|r| r.path.join("::")).collect();
        assert_eq!(paths, ["std::process", "std::process::exit"]);
    }
}
