//! How many accesses and findings there are of each sort, kept as they are written: an
//! overview reads a few rows whatever the size.
//!
//! Differences are added up over a batch and written with its rows, in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use greffe_domain::date::LegalDate;
use greffe_domain::rules::again::{State, Stood};
use rusqlite::{Connection, ToSql, params};

use super::words::{Facet, Words};

/// The month of an access no day of which is known.
const NO_MONTH: i64 = -1;
/// Stands for every basis, or every party.
pub(super) const ALL: i64 = 0;

/// What an access is counted by, as ids of words.
pub(super) struct Counted {
    pub month: i64,
    pub bases: BTreeSet<i64>,
    pub then: i64,
    /// That filed, received or disclosed.
    pub parties: BTreeSet<i64>,
    pub discloser: Option<i64>,
}

/// Differences not yet written.
#[derive(Default)]
pub(super) struct Counts {
    accesses: BTreeMap<[i64; 4], i64>,
    parties: BTreeMap<[i64; 3], i64>,
    findings: BTreeMap<[i64; 3], i64>,
}

/// The month an access is counted in: that of the last day it may have happened on.
pub(super) fn month(earliest: Option<LegalDate>, latest: Option<LegalDate>) -> i64 {
    latest
        .or(earliest)
        .map_or(NO_MONTH, |day| i64::from(day.year()) * 12 + i64::from(day.month()) - 1)
}

fn number(state: State) -> i64 {
    match state {
        State::Open => 0,
        State::Changed => 1,
        State::Closed => 2,
    }
}

pub(super) fn state(number: i64) -> Option<State> {
    State::ALL.into_iter().find(|state| self::number(*state) == number)
}

impl Counts {
    /// Counts an access's findings that stand so; `by` -1 takes them out again.
    pub fn findings(
        &mut self,
        words: &mut Words,
        counted: &Counted,
        position: u64,
        findings: &[Stood],
        by: i64,
    ) {
        for stood in findings {
            let code = words.id(Facet::Finding, stood.code.as_str());
            let state = number(stood.state(position));
            for party in [Some(ALL), counted.discloser].into_iter().flatten() {
                *self.findings.entry([party, code, state]).or_default() += by;
            }
        }
    }

    /// Counts an access by its verdicts; `by` -1 takes it out again.
    pub fn outcome(&mut self, counted: &Counted, now: i64, by: i64) {
        let Counted { month, then, .. } = *counted;
        for basis in counted.bases.iter().copied().chain([ALL]) {
            *self.accesses.entry([month, basis, then, now]).or_default() += by;
        }
        for party in &counted.parties {
            *self.parties.entry([*party, then, now]).or_default() += by;
        }
    }

    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        write(
            connection,
            "access_counts",
            "month, basis, then_outcome, now_outcome",
            &self.accesses,
        )?;
        write(connection, "party_counts", "party, then_outcome, now_outcome", &self.parties)?;
        write(connection, "finding_counts", "party, code, state", &self.findings)
    }
}

fn write<const N: usize>(
    connection: &Connection,
    table: &str,
    key: &str,
    differences: &BTreeMap<[i64; N], i64>,
) -> rusqlite::Result<()> {
    let bound: Vec<String> = (1..=N).map(|i| format!("?{i}")).collect();
    let mut add = connection.prepare_cached(&format!(
        "INSERT INTO {table} ({key}, n) VALUES ({}, ?{}) \
         ON CONFLICT ({key}) DO UPDATE SET n = n + excluded.n",
        bound.join(", "),
        N + 1
    ))?;
    let mut fell = false;
    for (key, difference) in differences.iter().filter(|(_, difference)| **difference != 0) {
        let mut values: Vec<&dyn ToSql> = key.iter().map(|value| value as &dyn ToSql).collect();
        values.push(difference);
        add.execute(values.as_slice())?;
        fell |= *difference < 0;
    }
    if fell {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE n = 0"))?
            .execute(params![])?;
    }
    Ok(())
}
