//! Lifecycle rules as OSS writes them: the XML of `PutBucketLifecycle`, which `ossutil lifecycle` takes.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::format;
use crate::{Except, Expiration, Lifecycle, Rule, StorageClass, Transition, When};

/// The longest text that is read.
pub const MAX_BYTES: u64 = 4 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "LifecycleConfiguration", deny_unknown_fields)]
struct Document {
    #[serde(rename = "@xmlns", default, skip_serializing)]
    _namespace: Option<String>,
    #[serde(rename = "Rule", default)]
    rules: Vec<RuleText>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RuleText {
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    prefix: Option<String>,
    status: String,
    #[serde(rename = "Tag", default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<FilterText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiration: Option<ExpirationText>,
    #[serde(rename = "Transition", default, skip_serializing_if = "Vec::is_empty")]
    transitions: Vec<TransitionText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    abort_multipart_upload: Option<WhenText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noncurrent_version_expiration: Option<NoncurrentText>,
    #[serde(rename = "NoncurrentVersionTransition", default, skip_serializing_if = "Vec::is_empty")]
    noncurrent_transitions: Vec<NoncurrentTransitionText>,
    /// Said by OSS, and not heard: it follows from the access monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    atime_base: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TagText {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct FilterText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_size_greater_than: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_size_less_than: Option<u64>,
    #[serde(rename = "Not", default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<ExceptText>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ExceptText {
    prefix: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<TagText>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ExpirationText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_before_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expired_object_delete_marker: Option<bool>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WhenText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_before_date: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TransitionText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_before_date: Option<String>,
    storage_class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_access_time: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_to_std_when_visit: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_small_file: Option<bool>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct NoncurrentText {
    noncurrent_days: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct NoncurrentTransitionText {
    noncurrent_days: u32,
    storage_class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_access_time: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    return_to_std_when_visit: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allow_small_file: Option<bool>,
}

fn date_of(text: &str) -> Result<SystemTime, Failure> {
    let plain = text.strip_suffix(".000Z").unwrap_or(text);
    match format::as_of(plain) {
        Ok(crate::AsOf::Time(time)) => Ok(time),
        _ => Err(Failure::of(format!("`{text}` is no date: write `2026-02-03T00:00:00.000Z`"))),
    }
}

fn date_text(date: SystemTime) -> String {
    format::moment(date).replace(' ', "T").replace('Z', ".000Z")
}

fn class_of(text: &str) -> Result<StorageClass, Failure> {
    let known = StorageClass::ALL.into_iter().find(|class| class.to_string() == text);
    known.ok_or_else(|| {
        Failure::of(format!(
            "`{text}` is no storage class: write IA, Archive, ColdArchive or DeepColdArchive"
        ))
    })
}

fn when_of(name: &str, days: Option<u32>, date: Option<&String>) -> Result<When, Failure> {
    match (days, date) {
        (Some(days), None) => Ok(When::Days(days)),
        (None, Some(date)) => Ok(When::Before(date_of(date)?)),
        _ => Err(Failure::of(format!("{name} needs either Days or CreatedBeforeDate"))),
    }
}

fn expiration_of(text: &ExpirationText) -> Result<Expiration, Failure> {
    let marker = text.expired_object_delete_marker.filter(|marker| *marker);
    match (text.days, &text.created_before_date, &text.date, marker) {
        (Some(days), None, None, None) => Ok(Expiration::Days(days)),
        (None, Some(date), None, None) => Ok(Expiration::Before(date_of(date)?)),
        (None, None, Some(date), None) => Ok(Expiration::On(date_of(date)?)),
        (None, None, None, Some(_)) => Ok(Expiration::Markers),
        _ => Err(Failure::of(
            "Expiration needs exactly one of Days, CreatedBeforeDate, Date and ExpiredObjectDeleteMarker",
        )),
    }
}

fn transition_of(
    (when, class): (When, &str),
    by_access: Option<bool>,
    returns: Option<bool>,
    small_files: Option<bool>,
) -> Result<Transition, Failure> {
    let mut transition = Transition::after(1, class_of(class)?);
    transition.when = when;
    transition.by_access = by_access.unwrap_or(false);
    transition.return_on_visit = returns.unwrap_or(false);
    transition.small_files = small_files;
    Ok(transition)
}

fn rule_of(text: RuleText) -> Result<Rule, Failure> {
    let mut rule = Rule::new(text.prefix.unwrap_or_default()).id(text.id.unwrap_or_default());
    rule.enabled = match &text.status[..] {
        "Enabled" => true,
        "Disabled" => false,
        other => return Err(Failure::of(format!("`{other}` is no Status: write Enabled or Disabled"))),
    };
    rule.tags = text.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    if let Some(filter) = text.filter {
        (rule.larger_than, rule.smaller_than) =
            (filter.object_size_greater_than, filter.object_size_less_than);
        for except in filter.except {
            rule = match except.tag {
                None => rule.except(except.prefix),
                Some(tag) => rule.except_tagged(except.prefix, tag.key, tag.value),
            };
        }
    }
    rule.expiration = text.expiration.as_ref().map(expiration_of).transpose()?;
    for each in &text.transitions {
        let when = when_of("Transition", each.days, each.created_before_date.as_ref())?;
        let (returns, small) = (each.return_to_std_when_visit, each.allow_small_file);
        rule =
            rule.transition(transition_of((when, &each.storage_class), each.is_access_time, returns, small)?);
    }
    if let Some(abort) = &text.abort_multipart_upload {
        let when = when_of("AbortMultipartUpload", abort.days, abort.created_before_date.as_ref())?;
        rule.abort_uploads = Some(when);
    }
    rule.noncurrent_expiration = text.noncurrent_version_expiration.map(|each| each.noncurrent_days);
    for each in &text.noncurrent_transitions {
        let (returns, small) = (each.return_to_std_when_visit, each.allow_small_file);
        let when = When::Days(each.noncurrent_days);
        let transition = transition_of((when, &each.storage_class), each.is_access_time, returns, small)?;
        rule = rule.noncurrent_transition(transition);
    }
    Ok(rule)
}

/// The name of the outermost element.
fn root_of(text: &str) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) => {
                return Some(start.local_name().as_ref().to_string());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Reads rules.
pub fn read(text: &str) -> Result<Lifecycle, Failure> {
    let wrong = |why: String| Failure::of(format!("these are no lifecycle rules in OSS's XML: {why}"));
    if root_of(text).as_deref() != Some("LifecycleConfiguration") {
        return Err(wrong("they do not begin with LifecycleConfiguration".to_string()));
    }
    let document: Document = quick_xml::de::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let rules = document.rules.into_iter().map(rule_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Lifecycle::new(rules))
}

fn tag_text((key, value): &(String, String)) -> TagText {
    TagText { key: key.clone(), value: value.clone() }
}

fn when_text(when: When) -> WhenText {
    match when {
        When::Days(days) => WhenText { days: Some(days), ..WhenText::default() },
        When::Before(date) => WhenText { created_before_date: Some(date_text(date)), ..WhenText::default() },
    }
}

fn rule_text(rule: &Rule) -> RuleText {
    let said = |flag: bool| flag.then_some(true);
    let except =
        |each: &Except| ExceptText { prefix: each.prefix.clone(), tag: each.tag.as_ref().map(tag_text) };
    let has_filter = rule.larger_than.is_some() || rule.smaller_than.is_some() || !rule.except.is_empty();
    let filter = has_filter.then(|| FilterText {
        object_size_greater_than: rule.larger_than,
        object_size_less_than: rule.smaller_than,
        except: rule.except.iter().map(except).collect(),
    });
    let expiration = rule.expiration.map(|expiration| {
        let mut text = ExpirationText::default();
        match expiration {
            Expiration::Days(days) => text.days = Some(days),
            Expiration::Before(date) => text.created_before_date = Some(date_text(date)),
            Expiration::On(date) => text.date = Some(date_text(date)),
            Expiration::Markers => text.expired_object_delete_marker = Some(true),
        }
        text
    });
    let transition = |each: &Transition| {
        let WhenText { days, created_before_date } = when_text(each.when);
        TransitionText {
            days,
            created_before_date,
            storage_class: each.class.to_string(),
            is_access_time: said(each.by_access),
            return_to_std_when_visit: said(each.return_on_visit),
            allow_small_file: each.small_files,
        }
    };
    let noncurrent = |each: &Transition| NoncurrentTransitionText {
        noncurrent_days: when_text(each.when).days.unwrap_or_default(),
        storage_class: each.class.to_string(),
        is_access_time: said(each.by_access),
        return_to_std_when_visit: said(each.return_on_visit),
        allow_small_file: each.small_files,
    };
    let since_1970 =
        |base: SystemTime| base.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    RuleText {
        id: Some(rule.id.clone()),
        prefix: Some(rule.prefix.clone()),
        status: if rule.enabled { "Enabled" } else { "Disabled" }.to_string(),
        tags: rule.tags.iter().map(tag_text).collect(),
        filter,
        expiration,
        transitions: rule.transitions.iter().map(transition).collect(),
        abort_multipart_upload: rule.abort_uploads.map(when_text),
        noncurrent_version_expiration: rule
            .noncurrent_expiration
            .map(|noncurrent_days| NoncurrentText { noncurrent_days }),
        noncurrent_transitions: rule.noncurrent_transitions.iter().map(noncurrent).collect(),
        atime_base: rule.access_base.map(since_1970),
    }
}

/// Writes rules.
pub fn write(lifecycle: &Lifecycle) -> Result<String, Failure> {
    let document = Document { _namespace: None, rules: lifecycle.rules.iter().map(rule_text).collect() };
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_string();
    let mut writer = quick_xml::se::Serializer::new(&mut text);
    writer.indent(' ', 2);
    document
        .serialize(writer)
        .map_err(|error| Failure::of(format!("the rules cannot be written as XML: {error}")))?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_field_is_read_as_it_is_written() {
        let date = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let unread =
            Transition::unread_for(9, StorageClass::InfrequentAccess).return_on_visit().small_files(false);
        let mut rules = Lifecycle::new([
            Rule::new("a/<&>/")
                .id("one \"&\" <only>")
                .tag("b", "")
                .tag("a", "2")
                .except("a/<&>/b")
                .except_tagged("a/<&>/c", "k", "v")
                .larger_than(1)
                .smaller_than(1 << 40)
                .transition_after(10, StorageClass::InfrequentAccess)
                .transition(Transition::written_before(date(20_000), StorageClass::Archive))
                .expire_after(20)
                .noncurrent_transition_after(1, StorageClass::ColdArchive)
                .noncurrent_expire_after(2),
            Rule::new("").disabled().abort_uploads_begun_before(date(1)).expire_on(date(2)),
            Rule::new("c/").transition(unread).expire_markers(),
            Rule::new("d/")
                .noncurrent_transition(unread)
                .expire_written_before(date(3))
                .abort_uploads_after(4),
        ]);
        assert_eq!(read(&write(&rules).unwrap()).unwrap(), rules);
        rules.rules[0].access_base = Some(date(5));
        assert!(write(&rules).unwrap().contains("<AtimeBase>432000</AtimeBase>"));
    }

    #[test]
    fn what_is_no_rule_is_said_to_be_none() {
        let of = |inside: &str| {
            let text = format!("<LifecycleConfiguration><Rule>{inside}</Rule></LifecycleConfiguration>");
            match read(&text) {
                Err(Failure::Sentence(told)) => told,
                other => panic!("{inside}: {other:?}"),
            }
        };
        let whole = |inside: &str| of(&format!("<Prefix/><Status>Enabled</Status>{inside}"));
        assert!(of("<Prefix/><Status>On</Status>").contains("Status"));
        assert!(of("<Prefix/>").contains("Status"));
        assert!(whole("<Expiration/>").contains("exactly one"));
        assert!(
            whole("<Expiration><Days>1</Days><Date>2026-02-03</Date></Expiration>").contains("exactly one")
        );
        assert!(whole("<Expiration><IsAccessTime>true</IsAccessTime></Expiration>").contains("IsAccessTime"));
        assert!(
            whole("<Transition><Days>1</Days><StorageClass>Cold</StorageClass></Transition>")
                .contains("Cold")
        );
        assert!(whole("<Transition><StorageClass>IA</StorageClass></Transition>").contains("Days"));
        assert!(
            whole("<Expiration><CreatedBeforeDate>soon</CreatedBeforeDate></Expiration>").contains("soon")
        );
        for text in [
            "",
            "no",
            "<a/>",
            "<LifecycleConfiguration>",
            "<LifecycleConfiguration><Rules/></LifecycleConfiguration>",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
