//! Rows of the tables, as the ledger knows them.

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::EventType;
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef, TreeSize};
use tokio_postgres::Row;

use crate::store::damage::UnreadableCell;
use crate::store::{DisclosureRow, EntryRow, FilingRow, Head, half_cited, stream_type_of};

pub(super) const ENTRY_COLUMNS: &str = "position, stream_type, stream_id, stream_version, event_type, \
     recorded, filing, item, kid, link, signature, leaf";
pub(super) const FILING_COLUMNS: &str = "first_position, items, digest, iss, jti, jwt";
pub(super) const DISCLOSURE_COLUMNS: &str = "position, digest, encoded";

/// Why a row is not one of ours.
pub(super) type Unreadable = Box<dyn std::error::Error + Send + Sync>;

pub(super) fn head_row(row: &Row) -> Result<Head, Unreadable> {
    Ok(Head { size: TreeSize(unsigned(row.try_get(0)?)), link: hash32(row, 1)? })
}

/// A row of entries and their disclosures read together: the columns of the one, then digest
/// and text of the other.
pub(super) enum Either {
    Entry(EntryRow),
    Disclosure(DisclosureRow),
}

pub(super) fn disclosed_row(row: &Row) -> Result<Either, Unreadable> {
    let Some(encoded) = row.try_get(13)? else { return Ok(Either::Entry(entry_row(row)?)) };
    Ok(Either::Disclosure(DisclosureRow {
        position: Position(unsigned(row.try_get(0)?)),
        digest: hash32(row, 12)?,
        encoded,
    }))
}

/// An entry, if any is left, beside how far the ledger goes.
pub(super) fn found_row(row: &Row) -> Result<(Option<EntryRow>, TreeSize), Unreadable> {
    let is_one = row.try_get::<_, Option<i64>>(0)?.is_some();
    let entry = is_one.then(|| entry_row(row)).transpose()?;
    Ok((entry, TreeSize(unsigned(row.try_get(12)?))))
}

pub(super) fn entry_row(row: &Row) -> Result<EntryRow, Unreadable> {
    let position: i64 = row.try_get(0)?;
    // The other columns cannot hold what is not of their kind: the table checks them.
    let bad = |column: &'static str, cause: String| -> Unreadable {
        UnreadableCell { table: "entries", position, column, cause }.into()
    };
    let (stream_type, event_type): (&str, &str) = (row.try_get(1)?, row.try_get(4)?);
    let leaf: &str = row.try_get(11)?;
    let filing = match (row.try_get::<_, Option<&[u8]>>(6)?, row.try_get::<_, Option<i32>>(7)?) {
        (None, None) => None,
        (Some(digest), Some(item)) => {
            let digest = digest.try_into().map_err(|_| bad("filing", "not 32 bytes".to_owned()))?;
            Some(FilingRef { digest: Hash32(digest), item: unsigned_32(item) })
        }
        (filing, _) => {
            let (column, cause) = half_cited(leaf, filing.is_some());
            return Err(bad(column, cause.to_owned()));
        }
    };
    Ok(EntryRow {
        position: Position(unsigned(position)),
        sealed: SealedEntry {
            leaf: leaf.as_bytes().to_vec(),
            link: hash32(row, 9)?,
            signature: row.try_get::<_, &[u8]>(10)?.try_into()?,
            kid: row.try_get(8)?,
        },
        filing,
        stream: StreamRef {
            id: row.try_get(2)?,
            kind: stream_type_of(stream_type)
                .ok_or_else(|| bad("stream_type", format!("`{stream_type}` is not known")))?,
            version: unsigned(row.try_get(3)?),
        },
        event_type: EventType::parse(event_type)
            .ok_or_else(|| bad("event_type", format!("`{event_type}` is not known")))?,
        time: Timestamp::from_micros(row.try_get(5)?),
    })
}

pub(super) fn filing_row(row: &Row) -> Result<FilingRow, Unreadable> {
    Ok(FilingRow {
        first_position: Position(unsigned(row.try_get(0)?)),
        items: unsigned_32(row.try_get(1)?),
        digest: hash32(row, 2)?,
        iss: row.try_get(3)?,
        jti: row.try_get(4)?,
        jwt: row.try_get(5)?,
    })
}

pub(super) fn disclosure_row(row: &Row) -> Result<DisclosureRow, Unreadable> {
    Ok(DisclosureRow {
        position: Position(unsigned(row.try_get(0)?)),
        digest: hash32(row, 1)?,
        encoded: row.try_get(2)?,
    })
}

pub(super) fn hash32(row: &Row, column: usize) -> Result<Hash32, Unreadable> {
    Ok(Hash32(row.try_get::<_, &[u8]>(column)?.try_into()?))
}

/// Positions and versions stay far below 2^63. One beyond comes from somebody who asks for
/// it: nothing is found there.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn int_32(value: u32) -> i32 {
    i32::try_from(value).expect("a filing has at most 1,000 items")
}

/// The tables check that positions are not negative.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

pub(super) fn unsigned_32(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
