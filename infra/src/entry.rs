//! An entry decided and linked, as it is known in memory until somebody needs its row.

use std::sync::{Arc, LazyLock};

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::Hash32;
use greffe_domain::event::{Event, Filed};
use greffe_domain::seal::{FilingRef, Position, StreamRef};
use serde_json::Value;

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

impl Entry {
    /// The same, but of an access without its body as it was signed: memory that only the
    /// leaf is made of.
    pub fn to_keep(&self) -> Self {
        static NOTHING: LazyLock<Arc<Value>> = LazyLock::new(Arc::default);
        let event = match &*self.event {
            Event::Filed(filed) if filed.body.access().is_some() => {
                let signed = Arc::clone(&NOTHING);
                Arc::new(Event::Filed(Filed { signed, ..filed.clone() }))
            }
            _ => Arc::clone(&self.event),
        };
        Self {
            event,
            stream: self.stream.clone(),
            filing: self.filing,
            time: self.time,
            position: self.position,
            link: self.link,
            rulebook: self.rulebook,
            valid_until: self.valid_until,
        }
    }
}
