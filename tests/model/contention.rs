//! Many threads on one store at once.
