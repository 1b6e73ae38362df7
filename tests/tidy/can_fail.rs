//! Proof that the checker can fail: every rule is fed what it must refuse, and what it must let pass.

use std::collections::BTreeSet;

use crate::source::Source;
use crate::{
    Finding, architecture, caption, changelog, decision, document, empty_names, floors, hazards, left_behind,
    lengths, public_docs, readme, room_head, unsafety,
};

fn breaches(path: &str, text: &str, rule: fn(&Source) -> Vec<Finding>) -> Vec<usize> {
    rule(&Source::new(path, text)).iter().map(|finding| finding.line).collect()
}

#[track_caller]
fn refused(path: &str, text: &str, rule: fn(&Source) -> Vec<Finding>) {
    assert_eq!(breaches(path, text, rule).len(), 1, "{path} must be refused once:\n{text}");
}

#[track_caller]
fn passes(path: &str, text: &str, rule: fn(&Source) -> Vec<Finding>) {
    assert_eq!(breaches(path, text, rule), [] as [usize; 0], "{path} must pass:\n{text}");
}

#[test]
fn a_finding_names_the_line() {
    assert_eq!(breaches("src/model/key.rs", "//! A.\n\nuse crate::engine::Commit;\n", floors), [3]);
    let found =
        floors(&Source::new("src/model/key.rs", "use crate::{\n    error::Error,\n    api::Store,\n};\n"));
    assert_eq!(found[0].line, 3);
    assert!(
        found[0].advice.contains("`model` (floor 2) may not name `api` (floor 10)"),
        "{}",
        found[0].advice
    );
}

#[test]
fn a_room_may_not_name_a_room_above_or_beside_it() {
    refused("src/segment/mod.rs", "use crate::engine::Commit;", floors);
    refused("src/segment/writer.rs", "use crate::index::Tree;", floors);
    refused("src/model/key.rs", "fn f() -> crate::format::Frame { todo }", floors);
    refused("src/model/key.rs", "use crate::{error::Error, ops};", floors);
    refused("src/error.rs", "use crate::env::Env;", floors);
    refused("src/lib.rs", "pub use crate::adapters::http;", floors);
    refused("src/lib.rs", "pub use adapters::http;", floors);
    refused("src/engine/mod.rs", "use crate as all;", floors);
    refused("src/engine/mod.rs", "use crate::*;", floors);
    passes("src/engine/mod.rs", "use crate::{error::Error, segment::{Tail, api}, engine::view};", floors);
    passes(
        "src/lib.rs",
        "pub mod api;\npub use crate::api::Store;\n#[cfg(feature = \"http\")]\npub mod adapters;",
        floors,
    );
}

#[test]
fn the_face_is_for_guests_only() {
    refused("src/ops/put.rs", "use crate::Store;", floors);
    refused("src/ops/put.rs", "use crate::{error::Error, Bucket};", floors);
    refused("src/ops/put.rs", "use ossicle::Bucket;", floors);
    refused("src/adapters/http/mod.rs", "use crate::ops::PutOptions;", floors);
    refused("src/adapters/http/mod.rs", "use ossicle::engine::Commit;", floors);
    refused("src/main.rs", "use ossicle::engine::Commit;", floors);
    passes(
        "src/adapters/http/mod.rs",
        "use crate::{Store, PutOptions};\nuse crate::adapters::cli::Line;",
        floors,
    );
    passes("src/main.rs", "use ossicle::{Store, adapters::cli};", floors);
}

#[test]
fn a_folder_without_a_floor_is_refused() {
    refused("src/stray.rs", "", floors);
    refused("src/cache/mod.rs", "", floors);
}

#[test]
fn super_may_not_leave_the_room() {
    refused("src/engine/mod.rs", "use super::segment::Tail;", floors);
    refused("src/engine/commit.rs", "use super::super::segment::Tail;", floors);
    refused("src/error.rs", "use super::Store;", floors);
    refused("src/engine/commit.rs", "mod sealed { use super::super::super::api::Store; }", floors);
    passes("src/engine/commit/group.rs", "use super::super::view::View;", floors);
    passes("src/engine/commit.rs", "mod sealed { use super::super::view::View; }", floors);
    passes("src/lib.rs", "pub mod testing { pub use super::Store; }", floors);
}

