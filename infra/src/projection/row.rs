//! How the values of the ledger are written in a row and read back from it.

use greffe_domain::date::LegalDate;
use greffe_domain::verdict::Verdict;
use rusqlite::Row;

use crate::store::Fault;

/// What stops a batch.
#[derive(Debug)]
pub(super) enum WriteError {
    Sql(rusqlite::Error),
    /// Reading what the rows are computed from.
    Source(Fault),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Fault> for WriteError {
    fn from(fault: Fault) -> Self {
        Self::Source(fault)
    }
}

pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01.
pub(super) fn day_number(day: LegalDate) -> i64 {
    let epoch = LegalDate::from_ymd(1970, 1, 1).expect("a day of the calendar");
    i64::from(day.days_since(epoch))
}

/// The day of a number of days since 1970-01-01.
pub(super) fn day(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<LegalDate>> {
    let days: Option<i64> = row.get(column)?;
    let epoch = LegalDate::from_ymd(1970, 1, 1).expect("a day of the calendar");
    days.map(|days| {
        i32::try_from(days)
            .map(|days| epoch.add_days(days))
            .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, days))
    })
    .transpose()
}

/// Positions between commas.
pub(super) fn listed(positions: &[u64]) -> String {
    positions.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn unlisted(text: &str) -> Vec<u64> {
    text.split(',').filter_map(|p| p.parse().ok()).collect()
}

/// A verdict that these projections stored.
pub(super) fn read_verdict(text: &str) -> rusqlite::Result<Verdict> {
    serde_json::from_str(text).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e))
    })
}
