//! The pure core of Greffe: what a filing says, what the ledger records, what the
//! register was, and whether an access was covered.
//!
//! Nothing here reads a clock, draws a random number, opens a file or waits: `now`, the
//! author, nonces and the rulebook are handed in. The verifier is built on this crate alone.

pub mod date;
pub mod edtf;
pub mod json;
pub mod refusal;