#[test]
fn tests_comments_and_strings_may_name_anything() {
    passes(
        "src/model/key.rs",
        "/// Opened by [`crate::Store`].\n// crate::api\nconst A: &str = \"crate::api\";",
        floors,
    );
    passes("src/model/key.rs", "const A: &str = r#\"\" crate::api\"#; /* /* */ crate::api */", floors);
    passes("src/model/key.rs", "#[cfg(test)]\nmod tests {\n    use crate::api::Store;\n}\n", floors);
    passes("src/model/key.rs", "#[cfg(test)]\nuse crate::{api::Store};\n", floors);
    passes("src/model/key/tests.rs", "use crate::api::Store;", floors);
    refused("src/model/key.rs", "#[cfg(test)]\nmod tests {}\nuse crate::api::Store;", floors);
    refused("src/model/key.rs", "struct A { #[cfg(test)] a: u8, b: crate::api::Store }", floors);
    refused(
        "src/model/key.rs",
        "fn f<'a>(c: char) -> bool { c == '\"' && g::<crate::api::Store>('\\'') }",
        floors,
    );
    refused(
        "src/env/mod.rs",
        "#[cfg(any(test, feature = \"testing\"))]\nmod a { use crate::api::Store; }",
        floors,
    );
}

#[test]
fn a_caption_is_a_sentence_on_the_first_line() {
    assert_eq!(caption("a.rs", "use std::fmt;\n").len(), 1);
    assert_eq!(caption("a.rs", "//! Too short.\n").len(), 1);
    assert_eq!(caption("a.rs", "//! A caption without its period\n").len(), 1);
    assert_eq!(caption("a.rs", "\n//! A caption that comes late.\n").len(), 1);
    assert_eq!(caption("a.rs", "").len(), 1);
    assert_eq!(caption("a.rs", "//! What a file is.\n").len(), 0);
}

#[test]
fn a_room_head_is_complete() {
    let whole = "//! A room.\n//! *Owns*: a\n//! *Promises*: b\n//! *Stands on*: c\n//! *Never*: d\n//! *Read first*: e\n";
    assert_eq!(room_head("src/env/mod.rs", whole).len(), 0);
    for mark in crate::HEAD {
        assert_eq!(room_head("src/env/mod.rs", &whole.replace(mark, "")).len(), 1, "{mark}");
    }
    assert_eq!(room_head("src/env/mod.rs", "//! A room.\n\n/// *Owns* *Promises* *Stands on*\n").len(), 5);
}

#[test]
fn unsafe_is_refused_elsewhere_and_proved_at_home() {
    refused("src/index/page.rs", "fn f() { unsafe { g() } }", unsafety);
    refused("src/env/mmap.rs", "fn f() {\n    unsafe { g() }\n}", unsafety);
    refused(
        "src/env/mmap.rs",
        "// SAFETY: for something else.\nlet a = 1;\nlet b = unsafe { g() };",
        unsafety,
    );
    refused("src/env/mmap.rs", "// It is fine.\nunsafe impl Send for A {}", unsafety);
    passes(
        "src/env/mmap.rs",
        "#![allow(unsafe_code)]\n// SAFETY: two lines\n// of reasons.\nlet b =\n    unsafe { g() };",
        unsafety,
    );
    passes("src/index/page.rs", "// unsafe\nconst A: &str = \"unsafe\"; #![deny(unsafe_code)]", unsafety);
}

#[test]
fn half_done_work_is_refused() {
    refused("src/ops/put.rs", "fn f() { todo!() }", left_behind);
    refused("src/ops/put.rs", "fn f() { unimplemented!(\"later\") }", left_behind);
    refused("src/ops/put.rs", "fn f() { dbg!(1); }", left_behind);
    refused("tests/it/put.rs", "#[test]\n#[ignore]\nfn f() {}", left_behind);
    refused("tests/it/put.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", left_behind);
    passes("tests/it/put.rs", "// todo!()\nfn f() { my_dbg!(1); let a = \"dbg!(1)\"; }", left_behind);
}

