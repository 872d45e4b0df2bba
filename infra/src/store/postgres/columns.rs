//! A batch by columns, as the database takes it: one array a column, one call an append.

use tokio_postgres::types::ToSql;

use super::row::{int, int_32};
use crate::store::{Batch, EntryRow};

pub(super) const APPEND: &str = "SELECT outcome, size, link FROM append_batch($1, $2, $3, $4, $5, $6, $7, \
     $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)";

/// A batch by columns, as the database takes it: one array a column.
pub(super) struct Columns<'a> {
    stream_versions: Vec<i64>,
    times: Vec<i64>,
    items: Vec<Option<i32>>,
    stream_types: Vec<&'a str>,
    stream_ids: Vec<&'a str>,
    event_types: Vec<&'a str>,
    kids: Vec<&'a str>,
    filings: Vec<Option<&'a [u8]>>,
    links: Vec<&'a [u8]>,
    signatures: Vec<&'a [u8]>,
    leaves: Vec<&'a str>,
    first_positions: Vec<i64>,
    item_counts: Vec<i32>,
    digests: Vec<&'a [u8]>,
    issuers: Vec<&'a str>,
    jtis: Vec<&'a str>,
    jwts: Vec<&'a str>,
    disclosed_at: Vec<i64>,
    disclosed: Vec<&'a [u8]>,
    encodings: Vec<&'a str>,
    erased: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let Batch { entries, filings, disclosures, erased, .. } = batch;
        let leaf = |e: &'a EntryRow| {
            std::str::from_utf8(&e.sealed.leaf).expect("a leaf is canonical JSON, hence UTF-8")
        };
        let digest_of = |e: &'a EntryRow| e.filing.as_ref().map(|f| &f.digest.0[..]);
        Self {
            stream_versions: entries.iter().map(|e| int(e.stream.version)).collect(),
            times: entries.iter().map(|e| e.time.micros()).collect(),
            items: entries.iter().map(|e| e.filing.map(|f| int_32(f.item))).collect(),
            stream_types: entries.iter().map(|e| e.stream.kind.as_str()).collect(),
            stream_ids: entries.iter().map(|e| e.stream.id.as_str()).collect(),
            event_types: entries.iter().map(|e| e.event_type.as_str()).collect(),
            kids: entries.iter().map(|e| e.sealed.kid.as_str()).collect(),
            filings: entries.iter().map(digest_of).collect(),
            links: entries.iter().map(|e| &e.sealed.link.0[..]).collect(),
            signatures: entries.iter().map(|e| &e.sealed.signature[..]).collect(),
            leaves: entries.iter().map(leaf).collect(),
            first_positions: filings.iter().map(|f| int(f.first_position.0)).collect(),
            item_counts: filings.iter().map(|f| int_32(f.items)).collect(),
            digests: filings.iter().map(|f| &f.digest.0[..]).collect(),
            issuers: filings.iter().map(|f| f.iss.as_str()).collect(),
            jtis: filings.iter().map(|f| f.jti.as_str()).collect(),
            jwts: filings.iter().map(|f| f.jwt.as_str()).collect(),
            disclosed_at: disclosures.iter().map(|d| int(d.position.0)).collect(),
            disclosed: disclosures.iter().map(|d| &d.digest.0[..]).collect(),
            encodings: disclosures.iter().map(|d| d.encoded.as_str()).collect(),
            erased: erased.iter().map(|d| &d.0[..]).collect(),
        }
    }

    /// In the order of `append_batch`.
    pub(super) fn parameters<'p>(
        &'p self,
        me: &'p String,
        epoch: &'p i64,
        size: &'p i64,
        link: &'p &'p [u8],
    ) -> [&'p (dyn ToSql + Sync); 25] {
        [
            me,
            epoch,
            size,
            link,
            &self.stream_versions,
            &self.times,
            &self.items,
            &self.stream_types,
            &self.stream_ids,
            &self.event_types,
            &self.kids,
            &self.filings,
            &self.links,
            &self.signatures,
            &self.leaves,
            &self.first_positions,
            &self.item_counts,
            &self.digests,
            &self.issuers,
            &self.jtis,
            &self.jwts,
            &self.disclosed_at,
            &self.disclosed,
            &self.encodings,
            &self.erased,
        ]
    }
}
