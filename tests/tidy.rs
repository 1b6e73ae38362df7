//! The rules of the house, read off the source text: floors, captions, room heads, limits and promised documents.
//!
//! Every rule is a function from text to findings, so that `tidy/can_fail.rs` can prove that each one bites.
//! Nothing here needs a crate or a compiled library: the rules hold while the library does not build.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the checker reads the source tree itself, not a store"
)]

#[path = "tidy/can_fail.rs"]
mod can_fail;
#[path = "tidy/error_codes.rs"]
mod error_codes;
#[path = "tidy/public_docs.rs"]
mod public_docs;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, functions, gated_item, heads, inline_modules, is_test_file, line_of, name_at, words};

/// Every room and its floor. A room stands on lower floors only; rooms of one floor do not know each other.
const FLOORS: [(&str, u8); 17] = [
    ("error", 1),
    ("model", 2),
    ("format", 2),
    ("env", 2),
    ("crypto", 2),
    ("segment", 3),
    ("index", 3),
    ("policy", 3),
    ("engine", 4),
    ("rescue", 5),
    ("catalog", 6),
    ("write", 7),
    ("ops", 8),
    ("background", 9),
    ("api", 10),
    // A second face, for fuzz targets only: like `lib.rs` it sees every room, and no room sees it.
    ("fuzzing", 11),
    ("adapters", 12),
];
/// The face (`lib.rs`), between `api` and the adapters.
const FACE: u8 = 11;
/// The program (`main.rs`), above everything.
const PROGRAM: u8 = 13;
/// What the head of a room tells a newcomer.
const HEAD: [&str; 5] = ["*Owns*", "*Promises*", "*Stands on*", "*Never*", "*Read first*"];
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "manager", "managers", "inner"];
const LEFT_BEHIND: [&str; 4] = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
const UNSAFE_FILE: &str = "src/env/mmap.rs";
const LONGEST_FUNCTION: usize = 120;
const LONGEST_FILE: usize = 700;
const LONGEST_MAP: usize = 250;
const SHORTEST_CAPTION: usize = 3;

/// A breach of a rule: where it is, and what to do about it.
#[derive(Debug)]
struct Finding {
    file: String,
    line: usize,
    advice: String,
}

fn finding(file: &str, line: usize, advice: impl Into<String>) -> Finding {
    Finding { file: file.to_owned(), line, advice: advice.into() }
}

// The rules ---------------------------------------------------------------------------------------------------

