//! What the documentation of public functions says of errors: every one that can fail says with which codes, and when.

use std::collections::BTreeMap;

use super::source::{skip_space, words};
use super::{Finding, Source, finding};

const HEADING: &str = "# Errors";

/// Public functions that return a `Result` and whose documentation does not say under `# Errors` with which codes they fail, or
/// names a code that is not in the table at `Error::code`.
pub(crate) fn untold_errors(file: &Source, codes: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for at in words(&file.shipped, "fn") {
        let line = file.line(at);
        if !file.shipped[..at].ends_with("pub ") || !returns_result(&file.shipped, at) {
            continue;
        }
        let name = super::name_at(&file.shipped, at + 2);
        let Some(told) = errors_section(&file.text, line) else {
            let advice = format!(
                "`{name}` returns a `Result`: say under `{HEADING}` in its documentation which codes it fails with, and when"
            );
            found.push(finding(&file.path, line, advice));
            continue;
        };
        if !told.contains('`') && !told.contains("](") {
            let advice =
                format!("`{name}`: name the codes under `{HEADING}`, or link to where they are named");
            found.push(finding(&file.path, line, advice));
        }
        for code in bare_names(&told).filter(|code| !codes.contains_key(*code)) {
            let advice = format!(
                "`{name}`: {code:?} under `{HEADING}` is no code of the table at `Error::code`; name a code, or link to the item"
            );
            found.push(finding(&file.path, line, advice));
        }
    }
    found
}

/// Whether the function whose `fn` is at `at` returns a `Result`.
fn returns_result(code: &str, at: usize) -> bool {
    let mut depth = 0i32;
    let end = code[at..].bytes().position(|byte| {
        depth += i32::from(byte == b'(' || byte == b'[') - i32::from(byte == b')' || byte == b']');
        depth == 0 && matches!(byte, b'{' | b';')
    });
    let signature = &code[at..end.map_or(code.len(), |end| at + end)];
    let mut arrows = signature.match_indices("->").filter(|(arrow, _)| {
        // The arrow of the function itself: those of closures stand in parentheses or behind `Fn(..)` in a bound.
        let before = signature[..*arrow].trim_end();
        before.matches('(').count() == before.matches(')').count() && !in_a_bound(before)
    });
    arrows.any(|(arrow, _)| {
        let start = skip_space(signature, arrow + 2);
        signature[start..].starts_with("Result<")
    })
}

/// Whether what comes before an arrow ends in the arguments of a closure: `FnOnce(..)`.
fn in_a_bound(before: &str) -> bool {
    let mut depth = 0i32;
    let open = before.bytes().rposition(|byte| {
        depth += i32::from(byte == b')') - i32::from(byte == b'(');
        depth == 0 && byte == b'('
    });
    open.is_some_and(|open| ["Fn", "FnMut", "FnOnce"].iter().any(|name| before[..open].ends_with(name)))
}

/// What stands under `# Errors` in the documentation above a line; `None` if there is no such section.
fn errors_section(text: &str, line: usize) -> Option<String> {
    let above: Vec<&str> = text.lines().take(line - 1).map(str::trim).collect();
    let is_part = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    let documented = above.iter().rev().take_while(is_part).count();
    let docs = above[above.len() - documented..].iter().filter_map(|line| line.strip_prefix("///"));
    let docs: Vec<&str> = docs.map(str::trim).collect();
    let start = docs.iter().position(|line| *line == HEADING)?;
    let section =
        docs[start + 1..].iter().take_while(|line| !line.starts_with("# ") && !line.starts_with("```"));
    let section = section.copied().collect::<Vec<_>>().join("\n");
    (!section.trim().is_empty()).then_some(section)
}

/// Names in backticks that are no links and look like a code: `NoSuchKey`.
fn bare_names(told: &str) -> impl Iterator<Item = &str> {
    let parts: Vec<&str> = told.split('`').collect();
    let names: Vec<&str> = (1..parts.len().saturating_sub(1))
        .step_by(2)
        .filter(|at| !parts[at - 1].ends_with('[') && !parts[at - 1].ends_with('('))
        .map(|at| parts[at])
        .collect();
    names.into_iter().filter(|name| {
        let mut letters = name.chars();
        letters.next().is_some_and(char::is_uppercase)
            && letters.any(char::is_lowercase)
            && name.chars().all(char::is_alphanumeric)
    })
}

/// The numbered promises of a page, one a line, without the marks of links and of comments.
pub(crate) fn promises(page: &str) -> Vec<String> {
    let lines = page.lines().map(|line| line.strip_prefix("//!").unwrap_or(line));
    let section =
        lines.skip_while(|line| line.trim().trim_start_matches('#').trim() != "What it promises").skip(1);
    let section = section.take_while(|line| !line.trim_start().starts_with('#'));
    let mut found: Vec<String> = Vec::new();
    for line in section.map(str::trim) {
        let is_new = line.split_once(". **").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        let text = line.replace("[`", "`").replace("`]", "`");
        match found.last_mut() {
            _ if is_new => found.push(text),
            Some(last) if !line.is_empty() => *last = format!("{last} {text}"),
            Some(_) => break,
            None => {}
        }
    }
    found
}

/// Words that only this house used, and what to write instead.
const PRIVATE_WORDS: [(&str, &str); 5] = [
    ("anew", "say `again`, or what is made"),
    ("whoever", "name who it is"),
    ("by and by", "say `in the background`"),
    ("leave word", "say `enqueue`"),
    ("what is left of", "name the thing"),
];

/// Lines that people read, with words that only this house used. Of a source file, its documentation.
pub(crate) fn private_words(path: &str, text: &str) -> Vec<Finding> {
    let is_source = path.ends_with(".rs");
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let is_read = !is_source || ["///", "//!"].iter().any(|mark| line.trim_start().starts_with(mark));
        let line = line.to_lowercase();
        for (word, advice) in
            PRIVATE_WORDS.iter().filter(|(word, _)| is_read && words(&line, word).next().is_some())
        {
            found.push(finding(path, number + 1, format!("{word:?}: {advice}")));
        }
    }
    found
}
