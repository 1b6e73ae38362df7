//! Reading Rust source just well enough to hold it against the rules: no parser, only masks over the text.

/// A source file, its text, and the same text with comments and literals blanked out.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path from the root of the crate, with forward slashes.
    pub(crate) path: String,
    /// The text as it stands.
    pub(crate) text: String,
    /// The text with comments, strings and characters replaced by spaces; every byte keeps its place.
    pub(crate) code: String,
    /// The code with whatever stands under `#[cfg(test)]` blanked out as well.
    pub(crate) shipped: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_literals(text);
        let shipped = if is_test_file(path) { blank(&code, 0..code.len()) } else { blank_tests(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// The line of a byte, counted from one.
    pub(crate) fn line(&self, at: usize) -> usize {
        line_of(&self.text, at)
    }

    /// The folders and the file under `src`, as the module path they make: `src/engine/commit.rs` is `engine::commit`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    }

    /// The room the file belongs to: a folder of `src`, or a file that is a room of its own.
    pub(crate) fn room(&self) -> &str {
        let path = self.path.trim_start_matches("src/");
        path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
    }
}

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Whether the file holds nothing but tests: `tests.rs`, or anything in a folder `tests`.
pub(crate) fn is_test_file(path: &str) -> bool {
    let inside = path.trim_start_matches("src/");
    path.starts_with("src/") && inside.split('/').any(|part| part == "tests" || part == "tests.rs")
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Every place where `word` stands alone, not as part of a longer name.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at == 0 || !is_word(bytes[at - 1]);
        let after = bytes.get(at + word.len()).is_none_or(|byte| !is_word(*byte));
        before && after
    })
}

/// The name that starts at `at` or after the white space there; empty if something else stands there.
pub(crate) fn name_at(code: &str, at: usize) -> &str {
    let rest = code[at..].trim_start();
    let rest = rest.strip_prefix("r#").unwrap_or(rest);
    let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    &rest[..end]
}

/// The first names of the path or of the braced list of paths that starts at `at`: `{a::b, c::{d, e}}` gives `a` and `c`.
pub(crate) fn heads(code: &str, at: usize) -> Vec<(usize, String)> {
    let start = skip_space(code, at);
    let bytes = code.as_bytes();
    if bytes.get(start) != Some(&b'{') {
        let name = if bytes.get(start) == Some(&b'*') { "*" } else { name_at(code, start) };
        return vec![(start, name.to_owned())];
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for (place, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(byte, b'{' | b',') {
            found.extend(heads(code, place + 1).into_iter().filter(|(_, name)| !name.is_empty()));
        }
    }
    found
}

pub(crate) fn skip_space(code: &str, at: usize) -> usize {
    code.len() - code[at..].trim_start().len()
}

/// Where the block that opens at `open` closes; the end of the text if it never does.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The modules written out in the file itself, as the places of their braces.
pub(crate) fn inline_modules(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "mod") {
        let name = name_at(code, at + 3);
        let after = skip_space(code, at + 3) + name.len();
        let open = skip_space(code, after);
        if !name.is_empty() && code.as_bytes().get(open) == Some(&b'{') {
            found.push((open, closing(code, open)));
        }
    }
    found
}

/// Every function with a body: its name, where it starts and where its body ends.
pub(crate) fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = name_at(code, at + 2);
        if name.is_empty() {
            continue;
        }
        if let Some(open) = body(code, at) {
            found.push((name, at, closing(code, open)));
        }
    }
    found
}

/// The opening brace of the item that starts at `at`; none if a semicolon ends the item first.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some(place),
            _ => {}
        }
    }
    None
}

fn blank(text: &str, range: std::ops::Range<usize>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in &mut bytes[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    String::from_utf8(bytes).expect("blanking covers whole characters")
}

/// Where a `#[cfg(test)]` or `#[cfg(all(test, ...))]` starts.
pub(crate) fn test_gates(code: &str) -> Vec<usize> {
    let gates = ["#[cfg(test)]", "#[cfg(all(test,"];
    let mut found: Vec<usize> =
        gates.iter().flat_map(|gate| code.match_indices(gate).map(|(at, _)| at)).collect();
    found.sort_unstable();
    found
}

/// The item after the attributes at `at`, as the place of its first word.
pub(crate) fn gated_item(code: &str, at: usize) -> usize {
    let mut place = at;
    while code[place..].starts_with("#[") {
        let mut depth = 0;
        let end = code[place..].bytes().position(|byte| {
            depth += i32::from(byte == b'[') - i32::from(byte == b']');
            byte == b']' && depth == 0
        });
        place = skip_space(code, place + end.map_or(code.len() - place, |end| end + 1));
    }
    place
}

fn blank_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for gate in test_gates(code) {
        let item = gated_item(code, gate);
        out = blank(&out, gate..item_end(code, item));
    }
    out
}

/// Where the item, field, variant or statement at `at` ends.
fn item_end(code: &str, at: usize) -> usize {
    let visible = code[at..].strip_prefix("pub").map_or(at, |rest| {
        let rest = rest.trim_start();
        let rest =
            if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
        code.len() - rest.len()
    });
    const ITEMS: [&str; 12] = [
        "fn", "mod", "use", "struct", "enum", "impl", "trait", "const", "static", "type", "unsafe", "extern",
    ];
    let is_item = ITEMS.contains(&name_at(code, visible)) || name_at(code, visible) == "macro_rules";
    let mut depth = 0i32;
    for (place, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return (closing(code, place) + 1).min(code.len()),
            b';' if depth == 0 => return place + 1,
            b',' if depth == 0 && !is_item => return place + 1,
            b'}' if depth == 0 => return place,
            _ => {}
        }
        if depth < 0 {
            return place;
        }
    }
    code.len()
}

fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => at + line_length(&bytes[at..]),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' | b'b' | b'c' if at == 0 || !is_word(bytes[at - 1]) => prefixed_string_end(bytes, at),
            b'\'' => character_end(text, at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("blanking covers whole characters")
}

fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of `r"..."`, `r#"..."#`, `b"..."`, `br"..."` or `c"..."`; `at` itself if none of them starts there.
fn prefixed_string_end(bytes: &[u8], at: usize) -> usize {
    let letters = bytes[at..].iter().take(2).take_while(|byte| b"rbc".contains(byte)).count();
    let hashes = bytes[at + letters..].iter().take_while(|byte| **byte == b'#').count();
    let quote = at + letters + hashes;
    let raw = bytes[at..at + letters].contains(&b'r');
    if bytes.get(quote) != Some(&b'"') || (hashes > 0 && !raw) {
        return at;
    }
    if !raw {
        return string_end(bytes, quote);
    }
    let mut tail = vec![b'"'];
    tail.resize(hashes + 1, b'#');
    let rest = &bytes[quote + 1..];
    rest.windows(tail.len())
        .position(|window| window == tail)
        .map_or(bytes.len(), |end| quote + 1 + end + tail.len())
}

/// The end of a character literal; `at` itself if the quote starts a lifetime.
fn character_end(text: &str, at: usize) -> usize {
    let mut rest = text[at + 1..].char_indices();
    match rest.next() {
        Some((_, '\\')) => {
            rest.next();
            rest.find(|(_, letter)| *letter == '\'').map_or(text.len(), |(end, _)| at + 2 + end)
        }
        Some((_, _)) => match rest.next() {
            Some((end, '\'')) => at + 2 + end,
            _ => at,
        },
        None => at,
    }
}