fn floor_of_room(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn floor_of_file(file: &Source) -> Option<u8> {
    match file.path.as_str() {
        "src/lib.rs" => Some(FACE),
        "src/main.rs" => Some(PROGRAM),
        _ => floor_of_room(file.room()),
    }
}

/// A file stands on lower floors only, and reaches them by `crate::room`.
fn floors(file: &Source) -> Vec<Finding> {
    let Some(floor) = floor_of_file(file) else {
        let advice = format!(
            "`{}` is no room of the house; move the file into a room, or give the room a floor in DESIGN and in tests/tidy.rs",
            file.room()
        );
        return vec![finding(&file.path, 1, advice)];
    };
    let code = &file.shipped;
    let mut found = Vec::new();
    for (root, is_outside) in [("crate", false), ("ossicle", true)] {
        for at in words(code, root) {
            let after = source::skip_space(code, at + root.len());
            if code[after..].starts_with("::") {
                for (place, name) in heads(code, after + 2) {
                    if let Some(advice) = refusal(file, floor, &name, is_outside) {
                        found.push(finding(&file.path, file.line(place), advice));
                    }
                }
            } else if !is_outside && name_at(code, after) == "as" {
                found.push(finding(
                    &file.path,
                    file.line(at),
                    "name the room itself instead of renaming the crate",
                ));
            }
        }
    }
    if floor == FACE {
        for at in words(code, "adapters").filter(|at| starts_a_path(code, *at, "adapters")) {
            found.push(finding(
                &file.path,
                file.line(at),
                "the face does not know its guests; declare `mod adapters` and no more",
            ));
        }
    }
    found.extend(escapes(file));
    found
}

fn starts_a_path(code: &str, at: usize, name: &str) -> bool {
    code[at + name.len()..].starts_with("::") && !code[..at].ends_with("::")
}

/// Why a file on `floor` may not name `crate::name` (or `ossicle::name`, if `is_outside`).
fn refusal(file: &Source, floor: u8, name: &str, is_outside: bool) -> Option<String> {
    let room = file.room();
    let adapters = floor_of_room("adapters");
    match floor_of_room(name) {
        Some(_) if name == room => None,
        Some(_) if Some(floor) == adapters => Some(format!(
            "an adapter sees only the public face; use what lib.rs re-exports instead of `{name}`"
        )),
        Some(_) if floor == PROGRAM && name != "adapters" => {
            Some(format!("the program sees the public face and the adapters; use those instead of `{name}`"))
        }
        Some(other) if other < floor => None,
        Some(other) => Some(format!(
            "`{room}` (floor {floor}) may not name `{name}` (floor {other}); move the shared noun below both, or pass it in"
        )),
        None if floor >= FACE => None,
        None if is_outside => {
            Some("name the room (`crate::room::Name`) instead of the crate from outside".to_owned())
        }
        None => Some(format!("`crate::{name}` is the face; import it from the room it is born in")),
    }
}

/// Chains of `super` that climb out of the room.
fn escapes(file: &Source) -> Vec<Finding> {
    let code = &file.shipped;
    let modules = inline_modules(code);
    let mut found = Vec::new();
    let mut chain_end = 0;
    for at in words(code, "super") {
        if at < chain_end {
            continue;
        }
        let mut climbs = 1;
        chain_end = at + "super".len();
        // `super::superblock` is a file of the room, no second climb.
        let climbs_on = |rest: &str| rest.starts_with("::super::") || rest == "::super";
        while climbs_on(&code[chain_end..]) {
            climbs += 1;
            chain_end += "::super".len();
        }
        let enclosing = modules.iter().filter(|(open, close)| *open < at && at < *close).count();
        let depth = file.module().len() + enclosing;
        let root_is_home = file.module().is_empty();
        if climbs > depth || (climbs == depth && !root_is_home) {
            found.push(finding(
                &file.path,
                file.line(at),
                "this `super` leaves the room; write `crate::room::...`",
            ));
        }
    }
    found
}

/// The first line of a file says in a sentence what the file is.
fn caption(path: &str, text: &str) -> Vec<Finding> {
    let first = text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//!").map(str::trim).unwrap_or_default();
    if said.split_whitespace().count() >= SHORTEST_CAPTION && said.ends_with('.') {
        return Vec::new();
    }
    let advice = format!(
        "start the file with a `//!` caption: one line, at least {SHORTEST_CAPTION} words, ending in a period"
    );
    vec![finding(path, 1, advice)]
}

/// The `mod.rs` of a room opens with what it owns, promises, stands on, never does, and where to start reading.
fn room_head(path: &str, text: &str) -> Vec<Finding> {
    let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    let missing = HEAD.iter().filter(|mark| !head.iter().any(|line| line.contains(**mark)));
    missing.map(|mark| finding(path, 1, format!("say {mark} in the `//!` head of the room"))).collect()
}

/// `unsafe` stands in one file, and says there why it is sound.
fn unsafety(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for at in words(&file.code, "unsafe") {
        let line = file.line(at);
        if file.path != UNSAFE_FILE {
            found.push(finding(
                &file.path,
                line,
                format!("`unsafe` lives in {UNSAFE_FILE} alone; do it safely, or there"),
            ));
        } else if opens_a_proof(&file.code, at) && !has_safety_comment(&file.text, line) {
            found.push(finding(
                &file.path,
                line,
                "write a `// SAFETY:` comment right above, saying why this is sound",
            ));
        }
    }
    found
}

/// Whether this `unsafe` is one that needs a proof: a block or an impl, not the signature of a function.
fn opens_a_proof(code: &str, at: usize) -> bool {
    let after = at + "unsafe".len();
    code[after..].trim_start().starts_with('{') || name_at(code, after) == "impl"
}

fn has_safety_comment(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    for line in above.iter().rev() {
        let is_comment = line.starts_with("//");
        if is_comment && line.contains("SAFETY:") {
            return true;
        }
        let goes_on = line.starts_with("#[") || line.ends_with(['=', '(', ',', '|']);
        if !is_comment && !goes_on {
            return false;
        }
    }
    false
}

/// Nothing half done is left behind, and no test is switched off.
fn left_behind(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for mark in LEFT_BEHIND {
        for (at, _) in file.code.match_indices(mark) {
            let is_longer_name =
                mark != "#[ignore" && at > 0 && source::is_word(file.code.as_bytes()[at - 1]);
            if !is_longer_name {
                found.push(finding(
                    &file.path,
                    file.line(at),
                    format!("finish it or take it out: `{mark}` stays nowhere"),
                ));
            }
        }
    }
    found
}

/// Files, folders and modules are named after what is in them.
fn empty_names(file: &Source) -> Vec<Finding> {
    let says_nothing = |name: &str| name.split('_').any(|word| EMPTY_NAMES.contains(&word));
    let advice = |name: &str| format!("`{name}` says nothing; name it after what is in it");
    let parts = file.path.trim_end_matches(".rs").split('/');
    let mut found: Vec<Finding> =
        parts.filter(|part| says_nothing(part)).map(|part| finding(&file.path, 1, advice(part))).collect();
    for at in words(&file.code, "mod") {
        let name = name_at(&file.code, at + "mod".len());
        if says_nothing(name) {
            found.push(finding(&file.path, file.line(at), advice(name)));
        }
    }
    found
}

/// Functions fit in a head, files too.
fn lengths(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, start, end) in functions(&file.code) {
        let lines = line_of(&file.code, end) + 1 - file.line(start);
        if lines > LONGEST_FUNCTION {
            let advice = format!(
                "`{name}` has {lines} lines, {LONGEST_FUNCTION} are the most; let it decide or do, not both"
            );
            found.push(finding(&file.path, file.line(start), advice));
        }
    }
    let lines = lines_before_tests(file);
    if lines > LONGEST_FILE && !is_test_file(&file.path) {
        let advice =
            format!("{lines} lines before the tests, {LONGEST_FILE} are the most; this is two files");
        found.push(finding(&file.path, LONGEST_FILE, advice));
    }
    found
}

