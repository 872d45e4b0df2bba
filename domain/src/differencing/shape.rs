//! The shape of a disclosure about a group: units, days, categories, what was withheld, and
//! the numbers of absentees declared.
//!
//! Never the value of a cell, so that whatever is worked out from shapes tells nothing of
//! values.

use std::sync::Arc;

use crate::body::{Access, Cohort, Concealed, Measure};
use crate::date::LegalDate;
use crate::edtf::Edtf;
use crate::vocabulary::Category;

/// Days from a day to another, both included, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Days {
    pub first: i32,
    pub last: i32,
}

impl Days {
    /// The one period of everything whose period is not told: compared with itself only.
    pub const UNTOLD: Self = Self { first: i32::MIN, last: i32::MIN };

    /// `None`, an open end, or no period at all: [`Days::UNTOLD`].
    pub fn of(period: Option<&Edtf>) -> Self {
        let interval = period.map(Edtf::interval);
        match interval.and_then(|i| Some((i.earliest?, i.latest?))) {
            Some((first, last)) => Self { first: day(first), last: day(last) },
            None => Self::UNTOLD,
        }
    }

    pub fn is_told(self) -> bool {
        self != Self::UNTOLD
    }

    pub fn within(self, other: Self) -> bool {
        other.first <= self.first && self.last <= other.last
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// What is left of it before and after a part.
    pub fn around(self, part: Self) -> [Option<Self>; 2] {
        [
            (self.first < part.first).then(|| Self { first: self.first, last: part.first - 1 }),
            (part.last < self.last).then(|| Self { first: part.last + 1, last: self.last }),
        ]
    }

    /// `YYYY-MM-DD/YYYY-MM-DD`; `None` when untold.
    pub fn text(self) -> Option<String> {
        let date = |days| epoch().add_days(days);
        self.is_told().then(|| format!("{}/{}", date(self.first), date(self.last)))
    }
}

fn epoch() -> LegalDate {
    LegalDate::from_ymd(1970, 1, 1).expect("1 January 1970 is a day")
}

fn day(date: LegalDate) -> i32 {
    date.days_since(epoch())
}

/// A number that was, or may have been, declared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Count {
    Known {
        persons: i64,
        digest: Arc<str>,
    },
    Unstated,
    /// Digests whose disclosure is not at hand: whether one of them is the number is not
    /// known either.
    Withheld(Arc<[String]>),
    /// Erased by the entry at that position.
    Erased {
        by: u64,
    },
}

impl Count {
    fn of(value: Option<&Concealed<i64>>, withheld: &[String]) -> Self {
        match value {
            Some(Concealed { digest, value: Some(persons) }) => {
                Self::Known { persons: *persons, digest: Arc::from(digest.as_str()) }
            }
            Some(Concealed { digest, value: None }) => Self::Withheld(Arc::from([digest.clone()])),
            None if withheld.is_empty() => Self::Unstated,
            None => Self::Withheld(Arc::from(withheld)),
        }
    }

    /// Digests that stand, or may stand, for it.
    pub fn digests(&self) -> Vec<&str> {
        match self {
            Self::Known { digest, .. } => vec![digest],
            Self::Withheld(digests) => digests.iter().map(String::as_str).collect(),
            Self::Unstated | Self::Erased { .. } => Vec::new(),
        }
    }

    /// Whether that digest stands, or may stand, for it.
    pub fn names(&self, digest: &str) -> bool {
        self.digests().contains(&digest)
    }
}

/// One cell, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cell {
    pub units: Arc<[Arc<str>]>,
    pub categories: Arc<[Category]>,
    pub measure: Measure,
    pub suppressed: bool,
}

/// The shape of a disclosure about a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disclosure {
    pub position: u64,
    pub days: Days,
    pub cells: Arc<[Cell]>,
    /// Numbers of absentees, each with the units it counts.
    pub absentees: Vec<(Arc<[Arc<str>]>, Count)>,
    /// Headcounts of establishments, each with the units it counts.
    pub headcounts: Vec<(Arc<[Arc<str>]>, i64)>,
}

