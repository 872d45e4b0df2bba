//! The words entries are found by: parties, processings, sites, codes, types.
//!
//! A word is known by a small id; most have a list of positions (`postings`). The writer
//! keeps all of them in memory, readers ask the table.

use std::collections::HashMap;
use std::sync::Arc;

use greffe_domain::verdict::{Evidence, Outcome, Severity};
use greffe_domain::vocabulary::RuleCode;
use rusqlite::{Connection, params};

use crate::rows;

/// What a word stands for. Numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub(super) enum Facet {
    EventType = 0,
    /// Filed, disclosed or received.
    Party = 1,
    StreamType = 2,
    /// `type/id`, of streams whose id is not the entry's own position.
    Stream = 3,
    /// A site's id or its SIRET.
    Site = 4,
    Processing = 5,
    Experiment = 6,
    Purpose = 7,
    Outcome = 8,
    Finding = 9,
    Category = 10,
    Basis = 11,
    Regime = 12,
    Role = 13,
    Severity = 14,
    Evidence = 15,
    /// What accesses cite as their basis.
    Cited = 16,
}

impl Facet {
    /// Whether entries are listed under it. Each list costs an insert for every entry: the
    /// others are read from the rows that the listed ones lead to.
    fn is_listed(self) -> bool {
        use Facet as F;
        matches!(
            self,
            F::EventType
                | F::Party
                | F::Stream
                | F::Site
                | F::Processing
                | F::Purpose
                | F::Outcome
                | F::Finding
        )
    }
}

/// In the order of their numbers.
const FACETS: [Facet; 17] = [
    Facet::EventType,
    Facet::Party,
    Facet::StreamType,
    Facet::Stream,
    Facet::Site,
    Facet::Processing,
    Facet::Experiment,
    Facet::Purpose,
    Facet::Outcome,
    Facet::Finding,
    Facet::Category,
    Facet::Basis,
    Facet::Regime,
    Facet::Role,
    Facet::Severity,
    Facet::Evidence,
    Facet::Cited,
];

struct Word {
    facet: Facet,
    text: Arc<str>,
    entries: i64,
    changed: bool,
}

/// All words, as the writer knows them.
#[derive(Default)]
pub(super) struct Words {
    ids: [HashMap<Arc<str>, i64>; FACETS.len()],
    /// By id: the first has id 1.
    words: Vec<Word>,
    /// Ids whose row is to be written.
    changed: Vec<i64>,
    /// Positions to be written.
    postings: Vec<(i64, i64)>,
}

fn index(id: i64) -> usize {
    usize::try_from(id - 1).expect("ids start at 1")
}

impl Words {
    /// Errors: those of the database, and a list with a gap or a facet it does not know.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut words = Self::default();
        let mut statement =
            connection.prepare("SELECT id, facet, text, entries FROM words ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, facet): (i64, i64) = (row.get(0)?, row.get(1)?);
            let facet = FACETS.into_iter().find(|f| *f as i64 == facet);
            let facet = facet.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, id))?;
            let text: Arc<str> = row.get(2)?;
            words.words.push(Word {
                facet,
                text: Arc::clone(&text),
                entries: row.get(3)?,
                changed: false,
            });
            if id != words.words.len() as i64 {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, id));
            }
            words.ids[facet as usize].insert(text, id);
        }
        // What a judge can say has its ids from the start: they then do not depend on when
        // something was first found, which an erasure can change.
        for code in RuleCode::all() {
            words.id(Facet::Finding, code.as_str());
        }
        for outcome in Outcome::ALL {
            words.id(Facet::Outcome, outcome.as_str());
        }
        for severity in Severity::ALL {
            words.id(Facet::Severity, severity.as_str());
        }
        for evidence in Evidence::ALL {
            words.id(Facet::Evidence, evidence.as_str());
        }
        Ok(words)
    }

    /// The id of a word that somebody has had.
    pub fn find(&self, facet: Facet, text: &str) -> Option<i64> {
        self.ids[facet as usize].get(text).copied()
    }

    /// The word of an id that this list gave.
    pub fn text(&self, id: i64) -> Option<&str> {
        self.words.get(usize::try_from(id).ok()?.checked_sub(1)?).map(|word| &*word.text)
    }

    /// Ids of every word of a facet.
    pub fn all(&self, facet: Facet) -> Vec<i64> {
        self.ids[facet as usize].values().copied().collect()
    }

    /// The id of a word; counts nothing.
    pub fn id(&mut self, facet: Facet, text: &str) -> i64 {
        let ids = &mut self.ids[facet as usize];
        if let Some(id) = ids.get(text) {
            return *id;
        }
        let text: Arc<str> = Arc::from(text);
        self.words.push(Word { facet, text: Arc::clone(&text), entries: 0, changed: true });
        let id = self.words.len() as i64;
        self.changed.push(id);
        ids.insert(text, id);
        id
    }

    /// The id of a word that the entry at `position` has. To be called once for each entry
    /// and word.
    pub fn have(&mut self, facet: Facet, text: &str, position: i64) -> i64 {
        let id = self.id(facet, text);
        self.have_id(id, position);
        id
    }

    /// The same of a word whose id this list gave.
    pub fn have_id(&mut self, id: i64, position: i64) {
        let word = &mut self.words[index(id)];
        word.entries += 1;
        if !word.changed {
            word.changed = true;
            self.changed.push(id);
        }
        if word.facet.is_listed() {
            self.postings.push((id, position));
        }
    }

    /// Writes what changed. Should the caller's transaction fail, these words are to be
    /// loaded again.
    pub fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO words (id, facet, text, entries) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET entries = excluded.entries",
        )?;
        for id in self.changed.drain(..) {
            let word = &mut self.words[index(id)];
            insert.execute(params![id, word.facet as i64, word.text, word.entries])?;
            word.changed = false;
        }
        // In key order each page is visited once.
        self.postings.sort_unstable();
        let columns = "word, position";
        rows::insert_pairs(connection, rows::OR_ROLLBACK, "postings", columns, &self.postings)?;
        self.postings.clear();
        Ok(())
    }
}
