//! The tree: pages in a file, and how they are built, found and used again.

pub mod builder;
pub mod cache;
pub mod cursor;
pub mod packer;
pub mod pages;
pub mod space;
pub mod tree;