#[test]
fn empty_names_are_refused() {
    refused("src/engine/util.rs", "", empty_names);
    refused("src/engine/page_manager.rs", "", empty_names);
    refused("tests/common/mod.rs", "", empty_names);
    refused("src/engine/mod.rs", "mod helpers;", empty_names);
    refused("src/engine/mod.rs", "pub(crate) mod inner { }", empty_names);
    passes("src/engine/mod.rs", "mod commit; struct Inner; // mod util;", empty_names);
}

#[test]
fn long_functions_and_files_are_refused() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    refused("src/ops/put.rs", &function(121), lengths);
    passes("src/ops/put.rs", &function(120), lengths);
    passes(
        "src/ops/put.rs",
        &format!("trait T {{ fn a(&self, b: [u8; 3]);\n{} }}", "\n".repeat(200)),
        lengths,
    );
    let tests = "#[cfg(test)]\nmod tests {\n}\n";
    refused("src/ops/put.rs", &format!("{}{tests}", "//\n".repeat(701)), lengths);
    passes("src/ops/put.rs", &format!("{}{tests}{}", "//\n".repeat(700), "//\n".repeat(700)), lengths);
    refused("src/ops/put.rs", &format!("#[cfg(test)]\nuse a;\n{}", "//\n".repeat(700)), lengths);
    passes("src/ops/put/tests.rs", &"//\n".repeat(701), lengths);
}

#[test]
fn public_functions_that_fail_in_silence_are_refused() {
    let table = [("NoSuchKey".to_owned(), "NotFound".to_owned())].into();
    let count = |docs: &str, signature: &str| {
        let text = format!("impl A {{\n    /// Gets it.\n{docs}    {signature} {{\n    }}\n}}\n");
        public_docs::untold_errors(&Source::new("src/api/a.rs", &text), &table).len()
    };
    let get = "pub fn get(&self) -> Result<A>";
    let told = "    ///\n    /// # Errors\n    /// `NoSuchKey` if it is not there.\n";
    assert_eq!(count(told, get), 0);
    assert_eq!(count("", get), 1);
    assert_eq!(count("    /// # Errors\n", get), 1);
    assert_eq!(count("    /// # Errors\n    /// Sometimes.\n", get), 1);
    assert_eq!(count("    /// # Errors\n    /// `NoSuchThing` always.\n", get), 1);
    assert_eq!(count("    /// # Errors\n    /// Those of [`Bucket`](Store#errors).\n", get), 0);
    assert_eq!(count(&format!("{told}    #[inline]\n"), get), 0);
    assert_eq!(
        count("", "pub fn get<T: Into<A>>(&self, a: [u8; 3],\n    ) -> Result<Vec<(A, Result<B>)>>"),
        1
    );
    assert_eq!(count("", "pub fn each(&self, f: impl Fn() -> Result<A>) -> A"), 0);
    assert_eq!(count("", "pub fn each(self, f: impl Fn() -> Result<A>) -> Result<A>"), 1);
    assert_eq!(count("", "pub fn len(&self) -> u64"), 0);
    assert_eq!(count("", "fn get(&self) -> Result<A>"), 0);
    assert_eq!(count("", "pub(crate) fn get(&self) -> Result<A>"), 0);
}

#[test]
fn promises_are_read_from_pages_and_comments_alike() {
    let page = "# A\n## What it promises\n\n1. **One.** It\n   holds `X`.\n2. **Two.** So.\n\nMore.\n## B\n3. **No.** No.\n";
    let wanted = ["1. **One.** It holds `X`.", "2. **Two.** So."];
    assert_eq!(public_docs::promises(page), wanted);
    let comment = "//! # What it promises\n//!\n//! 1. **One.** It holds\n//!    [`X`].\n//! 2. **Two.** So.\n//!\n//! More.\n";
    assert_eq!(public_docs::promises(comment), wanted);
    assert_ne!(public_docs::promises(&page.replace("holds", "may hold")), wanted);
}

#[test]
fn words_of_this_house_are_refused_where_users_read() {
    let count = |path: &str, text: &str| public_docs::private_words(path, text).len();
    assert_eq!(count("README.md", "Whoever reads it, makes it anew.\n"), 2);
    assert_eq!(count("README.md", "Somebody reads it and makes it again; `canewort`.\n"), 0);
    assert_eq!(count("src/api/a.rs", "/// It comes back by and by.\nlet anew = 1; // anew\n"), 1);
}

