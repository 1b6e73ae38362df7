//! Random histories, held against an ordered map of the standard library.

use std::collections::BTreeMap;

use super::*;

type Model = BTreeMap<Vec<u8>, Kept>;

/// Keys that are prefixes of each other, that hold extreme bytes, that share long prefixes, or are as long as can be.
fn key(dice: &mut Dice, keys: u64) -> Vec<u8> {
    let n = dice.below(keys);
    match n % 8 {
        0 => vec![0xff; (n % 37) as usize],
        1 => vec![0; (n % 41) as usize],
        2 => [&vec![b'k'; MAX_KEY - 2][..], &(n as u16).to_be_bytes()].concat(),
        3 => [&b"bucket/a/very/common/prefix/"[..], n.to_string().as_bytes(), &[0xff]].concat(),
        4 => n.to_string().into_bytes(),
        5 => (n as u32).to_be_bytes().to_vec(),
        6 => [vec![b'p'; (n % 300) as usize], vec![0xff, (n % 5) as u8]].concat(),
        _ => [&b"bucket/"[..], &n.to_be_bytes()].concat(),
    }
}

fn item(dice: &mut Dice, lsn: u64) -> Kept {
    let len = match dice.below(20) {
        0 => MAX_VALUE as u64,
        1..3 => dice.below(MAX_VALUE as u64),
        _ => dice.below(60),
    };
    let slot = if dice.below(3) == 0 { TOMBSTONE_SLOT } else { dice.below(5) as u8 };
    let mut item = Kept::new(lsn, slot, vec![lsn as u8; len as usize]);
    item.weight.bytes = dice.below(1 << 40);
    item
}

fn totals(model: &Model, start: &[u8], end: Option<&[u8]>) -> Totals {
    let mut totals = Totals::default();
    let inside = |key: &Vec<u8>| &key[..] >= start && end.is_none_or(|end| &key[..] < end);
    model.iter().filter(|(key, _)| inside(key)).for_each(|(_, item)| totals.add(item.weight));
    totals
}

fn assert_same(index: &Index, model: &Model, dice: &mut Dice, keys: u64) {
    for _ in 0..20 {
        let key = key(dice, keys);
        assert_eq!(index.get(&key).unwrap().map(|item| Kept::of(&item)), model.get(&key).cloned());
        let (start, end) = (self::key(dice, keys), self::key(dice, keys));
        let end = (dice.below(4) > 0).then_some(&end[..]);
        assert_eq!(index.totals(&start, end).unwrap(), totals(model, &start, end));
    }
    assert_eq!(index.totals(&[], None).unwrap(), totals(model, &[], None));
    assert_walk(index, model, dice, keys);
}

/// Walks to and fro from a random key, with and without tombstones.
fn assert_walk(index: &Index, model: &Model, dice: &mut Dice, keys: u64) {
    let all = dice.below(2) == 0;
    let shown: Vec<(&Vec<u8>, &Kept)> = model.iter().filter(|(_, item)| all || !item.tombstone).collect();
    let mut cursor = if all { index.cursor().with_tombstones() } else { index.cursor() };
    let from = key(dice, keys);
    let mut at = shown.partition_point(|(key, _)| **key < from) as isize;
    match dice.below(4) {
        0 => {
            cursor.seek_last().unwrap();
            at = shown.len() as isize - 1;
        }
        1 => {
            cursor.seek_last_before(&from).unwrap();
            at -= 1;
        }
        2 => {
            cursor.next().unwrap();
            at = 0;
        }
        _ => cursor.seek(&from).unwrap(),
    }
    let mut forward = true;
    for _ in 0..120 {
        at = at.clamp(-1, shown.len() as isize);
        let expected = shown.get(at as usize).map(|(key, item)| (&key[..], (*item).clone()));
        let found = cursor.key().map(|key| (key, Kept::of(&cursor.item().unwrap().unwrap())));
        assert_eq!(found, expected);
        if dice.below(6) == 0 {
            forward = !forward;
        }
        if forward {
            cursor.next().unwrap();
            at += 1;
        } else {
            cursor.prev().unwrap();
            at -= 1;
        }
    }
}

fn assert_all_same(index: &Index, model: &Model) {
    let mut cursor = index.cursor().with_tombstones();
    let mut forward = Vec::new();
    cursor.next().unwrap();
    while let Some(key) = cursor.key() {
        forward.push((key.to_vec(), Kept::of(&cursor.item().unwrap().unwrap())));
        cursor.next().unwrap();
    }
    assert!(forward.iter().map(|(key, item)| (key, item)).eq(model.iter()));
}

