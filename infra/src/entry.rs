//! An entry decided and linked, as it is known in memory until somebody needs its row.

use std::sync::Arc;

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::Hash32;
use greffe_domain::event::Event;
use greffe_domain::seal::{FilingRef, Position, StreamRef};

pub(crate) struct Entry {
    /// With every disclosure of its filing.
    pub event: Arc<Event>,
    pub stream: StreamRef,
    pub filing: Option<FilingRef>,
    pub time: Timestamp,
    pub position: Position,
    pub link: Hash32,
    /// Version of the rules it was decided under.
    pub rulebook: &'static str,
    pub valid_until: Option<LegalDate>,
}