#[test]
fn hazards_without_a_living_test_are_refused() {
    let tests: BTreeSet<String> = ["torn_tail", "full_disk"].map(str::to_owned).into();
    let count = |text: &str| hazards("docs/HAZARDS.md", text, &tests).len();
    let table = |cell: &str| format!("| Hazard | Test |\n|---|:---|\n| a \\| b | {cell} |\n");
    assert_eq!(count(&table("`crash::torn_tail`, `full_disk()`")), 0);
    assert_eq!(count(&table("`tests/crash.rs::torn_tail`")), 0);
    assert_eq!(count(&table("`crash::no_such_test`")), 1);
    assert_eq!(count(&table("`full_disk` and `no_such_test`")), 1);
    assert_eq!(count(&table("to be written")), 1);
    assert_eq!(count(&table("")), 1);
    assert_eq!(count("| Hazard | Answer |\n|---|---|\n| a | b |\n"), 1, "a table without tests is none");
    assert_eq!(count("No table at all."), 1);
}

#[test]
fn documents_that_say_too_little_are_refused() {
    let record = "# 1. A title\n\n## Seen\n\n## Chosen\n\n## Cost\n";
    assert_eq!(decision("docs/adr/1.md", record).len(), 0);
    for part in ["# 1. A title\n", "## Seen", "## Chosen", "## Cost"] {
        assert_eq!(decision("docs/adr/1.md", &record.replacen(part, "", 1)).len(), 1, "{part}");
    }

    assert_eq!(readme("README.md", "```rust\n```\n").len(), 0);
    assert_eq!(readme("README.md", "```rust,no_run\n```\n").len(), 0);
    assert_eq!(readme("README.md", "```sh\n```\nrust\n").len(), 1);

    let map: String = crate::FLOORS.map(|(room, _)| format!("{room}/\n")).concat();
    assert_eq!(architecture("ARCHITECTURE.md", &map).len(), 0);
    assert_eq!(architecture("ARCHITECTURE.md", &map.replace("catalog/", "")).len(), 1);
    assert_eq!(architecture("ARCHITECTURE.md", &format!("{map}{}", "\n".repeat(250))).len(), 1);

    assert_eq!(changelog("CHANGELOG.md", "on disk: version 1").len(), 0);
    assert_eq!(changelog("CHANGELOG.md", "## Unreleased").len(), 1);
}

#[test]
fn a_missing_document_is_refused() {
    assert_eq!(document("docs/no-such-page.md", readme).len(), 1);
}

#[test]
fn codes_of_errors_that_no_table_has_are_refused() {
    let table = crate::error_codes::table(
        "/// | `NoSuchKey` | [`NotFound`](ErrorKind::NotFound) | gone |\n/// | `Odd` | [`Invalid`](ErrorKind::Invalid) | |",
    );
    let look = |code: &str| {
        let file = Source::new("src/ops/put.rs", code);
        let found = crate::error_codes::error_codes(&file, &table).len();
        (found, crate::error_codes::unused_codes(&[file], &table).len())
    };
    assert_eq!(look("Error::new(ErrorKind::NotFound, \"NoSuchKey\", why)"), (0, 1));
    assert_eq!(
        look("Error::new(\n  ErrorKind::NotFound,\n  \"NoSuchKey\", why); Error::invalid(\"Odd\", why)"),
        (0, 0)
    );
    assert_eq!(look("Error::new(ErrorKind::Busy, \"NoSuchKey\", why)"), (1, 1));
    assert_eq!(look("Error::new(ErrorKind::NotFound, \"NoSuchThing\", why)"), (1, 2));
    assert_eq!(look("Error::invalid(\"NoSuchThing\", why)"), (1, 2));
    assert_eq!(look("crate::error::Error::invalid(\"NoSuchThing\", why)"), (1, 2));
    assert_eq!(look("Error::new(kind, \"NoSuchKey\", why)"), (1, 2));
    assert_eq!(look("Error::invalid(code, why)"), (1, 2));
    assert_eq!(look("io::Error::new(io::ErrorKind::NotFound, why)"), (0, 2));
}
