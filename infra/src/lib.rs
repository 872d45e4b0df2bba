//! The world around the core: stores, sequencer, projections, clock, randomness, keys on
//! disk.
//!
//! `domain` decides; this crate holds the bytes, the time and the files. No HTTP and no
//! configuration here: those are `api`'s.

pub mod placeholder;
pub mod store;
