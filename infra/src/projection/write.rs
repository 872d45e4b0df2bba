//! Rows of the projections: one transaction for the rows of a batch and for how far it goes.

use std::collections::BTreeSet;
use std::sync::RwLock;

use greffe_domain::body::{Access, Body};
use greffe_domain::encoding::Hash32;
use greffe_domain::event::Filed;
use greffe_domain::rules::CURRENT;
use greffe_domain::rules::again::Stood;
use rusqlite::{Connection, OptionalExtension, params};

use super::again::{self, Source};
use super::counts::{self, Counted};
use super::read::{ReadEntry, digest};
use super::row::{WriteError, day_number, int};
use super::subjects::{Keys, Settled};
use super::words::{Facet, Words};
use super::writing::Writing;

/// How far the projections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    pub origin: String,
    pub size: u64,
    pub link: Hash32,
    /// Version of the rules that judged what stands now.
    pub rules: String,
}

pub(super) fn read_progress(connection: &Connection) -> rusqlite::Result<Option<Progress>> {
    connection
        .query_row("SELECT origin, size, link, rules FROM progress", [], |row| {
            let size: i64 = row.get(1)?;
            Ok(Progress {
                origin: row.get(0)?,
                size: u64::try_from(size)
                    .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(1, size))?,
                link: Hash32(row.get(2)?),
                rules: row.get(3)?,
            })
        })
        .optional()
}

/// Writes a batch that starts where the rows end. Panics when it is empty.
///
/// `read_from`: entries from this position on were read after every erasure of the batch
/// was durable, so they bring nothing that it erases. `u64::MAX`: none of them.
pub(super) fn write_batch(
    connection: &mut Connection,
    words: &mut Words,
    keys: &RwLock<Keys>,
    origin: &str,
    batch: &[ReadEntry],
    read_from: u64,
    source: &Source<'_>,
) -> Result<Settled, WriteError> {
    let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
        panic!("a batch has an entry")
    };
    let transaction = connection.transaction()?;
    let erased: BTreeSet<Hash32> = batch.iter().flat_map(|e| e.erased.iter().copied()).collect();
    let mut writing = Writing::new(&transaction, words, keys, erased);
    for entry in batch {
        write_entry(&mut writing, entry)?;
        again::under_current_rules(&mut writing, entry, source)?;
        again::follow(&mut writing, entry, read_from, source)?;
        if writing.subjects.are_many() {
            writing.subjects.flush(&transaction)?;
        }
    }
    writing.flush()?;
    let Writing { counts, subjects, .. } = writing;
    counts.write(&transaction)?;
    let (settled, keyed) = subjects.finish(&transaction, first.position, read_from)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO progress VALUES (1, ?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            origin,
            int(last.position + 1),
            last.link.0,
            CURRENT.version,
            int(keyed)
        ])?;
    transaction.commit()?;
    Ok(settled)
}

fn write_entry(writing: &mut Writing<'_>, entry: &ReadEntry) -> rusqlite::Result<()> {
    let position = int(entry.position);
    let words = &mut *writing.words;
    let filed = entry.event.filed();
    let event_type = words.have(Facet::EventType, entry.event_type.as_str(), position);
    let stream_type = words.id(Facet::StreamType, entry.stream.kind.as_str());
    let stream_id = if entry.stream.id == entry.position.to_string() {
        None
    } else {
        let stream = format!("{}/{}", entry.stream.kind, entry.stream.id);
        Some(words.have(Facet::Stream, &stream, position))
    };
    let access = filed.and_then(|f| Some((f, f.body.access()?)));
    let parties = Parties {
        author: filed.map(|f| words.id(Facet::Party, &f.iss)),
        recipient: access.map(|(_, access)| words.id(Facet::Party, &access.recipient.party)),
        discloser: access
            .and(entry.discloser.as_deref())
            .map(|party| words.id(Facet::Party, party)),
    };
    for party in parties.all() {
        words.have_id(party, position);
    }
    writing.entries.push([
        position.into(),
        event_type.into(),
        parties.author.into(),
        stream_type.into(),
        stream_id.into(),
        entry.recorded.micros().into(),
    ]);
    if !entry.folded.is_empty() {
        writing
            .connection
            .prepare_cached("INSERT INTO texts (rowid, folded) VALUES (?1, ?2)")?
            .execute(params![position, entry.folded])?;
    }
    if let Some((filed, access)) = access {
        write_access(writing, entry, event_type, parties, filed, access);
    }
    if let Some(Body::ContestAccess(body)) = filed.map(|f| &*f.body) {
        writing.flush()?;
        writing
            .connection
            .prepare_cached(
                "UPDATE accesses SET contested = ?2 WHERE position = ?1 AND contested IS NULL",
            )?
            .execute(params![int(body.access), position])?;
    }
    Ok(())
}

