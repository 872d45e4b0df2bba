//! Who accesses are about: rows, and the keys by which a person's are found.
//!
//! A key reaches its table late (`late_index.rs`). Until then it is in memory, which changes
//! just after each commit: what a reader finds there is that of its snapshot only if both
//! are of the same size, and is read back from the rows otherwise.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use data_encoding::HEXLOWER;
use greffe_domain::encoding::Hash32;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::int;
use crate::late_index::{self, Key, LateIndex, Plan};
use crate::rows::{self, blob, integer};

/// Keys that wait in memory, some 2 MB. The more of them, the more of a step of the sweep
/// share a page, and the more rows are read back at start-up: some four times as many, and
/// those of the last batch if it was about large cohorts.
pub(super) const WAITING: usize = 65_536;
/// Rows of one access have ids next to each other: as many as this, which no filing holds.
pub(super) const IDS: i64 = 1 << 20;

/// The first id of an access.
pub(super) fn first_id(position: u64) -> i64 {
    int(position).min(i64::MAX / IDS) * IDS
}

/// The key of a reference in `subject_keys`.
pub(super) fn subject_key(reference: &[u8; 32]) -> i64 {
    late_index::key(reference, 0).0
}

/// Keys that may not be in the table, of the rows of the first `size` entries.
pub(super) struct Keys {
    pub index: LateIndex,
    size: u64,
}

impl Keys {
    /// Reads back the keys that may not be in the table. `capacity`: how many are to wait.
    pub fn load(connection: &Connection, capacity: usize) -> rusqlite::Result<Self> {
        let size = size(connection)?;
        let mut rows = connection.prepare("SELECT id, reference FROM subjects WHERE id >= ?1")?;
        let waiting = rows
            .query_map([first_id(keyed(connection)?)], |row| {
                Ok((subject_key(&row.get(1)?), row.get(0)?))
            })?
            .collect::<rusqlite::Result<Vec<Key>>>()?;
        Ok(Self { index: LateIndex::new(capacity, waiting, int(size)), size })
    }

    /// What a batch did, once it is durable.
    pub fn settle(&mut self, settled: Settled, size: u64) {
        self.index.apply(settled.plan);
        for key in &settled.forgotten {
            self.index.forget(key);
        }
        self.size = size;
    }
}

/// Entries applied, as a snapshot has it.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    progress(connection, "SELECT size FROM progress")
}

/// Every key of an access before this position is in the table.
fn keyed(connection: &Connection) -> rusqlite::Result<u64> {
    progress(connection, "SELECT keyed FROM progress")
}

fn progress(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    let number: Option<i64> =
        connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    let number = number.unwrap_or(0);
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

fn read(keys: &RwLock<Keys>) -> RwLockReadGuard<'_, Keys> {
    keys.read().unwrap_or_else(PoisonError::into_inner)
}

/// Ids of this reference's rows that the table may not lead to. To be asked before anything
/// else is read: a snapshot is made by what is read first.
pub(super) fn waiting(
    connection: &Connection,
    keys: &RwLock<Keys>,
    reference: &[u8; 32],
) -> rusqlite::Result<Vec<i64>> {
    let size = size(connection)?;
    let held = read(keys);
    if held.size == size {
        return Ok(held.index.waiting(subject_key(reference)).collect());
    }
    drop(held);
    // A batch became durable in between.
    connection
        .prepare_cached("SELECT id FROM subjects WHERE id >= ?1 AND reference = ?2")?
        .query_map(params![first_id(keyed(connection)?), reference], |row| row.get(0))?
        .collect()
}

/// The subjects of a batch.
pub(super) struct Added<'k> {
    keys: &'k RwLock<Keys>,
    rows: Vec<Subject>,
    added: BTreeSet<Key>,
    erased: Erased,
}

/// The accesses that name somebody as an individual in a disclosure that the batch erases.
struct Erased {
    digests: BTreeSet<Hash32>,
    /// Digest and position: those of the batch, and once they were looked for, those before.
    accesses: BTreeSet<([u8; 32], i64)>,
    looked_for: bool,
}

struct Subject {
    id: i64,
    member: bool,
    reference: [u8; 32],
    digest: [u8; 32],
}

/// What is to be known in memory once the batch is durable.
pub(super) struct Settled {
    plan: Plan,
    forgotten: Vec<Key>,
}

impl<'k> Added<'k> {
    /// `erased`: the digests whose values the batch erases.
    pub fn new(keys: &'k RwLock<Keys>, erased: BTreeSet<Hash32>) -> Self {
        let erased = Erased { digests: erased, accesses: BTreeSet::new(), looked_for: false };
        Self { keys, rows: Vec::new(), added: BTreeSet::new(), erased }
    }

