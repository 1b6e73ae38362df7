//! Climates: the same script in a sealed store, in a colder class, or with its tiers in a directory of their own.

use ossicle::StorageClass::{self, Archive, InfrequentAccess, Standard};

use super::script::{Body, Op, Script, Step};
use super::upload::Uploading;
use super::world::{APART, SEALED};

/// What is different about a store, and about what a script writes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climate {
    /// Whether the store is encrypted.
    pub sealed: bool,
    /// The class of every body of which the script says none.
    pub class: StorageClass,
    /// Whether the tiers of the colder classes lie in another directory.
    pub apart: bool,
}

impl Climate {
    /// All but the one in which nothing is different.
    pub const ALL: [Climate; 8] = [
        Climate { sealed: true, class: Standard, apart: false },
        Climate { sealed: false, class: InfrequentAccess, apart: false },
        Climate { sealed: true, class: Archive, apart: false },
        Climate { sealed: false, class: Archive, apart: true },
        Climate { sealed: true, class: InfrequentAccess, apart: true },
        Climate { sealed: false, class: Archive, apart: false },
        Climate { sealed: true, class: InfrequentAccess, apart: false },
        Climate { sealed: true, class: Archive, apart: true },
    ];

    /// The climates that the script of this number is tried in beside the usual one: one sealed, one in a colder class
    /// that is not. Neighbours get others.
    pub fn of_script(number: usize) -> [Climate; 2] {
        let pick = |sealed: bool| {
            let fit: Vec<Climate> =
                Climate::ALL.into_iter().filter(|climate| climate.sealed == sealed).collect();
            fit[number % fit.len()]
        };
        [pick(true), pick(false)]
    }

    /// A seed of a world of this climate.
    pub fn seed(&self, seed: u64) -> u64 {
        seed | if self.sealed { SEALED } else { 0 } | if self.apart { APART } else { 0 }
    }

    /// The script with its bodies in this class, and with maintenance where they would move. What is frozen is restored
    /// before it is copied, so that there is something to copy.
    pub fn script(&self, script: &Script) -> Script {
        let mut ops = Vec::new();
        for op in &script.ops {
            if matches!(op, Op::Compact | Op::Checkpoint) && self.class != Standard {
                ops.push(Op::Maintain);
            }
            if let Op::Do(Step::Copy { from, .. }, _) = op
                && self.class.is_archive()
            {
                ops.push(Op::Restore { bucket: from.0, key: from.1.clone() });
            }
            ops.push(self.op(op));
        }
        if self.class != Standard {
            ops.push(Op::Maintain);
        }
        Script { name: script.name, ops }
    }

    fn op(&self, op: &Op) -> Op {
        let mut op = op.clone();
        match &mut op {
            Op::Do(step, _) => self.step(step),
            Op::Together { steps, reads, .. } => {
                steps.iter_mut().for_each(|step| self.step(step));
                // What is frozen is not read, in its own transaction neither.
                *reads &= !self.class.is_archive();
            }
            Op::Stream { body, .. } => self.body(body),
            // Nothing is appended to what is frozen.
            Op::Append { body, .. } if !self.class.is_archive() => self.body(body),
            Op::Upload { what, .. } if matches!(what, Uploading::Begin) => {
                *what = Uploading::BeginIn(self.class);
            }
            _ => {}
        }
        op
    }

    fn step(&self, step: &mut Step) {
        if let Step::Put { body, .. } = step {
            self.body(body);
        }
    }

    fn body(&self, body: &mut Body) {
        if self.class != Standard {
            body.class.get_or_insert(self.class);
        }
    }
}
