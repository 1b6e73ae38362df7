//! What an object carries besides its body: given with a write, kept or replaced by a copy, changed where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ossicle::{Acl, ContentHeaders, Digests, ObjectKind, Retention, RetentionMode, StorageClass};

use super::checks::{check_text, same_tag};
use super::{Answer, BAD_ARGUMENT, Handle, IMMUTABLE, NO_KEY, Object, Reference, Which, check_key};

/// What an object carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    pub content_type: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub headers: ContentHeaders,
    pub tags: Vec<(String, String)>,
    pub acl: Option<Acl>,
    pub class: StorageClass,
    pub retention: Option<Retention>,
    pub hold: bool,
}

/// What a write carries besides the body.
#[derive(Clone, Debug, Default)]
pub struct Dress {
    pub content_type: Option<String>,
    pub metadata: Option<Vec<(String, String)>>,
    pub headers: Option<ContentHeaders>,
    pub tags: Option<Vec<(String, String)>>,
    pub acl: Option<Acl>,
    pub class: Option<StorageClass>,
    pub digests: Digests,
}

/// The same as it will be stored.
#[derive(Clone, Debug)]
pub struct Checked {
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    headers: Option<ContentHeaders>,
    tags: Option<Vec<(String, String)>>,
    acl: Option<Acl>,
    class: Option<StorageClass>,
}

impl Dress {
    /// Checks what is given.
    pub fn check(&self) -> Answer<Checked> {
        if let Some(text) = &self.content_type {
            check_text(text)?;
        }
        self.headers.as_ref().map_or(Ok(()), check_headers)?;
        let metadata = self.metadata.as_ref().map(|pairs| check_metadata(pairs)).transpose()?;
        let tags = self.tags.as_ref().map(|tags| check_tags(tags)).transpose()?;
        Ok(Checked {
            content_type: self.content_type.clone(),
            metadata,
            headers: self.headers.clone(),
            tags,
            acl: self.acl,
            class: self.class,
        })
    }
}

impl Checked {
    /// What an object begins with in a bucket of this class.
    pub fn begin(self, class: StorageClass) -> Attributes {
        self.over(&Attributes::default(), class)
    }

    /// What a copy carries in a bucket of this class: what is given replaces what the source has. The class and the access
    /// control value of the source are not copied, nor is its protection.
    pub fn over(self, source: &Attributes, class: StorageClass) -> Attributes {
        let source = source.clone();
        Attributes {
            content_type: self.content_type.or(source.content_type),
            metadata: self.metadata.unwrap_or(source.metadata),
            headers: self.headers.unwrap_or(source.headers),
            tags: self.tags.unwrap_or(source.tags),
            acl: self.acl,
            class: self.class.unwrap_or(class),
            retention: None,
            hold: false,
        }
    }
}

impl Attributes {
    /// The same without what protects.
    pub fn unheld(&self) -> Attributes {
        Attributes { retention: None, hold: false, ..self.clone() }
    }
}

/// A change of an attribute.
#[derive(Clone, Debug)]
pub enum Change {
    Tags(Vec<(String, String)>),
    Acl(Option<Acl>),
    Metadata(Vec<(String, String)>),
    ContentType(String),
    Headers(ContentHeaders),
    Class(StorageClass),
    /// Until so many milliseconds from now.
    Retention(Option<(RetentionMode, i64)>),
    Hold(bool),
}

impl Change {
    fn check(&self) -> Answer<()> {
        match self {
            Change::Tags(tags) => check_tags(tags).map(|_| ()),
            Change::Metadata(pairs) => check_metadata_once(pairs).map(|_| ()),
            Change::ContentType(text) => check_text(text),
            Change::Headers(headers) => check_headers(headers),
            _ => Ok(()),
        }
    }

    /// Whether it may be made of what is protected: it does not count as overwriting.
    fn is_free(&self) -> bool {
        matches!(self, Change::Tags(_) | Change::Acl(_) | Change::Retention(_) | Change::Hold(_))
    }

    /// Whether the object's time is set.
    fn is_writing(&self) -> bool {
        !matches!(self, Change::Tags(_) | Change::Retention(_) | Change::Hold(_))
    }

    fn make(&self, kind: ObjectKind, now: u64, attributes: &mut Attributes) -> Answer<()> {
        match self.clone() {
            Change::Tags(tags) => attributes.tags = check_tags(&tags)?,
            Change::Acl(acl) => attributes.acl = acl,
            Change::Metadata(pairs) => attributes.metadata = check_metadata_once(&pairs)?,
            Change::ContentType(text) => attributes.content_type = Some(text),
            Change::Headers(headers) => attributes.headers = headers,
            Change::Class(class) => {
                check_class(kind, class)?;
                attributes.class = class;
            }
            Change::Retention(next) => attributes.retention = next.map(|next| retention(next, now)),
            Change::Hold(hold) => attributes.hold = hold,
        }
        Ok(())
    }
}

