//! The words entries are found by: parties, processings, sites, codes, types.
//!
//! A word is known by a small id; most have a list of positions (`postings`). The writer
//! keeps all of them in memory, readers ask the table.

use std::collections::HashMap;

use rusqlite::{Connection, params};

/// What a word stands for. Numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

impl Facet {
    /// Whether entries are listed under it. Words of the others are few and unselective.
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

struct Word {
    id: i64,
    entries: i64,
    changed: bool,
}

/// All words, as the writer knows them.
#[derive(Default)]
pub(super) struct Words {
    by_facet: HashMap<Facet, HashMap<String, Word>>,
    next: i64,
    /// Positions not yet written, of this transaction.
    postings: Vec<(i64, u64)>,
}

const FACETS: [Facet; 16] = [
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
];

impl Words {
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut words = Self { next: 1, ..Self::default() };
        let mut statement = connection.prepare("SELECT id, facet, text, entries FROM words")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, facet): (i64, i64) = (row.get(0)?, row.get(1)?);
            let Some(facet) = FACETS.into_iter().find(|f| *f as i64 == facet) else { continue };
            let word = Word { id, entries: row.get(3)?, changed: false };
            words.by_facet.entry(facet).or_default().insert(row.get(2)?, word);
            words.next = words.next.max(id + 1);
        }
        Ok(words)
    }

    fn word(&mut self, facet: Facet, text: &str) -> &mut Word {
        let words = self.by_facet.entry(facet).or_default();
        if !words.contains_key(text) {
            let word = Word { id: self.next, entries: 0, changed: true };
            self.next += 1;
            words.insert(text.to_owned(), word);
        }
        words.get_mut(text).expect("it was there, or has just been put there")
    }

    /// The id of a word; counts nothing.
    pub fn id(&mut self, facet: Facet, text: &str) -> i64 {
        self.word(facet, text).id
    }

    /// The id of a word that the entry at `position` has; once for each entry and word.
    pub fn have(&mut self, facet: Facet, text: &str, position: u64) -> i64 {
        let word = self.word(facet, text);
        word.entries += 1;
        word.changed = true;
        let id = word.id;
        if facet.is_listed() {
            self.postings.push((id, position));
        }
        id
    }

    /// Writes what changed. The caller's transaction must succeed, or these words must be
    /// loaded again.
    pub fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO words (id, facet, text, entries) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (id) DO UPDATE SET entries = excluded.entries",
        )?;
        for (facet, words) in &mut self.by_facet {
            for (text, word) in words.iter_mut().filter(|(_, w)| w.changed) {
                insert.execute(params![word.id, *facet as i64, text, word.entries])?;
                word.changed = false;
            }
        }
        // In key order each page is visited once.
        self.postings.sort_unstable();
        let mut insert = connection.prepare_cached("INSERT INTO postings VALUES (?1, ?2)")?;
        for (word, position) in self.postings.drain(..) {
            insert.execute(params![word, position as i64])?;
        }
        Ok(())
    }
}