    /// Adds a subject of an access. `ordinal`: among all of them, those erased included.
    ///
    /// Panics if it is more than a filing can hold.
    pub fn push(
        &mut self,
        position: u64,
        ordinal: i64,
        member: bool,
        Hash32(reference): Hash32,
        Hash32(digest): Hash32,
    ) {
        assert!(ordinal < IDS, "an access about more persons than a filing has bytes");
        let id = first_id(position) + ordinal;
        if !member && self.erased.digests.contains(&Hash32(digest)) {
            self.erased.accesses.insert((digest, int(position)));
        }
        self.added.insert((subject_key(&reference), id));
        self.rows.push(Subject { id, member, reference, digest });
    }

    /// Whether more rows wait than are to be held: an access may be about a whole cohort.
    pub fn are_many(&self) -> bool {
        self.rows.len() >= WAITING
    }

    /// Inserts the rows that wait.
    pub fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        rows::insert(
            connection,
            rows::OR_ROLLBACK,
            "subjects",
            "id, member, reference, digest",
            &self.rows,
            |subject, values| {
                values.extend([
                    integer(subject.id),
                    integer(subject.member.into()),
                    blob(&subject.reference),
                    blob(&subject.digest),
                ]);
            },
        )?;
        self.rows.clear();
        Ok(())
    }

    /// Positions of the accesses before `before` that name somebody as an individual in a
    /// disclosure of these digests, which the batch erases; ascending.
    ///
    /// Digests have no index, which would cost each access more than all of its lists: rows
    /// are looked through once a batch.
    pub fn accesses_of(
        &mut self,
        connection: &Connection,
        digests: &[Hash32],
        before: u64,
    ) -> rusqlite::Result<BTreeSet<i64>> {
        let erased = &mut self.erased;
        debug_assert!(digests.iter().all(|digest| erased.digests.contains(digest)));
        if !digests.is_empty() && !erased.looked_for {
            let sql = format!(
                "SELECT digest, id / {IDS} FROM subjects WHERE member = 0 \
                 AND digest IN (SELECT unhex(value) FROM json_each(?1))"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([as_json(&erased.digests)])?;
            while let Some(row) = rows.next()? {
                erased.accesses.insert((row.get(0)?, row.get(1)?));
            }
            erased.looked_for = true;
        }
        let of = |Hash32(digest): &Hash32| {
            let until = (*digest, int(before));
            erased.accesses.range((*digest, i64::MIN)..until).map(|&(_, position)| position)
        };
        Ok(digests.iter().flat_map(of).collect())
    }

    /// Ids of rows of this key that the table may not lead to, those of the batch among them.
    pub fn waiting(&self, key: i64) -> Vec<i64> {
        let added = self.added.range((key, i64::MIN)..=(key, i64::MAX)).map(|&(_, id)| id);
        read(self.keys).index.waiting(key).chain(added).collect()
    }

    /// Ends a batch that starts at `size`: inserts what waits, sweeps keys into the table, and
    /// deletes the rows that what it erases made, of accesses before `read_from`. Answers how
    /// far every key is in the table, too.
    pub fn finish(
        mut self,
        connection: &Connection,
        size: u64,
        read_from: u64,
    ) -> rusqlite::Result<(Settled, u64)> {
        self.flush(connection)?;
        let plan = read(self.keys).index.plan(self.added.into_iter().collect(), int(size));
        // Some may be there since before a restart.
        rows::insert_pairs(connection, rows::OR_IGNORE, "subject_keys", "key, id", &plan.swept)?;
        let keyed = match plan.complete_below.and_then(|below| u64::try_from(below).ok()) {
            Some(below) => below,
            None => keyed(connection)?,
        };
        let forgotten = match read_from {
            0 => Vec::new(),
            _ => erase(connection, &self.erased.digests, read_from)?,
        };
        Ok((Settled { plan, forgotten }, keyed))
    }
}

/// Deletes rows and their keys. Digests have no index, which would cost each access more than
/// all of its lists: the erasures of a batch share one pass over the rows.
fn erase(
    connection: &Connection,
    digests: &BTreeSet<Hash32>,
    read_from: u64,
) -> rusqlite::Result<Vec<Key>> {
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    let gone = connection
        .prepare_cached(
            "DELETE FROM subjects WHERE id < ?1 \
             AND digest IN (SELECT unhex(value) FROM json_each(?2)) RETURNING id, reference",
        )?
        .query_map(params![first_id(read_from), as_json(digests)], |row| {
            Ok((subject_key(&row.get(1)?), row.get(0)?))
        })?
        .collect::<rusqlite::Result<Vec<Key>>>()?;
    let mut delete =
        connection.prepare_cached("DELETE FROM subject_keys WHERE key = ?1 AND id = ?2")?;
    for (key, id) in &gone {
        delete.execute([key, id])?;
    }
    Ok(gone)
}

/// A list for `json_each` and `unhex`.
fn as_json(digests: &BTreeSet<Hash32>) -> String {
    let digests: Vec<String> =
        digests.iter().map(|d| format!("\"{}\"", HEXLOWER.encode(&d.0))).collect();
    format!("[{}]", digests.join(","))
}
