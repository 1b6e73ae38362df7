//! Objects that grow by appends, and links that stand for others.

use std::sync::Arc;

use ossicle::{ObjectKind, StorageClass};

use super::attributes::{Checked, check_class};
use super::{
    Answer, Attributes, Dress, Handle, Made, NO_KEY, Name, Object, Reference, Steps, Wants, Which, check_key,
    crc64, etag,
};

/// What an append came to.
#[derive(Clone, Debug, Default)]
pub struct Grown {
    pub next_position: u64,
    pub crc64: u64,
    pub etag: String,
    pub version: Option<Name>,
    /// Whether anything was appended.
    pub is_change: bool,
}

impl Reference {
    /// The object under a key that can be appended to; `None` if there is none and one can be begun.
    fn appendable(&self, bucket: &Handle, key: &str) -> Answer<Option<&Arc<Object>>> {
        match self.check(bucket)?.chains.get(key).map(|chain| &chain[0]) {
            Some(object) if object.marker || object.kind != ObjectKind::Appendable => {
                Err("ObjectNotAppendable")
            }
            found => Ok(found),
        }
    }

    /// One of the keys that can be appended to.
    pub fn some_that_grows(&self, bucket: &Handle, at: usize) -> Option<String> {
        let its = &self.check(bucket).ok()?.chains;
        let grows = |chain: &super::Chain| chain[0].kind == ObjectKind::Appendable && !chain[0].marker;
        let keys: Vec<_> = its.iter().filter(|(_, chain)| grows(chain)).map(|(key, _)| key).collect();
        keys.get(at % keys.len().max(1)).map(|key| key.to_string())
    }

    pub fn append_position(&self, bucket: &Handle, key: &str) -> Answer<u64> {
        check_key(key)?;
        Ok(self.appendable(bucket, key)?.map_or(0, |object| object.body.len() as u64))
    }

    /// What there is of a growing object behind a position, which may be beyond its end.
    pub fn grown_behind(&self, bucket: &Handle, key: &str, position: u64) -> Answer<Vec<u8>> {
        check_key(key)?;
        let object = self.appendable(bucket, key)?.ok_or(NO_KEY)?;
        if position < object.body.len() as u64 {
            object.check_readable(self.now)?;
        }
        Ok(object.body.get(position as usize..).unwrap_or_default().to_vec())
    }

    pub fn append(
        &mut self,
        bucket: &Handle,
        key: &str,
        position: u64,
        body: &[u8],
        dress: &Dress,
    ) -> Answer<Grown> {
        self.alone(|steps| steps.append(bucket, key, position, body, dress))
    }

    /// Makes a key stand for another one.
    pub fn symlink(
        &mut self,
        bucket: &Handle,
        key: &str,
        target: &str,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        self.alone(|steps| steps.symlink(bucket, key, target, dress, wants))
    }

    /// What reading an object gives: of a link, body and digests of its target, and the later of the two times.
    pub fn follow(&self, bucket: &Handle, object: &Arc<Object>) -> Answer<Arc<Object>> {
        let Some(target) = &object.target else {
            return Ok(object.clone());
        };
        let found = self.check(bucket)?.current(target).ok_or("SymlinkTargetNotExist")?;
        if found.kind == ObjectKind::Symlink {
            return Err("InvalidTargetType");
        }
        Ok(Arc::new(Object {
            body: found.body.clone(),
            etag: found.etag.clone(),
            digests: found.digests,
            modified: object.modified.max(found.modified),
            behind: Some(found.clone()),
            ..Object::clone(object)
        }))
    }

    pub fn read_link(&self, bucket: &Handle, key: &str, which: &Which) -> Answer<String> {
        self.carried(bucket, key, which, None)?.target.clone().ok_or("NotSymlink")
    }
}

