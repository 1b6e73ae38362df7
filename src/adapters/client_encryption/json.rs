//! JSON, as far as a description has it: one object, whose values are texts, numbers or words.

use std::collections::BTreeMap;
use std::str::Chars;

/// The pairs of an object, the last one counting where a name comes twice; `None` for anything else, objects and lists
/// inside it included. Numbers and words (`true`, `null`) are kept as they are spelled.
pub(super) fn pairs(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = Rest(text.chars());
    let mut pairs = BTreeMap::new();
    rest.expect('{')?;
    if rest.expect('}').is_none() {
        loop {
            rest.expect('"')?;
            let name = rest.text()?;
            rest.expect(':')?;
            let value = match rest.expect('"') {
                Some(()) => rest.text()?,
                None => rest.word()?,
            };
            pairs.insert(name, value);
            if rest.expect(',').is_none() {
                rest.expect('}')?;
                break;
            }
        }
    }
    rest.skip_space();
    rest.0.as_str().is_empty().then_some(pairs)
}

/// What is left of a text.
struct Rest<'t>(Chars<'t>);

impl Rest<'_> {
    fn skip_space(&mut self) {
        self.0 = self.0.as_str().trim_start_matches([' ', '\t', '\n', '\r']).chars();
    }

    /// Takes this letter, and the space before it; otherwise takes nothing.
    fn expect(&mut self, letter: char) -> Option<()> {
        self.skip_space();
        self.0 = self.0.as_str().strip_prefix(letter)?.chars();
        Some(())
    }

    /// A number or a word.
    fn word(&mut self) -> Option<String> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.');
        let text = self.0.as_str();
        let word = &text[..text.find(|letter| !plain(letter)).unwrap_or(text.len())];
        self.0 = text[word.len()..].chars();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// A text, behind its first quote.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                letter if letter < ' ' => return None,
                letter => text.push(letter),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            letter @ ('"' | '\\' | '/') => letter,
            'u' => match self.unit()? {
                high @ 0xD800..0xDC00 => {
                    self.0 = self.0.as_str().strip_prefix("\\u")?.chars();
                    let low = self.unit()?;
                    char::decode_utf16([high, low]).next()?.ok()?
                }
                unit => char::from_u32(u32::from(unit))?,
            },
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | self.0.next()?.to_digit(16)? as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_object_of_texts_is_read_and_nothing_else() {
        let read = |text: &str| pairs(text).map(|pairs| pairs.into_iter().collect::<Vec<_>>());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("{}"), Some(Vec::new()));
        assert_eq!(read(" {\n} "), Some(Vec::new()));
        assert_eq!(read(r#"{"a":"1","a":"2"}"#), Some(vec![pair("a", "2")]));
        assert_eq!(
            read(r#" { "a" : -1.5e3 , "b":null }"#),
            Some(vec![pair("a", "-1.5e3"), pair("b", "null")])
        );
        let escapes = r#"{"\u0061\/":"\"\\\b\f\n\r\t\u00e9\ud83d\ude00é"}"#;
        assert_eq!(read(escapes), Some(vec![pair("a/", "\"\\\u{8}\u{c}\n\r\té😀é")]));
        for bad in [
            "",
            "{",
            "}",
            "{}{}",
            "{} x",
            "[]",
            "null",
            r#""a""#,
            "{a:1}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":"x}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            r#"{"a":"\ud83d"}"#,
            r#"{"a":"\ud83dx"}"#,
            r#"{"a":"\ude00"}"#,
            r#"{"a":"\ud83d\u0061"}"#,
            r#"{"a":"\"#,
            "{\"a\":\"\n\"}",
            "{'a':1}",
            "{\"a\":é}",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
