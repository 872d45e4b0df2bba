//! The world around the core: stores, sequencer, projections, clock, randomness, keys on
//! disk.
//!
//! `domain` decides; this crate holds the bytes, the time and the files. No HTTP and no
//! configuration here: those are `api`'s.

pub mod backup;
pub mod clock;
mod commit;
pub mod cqrs;
pub mod entropy;
pub mod export;
pub mod fsck;
pub mod high_water;
pub mod keystore;
pub mod ledger;
pub mod migrate;
pub mod projection;
pub mod receipt;
pub mod sequencer;
mod standby;
pub mod store;
#[cfg(any(test, feature = "contract"))]
pub mod testing;
pub mod trust;