/// The lines above the test module: a lone gated import further up does not hide what follows it.
fn lines_before_tests(file: &Source) -> usize {
    let gates = source::test_gates(&file.code);
    let tests = gates.into_iter().find(|gate| name_at(&file.code, gated_item(&file.code, *gate)) == "mod");
    tests.map_or(file.text.lines().count(), |gate| file.line(gate) - 1)
}

/// Every hazard in the table names a test, and the test exists.
fn hazards(path: &str, text: &str, tests: &BTreeSet<String>) -> Vec<Finding> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut column = None;
    let mut rows = 0;
    for (number, line) in lines.iter().enumerate() {
        if !line.trim_start().starts_with('|') {
            column = None;
        } else if is_rule(line) {
            let header = number.checked_sub(1).map(|above| cells(lines[above])).unwrap_or_default();
            column = header.iter().position(|cell| cell.to_lowercase().contains("test"));
        } else if let Some(column) = column {
            rows += 1;
            let row = cells(line);
            let cell = row.get(column).map(String::as_str).unwrap_or_default();
            found.extend(
                missing_tests(cell, tests).into_iter().map(|advice| finding(path, number + 1, advice)),
            );
        }
    }
    if rows == 0 {
        found.push(finding(path, 1, "list the hazards in a table with a column `Test`"));
    }
    found
}

