//! Versions: listing them, and going back to an older one.

use std::sync::Arc;

use ossicle::ObjectKind;

use super::{
    Answer, BAD_ARGUMENT, BAD_KEY, Handle, IMMUTABLE, List, Made, NO_KEY, NOT_COPYABLE, Object, Outcome,
    Reference, Steps, Wants, Which, check_key, check_prefix,
};

/// One line of a listing of versions.
#[derive(Clone, Debug)]
pub enum VersionLine {
    /// A version or a delete marker, and whether it is the latest of its key.
    Version(String, Arc<Object>, bool),
    Prefix(String),
}

impl VersionLine {
    pub fn name(&self) -> &str {
        match self {
            VersionLine::Version(name, ..) | VersionLine::Prefix(name) => name,
        }
    }
}

impl Reference {
    /// The lines of a listing of versions, and whether there are more; of the key that it starts after, those behind
    /// the version `after` are listed too.
    pub fn versions(
        &self,
        bucket: &Handle,
        list: &List,
        after: Option<&Which>,
    ) -> Answer<(Vec<VersionLine>, Option<VersionLine>)> {
        if [&list.prefix, &list.delimiter, &list.start, &list.start_after]
            .iter()
            .any(|text| text.len() > 1023)
            || list.limit == Some(0)
            || list.descending
            || (after.is_some() && list.start_after.is_empty())
        {
            return Err(BAD_ARGUMENT);
        }
        let start_after = list.start_after.as_str();
        let mut lines: Vec<VersionLine> = Vec::new();
        for (key, chain) in self.check(bucket)?.under(&list.prefix) {
            let rest = &key[list.prefix.len()..];
            if let Some(at) = rest.find(&list.delimiter).filter(|_| !list.delimiter.is_empty()) {
                let group = &key[..list.prefix.len() + at + list.delimiter.len()];
                let is_new = lines.last().is_none_or(|last| last.name() != group);
                if is_new && group >= list.start.as_str() && (start_after.is_empty() || group > start_after) {
                    lines.push(VersionLine::Prefix(group.to_string()));
                }
                continue;
            }
            if key < &list.start {
                continue;
            }
            let from = match after {
                _ if start_after.is_empty() || key.as_str() > start_after => 0,
                Some(after) if key == start_after => {
                    chain.iter().position(|object| after.is(object)).map_or(0, |at| at + 1)
                }
                _ => continue,
            };
            let versions = chain.iter().enumerate().skip(from);
            lines.extend(
                versions.map(|(at, object)| VersionLine::Version(key.clone(), object.clone(), at == 0)),
            );
        }
        let limit = list.limit.unwrap_or(usize::MAX);
        let next = lines.get(limit).cloned();
        lines.truncate(limit);
        Ok((lines, next))
    }

    pub fn undelete(&mut self, bucket: &Handle, key: &str) -> Answer<Made> {
        self.alone(|steps| steps.undelete(bucket, key))
    }

    /// Answers how many objects it was.
    pub fn undelete_prefix(&mut self, bucket: &Handle, prefix: &str) -> Answer<u64> {
        check_prefix(prefix)?;
        self.alone(|steps| {
            let its = steps.scratch.check(bucket)?;
            let mut changes = Vec::new();
            for (key, chain) in its.under(prefix).filter(|(_, chain)| chain[0].marker) {
                if let Some(at) = chain.iter().position(|object| !object.marker) {
                    changes.push((bucket.id, key.clone(), chain[at..].to_vec()));
                }
            }
            let count = changes.len() as u64;
            steps.make(changes, None)?;
            Ok(count)
        })
    }

    pub fn restore_version(&mut self, bucket: &Handle, key: &str, which: &Which) -> Answer<Made> {
        self.alone(|steps| steps.restore_version(bucket, key, which))
    }

    pub fn delete_each(
        &mut self,
        bucket: &Handle,
        versions: &[(String, Which)],
    ) -> Answer<Vec<Answer<Outcome>>> {
        self.alone(|steps| {
            let mut answers = Vec::new();
            // Where each names a version, the last goes first, so that none becomes current in between.
            let named = versions.iter().all(|(_, which)| *which != Which::Current);
            let order: Vec<_> =
                if named { versions.iter().rev().collect() } else { versions.iter().collect() };
            for (key, which) in order {
                match steps.delete(bucket, key, which, &Wants::default()) {
                    Err(code @ (BAD_KEY | IMMUTABLE)) => answers.push(Err(code)),
                    other => answers.push(Ok(other?)),
                }
            }
            if named {
                answers.reverse();
            }
            Ok(answers)
        })
    }
}

impl Steps {
    /// Takes the delete markers on top of an object away.
    pub fn undelete(&mut self, bucket: &Handle, key: &str) -> Answer<Made> {
        check_key(key)?;
        let decided = self.decide_undelete(bucket, key);
        self.note(decided)
    }

    fn decide_undelete(&mut self, bucket: &Handle, key: &str) -> Answer<Made> {
        let its = self.scratch.check(bucket)?;
        let chain = its.chains.get(key).ok_or(NO_KEY)?;
        let at = chain.iter().position(|object| !object.marker).ok_or(NO_KEY)?;
        let object = chain[at].clone();
        let version = its.versioning.map(|_| object.name.clone());
        let lsns = if at == 0 { object.lsns() } else { vec![self.lsn()] };
        if at > 0 {
            let left = chain[at..].to_vec();
            self.make(vec![(bucket.id, key.to_string(), left)], None)?;
        }
        Ok(Made { etag: object.etag.clone(), version, lsns })
    }

    /// Puts a copy of a version on top.
    pub fn restore_version(&mut self, bucket: &Handle, key: &str, which: &Which) -> Answer<Made> {
        check_key(key)?;
        let decided = self.decide_restore(bucket, key, which);
        self.note(decided)
    }

    fn decide_restore(&mut self, bucket: &Handle, key: &str, which: &Which) -> Answer<Made> {
        let object = self.scratch.find_version(bucket, key, which)?.clone();
        let its = self.scratch.check(bucket)?;
        if object.marker {
            return Err(NO_KEY);
        }
        if its.current(key).is_some_and(|current| current.name == object.name) {
            let version = its.versioning.map(|_| object.name.clone());
            return Ok(Made { etag: object.etag.clone(), version, lsns: object.lsns() });
        }
        if object.kind == ObjectKind::Appendable {
            return Err(NOT_COPYABLE);
        }
        object.check_readable(self.scratch.now)?;
        let copy = Object {
            dressed: object.dressed.unheld(),
            modified: self.scratch.now,
            lsn: self.lsn(),
            moved: Vec::new(),
            restoring: None,
            ..Object::clone(&object)
        };
        self.push((bucket, key), copy, &Wants::default(), Vec::new())
    }
}
