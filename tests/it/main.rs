//! Behaviour of the public face, one module a theme.

mod compacting;
mod smoke;