/// A moment of the model.
pub fn moment(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// A retention that ends so long after now.
pub fn retention((mode, millis): (RetentionMode, i64), now: u64) -> Retention {
    Retention { mode, until: moment(now.saturating_add_signed(millis)) }
}

/// The coldest classes are not for objects that grow nor for links.
pub fn check_class(kind: ObjectKind, class: StorageClass) -> Answer<()> {
    let coldest = matches!(class, StorageClass::ColdArchive | StorageClass::DeepColdArchive);
    if coldest && matches!(kind, ObjectKind::Appendable | ObjectKind::Symlink) {
        return Err(BAD_ARGUMENT);
    }
    Ok(())
}

fn check_headers(headers: &ContentHeaders) -> Answer<()> {
    let all = [
        &headers.cache_control,
        &headers.content_disposition,
        &headers.content_encoding,
        &headers.content_language,
        &headers.expires,
    ];
    all.into_iter().flatten().try_for_each(|text| check_text(text))
}

/// The caller's own map holds each spelling once; the last value stands.
fn check_metadata(pairs: &[(String, String)]) -> Answer<BTreeMap<String, String>> {
    let given: BTreeMap<&String, &String> = pairs.iter().map(|(name, value)| (name, value)).collect();
    let total: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    let mut stored = BTreeMap::new();
    for (name, value) in given {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let twice = stored.insert(name.to_ascii_lowercase(), value.clone()).is_some();
        if !plain || twice || value.chars().any(char::is_control) {
            return Err(BAD_ARGUMENT);
        }
    }
    if total > 8192 { Err(BAD_ARGUMENT) } else { Ok(stored) }
}

/// The same for pairs of which none may be given twice.
fn check_metadata_once(pairs: &[(String, String)]) -> Answer<BTreeMap<String, String>> {
    let names: std::collections::BTreeSet<_> = pairs.iter().map(|(name, _)| name).collect();
    if names.len() < pairs.len() { Err(BAD_ARGUMENT) } else { check_metadata(pairs) }
}

fn check_tags(tags: &[(String, String)]) -> Answer<Vec<(String, String)>> {
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " +-=._:/".contains(c));
    let fits = |(key, value): &(String, String)| {
        (1..=128).contains(&key.len()) && value.len() <= 256 && allowed(key) && allowed(value)
    };
    let sorted: BTreeMap<String, String> = tags.iter().cloned().collect();
    if tags.len() > 10 || sorted.len() < tags.len() || !tags.iter().all(fits) {
        return Err("InvalidTag");
    }
    Ok(sorted.into_iter().collect())
}

impl Object {
    /// Refuses if it may be neither changed nor removed now.
    pub fn guard(&self, now: u64) -> Answer<()> {
        let retained = self.dressed.retention.is_some_and(|retention| moment(now) < retention.until);
        if !self.marker && (self.dressed.hold || retained) { Err(IMMUTABLE) } else { Ok(()) }
    }

    /// Whether its retention may give way to another one or to none.
    fn check_retention(&self, next: Option<Retention>, now: u64, bypass: bool) -> Answer<()> {
        let now = moment(now);
        if next.is_some_and(|next| next.until <= now) {
            return Err(BAD_ARGUMENT);
        }
        let Some(old) = self.dressed.retention.filter(|old| now < old.until) else {
            return Ok(());
        };
        let firmer = |next: &Retention| next.mode == old.mode || next.mode == RetentionMode::Compliance;
        let stays = next.is_some_and(|next| firmer(&next) && next.until >= old.until);
        if stays || (bypass && old.mode == RetentionMode::Governance) { Ok(()) } else { Err(IMMUTABLE) }
    }
}

impl Reference {
    /// A version of an object itself, for what it carries: links are not followed, delete markers carry nothing.
    pub fn carried(
        &self,
        bucket: &Handle,
        key: &str,
        which: &Which,
        if_match: Option<&String>,
    ) -> Answer<Arc<Object>> {
        let object = self.find_version(bucket, key, which)?.clone();
        if object.marker {
            return Err(NO_KEY);
        }
        match if_match {
            Some(wanted) if !same_tag(wanted, &object.etag) => Err("PreconditionFailed"),
            _ => Ok(object),
        }
    }

    /// Changes an attribute of a version. It stays that of the commit that wrote it.
    pub fn set(
        &mut self,
        bucket: &Handle,
        key: &str,
        (which, if_match, bypass): (&Which, Option<&String>, bool),
        change: &Change,
    ) -> Answer<()> {
        change.check()?;
        check_key(key)?;
        self.alone(|steps| {
            let now = steps.scratch.now;
            let object = steps.scratch.carried(bucket, key, which, if_match)?;
            if !change.is_free() {
                object.guard(now)?;
            }
            if let Change::Retention(next) = change {
                object.check_retention(next.map(|next| retention(next, now)), now, bypass)?;
            }
            let mut changed = Object::clone(&object);
            change.make(object.kind, now, &mut changed.dressed)?;
            if change.is_writing() {
                changed.modified = now;
            }
            if changed.dressed == object.dressed && changed.modified == object.modified {
                return Ok(());
            }
            let mut chain = steps.scratch.chain(bucket, key).to_vec();
            let at = chain.iter().position(|other| other.name == object.name).expect("found");
            chain[at] = Arc::new(changed);
            steps.make(vec![(bucket.id, key.to_string(), chain)], None)
        })
    }
}