impl Steps {
    /// An append reads: what could not be made before is told now.
    pub fn append(
        &mut self,
        bucket: &Handle,
        key: &str,
        position: u64,
        body: &[u8],
        dress: &Dress,
    ) -> Answer<Grown> {
        self.read()?;
        check_key(key)?;
        dress.class.map_or(Ok(()), |class| check_class(ObjectKind::Appendable, class))?;
        let checked = dress.check()?;
        if position != self.scratch.append_position(bucket, key)? {
            return Err("PositionNotEqualToLength");
        }
        let now = self.scratch.now;
        self.scratch.appendable(bucket, key)?.map_or(Ok(()), |object| object.check_readable(now))?;
        let mut chain = self.scratch.chain(bucket, key).to_vec();
        let old = chain.first().cloned();
        let versioned = self.scratch.keeps_versions(bucket);
        if let Some(old) = &old {
            old.guard(now)?;
            if body.is_empty() {
                return Ok(Grown::of(old, versioned, false));
            }
        }
        let is_dressed =
            checked.clone().begin(Default::default()) != Attributes::default() || dress.class.is_some();
        let mut object = match &old {
            Some(old) => Object::clone(old),
            None => Object::appendable(now, self.lsn()),
        };
        // What is given counts until there is a first byte.
        if old.is_none() || (is_dressed && object.body.is_empty()) {
            let class = dress.class.unwrap_or(self.scratch.check(bucket)?.class);
            check_class(ObjectKind::Appendable, class)?;
            let (retention, hold) = (object.dressed.retention, object.dressed.hold);
            object.dressed = Attributes { retention, hold, ..checked.begin(class) };
        }
        object.body = [&object.body[..], body].concat().into();
        let (sum, len) = (crc64(&object.body), object.body.len() as u64);
        object.digests.crc64 = Some(sum);
        object.etag = format!("{sum:016X}{len:016X}");
        object.modified = now;
        object.parts += 1;
        let grown = Grown::of(&object, versioned, true);
        match chain.first_mut() {
            Some(first) => *first = Arc::new(object),
            None => chain.push(Arc::new(object)),
        }
        self.make(vec![(bucket.id, key.to_string(), chain)], Some(bucket.id))?;
        Ok(grown)
    }

    pub fn append_position(&mut self, bucket: &Handle, key: &str) -> Answer<u64> {
        check_key(key)?;
        self.read()?;
        self.scratch.append_position(bucket, key)
    }

    pub fn symlink(
        &mut self,
        bucket: &Handle,
        key: &str,
        target: &str,
        dress: &Dress,
        wants: &Wants,
    ) -> Answer<Made> {
        check_key(key)?;
        check_key(target)?;
        dress.class.map_or(Ok(()), |class| check_class(ObjectKind::Symlink, class))?;
        let checked = dress.check()?;
        let decided = self.decide_symlink((bucket, key), target, (dress.class, checked), wants);
        self.note(decided)
    }

    fn decide_symlink(
        &mut self,
        (bucket, key): (&Handle, &str),
        target: &str,
        (class, checked): (Option<StorageClass>, Checked),
        wants: &Wants,
    ) -> Answer<Made> {
        let its = self.scratch.check(bucket)?;
        wants.check(its.current(key).map(|object| &**object))?;
        check_class(ObjectKind::Symlink, class.unwrap_or(its.class))?;
        let link = Object {
            marker: false,
            kind: ObjectKind::Symlink,
            target: Some(target.to_string()),
            etag: etag(format!("symlink\0{target}").as_bytes()),
            dressed: checked.begin(its.class),
            ..Object::marker(self.scratch.now, self.lsn())
        };
        self.push((bucket, key), link, wants, Vec::new())
    }
}

impl Grown {
    fn of(object: &Object, versioned: bool, is_change: bool) -> Grown {
        Grown {
            next_position: object.body.len() as u64,
            crc64: crc64(&object.body),
            etag: object.etag.clone(),
            version: versioned.then(|| object.name.clone()),
            is_change,
        }
    }
}

impl Object {
    /// An object of no bytes that can be appended to. It is the null version.
    fn appendable(now: u64, lsn: u64) -> Object {
        Object { marker: false, kind: ObjectKind::Appendable, ..Object::marker(now, lsn) }
    }
}
