//! What is to be committed: proposals, the queue they wait in, their layout in the log, and the ledger of live bytes.

pub mod layout;
pub mod ledger;
pub mod outcome;
pub mod proposal;
pub mod queue;
