//! Codes of errors: each stands in the table at `Error::code`, with the one kind that it has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Source, finding};

/// Where the table is.
pub(crate) const HOME: &str = "src/error.rs";

/// Every code in the table, with its kind.
pub(crate) fn table(text: &str) -> BTreeMap<String, String> {
    let rows = text.lines().filter_map(|line| line.trim().strip_prefix("/// | `")?.split_once("` | [`"));
    rows.filter_map(|(code, rest)| Some((code.to_owned(), rest.split_once("`](ErrorKind::")?.0.to_owned())))
        .collect()
}

/// The kind and the code of every error that is made in a file, and where. `None` for one that does not say them there.
fn made(file: &Source) -> Vec<(usize, Option<(String, String)>)> {
    let mut found = Vec::new();
    for (call, of_kind) in [("Error::new(", true), ("Error::invalid(", false)] {
        for (at, _) in file.shipped.match_indices(call) {
            let before = file.shipped[..at].bytes().last();
            if before.is_some_and(|byte| byte == b':' && !file.shipped[..at].ends_with("error::")) {
                // Somebody else's, such as `io::Error::new`.
                continue;
            }
            let rest = file.text[at + call.len()..].trim_start();
            let (kind, rest) = match rest.strip_prefix("ErrorKind::").and_then(|rest| rest.split_once(',')) {
                Some((kind, rest)) if of_kind => (kind, rest.trim_start()),
                _ => ("Invalid", rest),
            };
            let code = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(code, _)| code);
            let is_told = !of_kind || file.text[at + call.len()..].trim_start().starts_with("ErrorKind::");
            found.push((at, code.filter(|_| is_told).map(|code| (kind.to_owned(), code.to_owned()))));
        }
    }
    found
}

/// Errors whose code is not in the table, or has another kind there.
pub(crate) fn error_codes(file: &Source, table: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, pair) in made(file) {
        let advice = match pair {
            // The constructors take theirs from whoever calls them.
            None if file.path == HOME => continue,
            None => {
                "say kind and code of an error where it is made, or give it a constructor in src/error.rs"
                    .to_owned()
            }
            Some((kind, code)) => match table.get(&code) {
                Some(known) if *known == kind => continue,
                Some(known) => {
                    format!("the code {code:?} has the kind {known}, not {kind}: a code has one kind")
                }
                None => format!(
                    "add the code {code:?} of kind {kind} to the table at `Error::code` in src/error.rs"
                ),
            },
        };
        findings.push(finding(&file.path, file.line(at), advice));
    }
    findings
}

/// Codes in the table that no error has.
pub(crate) fn unused_codes(files: &[Source], table: &BTreeMap<String, String>) -> Vec<Finding> {
    let used: BTreeSet<String> = files.iter().flat_map(made).filter_map(|(_, pair)| Some(pair?.1)).collect();
    let unused = table.keys().filter(|code| !used.contains(*code));
    unused
        .map(|code| finding(HOME, 1, format!("no error has the code {code:?}: take it out of the table")))
        .collect()
}
