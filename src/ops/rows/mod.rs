//! Rows of the application: small values beside the objects.

pub mod range;
pub mod rows;
