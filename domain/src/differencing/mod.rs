//! What an employer can work out by subtracting what it was shown.
//!
//! Every cell ever disclosed to one employer group is an equation over atoms (units × days
//! × categories, as fine as the disclosures tell them apart). What can be derived is what
//! is in the row space of those equations. Before a disclosure is granted, the sets that it
//! would newly give away are looked for; `rules/statistics.rs` says which of them must stay
//! unknown and what is found. The answer rests on the shape of the disclosures and on the
//! numbers of absentees declared, never on the value of a cell, so that a refusal tells
//! nothing of it. What is covered and what is not: `docs/differencing.md`.
//!
//! Read in this order: `shape` (what is kept of a disclosure), `history` (all of them, and the
//! one question asked), `state` (all measures of an employer), `table` (one measure),
//! `population`, `echelon`, `field`, `chunks`.

mod chunks;
mod echelon;
mod field;
mod history;
mod population;
mod shape;
mod state;
mod table;

pub use history::History;
pub use population::Persons;
pub use shape::{
    Cell, Count, Days, Disclosure, Limits, counts_absentees, is_about_persons, misses, names,
    units_of,
};
pub use state::{Aggregate, Derived};
