//! Routes: in which spaces the keys of a bucket lie.
//!
//! The keys of most buckets lie in the one space that has the bucket's id. To remove a prefix, or to rename one, or
//! to make a fork takes no more than another route: the prefix leads to another space, or to a stack of spaces of
//! which the upper ones hide what lies in the lower ones.

use super::keys;
use crate::format::row::{BucketRow, SpanRow};

/// A place where keys lie: a space, and what stands there instead of the prefix that leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    /// The space.
    pub space: u64,
    /// The prefix there.
    pub prefix: String,
}

/// The keys with a prefix, apart from those that a longer one leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The prefix.
    pub prefix: String,
    /// Where they lie. The first is written to; the others are read where it has nothing to say.
    pub layers: Vec<Layer>,
}

/// The way from the keys of a bucket to the spaces they lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// In the order of their prefixes; the first has the empty prefix.
    spans: Vec<Span>,
    /// Where another span begins to count, in order, and which; from the empty key on.
    regions: Vec<(Vec<u8>, usize)>,
}

/// A range of keys that one span counts for.
#[derive(Clone, Debug)]
pub struct Region<'r> {
    /// The span.
    pub span: &'r Span,
    /// The first key.
    pub start: Vec<u8>,
    /// The first key behind; `None` if there is none.
    pub end: Option<Vec<u8>>,
}

impl Layer {
    /// The key that `key`, whose span has a prefix of `cut` bytes, has in this layer.
    pub fn key(&self, cut: usize, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.prefix.len() + key.len() - cut);
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(&key[cut..]);
        out
    }
}

impl Span {
    /// Whether what is in the first layer is all there is.
    pub fn is_flat(&self) -> bool {
        self.layers.len() == 1
    }
}

impl Route {
    /// The route in a bucket's row.
    pub fn of(row: &BucketRow) -> Route {
        if row.spans.is_empty() {
            let own = Layer { space: row.id, prefix: String::new() };
            return Route::new(vec![Span { prefix: String::new(), layers: vec![own] }]);
        }
        let layer = |(space, prefix): &(u64, String)| Layer { space: *space, prefix: prefix.clone() };
        let span = |span: &SpanRow| Span {
            prefix: span.prefix.clone(),
            layers: span.layers.iter().map(layer).collect(),
        };
        Route::new(row.spans.iter().map(span).collect())
    }

    /// The route of these spans, of which one has the empty prefix.
    pub fn new(mut spans: Vec<Span>) -> Route {
        spans.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        let mut starts = vec![Vec::new()];
        for span in &spans {
            starts.push(span.prefix.as_bytes().to_vec());
            starts.extend(keys::behind(span.prefix.as_bytes()));
        }
        starts.sort();
        starts.dedup();
        let of = |start: &Vec<u8>| {
            let fits = |span: &&(usize, &Span)| start.starts_with(span.1.prefix.as_bytes());
            let all: Vec<_> = spans.iter().enumerate().collect();
            all.iter().filter(fits).max_by_key(|(_, span)| span.prefix.len()).map_or(0, |(index, _)| *index)
        };
        let regions = starts.iter().map(|start| (start.clone(), of(start))).collect();
        Route { spans, regions }
    }

    /// What a bucket's row says of the route; nothing for a bucket whose keys lie in its own space.
    pub fn to_rows(&self, bucket_id: u64) -> Vec<SpanRow> {
        if self.own_space() == Some(bucket_id) {
            return Vec::new();
        }
        let row = |span: &Span| SpanRow {
            prefix: span.prefix.clone(),
            layers: span.layers.iter().map(|layer| (layer.space, layer.prefix.clone())).collect(),
        };
        self.spans.iter().map(row).collect()
    }

    /// The one space in which all keys lie under their own names, if it is so simple.
    pub fn own_space(&self) -> Option<u64> {
        match &self.spans[..] {
            [Span { layers, .. }] => match &layers[..] {
                [Layer { space, prefix }] if prefix.is_empty() => Some(*space),
                _ => None,
            },
            _ => None,
        }
    }

