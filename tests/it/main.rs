//! Behaviour of the public face, one module a theme.

mod descending;
mod smoke;
