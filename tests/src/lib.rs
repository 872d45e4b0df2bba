//! Shared test support.

pub mod bodies;
pub mod ledger;
pub mod node;
pub mod register;
pub mod sample;
pub mod vectors;
