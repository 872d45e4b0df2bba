//! What is wrong in a store: which table, which row, which column.
//!
//! Found by `fsck.rs`, and by a store in what it alone keeps ([`super::Store::own_damage`]).

use std::error::Error;
use std::fmt;

use greffe_domain::seal::Position;

/// The first thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// E.g. `entries`.
    pub table: &'static str,
    pub row: Row,
    /// E.g. `leaf`; `(row)` when the whole row is missing or too many.
    pub column: &'static str,
    pub reason: String,
}

/// What tells a row of its table from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Its position as it stands in the table, or would if it were there; for a filing, that
    /// of its first item.
    Position(i64),
    /// Of a table of keys.
    Key { hash: i64, position: i64 },
    /// Of a table with a name or a number in each row, as `name = filing_keys`.
    Named(String),
}

impl Damage {
    pub(crate) fn at(
        table: &'static str,
        position: Position,
        column: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        // Beyond the last position there can be none the wiser for an exact number.
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
        Self { table, row: Row::Position(position), column, reason: reason.into() }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "position {position}"),
            Self::Key { hash, position } => write!(f, "hash {hash}, position {position}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, row, column, reason } = self;
        write!(f, "table {table}, {row}, column {column}: {reason}")
    }
}

/// A value that cannot be what was stored there: the cause of a [`super::Fault`].
#[derive(Debug)]
pub(crate) struct UnreadableCell {
    pub table: &'static str,
    pub position: i64,
    pub column: &'static str,
    pub cause: String,
}

impl UnreadableCell {
    /// The cell that made a read fail, if that is what did.
    pub(crate) fn behind<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |e| (*e).source()).find_map(|e| e.downcast_ref())
    }

    pub(crate) fn damage(&self) -> Damage {
        Damage {
            table: self.table,
            row: Row::Position(self.position),
            column: self.column,
            reason: self.cause.clone(),
        }
    }
}

impl fmt::Display for UnreadableCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.damage().fmt(f)
    }
}

impl Error for UnreadableCell {}
