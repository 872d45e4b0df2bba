//! Everything one employer group can derive, and what one more disclosure adds to it.
//!
//! Each measure has its own *table*: what is additive in days says nothing of cents. The
//! numbers of absentees and the headcounts declared are common to all.

use std::collections::HashMap;
use std::sync::Arc;

use super::population::{Persons, Populations};
use super::shape::{Cell, Count, Days, Disclosure, Limits};
use super::table::{Region, Table};
use crate::body::Measure;
use crate::vocabulary::Category;

/// An aggregate, by its dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    pub units: Vec<Arc<str>>,
    pub days: Days,
    /// What its cells or its parts are about, ascending.
    pub categories: Vec<Category>,
    pub measure: Measure,
    /// The disclosure publishes just this set.
    pub published: bool,
    pub persons: Persons,
    /// Headcount last declared for each of `units`, where one was.
    pub headcounts: Vec<Option<i64>>,
    /// Digests of the numbers of absentees declared about it.
    pub digests: Vec<Arc<str>>,
    /// Positions of the earlier disclosures that published part of it, ascending.
    pub positions: Vec<u64>,
}

impl Aggregate {
    pub fn is_same_set(&self, other: &Self) -> bool {
        self.units == other.units
            && self.days == other.days
            && self.categories == other.categories
            && self.measure == other.measure
    }

    /// Adds what another history says of the same set.
    pub fn learn(&mut self, other: &Self) {
        let most = self.persons.at_most.into_iter().chain(other.persons.at_most).min();
        let least = self.persons.at_least.max(other.persons.at_least);
        self.persons =
            Persons { at_least: most.map_or(least, |most| least.min(most)), at_most: most };
        for (known, told) in self.headcounts.iter_mut().zip(&other.headcounts) {
            *known = known.or(*told);
        }
        self.digests.extend(other.digests.iter().cloned());
        self.digests.sort_unstable();
        self.digests.dedup();
        self.positions.extend(&other.positions);
        self.positions.sort_unstable();
        self.positions.dedup();
    }
}

/// What a disclosure discloses, and lets be derived that could not be before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Derived {
    /// Its own cells, in order.
    pub cells: Vec<Aggregate>,
    /// Smallest sets newly derivable, published or not.
    pub sets: Vec<Aggregate>,
    /// Suppressed cells newly derivable.
    pub suppressed: Vec<Aggregate>,
    /// Work stopped at a limit: there may be others.
    pub incomplete: bool,
}

#[derive(Debug, Clone, Default)]
pub struct State {
    unit_ids: Arc<HashMap<Arc<str>, u32>>,
    unit_names: Arc<Vec<Arc<str>>>,
    absentees: Arc<Populations>,
    headcounts: Arc<Populations>,
    tables: HashMap<Measure, Arc<Table>>,
}

impl State {
    /// Adds a disclosure; what it made derivable.
    pub fn add(&mut self, disclosure: &Disclosure, limits: Limits) -> Derived {
        let days = disclosure.days;
        for (units, count) in &disclosure.absentees {
            if let Count::Known { persons, digest } = count {
                let units: Arc<[u32]> = Arc::from(self.ids(units));
                let absentees = Arc::make_mut(&mut self.absentees);
                absentees.declare(days, &units, *persons, Some(Arc::clone(digest)));
            }
        }
        for (units, persons) in &disclosure.headcounts {
            let units: Arc<[u32]> = Arc::from(self.ids(units));
            Arc::make_mut(&mut self.headcounts).declare(days, &units, *persons, None);
        }
        let regions: Vec<Region> = disclosure
            .cells
            .iter()
            .map(|cell| Region { units: self.ids(&cell.units), categories: parts(cell), days })
            .collect();
        let mut derived = Derived::default();
        let mut measures: Vec<Measure> = disclosure.cells.iter().map(|c| c.measure).collect();
        measures.sort_by_key(|m| *m as u8);
        measures.dedup();
        for measure in measures {
            let of_measure = disclosure.cells.iter().zip(&regions);
            let mut published = Vec::new();
            let mut suppressed = Vec::new();
            for (cell, region) in of_measure.filter(|(c, _)| c.measure == measure) {
                if cell.suppressed { &mut suppressed } else { &mut published }.push(region.clone());
            }
            let own = published.clone();
            let table = Arc::make_mut(self.tables.entry(measure).or_default());
            let found =
                table.add(disclosure.position, published, suppressed, limits, &self.absentees);
            derived.incomplete |= found.incomplete;
            for region in &found.sets {
                let mut set = self.aggregate(region, measure, limits);
                set.published = own.contains(region);
                derived.sets.push(set);
            }
            for (position, region) in &found.suppressed {
                let mut set = self.aggregate(region, measure, limits);
                set.positions.extend((*position != disclosure.position).then_some(*position));
                derived.suppressed.push(set);
            }
        }
        for (cell, region) in disclosure.cells.iter().zip(&regions) {
            let mut own = self.aggregate(region, cell.measure, limits);
            own.categories = cell.categories.to_vec();
            derived.cells.push(own);
        }
        derived
    }

