//! What is wrong in the tables that only the embedded store has, and in its schema.
//!
//! The rows of the ledger itself are `fsck.rs`'s. Here: the one row of `ledger`, what
//! `late_indexes` claims, the two tables of keys against the rows that they lead to, rows that
//! no read reaches, the triggers, and SQLite's own check of the file. What must hold for the
//! keys: each leads to its row, and no row below `complete_below` is without one. A filing
//! that is not found by its key would be recorded twice, a value not found by its digest
//! would survive its erasure.

use std::collections::HashSet;

use greffe_domain::filing::collect_digests;
use greffe_domain::seal::Leaf;
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::super::damage::{Damage, Row};
use super::{MIGRATIONS, complete_below, filing_key, hash32, int, read_head, text};
use crate::fsck::digest_of;
use crate::late_index;

/// No ledger settles so many appends of unknown outcome; beyond, counting one more may fail.
const MOST_SETTLED: i64 = 1 << 53;

type Found = rusqlite::Result<Option<Damage>>;

/// The first thing wrong, in one view of the file.
pub(super) fn damage(connection: &Connection) -> Found {
    let view = connection.unchecked_transaction()?;
    for check in [unreachable_row, ledger_row, late_indexes, filing_keys, disclosure_keys, schema] {
        if let Some(damage) = check(&view)? {
            return Ok(Some(damage));
        }
    }
    whole_file(&view)
}

fn named(table: &'static str, row: String, column: &'static str, reason: String) -> Damage {
    Damage { table, row: Row::Named(row), column, reason }
}

/// Every read begins at position 0.
fn unreachable_row(c: &Connection) -> Found {
    for (table, column) in
        [("entries", "position"), ("filings", "first_position"), ("disclosures", "position")]
    {
        let least: Option<i64> =
            c.query_row(&format!("SELECT min({column}) FROM {table}"), [], |row| row.get(0))?;
        if let Some(least) = least.filter(|least| *least < 0) {
            let reason = "no entry has a negative position".to_owned();
            return Ok(Some(Damage { table, row: Row::Position(least), column, reason }));
        }
    }
    Ok(None)
}

fn ledger_row(c: &Connection) -> Found {
    let rows: Vec<(i64, i64)> = c
        .prepare("SELECT id, settled FROM ledger")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (n, &(id, settled)) in rows.iter().enumerate() {
        let bad = |column, reason: &str| {
            Ok(Some(named("ledger", format!("id = {id}"), column, reason.to_owned())))
        };
        if n > 0 || id != 1 {
            return bad("id", "a ledger has one row, of id 1");
        }
        if !(0..=MOST_SETTLED).contains(&settled) {
            return bad("settled", "appends of unknown outcome cannot have been so many");
        }
    }
    Ok(None)
}

fn late_indexes(c: &Connection) -> Found {
    let mut below: Vec<(String, i64)> = complete_below(c)?.into_iter().collect();
    below.sort();
    let row = |name: &str| format!("name = {name}");
    let of = |name: &str| below.iter().any(|(held, _)| held == name);
    let absent = ["filing_keys", "disclosure_keys"].into_iter().find(|name| !of(name));
    let unknown = below.iter().find(|(n, _)| !matches!(&**n, "filing_keys" | "disclosure_keys"));
    let damage = match (absent, unknown) {
        (absent, Some((name, _))) => {
            let reason = match absent {
                Some(absent) => format!("it should be {absent}"),
                None => "there is no such index".to_owned(),
            };
            Some(named("late_indexes", row(name), "name", reason))
        }
        (Some(absent), None) => {
            Some(named("late_indexes", row(absent), "(row)", "it is missing".to_owned()))
        }
        (None, None) => None,
    };
    if damage.is_some() {
        return Ok(damage);
    }
    let size = read_head(c)?.size;
    let beyond = below.iter().find(|(_, below)| !(0..=int(size.0)).contains(below));
    Ok(beyond.map(|(name, below)| {
        let reason = format!("it is {below}, and the ledger has {size} entries");
        named("late_indexes", row(name), "complete_below", reason)
    }))
}

fn filing_keys(c: &Connection) -> Found {
    let sql = "SELECT first_position, iss, jti FROM filings";
    let key = |row: &rusqlite::Row<'_>| {
        let position: i64 = row.get(0)?;
        let (hash, _) = filing_key(text(row, 1)?, text(row, 2)?, 0);
        Ok((hash, position))
    };
    let mut at = c.prepare(&format!("{sql} WHERE first_position = ?1"))?;
    let leads = move |(hash, position)| {
        let found = at.query_row([position], key).optional()?;
        Ok(found == Some((hash, position)))
    };
    let table = Keys { name: "filing_keys", rows: sql, by: "first_position", what: "filing" };
    table.damage(c, key, leads)
}