struct World {
    file: Arc<dyn File>,
    mode: ReadMode,
    pages: Arc<PageFile>,
    index: Index,
    model: Model,
    lsn: u64,
    durable: (Option<RootPtr>, Model),
    frozen: Option<Model>,
    snapshots: Vec<(Index, Model)>,
}

impl World {
    fn new(file: Arc<dyn File>, mode: ReadMode) -> World {
        let pages = open(&file, mode);
        let index = Index::new(pages.tree(None).unwrap());
        let (model, snapshots) = (Model::new(), Vec::new());
        World {
            file,
            mode,
            pages,
            index,
            model,
            lsn: 0,
            durable: (None, Model::new()),
            frozen: None,
            snapshots,
        }
    }

    fn write(&mut self, dice: &mut Dice, keys: u64, count: u64) {
        let mut work = (self.index.clone(), self.model.clone());
        for _ in 0..count {
            self.lsn += 1;
            let (key, item) = (key(dice, keys), item(dice, self.lsn));
            let (mut seen, mut calls) = (None, 0);
            work.0
                .put(&key, item.as_new(), &mut |old| {
                    seen = old.map(Kept::of);
                    calls += 1;
                })
                .unwrap();
            assert_eq!((calls, seen), (1, work.1.insert(key, item)));
        }
        // A commit group that fails is undone by dropping its clone.
        if dice.below(5) > 0 {
            (self.index, self.model) = work;
        }
    }

    fn checkpoint(&mut self, dice: &mut Dice) {
        if self.index.frozen.is_none() {
            self.index.freeze();
            self.frozen = Some(self.model.clone());
            return;
        }
        let drop_some = dice.below(2) == 0;
        let mut gone = Vec::new();
        let merged = merge(&self.index.tree, self.index.frozen.as_ref().unwrap(), &mut |key, item| {
            assert!(item.tombstone);
            let drops = drop_some && key.last().is_some_and(|byte| byte % 2 == 0);
            if drops {
                gone.push(key.to_vec());
            }
            drops
        })
        .unwrap();
        if dice.below(4) == 0 {
            merged.abandon();
            return;
        }
        let mut model = self.frozen.take().unwrap();
        for key in gone {
            let old = model.remove(&key).expect("a tombstone that is dropped was there");
            if self.model.get(&key) == Some(&old) {
                self.model.remove(&key);
            }
        }
        self.durable = (merged.tree.root(), model);
        let (tree, dropped) = merged.publish();
        self.index.settle(tree, &dropped);
        assert_sound(&self.index.tree);
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        self.pages = open(&self.file, self.mode);
        self.index = Index::new(self.pages.tree(self.durable.0).unwrap());
        self.model = self.durable.1.clone();
        self.frozen = None;
        assert_sound(&self.index.tree);
    }
}

fn history(seed: u64, file: Arc<dyn File>, mode: ReadMode, steps: u64, keys: u64) {
    let dice = &mut Dice(seed);
    let mut world = World::new(file, mode);
    for _ in 0..steps {
        match dice.below(20) {
            0..10 => {
                let count = if dice.below(8) == 0 { 400 } else { 30 };
                world.write(dice, keys, count);
            }
            10..14 => world.checkpoint(dice),
            14..16 => world.snapshots.push((world.index.clone(), world.model.clone())),
            16 if !world.snapshots.is_empty() => {
                let chosen = dice.below(world.snapshots.len() as u64) as usize;
                let (index, model) = world.snapshots.swap_remove(chosen);
                assert_all_same(&index, &model);
                assert_same(&index, &model, dice, keys);
            }
            17 if dice.below(4) == 0 => world.reopen(),
            _ => assert_same(&world.index, &world.model, dice, keys),
        }
    }
    assert_all_same(&world.index, &world.model);
    for (index, model) in &world.snapshots {
        assert_all_same(index, model);
    }
}

#[test]
fn random_histories_agree_through_a_map() {
    for seed in 0..8 {
        history(seed, mapped_file(), ReadMode::Map, 300, 3000);
    }
}

#[test]
fn random_histories_agree_with_positioned_reads() {
    for seed in 100..108 {
        history(seed, mapped_file(), ReadMode::Positioned { cache_bytes: 40 * PAGE }, 300, 400);
    }
}

#[test]
fn random_histories_agree_on_a_file_that_cannot_be_mapped() {
    for seed in 200..206 {
        history(seed, Arc::new(PlainFile::default()), ReadMode::Map, 300, 20_000);
    }
}
