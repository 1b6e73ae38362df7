//! Verbs on one object.

pub mod attributes;
pub mod body_in;
pub mod body_out;
pub mod delete;
pub mod envelope;
pub mod get;
pub mod get_options;
pub mod new_version;
pub mod put;
pub mod restore;
pub mod symlink;
pub mod writing;