fn disclosure_keys(c: &Connection) -> Found {
    let sql = "SELECT position, digest FROM disclosures";
    let key = |row: &rusqlite::Row<'_>| {
        let position: i64 = row.get(0)?;
        let (hash, _) = late_index::key(&hash32(row, 1)?.0, 0);
        Ok((hash, position))
    };
    let mut at = c.prepare(&format!("{sql} WHERE position = ?1"))?;
    let mut leaf = c.prepare("SELECT leaf FROM entries WHERE position = ?1")?;
    let leads = move |(hash, position)| {
        let kept = at.query_map([position], key)?.collect::<rusqlite::Result<Vec<_>>>()?;
        if kept.contains(&(hash, position)) {
            return Ok(true);
        }
        // The key of a value that was erased stays; its digest stands in the entry for ever.
        let leaf: Option<String> = leaf.query_row([position], |row| row.get(0)).optional()?;
        let Some(leaf) = leaf.and_then(|leaf| Leaf::parse(leaf.as_bytes()).ok()) else {
            return Ok(false);
        };
        let mut digests = HashSet::new();
        collect_digests(&leaf.event["data"]["body"], &mut digests);
        let mut hashes = digests.iter().filter_map(|d| digest_of(d));
        Ok(hashes.any(|digest| late_index::key(&digest.0, 0).0 == hash))
    };
    let table = Keys { name: "disclosure_keys", rows: sql, by: "position", what: "value" };
    table.damage(c, key, leads)
}

/// A table of keys, and the rows that they lead to.
struct Keys {
    name: &'static str,
    /// Selects all rows.
    rows: &'static str,
    /// Their column of the position.
    by: &'static str,
    /// What a row is.
    what: &'static str,
}

impl Keys {
    /// `key`: that of a row. `leads`: whether a key leads to its row, or did.
    fn damage(
        &self,
        c: &Connection,
        key: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<late_index::Key>,
        mut leads: impl FnMut(late_index::Key) -> rusqlite::Result<bool>,
    ) -> Found {
        let Self { name, rows, by, what } = self;
        let below = complete_below(c)?.get(*name).copied().unwrap_or(0);
        let mut held = c.prepare(&format!(
            "SELECT EXISTS (SELECT 1 FROM {name} WHERE hash = ?1 AND position = ?2)"
        ))?;
        // The first row without a key, and whether a later one has its own.
        let mut absent: Option<late_index::Key> = None;
        let mut resumes = false;
        let mut covered = c.prepare(&format!("{rows} WHERE {by} < ?1 ORDER BY {by}"))?;
        for found in covered.query_map([below], &key)? {
            let found = found?;
            let is_held: bool = held.query_row(params![found.0, found.1], |row| row.get(0))?;
            match absent {
                None if !is_held => absent = Some(found),
                Some(_) if is_held => {
                    resumes = true;
                    break;
                }
                _ => {}
            }
        }
        let mut stray: Option<late_index::Key> = None;
        let mut keys = c.prepare(&format!("SELECT hash, position FROM {name}"))?;
        for found in keys.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let found = found?;
            if !leads(found)? {
                stray = Some(found);
                break;
            }
        }
        let at = |(hash, position), column, reason: String| {
            Ok(Some(Damage { table: name, row: Row::Key { hash, position }, column, reason }))
        };
        if let Some(stray) = stray {
            if let Some(place) = self.place_of(&mut c.prepare_cached(rows)?, &key, stray.0)? {
                return at(stray, "position", format!("the {what} is at position {place}"));
            }
            let mut there = c.prepare(&format!("{rows} WHERE {by} = ?1"))?;
            return match there.exists([stray.1])? {
                true => at(stray, "hash", format!("it is not that of the {what} there")),
                false => at(stray, "(row)", format!("there is no such {what}")),
            };
        }
        match absent {
            None => Ok(None),
            Some(first) if resumes => {
                at(first, "(row)", format!("the key of this {what} is missing"))
            }
            Some((_, position)) => Ok(Some(named(
                "late_indexes",
                format!("name = {name}"),
                "complete_below",
                format!(
                    "it is {below}, and no {what} from position {position} on has its key \
                     in {name}"
                ),
            ))),
        }
    }

    /// Where the row is whose key has this hash.
    fn place_of(
        &self,
        rows: &mut CachedStatement<'_>,
        key: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<late_index::Key>,
        hash: i64,
    ) -> rusqlite::Result<Option<i64>> {
        for found in rows.query_map([], key)? {
            let found = found?;
            if found.0 == hash {
                return Ok(Some(found.1));
            }
        }
        Ok(None)
    }
}

/// Tables, indexes, triggers and view are those that this version makes.
fn schema(c: &Connection) -> Found {
    type Object = (String, String, String);
    let objects = |c: &Connection| -> rusqlite::Result<Vec<Object>> {
        c.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect()
    };
    let fresh = Connection::open_in_memory()?;
    for step in MIGRATIONS {
        fresh.execute_batch(step)?;
    }
    let (expected, found) = (objects(&fresh)?, objects(c)?);
    let bad = |(kind, name, _): &Object, column, reason: &str| {
        Ok(Some(named("sqlite_schema", format!("{kind} {name}"), column, reason.to_owned())))
    };
    for object in &expected {
        let same_name = |o: &&Object| (&o.0, &o.1) == (&object.0, &object.1);
        match found.iter().find(same_name) {
            None => return bad(object, "(row)", "it is missing"),
            Some(other) if other.2 != object.2 => {
                return bad(object, "sql", "it is not what Greffe made");
            }
            Some(_) => {}
        }
    }
    // A trigger acts on what is written. Anything else that somebody added does not.
    let trigger = found.iter().find(|o| o.0 == "trigger" && !expected.contains(o));
    trigger.map_or(Ok(None), |trigger| bad(trigger, "(row)", "Greffe made no such trigger"))
}

/// SQLite's check: pages, indexes against tables, constraints.
fn whole_file(c: &Connection) -> Found {
    let answer: String = c.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let row = "integrity_check".to_owned();
    Ok((answer != "ok").then(|| named("sqlite_schema", row, "(file)", answer)))
}
