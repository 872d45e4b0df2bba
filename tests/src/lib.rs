//! Shared test support: ledgers in memory and on disk, signed filings, the real programs.

pub mod http;
pub mod ledger;
pub mod node;
pub mod sample;
pub mod server;
pub mod signing;
pub mod vectors;
