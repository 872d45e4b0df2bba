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
mod entry;
pub mod export;
pub mod fsck;
pub mod high_water;
pub mod keystore;
mod late_index;
pub mod ledger;
pub mod load;
pub mod migrate;
pub mod projection;
pub mod published;
pub mod receipt;
mod recent;
mod rows;
mod running;
pub mod sequencer;
mod standby;
pub mod store;
pub mod submit;
#[cfg(any(test, feature = "contract"))]
pub mod testing;
pub mod trust;
