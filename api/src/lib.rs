//! How people and programs reach the ledger: the command line, HTTP, the page.
//!
//! Everything that is decided is decided in `domain` and recorded by `infra`; this crate
//! translates: texts into filings, questions into reads, refusals into status codes.

#[allow(warnings)]
mod stub;
mod ledger {
    pub use crate::stub::{Ledger, Receipt, SignedHead, SubmitError};
}
