//! `tour`: stub under construction.
use std::io::Write;
use std::path::Path;
use super::args::TourArgs;
use super::failure::Failure;
pub fn command(_: Option<&Path>, _: &TourArgs, _: &mut dyn Write) -> Result<(), Failure> { Ok(()) }