fn is_rule(line: &str) -> bool {
    line.contains('-') && line.chars().all(|letter| "|-: ".contains(letter))
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|');
    line.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

fn missing_tests(cell: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    if named.is_empty() {
        return vec!["name the test that keeps this hazard away, in backticks".to_owned()];
    }
    let function = |name: &str| name.rsplit("::").next().unwrap_or(name).trim_end_matches("()").to_owned();
    let missing = named.iter().filter(|name| !tests.contains(&function(name)));
    missing
        .map(|name| {
            format!("there is no test `{name}` in src or tests; write it, or name the one that is meant")
        })
        .collect()
}

/// A decision record has a title and says what was seen, what was chosen and what it costs.
fn decision(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    if !text.lines().next().is_some_and(|line| line.starts_with("# ") && line.len() > 2) {
        found.push(finding(path, 1, "start with a title: `# ...`"));
    }
    for section in ["Seen", "Chosen", "Cost"] {
        let is_there =
            text.lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == section);
        if !is_there {
            found.push(finding(path, 1, format!("add the section `## {section}`")));
        }
    }
    found
}

fn readme(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let is_rust = |line: &str| {
        line.trim_start().strip_prefix("```").is_some_and(|tag| tag.split(',').next() == Some("rust"))
    };
    if !text.lines().any(is_rust) {
        found.push(finding(path, 1, "show the crate at work in a fence tagged `rust`"));
    }
    found
}

fn architecture(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_MAP {
        found.push(finding(
            path,
            LONGEST_MAP,
            format!("{lines} lines, {LONGEST_MAP} are the most; a map is no book"),
        ));
    }
    for (room, _) in FLOORS {
        let ways = [format!("`{room}`"), format!("{room}/"), format!("{room}.rs")];
        if !ways.iter().any(|way| text.contains(way)) {
            found.push(finding(path, 1, format!("say what the room `{room}` is for")));
        }
    }
    found
}

fn changelog(path: &str, text: &str) -> Vec<Finding> {
    if text.lines().any(|line| line.contains("on disk:")) {
        return Vec::new();
    }
    vec![finding(
        path,
        1,
        "say what a release does to files that exist: `on disk: unchanged`, or `on disk: version 2`",
    )]
}

// The house, read from the disk -----------------------------------------------------------------------------------

fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The files below `folder` that end in `ending`, by name; none if there is no such folder.
fn files_below(folder: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else {
            continue;
        };
        for entry in entries.map(|entry| entry.expect("the source tree can be listed")) {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let paths = folders.iter().flat_map(|folder| files_below(folder, ".rs"));
    paths
        .map(|path| Source::new(&path, &read(Path::new(&path)).expect("a source file is UTF-8 text")))
        .collect()
}

fn read(path: &Path) -> std::io::Result<String> {
    fs::read_to_string(root().join(path))
}

fn test_names(files: &[Source]) -> BTreeSet<String> {
    files.iter().flat_map(|file| functions(&file.code)).map(|(name, ..)| name.to_owned()).collect()
}

/// Holds one promised document against its rule; a document that is not there is a finding too.
fn document(path: &str, rule: impl Fn(&str, &str) -> Vec<Finding>) -> Vec<Finding> {
    match read(Path::new(path)) {
        Ok(text) => rule(path, &text),
        Err(_) => vec![finding(path, 1, "the file is missing; write it")],
    }
}

fn demand_none(found: Vec<Finding>) {
    let lines: Vec<String> = found
        .iter()
        .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.advice))
        .collect();
    assert!(lines.is_empty(), "{} to mend:\n{}", lines.len(), lines.join("\n"));
}

fn every(folders: &[&str], rule: impl Fn(&Source) -> Vec<Finding>) -> Vec<Finding> {
    let files = sources(folders);
    assert!(!files.is_empty(), "no source files in {folders:?}: run from the root of the crate");
    files.iter().flat_map(rule).collect()
}

#[test]
fn rooms_stand_on_lower_floors_only() {
    demand_none(every(&["src"], floors));
}

