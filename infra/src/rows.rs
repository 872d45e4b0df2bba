//! Rows of SQLite tables, inserted many to a statement.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

/// Inserts into, or gives the whole transaction up: rolling back a statement alone would have
/// SQLite copy each page that it changes.
pub(crate) const OR_ROLLBACK: &str = "INSERT OR ROLLBACK INTO";
/// Inserts what is not there yet.
pub(crate) const OR_IGNORE: &str = "INSERT OR IGNORE INTO";

/// Rows of one INSERT: one statement run per 16 rows halves the cost of a row.
const ROWS: usize = 16;

/// Inserts rows into some columns of a table. `verb`: `OR_ROLLBACK` or `OR_IGNORE`.
pub(crate) fn insert<'a, T>(
    connection: &Connection,
    verb: &str,
    table: &str,
    columns: &str,
    rows: &'a [T],
    bind: impl Fn(&'a T, &mut Vec<Bound<'a>>),
) -> rusqlite::Result<()> {
    let width = columns.split(',').count();
    let row = format!("({})", vec!["?"; width].join(","));
    let sql = |count: usize| {
        format!("{verb} {table} ({columns}) VALUES {}", vec![row.as_str(); count].join(","))
    };
    let mut values = Vec::with_capacity(width * ROWS);
    let full = rows.chunks_exact(ROWS);
    let rest = full.remainder();
    if rows.len() >= ROWS {
        let mut statement = connection.prepare_cached(&sql(ROWS))?;
        for chunk in full {
            values.clear();
            chunk.iter().for_each(|row| bind(row, &mut values));
            statement.execute(params_from_iter(&values))?;
        }
    }
    if !rest.is_empty() {
        let mut statement = connection.prepare_cached(&sql(1))?;
        for row in rest {
            values.clear();
            bind(row, &mut values);
            statement.execute(params_from_iter(&values))?;
        }
    }
    Ok(())
}

/// The same of rows that are two numbers.
pub(crate) fn insert_pairs(
    connection: &Connection,
    verb: &str,
    table: &str,
    columns: &str,
    pairs: &[(i64, i64)],
) -> rusqlite::Result<()> {
    insert(connection, verb, table, columns, pairs, |&(first, second), values| {
        values.extend([integer(first), integer(second)]);
    })
}

/// A value bound without a copy.
pub(crate) struct Bound<'a>(pub ValueRef<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

pub(crate) fn integer<'a>(value: i64) -> Bound<'a> {
    Bound(ValueRef::Integer(value))
}

pub(crate) fn text(text: &str) -> Bound<'_> {
    Bound(ValueRef::Text(text.as_bytes()))
}

pub(crate) fn blob(bytes: &[u8]) -> Bound<'_> {
    Bound(ValueRef::Blob(bytes))
}

/// Rows of one table that wait to be inserted together.
pub(crate) struct Pending<const N: usize> {
    table: &'static str,
    columns: &'static str,
    rows: Vec<[Value; N]>,
}

impl<const N: usize> Pending<N> {
    /// `columns`: N of them, in the order in which rows have their values.
    pub fn new(table: &'static str, columns: &'static str) -> Self {
        debug_assert_eq!(columns.split(',').count(), N, "columns of {table}");
        Self { table, columns, rows: Vec::new() }
    }

    pub fn push(&mut self, row: [Value; N]) {
        self.rows.push(row);
    }

    /// Inserts the rows that wait. Should this fail, they are not to be inserted again.
    pub fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        insert(connection, OR_ROLLBACK, self.table, self.columns, &self.rows, |row, values| {
            values.extend(row.iter().map(|value| Bound(value.into())));
        })?;
        self.rows.clear();
        Ok(())
    }
}
