//! The command line tool `ossicle`.

fn main() {}