    /// The spans, in the order of their prefixes.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Every layer of every span.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.spans.iter().flat_map(|span| &span.layers)
    }

    /// The spaces that are written to, each once.
    pub fn own_spaces(&self) -> Vec<u64> {
        let mut found: Vec<u64> = self.spans.iter().map(|span| span.layers[0].space).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The spaces that are read but not written to, each once.
    pub fn borrowed(&self) -> Vec<u64> {
        let own = |space: &u64| self.spans.iter().any(|span| span.layers[0].space == *space);
        let beneath = self.spans.iter().flat_map(|span| &span.layers[1..]).map(|layer| layer.space);
        let mut found: Vec<u64> = beneath.filter(|space| !own(space)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The span of a key.
    pub fn span(&self, key: &[u8]) -> &Span {
        &self.spans[self.regions[self.region_of(key)].1]
    }

    /// Whether some keys are led to a layer: by a span of its own, or as a part of another one's.
    pub fn reads(&self, layer: &Layer) -> bool {
        self.reads_key(layer.space, layer.prefix.as_bytes())
    }

    /// Whether a key is led to what stands under `there` in a space.
    pub fn reads_key(&self, space: u64, there: &[u8]) -> bool {
        self.spans.iter().any(|span| {
            span.layers.iter().filter(|layer| layer.space == space).any(|layer| {
                let rest = there.strip_prefix(layer.prefix.as_bytes());
                rest.is_some_and(|rest| self.span(&[span.prefix.as_bytes(), rest].concat()) == span)
            })
        })
    }

    /// The span of the shorter prefix that a span lies in.
    pub fn around(&self, prefix: &str) -> Option<&Span> {
        self.spans
            .iter()
            .filter(|span| span.prefix.len() < prefix.len() && prefix.starts_with(&span.prefix))
            .max_by_key(|span| span.prefix.len())
    }

    /// The regions of `[from, end)`, in order; each is cut to the range.
    pub fn regions(&self, from: &[u8], end: Option<&[u8]>) -> Vec<Region<'_>> {
        let mut found = Vec::new();
        for index in self.region_of(from)..self.regions.len() {
            let (start, span) = &self.regions[index];
            if end.is_some_and(|end| **start >= *end) {
                break;
            }
            let own_end = self.regions.get(index + 1).map(|(start, _)| start.clone());
            let end = match (own_end, end) {
                (Some(own), Some(end)) => Some(if *own < *end { own } else { end.to_vec() }),
                (Some(own), None) => Some(own),
                (None, end) => end.map(<[u8]>::to_vec),
            };
            let start = if **start < *from { from.to_vec() } else { start.clone() };
            found.push(Region { span: &self.spans[*span], start, end });
        }
        found
    }

    fn region_of(&self, key: &[u8]) -> usize {
        self.regions.partition_point(|(start, _)| **start <= *key).saturating_sub(1)
    }
}

/// What none of these routes leads to in a space: everything under a prefix, apart from some longer ones.
pub fn unread(routes: &[&Route], space: u64) -> Vec<(String, Vec<String>)> {
    let mut prefixes = vec![String::new()];
    for route in routes {
        for span in route.spans() {
            let inside = |other: &&Span| {
                other.prefix.len() > span.prefix.len() && other.prefix.starts_with(&span.prefix)
            };
            for layer in span.layers.iter().filter(|layer| layer.space == space) {
                let led_away = route.spans().iter().filter(inside);
                prefixes.extend(
                    led_away.map(|other| format!("{}{}", layer.prefix, &other.prefix[span.prefix.len()..])),
                );
            }
        }
    }
    prefixes.sort();
    prefixes.dedup();
    prefixes.retain(|prefix| !routes.iter().any(|route| route.reads_key(space, prefix.as_bytes())));
    let layers = || routes.iter().flat_map(|route| route.layers()).filter(|layer| layer.space == space);
    let keep = |prefix: &String| {
        let inside = layers().filter(|layer| layer.prefix.starts_with(prefix.as_str()));
        let kept: std::collections::BTreeSet<String> = inside.map(|layer| layer.prefix.clone()).collect();
        kept.into_iter().collect()
    };
    prefixes.into_iter().map(|prefix| (prefix.clone(), keep(&prefix))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(space: u64, prefix: &str) -> Layer {
        Layer { space, prefix: prefix.to_string() }
    }

    fn span(prefix: &str, layers: &[Layer]) -> Span {
        Span { prefix: prefix.to_string(), layers: layers.to_vec() }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let route = Route::new(vec![
            span("a/", &[layer(2, "a/")]),
            span("", &[layer(1, "")]),
            span("a/b/", &[layer(3, "x/"), layer(1, "a/b/")]),
        ]);
        let space = |key: &str| route.span(key.as_bytes()).layers[0].space;
        assert_eq!(
            ["", "a", "a/", "a/a", "a/b", "a/b/", "a/b/z", "a/c", "a0", "b"].map(space),
            [1, 1, 2, 2, 2, 3, 3, 2, 1, 1]
        );
        let all: Vec<_> = route.regions(b"", None).iter().map(|region| region.span.layers[0].space).collect();
        assert_eq!(all, [1, 2, 3, 2, 1]);
        let some = route.regions(b"a/b/c", Some(b"a/c"));
        assert_eq!(some.len(), 2);
        assert_eq!((&some[0].start[..], some[0].end.as_deref()), (&b"a/b/c"[..], Some(&b"a/b0"[..])));
        assert_eq!((&some[1].start[..], some[1].end.as_deref()), (&b"a/b0"[..], Some(&b"a/c"[..])));
        assert!(route.borrowed().is_empty(), "the bucket's own space");
        let fork = Route::new(vec![span("", &[layer(5, ""), layer(1, ""), layer(1, "x")])]);
        assert_eq!(fork.borrowed(), [1]);
        assert_eq!(route.around("a/b/").map(|span| &span.prefix[..]), Some("a/"));
        assert_eq!(route.span(b"a/b/z").layers[0].key(4, b"a/b/z"), b"x/z");
        assert_eq!(route.own_space(), None);
    }

    #[test]
    fn rows_of_routes_come_back() {
        let plain = BucketRow { id: 7, ..BucketRow::default() };
        let route = Route::of(&plain);
        assert_eq!(route.own_space(), Some(7));
        assert!(route.to_rows(7).is_empty());
        let spans = vec![span("", &[layer(9, ""), layer(7, "")]), span("t/", &[layer(11, "t/")])];
        let row = BucketRow { spans: Route::new(spans.clone()).to_rows(7), ..plain };
        assert_eq!(Route::of(&row).spans(), spans);
    }
}
