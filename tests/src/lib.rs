//! Shared test support.

pub mod ledger;
pub mod sample;
