//! The Rust snippets of the README and the cookbook: each is a program that compiles as it stands there, and that runs twice
//! in one directory.
//!
//! What the compiler gets is `snippets/programs.rs`, which holds the blocks of the pages letter by letter. After a page was
//! changed, `OSSICLE_SNIPPETS=write cargo test --test snippets` writes it again.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "programs of users go to their files by themselves"
)]

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(clippy::print_stdout, reason = "programs of users may speak")]
#[allow(clippy::needless_question_mark, reason = "some of them fail with one type, some with another")]
mod programs {
    include!("snippets/programs.rs");
}

type Run = fn() -> Result<(), Box<dyn Error>>;

/// The keys that the pages tell people to make.
const KEYS: [(&str, &str); 3] =
    [("private.pem", "rsa.pem"), ("public.pem", "rsa.public.pem"), ("new.pem", "other.pem")];
/// The page whose programs need a feature of the crate.
const CLIENT_ENCRYPTION: &str = "docs/cookbook/client-encryption.md";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<String> {
    let cookbook = fs::read_dir(root().join("docs/cookbook")).expect("there is a cookbook");
    let names = cookbook
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("names are text"));
    let mut pages: Vec<String> = names.map(|name| format!("docs/cookbook/{name}")).collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// A block of code in a page: the line that it begins on, what stands behind the fence, and its text.
struct Block<'t> {
    line: usize,
    language: &'t str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut is_inside = false;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), is_inside) {
            (Some(language), false) => {
                found.push(Block { line: number + 1, language, text: String::new() });
                is_inside = true;
            }
            (Some(_), true) => is_inside = false,
            (None, true) => {
                let block = found.last_mut().expect("a block was opened");
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, false) => {}
        }
    }
    found
}

/// What would not do if somebody copied the block into a file: a line that only rustdoc hides, no `fn main`, no language.
fn faults(block: &Block<'_>) -> Vec<String> {
    let mut found = Vec::new();
    if block.language.is_empty() {
        found
            .push("say the language behind the fence: rustdoc takes a block without one for Rust".to_owned());
    }
    if block.language.starts_with("rust") {
        if block.language != "rust" {
            found.push(format!(
                "{:?}: a program is run, so its language is `rust` and no more",
                block.language
            ));
        }
        if block.text.lines().any(|line| line.trim_start() == "#" || line.trim_start().starts_with("# ")) {
            found.push(
                "a line that begins with `# ` is hidden by rustdoc only; readers elsewhere see it".to_owned(),
            );
        }
        if !block.text.lines().any(|line| line.starts_with("fn main()")) {
            found.push("write a whole program, with `fn main`".to_owned());
        }
    }
    found
}

fn name_of(page: &str, number: usize) -> String {
    let stem =
        page.trim_start_matches("docs/cookbook/").trim_end_matches(".md").to_lowercase().replace('-', "_");
    format!("{stem}_{number}")
}

/// The file with all programs, as it should be.
fn written_out() -> String {
    let mut modules = String::new();
    let mut list = String::new();
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a page is text");
        let programs = blocks(&text).into_iter().filter(|block| block.language == "rust");
        for (number, block) in programs.enumerate() {
            let name = name_of(&page, number + 1);
            let gate =
                if page == CLIENT_ENCRYPTION { "#[cfg(feature = \"client-encryption\")]\n" } else { "" };
            writeln!(list, "    {gate}(\"{page}, program {}\", {name}::run),", number + 1)
                .expect("into memory");
            write!(
                modules,
                "\n{gate}mod {name} {{\n{}\n    pub fn run() -> Result<(), Box<dyn std::error::Error>> {{\n        Ok(main()?)\n    }}\n}}\n",
                block.text
            )
            .expect("into memory");
        }
    }
    format!(
        "// Made from the README and the cookbook: see tests/snippets.rs.\n\npub const ALL: &[(&str, super::Run)] = &[\n{list}];\n{modules}"
    )
}

#[test]
fn every_snippet_is_a_whole_program_without_hidden_lines() {
    let mut found = Vec::new();
    let mut programs = 0;
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).expect("a page is text");
        for block in blocks(&text) {
            programs += usize::from(block.language == "rust");
            found.extend(faults(&block).into_iter().map(|fault| format!("{page}:{}: {fault}", block.line)));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(programs > 20, "only {programs} programs were found");
}

#[test]
fn hidden_lines_and_halves_of_programs_are_faults() {
    let count = |page: &str| blocks(page).iter().flat_map(faults).count();
    assert_eq!(count("```rust\nfn main() {}\n```\n"), 0);
    assert_eq!(count("```sh\n# a comment\nls\n```\n# A heading\n"), 0);
    assert_eq!(count("```rust\n# fn main() {\nfn main() {}\n# }\n```\n"), 1);
    assert_eq!(count("```rust\nlet a = 1;\n```\n"), 1);
    assert_eq!(count("```rust,no_run\nfn main() {}\n```\n"), 1);
    assert_eq!(count("```\nanything\n```\n"), 1);
}

#[test]
fn the_programs_are_those_of_the_pages() {
    let path = root().join("tests/snippets/programs.rs");
    let wanted = written_out();
    if std::env::var("OSSICLE_SNIPPETS").is_ok_and(|what| what == "write") {
        fs::write(&path, &wanted).expect("the programs can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "a page was changed; run `OSSICLE_SNIPPETS=write cargo test --test snippets`, then the tests again"
    );
}

/// One test for all, because a program has one working directory.
#[test]
fn every_snippet_runs_twice_in_one_directory() {
    let keys = root().join("tests/it/client_encryption");
    for (name, run) in programs::ALL {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (wanted, from) in KEYS {
            fs::copy(keys.join(from), directory.path().join(wanted)).expect("the keys can be copied");
        }
        std::env::set_current_dir(directory.path()).expect("it is there");
        for time in ["first", "second"] {
            if let Err(error) = run() {
                panic!("{name} fails the {time} time: {error}");
            }
        }
        std::env::set_current_dir(Path::new("/")).expect("there is a root");
    }
}