impl Disclosure {
    /// `None`: the access discloses no cell and declares no number of absentees.
    pub fn of(position: u64, access: &Access) -> Option<Self> {
        let cohort = access.cohort.as_ref()?;
        let site = access.recipient.site.as_ref();
        let whole = names(&cohort.units);
        let mut absentees = Vec::new();
        if !whole.is_empty() {
            let count = Count::of(cohort.absentees.as_ref(), &cohort.withheld);
            absentees.push((Arc::clone(&whole), count));
        }
        let mut cells = Vec::with_capacity(cohort.cells.len());
        for cell in cohort.cells.iter().filter(|c| is_about_persons(&c.categories)) {
            let units = units_of(cohort, &cell.units, &whole);
            // Persons counted as absent, without a motive, are a number of absentees.
            if counts_absentees(cell) {
                let count = Count::of(cell.value.as_ref(), &cell.withheld);
                absentees.push((Arc::clone(&units), count));
            }
            let mut categories = cell.categories.clone();
            categories.sort_unstable();
            categories.dedup();
            cells.push(Cell {
                units,
                categories: Arc::from(categories),
                measure: cell.unit,
                suppressed: cell.suppressed,
            });
        }
        absentees.retain(|(units, count)| !units.is_empty() && *count != Count::Unstated);
        if cells.is_empty() && absentees.is_empty() {
            return None;
        }
        let mut headcounts = Vec::new();
        if let Some((site, persons)) = site.and_then(|s| Some((s, s.headcount?))) {
            headcounts.push((names(std::slice::from_ref(&site.id)), persons));
        }
        // Within a site, units are its parts, and a threshold on sites says nothing of them.
        let of_sites = site.is_none_or(|s| cohort.units == [s.id.clone()]);
        if let Some(persons) = cohort.headcount.filter(|_| of_sites && !whole.is_empty()) {
            headcounts.push((whole, persons));
        }
        Some(Self {
            position,
            days: Days::of(access.period.as_ref()),
            cells: Arc::from(cells),
            absentees,
            headcounts,
        })
    }
}

/// Whether a cell counts the absent, whatever their motive.
pub fn counts_absentees(cell: &crate::body::Cell) -> bool {
    cell.unit == Measure::Persons
        && !cell.suppressed
        && matches!(cell.categories.as_slice(), [only] if *only == *"ABS-FACT")
}

/// A headcount and a comparison with others say nothing of the absent of these units.
pub fn is_about_persons(categories: &[Category]) -> bool {
    !categories.iter().all(|c| *c == *"HEADCOUNT" || *c == *"BENCHMARK")
}

/// Units of a cell: its own, or the cohort's where it names none.
pub fn units_of(cohort: &Cohort, own: &[String], whole: &Arc<[Arc<str>]>) -> Arc<[Arc<str>]> {
    match (own.is_empty(), cohort.units.is_empty()) {
        (false, _) => names(own),
        (true, false) => Arc::clone(whole),
        // One unnamed unit: everything the recipient answers for.
        (true, true) => Arc::from([Arc::from("")]),
    }
}

/// Names, ascending and distinct.
pub fn names(units: &[String]) -> Arc<[Arc<str>]> {
    let mut names: Vec<Arc<str>> = units.iter().map(|u| Arc::from(u.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    Arc::from(names)
}

/// Thresholds the check itself needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A published aggregate must count at least so many absent persons.
    pub k: i64,
    /// Sets examined for one disclosure, one measure and one prime.
    pub sets: usize,
}

/// Whether one of its numbers of absentees is missing here and was at hand when the entry at
/// `position` was judged.
pub fn misses(disclosure: &Disclosure, position: u64) -> bool {
    disclosure.absentees.iter().any(|(_, count)| match count {
        Count::Withheld(_) => true,
        Count::Erased { by } => *by >= position,
        Count::Known { .. } | Count::Unstated => false,
    })
}
