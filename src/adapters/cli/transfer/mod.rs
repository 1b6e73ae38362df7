//! Trees of files: `import` and `export`.

pub(super) mod export;
pub(super) mod file_attributes;
pub(super) mod import;
pub(super) mod import_job;
mod roots;
pub(super) mod safe_dir;
pub(super) mod sparse;
pub(super) mod tree;
