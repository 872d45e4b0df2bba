//! Rows of the projections: one transaction for the rows of a batch and for how far it goes.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use greffe_domain::body::{Access, Body, Concealed};
use greffe_domain::encoding::Hash32;
use greffe_domain::event::Filed;
use greffe_domain::rules::CURRENT;
use greffe_domain::rules::again::Standing;
use rusqlite::{Connection, OptionalExtension, params};

use super::again::{self, Source};
use super::counts::{self, Counted, Counts};
use super::read::{ReadEntry, digest};
use super::row::{WriteError, day_number, int, subject_key};
use super::words::{Facet, Words};

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

/// Writes a batch that starts where the rows end.
///
/// `read_from`: entries from this position on were read after every erasure of the batch
/// was durable, so they bring nothing that it erases. `u64::MAX`: none of them.
pub(super) fn write_batch(
    connection: &mut Connection,
    words: &mut Words,
    origin: &str,
    batch: &[ReadEntry],
    read_from: u64,
    source: &Source<'_>,
) -> Result<(), WriteError> {
    let Some(last) = batch.last() else { return Ok(()) };
    let transaction = connection.transaction()?;
    let mut counts = Counts::default();
    for entry in batch {
        write_entry(&transaction, words, &mut counts, entry)?;
        again::under_current_rules(&transaction, words, &mut counts, entry, source)?;
        again::follow(&transaction, words, &mut counts, entry, read_from, source)?;
    }
    words.write(&transaction)?;
    counts.write(&transaction)?;
    erase(&transaction, batch, read_from)?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO progress VALUES (1, ?1, ?2, ?3, ?4)")?
        .execute(params![origin, int(last.position + 1), last.link.0, CURRENT.version])?;
    Ok(transaction.commit()?)
}

fn write_entry(
    connection: &Connection,
    words: &mut Words,
    counts: &mut Counts,
    entry: &ReadEntry,
) -> rusqlite::Result<()> {
    let position = int(entry.position);
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
    let mut parties: BTreeSet<&str> = filed.map(|f| f.iss.as_str()).into_iter().collect();
    if let Some((_, access)) = access {
        parties.insert(&access.recipient.party);
        parties.extend(entry.discloser.as_deref());
    }
    for party in parties {
        words.have(Facet::Party, party, position);
    }
    connection.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
        params![
            position,
            event_type,
            filed.map(|f| words.id(Facet::Party, &f.iss)),
            stream_type,
            stream_id,
            entry.recorded.micros(),
        ],
    )?;
    if !entry.folded.is_empty() {
        connection
            .prepare_cached("INSERT INTO texts (rowid, folded) VALUES (?1, ?2)")?
            .execute(params![position, entry.folded])?;
    }
    if let Some((filed, access)) = access {
        write_access(connection, words, counts, entry, filed, access)?;
    }
    if let Some(Body::ContestAccess(body)) = filed.map(|f| &*f.body) {
        connection
            .prepare_cached(
                "UPDATE accesses SET contested = ?2 WHERE position = ?1 AND contested IS NULL",
            )?
            .execute(params![int(body.access), position])?;
    }
    Ok(())
}

fn write_access(
    connection: &Connection,
    words: &mut Words,
    counts: &mut Counts,
    entry: &ReadEntry,
    filed: &Filed,
    access: &Access,
) -> rusqlite::Result<()> {
    let position = int(entry.position);
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
    connection
        .prepare_cached(
            "INSERT INTO accesses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
             ?13, ?14, ?15, ?16, ?17, ?18, NULL, ?19, ?20, ?21, ?15, ?1, NULL, NULL)",
        )?
        .execute(params![
            position,
            days.earliest.map(day_number),
            days.latest.map(day_number),
            entry.recorded.micros(),
            words.id(Facet::EventType, entry.event_type.as_str()),
            words.id(Facet::Party, &filed.iss),
            words.id(Facet::Party, &recipient.party),
            words.id(Facet::Role, recipient.role.as_str()),
            site_id,
            siret,
            entry.discloser.as_ref().map(|d| words.id(Facet::Party, d)),
            words.have(Facet::Processing, &access.processing, position),
            access.experiment.as_ref().map(|e| words.have(Facet::Experiment, e, position)),
            words.have(Facet::Purpose, access.purpose.as_str(), position),
            words.have(Facet::Outcome, outcome, position),
            words.have(Facet::Regime, regime, position),
            listed(&categories),
            listed(&bases),
            access.basis.reference.as_ref().map(|cited| words.id(Facet::Cited, cited)),
            access.subjects.iter().any(|subject| subject.value.is_none()),
            access.cohort.is_some(),
        ])?;
    let discloser = entry.discloser.as_ref().map(|d| words.id(Facet::Party, d));
    let parties = [filed.iss.as_str(), recipient.party.as_str()];
    let parties = parties.map(|party| words.id(Facet::Party, party));
    let then = words.id(Facet::Outcome, outcome);
    let counted = Counted {
        month: counts::month(days.earliest, days.latest),
        bases,
        then,
        parties: parties.into_iter().chain(discloser).collect(),
        discloser,
    };
    if let Some(verdict) = &filed.verdict {
        let codes: BTreeSet<&str> = verdict.findings.iter().map(|f| f.code.as_str()).collect();
        for code in codes {
            words.have(Facet::Finding, code, position);
        }
        let standing = Standing::as_recorded(entry.position, verdict);
        again::write_findings(connection, words, &standing)?;
        counts.count(words, &counted, &standing, 1);
    } else {
        counts.outcome(&counted, then, 1);
    }
    let members = access.cohort.as_ref().map_or(&[][..], |c| c.members.as_slice());
    write_subjects(connection, position, 0, &access.subjects)?;
    write_subjects(connection, position, 1, members)
}

fn write_subjects(
    connection: &Connection,
    position: i64,
    member: i64,
    subjects: &[Concealed<String>],
) -> rusqlite::Result<()> {
    for subject in subjects {
        // Erased already, or not a reference.
        let Some(reference) = subject.value.as_deref().and_then(digest) else { continue };
        let Some(digest) = digest(&subject.digest) else { continue };
        connection
            .prepare_cached("INSERT INTO subjects VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?
            .execute(params![position, member, subject_key(&reference.0), reference.0, digest.0])?;
    }
    Ok(())
}

/// Subjects whose disclosure a batch erases. Digests have no index, which would cost each
/// access more than all of its lists: the erasures of a batch share one pass over the rows.
fn erase(connection: &Connection, batch: &[ReadEntry], read_from: u64) -> rusqlite::Result<()> {
    let digests: Vec<String> = batch
        .iter()
        .flat_map(|e| &e.erased)
        .map(|d| format!("\"{}\"", HEXLOWER.encode(&d.0)))
        .collect();
    if digests.is_empty() || read_from == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "DELETE FROM subjects WHERE position < ?1 \
             AND digest IN (SELECT unhex(value) FROM json_each(?2))",
        )?
        .execute(params![int(read_from), format!("[{}]", digests.join(","))])?;
    Ok(())
}

fn listed(ids: &BTreeSet<i64>) -> String {
    let mut text = String::from(",");
    for id in ids {
        text.push_str(&id.to_string());
        text.push(',');
    }
    text
}
