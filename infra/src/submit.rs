//! What whoever files is told when there is no receipt.

use std::sync::Arc;

use greffe_domain::refusal::{Refusal, RefusalCode as C};

use crate::store::Fault;

/// Why a filing was not recorded, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was recorded: the same filing may be sent again.
    #[error("the filing was not recorded")]
    NotRecorded(#[source] Arc<Fault>),
    /// It may have been recorded: sending the same bytes again is safe and tells.
    #[error("it is not known whether the filing was recorded")]
    Unknown(#[source] Arc<Fault>),
}

pub fn read_only() -> Refusal {
    Refusal::new(
        C::ReadOnly,
        "ce registre est ouvert en lecture seule : un autre serveur y écrit",
        "this ledger is open read-only: another server writes it",
    )
}
