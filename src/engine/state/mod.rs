//! What an open store is made of: the engine, its views, and what each part of it remembers.

pub mod checkpointing;
pub mod engine;
pub mod feed;
pub mod in_flight;
pub mod reader;
pub mod room;
pub mod settings;
pub mod writer;
