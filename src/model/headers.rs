//! Content headers: what HTTP says about a body besides its media type, kept for the program that serves it.

use crate::error::{Error, Result};

/// The longest value of a header, in bytes.
const MAX_HEADER_BYTES: usize = 1024;

/// What HTTP says about a body besides its media type (OSS: "PutObject", request headers). Ossicle keeps the values
/// and gives them back as they were; it acts on none of them. Each has up to 1024 bytes and no control characters.
///
/// ```
/// let mut headers = ossicle::ContentHeaders::default();
/// headers.cache_control = Some("max-age=3600".to_string());
/// assert!(!headers.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ContentHeaders {
    /// `Cache-Control`: how long and by whom the body may be cached.
    pub cache_control: Option<String>,
    /// `Content-Disposition`: whether a browser shows it or saves it, and under which name.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`: how the body was packed by the writer, such as `gzip`. It is not unpacked on the way out.
    pub content_encoding: Option<String>,
    /// `Content-Language`: for readers of which languages it is.
    pub content_language: Option<String>,
    /// `Expires`: until when it may be cached. Kept word for word even if it is no date (OSS does the same).
    pub expires: Option<String>,
}

impl ContentHeaders {
    /// No header.
    pub(crate) const NONE: ContentHeaders = ContentHeaders {
        cache_control: None,
        content_disposition: None,
        content_encoding: None,
        content_language: None,
        expires: None,
    };

    /// The values as rows keep them.
    pub(crate) fn to_array(&self) -> [Option<String>; 5] {
        self.named().map(|(_, value)| value.map(str::to_string))
    }

    /// The headers of values as rows keep them.
    pub(crate) fn from_array(values: [Option<String>; 5]) -> ContentHeaders {
        let [cache_control, content_disposition, content_encoding, content_language, expires] = values;
        ContentHeaders { cache_control, content_disposition, content_encoding, content_language, expires }
    }

    /// Whether no header is set.
    pub fn is_empty(&self) -> bool {
        self.named().iter().all(|(_, value)| value.is_none())
    }

    /// Checks lengths and characters; what does not fit is `InvalidArgument`.
    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in self.named() {
            let Some(value) = value else {
                continue;
            };
            if value.len() > MAX_HEADER_BYTES {
                return Err(Error::invalid(
                    "InvalidArgument",
                    format!("{name} may have {MAX_HEADER_BYTES} bytes, not {}; shorten it", value.len()),
                ));
            }
            if value.chars().any(char::is_control) {
                return Err(Error::invalid(
                    "InvalidArgument",
                    format!("{name} has control characters in it; give it without"),
                ));
            }
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, Option<&str>); 5] {
        // Taken apart, so that a new field cannot be forgotten here.
        let ContentHeaders {
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
            expires,
        } = self;
        [
            ("Cache-Control", cache_control.as_deref()),
            ("Content-Disposition", content_disposition.as_deref()),
            ("Content-Encoding", content_encoding.as_deref()),
            ("Content-Language", content_language.as_deref()),
            ("Expires", expires.as_deref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Setter = fn(&mut ContentHeaders) -> &mut Option<String>;
    const EACH: [(&str, Setter); 5] = [
        ("Cache-Control", |h| &mut h.cache_control),
        ("Content-Disposition", |h| &mut h.content_disposition),
        ("Content-Encoding", |h| &mut h.content_encoding),
        ("Content-Language", |h| &mut h.content_language),
        ("Expires", |h| &mut h.expires),
    ];

    #[test]
    fn each_header_has_the_same_limits() {
        assert!(ContentHeaders::default().is_empty());
        ContentHeaders::default().check().unwrap();
        for (name, field) in EACH {
            let with = |value: &str| {
                let mut headers = ContentHeaders::default();
                *field(&mut headers) = Some(value.to_string());
                assert!(!headers.is_empty(), "{name}");
                headers.check()
            };
            for good in ["", "not a date", "Thu, 01 Dec 1994 16:00:00 GMT", "Zürich", &"v".repeat(1024)] {
                with(good).unwrap_or_else(|error| panic!("{name} {good:?}: {error}"));
            }
            let (long, wide) = ("v".repeat(1025), "é".repeat(513));
            for bad in ["a\r\nSet-Cookie: b", "a\0", "\u{7f}", "a\tb", "\u{85}", &long, &wide] {
                let error = with(bad).unwrap_err();
                assert_eq!(error.code(), "InvalidArgument", "{name} {bad:?}");
                assert!(error.to_string().starts_with(name), "{error}");
            }
        }
    }
}
