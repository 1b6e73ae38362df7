//! Behaviour of the public face, one module a theme.

mod rebuild;
mod smoke;
