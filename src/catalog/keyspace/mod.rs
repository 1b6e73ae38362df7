//! The keys of the catalog: how they are built, which rows they lead to, and how a bucket is seen through its layers.

pub mod bucket_view;
pub mod keys;
pub mod route;
pub mod rows;
