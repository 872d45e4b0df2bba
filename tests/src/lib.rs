//! Shared test support: ledgers in memory and on disk, signed filings, the real programs.

pub mod bodies;
pub mod browser;
pub mod chromium;
pub mod data_source;
pub mod drill;
pub mod eventstore;
pub mod http;
pub mod ledger;
pub mod node;
pub mod register;
pub mod sample;
pub mod server;
pub mod signing;
pub mod vectors;
