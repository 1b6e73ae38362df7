//! Sentences of the library in words of the tool: it speaks of calls where the tool has commands.

/// What the library says, and what the tool says instead. Where one contains another, the longer one comes first.
const WORDS: [(&str, &str); 34] = [
    ("make it with `store.create_bucket`", "make it with `ossicle mb`"),
    ("; open it with `store.bucket`", ""),
    ("`bucket.versions` lists", "`ossicle versions` lists"),
    ("; `bucket.append_position` tells it", ""),
    ("`bucket.restore`", "`ossicle restore`"),
    (
        "with `StoreBuilder::key_provider`, or ask for a named key with `Encryption::kms`",
        "with `--key-file` or `--passphrase`, or ask for a named key with `KMS:NAME`",
    ),
    ("hand it to `StoreBuilder::kms`", "bring it along with `--kms-key NAME=FILE`"),
    ("`customer_key`", "`--customer-key FILE`"),
    ("forget it first, with `Store::set_history(None)`", "forget it first, with `ossicle history off`"),
    ("as far back as `Store::set_history` says", "as far back as `ossicle history` says"),
    ("; `bucket.uploads` lists those in progress", ""),
    ("`uploads_page` does", "pages of them do"),
    ("ask for pages with versions_page", "pages of them do"),
    (
        "start_after_version goes on within a key, so start_after must name that key",
        "a version to go on behind needs its key",
    ),
    (", or add it with `also_reads`", ""),
    ("and if_absent was asked for", "and `--if-absent` was asked for"),
    ("only with `bypass_governance(true)`", "only by a program that may bypass it"),
    (", or `Store::finish_shredding`", ", and so does the next command that writes"),
    (
        "set the configuration AccessMonitor::Enabled first",
        "`ossicle lifecycle monitor BUCKET enabled` makes it",
    ),
    ("this thread is inside `store.write`; ", "a transaction is under way; "),
    (
        "the store was opened with read_only(true) and cannot be changed",
        "the store was opened for reading only",
    ),
    ("; open it with read_only(true)", "; it can be read, and not changed"),
    ("`Store::salvage`", "`ossicle salvage DIR NEWDIR`"),
    ("`Store::verify`", "`ossicle verify`"),
    ("`StoreBuilder::rebuild_index`", "`ossicle salvage DIR NEWDIR`"),
    ("`Store::set_history`", "`ossicle history`"),
    ("`Store::open`", "`ossicle`"),
    ("`Settings::reserve_bytes`", "the reserve"),
    ("`Store::backup`", "`ossicle backup`"),
    ("`Store::restore`", "`ossicle restore-backup`"),
    ("`Store::compact`", "`ossicle compact`"),
    ("`Bucket::usage`", "`ossicle du`"),
    ("`Bucket::set_config`", "`ossicle`"),
    ("`Store::maintain`", "`ossicle compact`"),
];

/// A sentence as the tool says it.
pub fn translated(sentence: &str) -> String {
    let mut told = sentence.to_string();
    for (library, tool) in WORDS {
        if told.contains(library) {
            told = told.replace(library, tool);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    /// The source files whose sentences people may see.
    fn sources(dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["cli", "faulty", "tests"].contains(&name.as_str()) {
                found.extend(sources(&path));
            } else if name.ends_with(".rs") && !["tests.rs", "fuzzing.rs"].contains(&name.as_str()) {
                found.push(path);
            }
        }
        found
    }

    /// The texts in a source file that are sentences, behind comments and before its tests.
    fn sentences(source: &str) -> Vec<String> {
        let source = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).fold(
            String::new(),
            |mut code, line| {
                code.push_str(line);
                code.push('\n');
                code
            },
        );
        let code = code.replace("'\"'", "' '");
        let (mut found, mut letters) = (Vec::new(), code.chars().peekable());
        while let Some(letter) = letters.next() {
            if letter != '"' {
                continue;
            }
            let mut text = String::new();
            while let Some(letter) = letters.next() {
                match letter {
                    '"' => break,
                    '\\' => match letters.next() {
                        Some('\n') => while letters.next_if(|next| next.is_whitespace()).is_some() {},
                        Some(other) => text.push(other),
                        None => {}
                    },
                    letter => text.push(letter),
                }
            }
            if text.contains(' ') {
                found.push(text);
            }
        }
        found
    }

    /// A word of a sentence that is a name in Rust: `a_b`, `a::b`, `a.b` and `a(b)` in backticks.
    fn rust_name(sentence: &str) -> Option<String> {
        let mut plain = String::new();
        let mut depth = 0;
        for letter in sentence.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                letter if depth == 0 => plain.push(letter),
                _ => {}
            }
        }
        let word = |word: &str| {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != ')' && c != '(');
            let snake = bare.trim_matches('_').contains('_')
                && bare.chars().any(|c| c.is_ascii_lowercase())
                && !bare.contains(['/', '$', '<', '=']);
            (snake || bare.contains("::")).then(|| bare.to_string())
        };
        let quoted = plain.split('`').skip(1).step_by(2).find(|text| {
            !text.starts_with("ossicle")
                && !text.starts_with('-')
                && !text.contains(' ')
                && (text.contains(['(', '.']) || text.contains("::"))
                && text.chars().any(char::is_alphabetic)
        });
        quoted.map(str::to_string).or_else(|| plain.split_whitespace().find_map(word))
    }

    #[test]
    fn no_sentence_of_the_library_names_a_rust_call_in_the_tool() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut looked_at, mut translations, mut wrong) = (0, 0, Vec::new());
        for path in sources(&src) {
            for sentence in sentences(&std::fs::read_to_string(&path).unwrap()) {
                looked_at += 1;
                let told = translated(&sentence);
                translations += usize::from(told != sentence);
                if let Some(name) = rust_name(&told) {
                    wrong.push(format!("{}: {name}: {sentence}", path.display()));
                }
            }
        }
        assert!(wrong.is_empty(), "give them words in WORDS:\n{}", wrong.join("\n"));
        assert!(looked_at > 300 && translations > 20, "{looked_at} {translations}");
    }

    #[test]
    fn names_in_rust_are_seen() {
        for wrong in
            ["use `store.write` here", "open it with read_only(true)", "see Store::verify", "`parts(x)`"]
        {
            assert!(rust_name(wrong).is_some(), "{wrong}");
        }
        for fine in
            ["a sentence", "`ossicle salvage DIR NEWDIR`", "{some_name} is gone", "`--if-absent`", "e.g. 1.5"]
        {
            assert_eq!(rust_name(fine), None, "{fine}");
        }
    }
}
