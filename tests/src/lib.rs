//! Shared test support.

pub mod ledger;
pub mod node;
pub mod sample;
pub mod vectors;