/// Who filed, received and disclosed, as ids of words.
#[derive(Clone, Copy)]
struct Parties {
    author: Option<i64>,
    recipient: Option<i64>,
    discloser: Option<i64>,
}

impl Parties {
    fn all(self) -> BTreeSet<i64> {
        [self.author, self.recipient, self.discloser].into_iter().flatten().collect()
    }
}

fn write_access(
    writing: &mut Writing<'_>,
    entry: &ReadEntry,
    event_type: i64,
    parties: Parties,
    filed: &Filed,
    access: &Access,
) {
    let position = int(entry.position);
    let words = &mut *writing.words;
    let days = filed.at.valid_days(entry.recorded.date());
    let recipient = &access.recipient;
    let site = recipient.site.as_ref();
    let site_id = site.map(|s| words.have(Facet::Site, &s.id, position));
    let siret = site.and_then(|s| Some((s, s.siret.as_ref()?))).map(|(site, siret)| {
        if *siret == site.id {
            words.id(Facet::Site, siret)
        } else {
            words.have(Facet::Site, siret, position)
        }
    });
    // Whatever is in a ledger can be listed, even an access that nobody judged.
    let (outcome, regime) = match &filed.verdict {
        Some(verdict) => (verdict.verdict.as_str(), verdict.regime.as_str()),
        None => ("", ""),
    };
    let categories: BTreeSet<i64> =
        access.categories.iter().map(|c| words.id(Facet::Category, c.as_str())).collect();
    let bases: BTreeSet<i64> =
        access.basis.codes.iter().map(|c| words.id(Facet::Basis, c.as_str())).collect();
    let outcome = words.have(Facet::Outcome, outcome, position);
    writing.accesses.push([
        position.into(),
        days.earliest.map(day_number).into(),
        days.latest.map(day_number).into(),
        entry.recorded.micros().into(),
        event_type.into(),
        parties.author.into(),
        parties.recipient.into(),
        words.id(Facet::Role, recipient.role.as_str()).into(),
        site_id.into(),
        siret.into(),
        parties.discloser.into(),
        words.have(Facet::Processing, &access.processing, position).into(),
        access.experiment.as_ref().map(|e| words.have(Facet::Experiment, e, position)).into(),
        words.have(Facet::Purpose, access.purpose.as_str(), position).into(),
        outcome.into(),
        words.have(Facet::Regime, regime, position).into(),
        listed(&categories).into(),
        listed(&bases).into(),
        access.basis.reference.as_ref().map(|cited| words.id(Facet::Cited, cited)).into(),
        access.subjects.iter().any(|subject| subject.value.is_none()).into(),
        access.cohort.is_some().into(),
        outcome.into(),
        position.into(),
    ]);
    let counted = Counted {
        month: counts::month(days.earliest, days.latest),
        bases,
        then: outcome,
        parties: parties.all(),
        discloser: parties.discloser,
    };
    writing.counts.outcome(&counted, outcome, 1);
    if let Some(verdict) = &filed.verdict {
        let findings = Stood::as_recorded(entry.position, verdict);
        let codes: BTreeSet<&str> = findings.iter().map(|f| f.code.as_str()).collect();
        for code in codes {
            words.have(Facet::Finding, code, position);
        }
        for row in again::finding_rows(words, position, &findings) {
            writing.findings.push(row);
        }
        writing.counts.findings(words, &counted, entry.position, &findings, 1);
    }
    let members = access.cohort.as_ref().map_or(&[][..], |c| c.members.as_slice());
    let individuals = access.subjects.iter().map(|subject| (subject, false));
    let subjects = individuals.chain(members.iter().map(|subject| (subject, true)));
    for (ordinal, (subject, member)) in (0..).zip(subjects) {
        // Erased already, or not a reference.
        let Some(reference) = subject.value.as_deref().and_then(digest) else { continue };
        let Some(digest) = digest(&subject.digest) else { continue };
        writing.subjects.push(entry.position, ordinal, member, reference, digest);
    }
}

fn listed(ids: &BTreeSet<i64>) -> String {
    let mut text = String::from(",");
    for id in ids {
        text.push_str(&id.to_string());
        text.push(',');
    }
    text
}