#[test]
fn every_file_opens_with_a_caption() {
    demand_none(every(&["src"], |file| caption(&file.path, &file.text)));
}

#[test]
fn every_room_opens_with_its_head() {
    let folders: BTreeSet<String> = files_below("src", ".rs")
        .iter()
        .filter_map(|path| path.strip_prefix("src/")?.split_once('/'))
        .map(|(room, _)| format!("src/{room}/mod.rs"))
        .collect();
    assert!(!folders.is_empty(), "no rooms in src: run from the root of the crate");
    demand_none(folders.iter().flat_map(|path| document(path, room_head)).collect());
}

#[test]
fn unsafe_stands_in_one_file_and_says_why() {
    demand_none(every(&["src"], unsafety));
}

#[test]
fn nothing_is_left_behind() {
    demand_none(every(&["src", "tests"], left_behind));
}

#[test]
fn names_say_what_is_inside() {
    demand_none(every(&["src", "tests", "benches"], empty_names));
}

#[test]
fn functions_and_files_stay_short() {
    demand_none(every(&["src"], lengths));
}

#[test]
fn every_error_code_stands_in_the_table_with_its_kind() {
    let files = sources(&["src"]);
    let home = files.iter().find(|file| file.path == error_codes::HOME);
    let table = error_codes::table(&home.expect("the errors have a file").text);
    let mut found: Vec<Finding> =
        files.iter().flat_map(|file| error_codes::error_codes(file, &table)).collect();
    found.extend(error_codes::unused_codes(&files, &table));
    demand_none(found);
}

#[test]
fn public_functions_say_when_they_fail() {
    let files = sources(&["src"]);
    let home = files.iter().find(|file| file.path == error_codes::HOME);
    let table = error_codes::table(&home.expect("the errors have a file").text);
    let face: Vec<&Source> = files.iter().filter(|file| ["api", "model"].contains(&file.room())).collect();
    assert!(!face.is_empty(), "the public calls are in src/api and src/model");
    demand_none(face.iter().flat_map(|file| public_docs::untold_errors(file, &table)).collect());
}

#[test]
fn every_hazard_has_its_test() {
    let tests = test_names(&sources(&["src", "tests"]));
    demand_none(document("docs/HAZARDS.md", |path, text| hazards(path, text, &tests)));
}

#[test]
fn every_decision_says_what_was_seen_chosen_and_paid() {
    let records = files_below("docs/adr", ".md");
    assert!(
        !records.is_empty(),
        "docs/adr is empty: the template docs/adr/0000-how-we-decide.md belongs there"
    );
    demand_none(records.iter().flat_map(|path| document(path, decision)).collect());
}

#[test]
fn the_readme_shows_the_crate_at_work() {
    demand_none(document("README.md", readme));
}

#[test]
fn the_readme_and_the_crate_promise_the_same() {
    let promises = |path: &str| public_docs::promises(&read(Path::new(path)).expect("the page is there"));
    let (readme, face) = (promises("README.md"), promises("src/lib.rs"));
    assert!(readme.len() >= 5, "{readme:#?}");
    assert_eq!(readme, face, "change README.md and src/lib.rs together");
}

#[test]
fn pages_for_users_are_plain_english() {
    let mut pages = files_below("docs/cookbook", ".md");
    pages.push("README.md".to_owned());
    pages.extend(
        ["bad-day", "comparison", "faq", "sizing-and-tuning", "upgrading"]
            .map(|name| format!("docs/{name}.md")),
    );
    let mut found: Vec<Finding> =
        pages.iter().flat_map(|path| document(path, public_docs::private_words)).collect();
    for file in sources(&["src/api", "src/model"]) {
        found.extend(public_docs::private_words(&file.path, &file.text));
    }
    demand_none(found);
}

#[test]
fn the_architecture_page_is_short_and_names_every_room() {
    demand_none(document("ARCHITECTURE.md", architecture));
}

#[test]
fn the_changelog_says_what_happens_on_disk() {
    demand_none(document("CHANGELOG.md", changelog));
}
