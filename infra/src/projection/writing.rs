//! What the rows of one batch are written with: its transaction, and the rows that wait to be
//! inserted together.

use std::collections::BTreeSet;
use std::sync::RwLock;

use greffe_domain::encoding::Hash32;
use rusqlite::Connection;

use super::counts::Counts;
use super::subjects::{Added, Keys};
use super::words::Words;
use crate::rows::Pending;

const ENTRIES: &str = "position, event_type, iss, stream_type, stream_id, recorded";
const ACCESSES: &str = "position, earliest, latest, recorded, event_type, iss, recipient, role, \
     site, siret, discloser, processing, experiment, purpose, outcome, regime, categories, bases, \
     cited, forgotten, cohort, now_outcome, now_since";
pub(super) const FINDINGS: &str = "position, ordinal, code, severity, evidence, positions, since, \
     until, then_severity, then_evidence";

/// A batch being written: what its rows are written with, and those that wait to be inserted
/// together.
pub(super) struct Writing<'a> {
    pub connection: &'a Connection,
    pub words: &'a mut Words,
    pub counts: Counts,
    pub subjects: Added<'a>,
    pub entries: Pending<6>,
    pub accesses: Pending<23>,
    pub findings: Pending<10>,
}

impl<'a> Writing<'a> {
    pub fn new(
        connection: &'a Connection,
        words: &'a mut Words,
        keys: &'a RwLock<Keys>,
        erased: BTreeSet<Hash32>,
    ) -> Self {
        Self {
            connection,
            words,
            counts: Counts::default(),
            subjects: Added::new(keys, erased),
            entries: Pending::new("entries", ENTRIES),
            accesses: Pending::new("accesses", ACCESSES),
            findings: Pending::new("findings", FINDINGS),
        }
    }

    /// Inserts what waits: before rows are read or changed that may be among it.
    pub fn flush(&mut self) -> rusqlite::Result<()> {
        self.entries.flush(self.connection)?;
        self.accesses.flush(self.connection)?;
        self.findings.flush(self.connection)?;
        self.subjects.flush(self.connection)?;
        self.words.write(self.connection)
    }
}