    /// Numbers of units, ascending; names not met before get the next ones.
    fn ids(&mut self, names: &[Arc<str>]) -> Vec<u32> {
        let mut ids: Vec<u32> = names
            .iter()
            .map(|name| match self.unit_ids.get(name) {
                Some(id) => *id,
                None => {
                    let id = u32::try_from(self.unit_names.len())
                        .expect("units are numbered in 32 bits");
                    Arc::make_mut(&mut self.unit_ids).insert(Arc::clone(name), id);
                    Arc::make_mut(&mut self.unit_names).push(Arc::clone(name));
                    id
                }
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn aggregate(&self, region: &Region, measure: Measure, limits: Limits) -> Aggregate {
        let Region { units, categories, days } = region;
        let mut named: Vec<(Arc<str>, Option<i64>)> = units
            .iter()
            .map(|u| {
                let name = Arc::clone(&self.unit_names[*u as usize]);
                (name, self.headcounts.last_of_unit(*u))
            })
            .collect();
        named.sort_unstable();
        let (units, headcounts): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        let mut digests: Vec<Arc<str>> = self.absentees.digests(&region.units, *days).collect();
        digests.sort_unstable();
        digests.dedup();
        Aggregate {
            units,
            days: *days,
            categories: categories.iter().map(|c| category(*c)).collect(),
            measure,
            published: false,
            persons: self.absentees.of(&region.units, *days, limits.k),
            headcounts,
            digests,
            positions: Vec::new(),
        }
    }
}

/// Whether a cell published part of a set.
pub fn published_part_of(set: &Aggregate, disclosure: &Disclosure) -> bool {
    disclosure.days.overlaps(set.days)
        && disclosure.cells.iter().any(|cell| {
            !cell.suppressed
                && cell.measure == set.measure
                && cell.units.iter().any(|u| set.units.binary_search(u).is_ok())
                && parts(cell).iter().any(|part| set.categories.contains(&category(*part)))
        })
}

/// The parts that a cell's categories add up: a motive without more says is those that are
/// told apart, so that a total and all of them but one give the last.
fn parts(cell: &Cell) -> Vec<u32> {
    const MOTIVES: [&str; 3] = ["ABS-MOTIVE-TMS", "ABS-MOTIVE-LOMB", "ABS-MOTIVE-RPS"];
    let number = |category: Category| {
        let index = Category::all().position(|c| c == category);
        index.and_then(|i| u32::try_from(i).ok()).expect("a category is one of its list")
    };
    let mut parts: Vec<u32> = Vec::new();
    for category in cell.categories.iter() {
        if *category == *"ABS-MOTIVE" {
            parts.extend(MOTIVES.iter().filter_map(|code| Category::parse(code)).map(number));
        } else {
            parts.push(number(*category));
        }
    }
    parts.sort_unstable();
    parts.dedup();
    parts
}

fn category(number: u32) -> Category {
    Category::all().nth(number as usize).expect("numbers are given by `parts`")
}
