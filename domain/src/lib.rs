//! The pure core of Greffe: what a filing says, what the ledger records, what the
//! register was, and whether an access was covered.
//!
//! Nothing here reads a clock, draws a random number, opens a file or waits: `now`, the
//! author, nonces and the rulebook are handed in. The verifier is built on this crate alone.

pub mod aggregate;
pub mod body;
pub mod command;
pub mod date;
pub mod differencing;
pub mod edtf;
pub mod encoding;
pub mod event;
pub mod filing;
pub mod identifier;
pub mod json;
pub mod key;
pub mod kind;
pub mod receipt;
pub mod refusal;
pub mod register;
pub mod rules;
pub mod schema;
pub mod sdjwt;
pub mod seal;
pub mod subject;
pub mod trust;
pub mod verdict;
pub mod vocabulary;
