//! What was disclosed to one employer group, in order, and what each disclosure let be
//! derived.
//!
//! Only shapes are kept (units, periods, categories, what was withheld) and the numbers of
//! absentees declared; never a value of a cell. The answer about a disclosure depends on
//! those at lower positions alone, so it is worked out once; the running form that gives
//! the next one is a memo, shared by every copy of the register and checked against the
//! chain of what it was built from.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use super::state::{Derived, State, published_part_of};
use crate::body::{Access, Cohort, Concealed, Measure};
use crate::date::LegalDate;
use crate::edtf::Edtf;
use crate::encoding::Hash32;
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

    fn names(&self, digest: &str) -> bool {
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

/// The disclosures to one employer group, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    disclosures: Vec<Arc<Disclosure>>,
    /// Digest of the disclosures up to and including each one.
    chain: Vec<Hash32>,
    memo: Arc<Mutex<Memo>>,
}

#[derive(Debug, Default)]
struct Memo {
    limits: Option<Limits>,
    /// How many disclosures `state` holds.
    len: usize,
    state: State,
    chain: Hash32,
    /// The form after the disclosure last asked about, which may be the next one recorded.
    ahead: Option<(Hash32, State, Arc<Derived>)>,
    answers: HashMap<Hash32, Arc<Derived>>,
}

impl History {
    pub fn disclosures(&self) -> &[Arc<Disclosure>] {
        &self.disclosures
    }

    pub fn push(&mut self, disclosure: Arc<Disclosure>) {
        let link = chained(self.chain.last(), &disclosure);
        self.chain.push(link);
        self.disclosures.push(disclosure);
    }

    /// Forgets the numbers of that digest.
    pub fn erase(&mut self, digest: &str, by: u64) {
        let names = |d: &Disclosure| d.absentees.iter().any(|(_, count)| count.names(digest));
        let Some(from) = self.disclosures.iter().position(|d| names(d)) else { return };
        let rest = self.disclosures.split_off(from);
        self.chain.truncate(from);
        for mut disclosure in rest {
            if names(&disclosure) {
                let absentees = &mut Arc::make_mut(&mut disclosure).absentees;
                for (_, count) in absentees.iter_mut().filter(|(_, c)| c.names(digest)) {
                    *count = Count::Erased { by };
                }
            }
            self.push(disclosure);
        }
        self.memo = Arc::default();
    }

    /// How many disclosures stand before a position.
    pub fn before(&self, position: u64) -> usize {
        self.disclosures.partition_point(|d| d.position < position)
    }

    /// Whether a number of absentees, among the first `len` disclosures, is missing here
    /// and was at hand when the entry at `position` was judged.
    pub fn misses(&self, len: usize, position: u64) -> bool {
        self.disclosures[..len].iter().any(|d| misses(d, position))
    }

    /// What a disclosure lets be derived after the first `len`, and did not before it.
    pub fn derived(&self, len: usize, next: &Disclosure, limits: Limits) -> Arc<Derived> {
        let before = len.checked_sub(1).map(|last| self.chain[last]);
        let asked = chained(before.as_ref(), next);
        let mut memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if memo.limits != Some(limits) {
            *memo = Memo { limits: Some(limits), ..Memo::default() };
        }
        if let Some(answer) = memo.answers.get(&asked) {
            return Arc::clone(answer);
        }
        if let Some((_, _, answer)) = memo.ahead.as_ref().filter(|(link, ..)| *link == asked) {
            return Arc::clone(answer);
        }
        let follows =
            memo.len <= len && (memo.len == 0 || self.chain.get(memo.len - 1) == Some(&memo.chain));
        if !follows {
            // Answers depend on what came before them alone, and are kept.
            let answers = std::mem::take(&mut memo.answers);
            *memo = Memo { limits: Some(limits), answers, ..Memo::default() };
        }
        while memo.len < len {
            let link = self.chain[memo.len];
            match memo.ahead.take() {
                Some((ahead, state, answer)) if ahead == link => {
                    memo.state = state;
                    memo.answers.insert(link, answer);
                }
                _ => {
                    let disclosure = Arc::clone(&self.disclosures[memo.len]);
                    let answer = self.cited(memo.state.add(&disclosure, limits), memo.len);
                    memo.answers.insert(link, Arc::new(answer));
                }
            }
            memo.chain = link;
            memo.len += 1;
        }
        let mut state = memo.state.clone();
        let answer = Arc::new(self.cited(state.add(next, limits), len));
        memo.ahead = Some((asked, state, Arc::clone(&answer)));
        answer
    }
}

impl History {
    /// Adds to each set the positions of the disclosures, among the first `len`, that
    /// published part of it.
    fn cited(&self, mut derived: Derived, len: usize) -> Derived {
        for set in derived.sets.iter_mut().chain(&mut derived.suppressed) {
            let parts = self.disclosures[..len].iter().filter(|d| published_part_of(set, d));
            let positions: Vec<u64> = parts.map(|d| d.position).collect();
            set.positions.extend(positions);
            set.positions.sort_unstable();
            set.positions.dedup();
        }
        derived
    }
}

/// See [`History::misses`].
pub fn misses(disclosure: &Disclosure, position: u64) -> bool {
    disclosure.absentees.iter().any(|(_, count)| match count {
        Count::Withheld(_) => true,
        Count::Erased { by } => *by >= position,
        Count::Known { .. } | Count::Unstated => false,
    })
}

/// Feeds what is hashed to BLAKE3: two histories of one chain are one history.
struct Link(blake3::Hasher);

impl Hasher for Link {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn chained(before: Option<&Hash32>, disclosure: &Disclosure) -> Hash32 {
    let mut link = Link(blake3::Hasher::new());
    link.write(&before.copied().unwrap_or(Hash32::ZERO).0);
    disclosure.hash(&mut link);
    Hash32(*link.0.finalize().as_bytes())
}
