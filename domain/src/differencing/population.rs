//! How many absent persons a set of units may have had, from the numbers declared so far.
//!
//! Over one period persons add up from unit to unit, so numbers declared for overlapping
//! sets are equations, and a set that they determine is known exactly. From one period to
//! another they only compare: who was absent within a part was absent within the whole,
//! and the whole has no more persons than its parts together. What cannot be bounded stays
//! open; it is never guessed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::echelon::{Echelon, Inserted};
use super::field::Mersenne61;
use super::shape::Days;

/// Past this a number of persons is nonsense, and the declarations contradict each other.
const MOST_PERSONS: u64 = 1 << 40;
/// Coefficients kept for one period; what is declared beyond it is not used, so that sets
/// stay open.
const MOST_ENTRIES: usize = 1_000_000;

/// What is known of a number of persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persons {
    pub at_least: i64,
    pub at_most: Option<i64>,
}

impl Persons {
    /// Certainly fewer than `k`.
    pub fn below(&self, k: i64) -> bool {
        self.at_most.is_some_and(|most| most < k)
    }

    /// Perhaps fewer than `k`.
    pub fn perhaps_below(&self, k: i64) -> bool {
        self.at_least < k
    }

    pub fn exactly(&self) -> Option<i64> {
        self.at_most.filter(|most| *most == self.at_least)
    }
}

#[derive(Debug, Clone)]
struct Declared {
    units: Arc<[u32]>,
    persons: i64,
    digest: Option<Arc<str>>,
}

#[derive(Debug, Clone, Default)]
struct Period {
    declared: Vec<Declared>,
    equations: Echelon<Mersenne61>,
}

impl Period {
    fn exactly(&self, units: &[u32]) -> Option<i64> {
        if units.iter().any(|u| *u >= self.equations.columns()) {
            return None;
        }
        let sum = self.equations.sum_over(units).filter(|sum| *sum <= MOST_PERSONS)?;
        i64::try_from(sum).ok()
    }

    /// The most that disjoint sets declared within `units` add up to, largest first.
    fn packed(&self, units: &[u32]) -> i64 {
        let mut within: Vec<&Declared> =
            self.declared.iter().filter(|d| subset(&d.units, units)).collect();
        within.sort_by_key(|d| std::cmp::Reverse(d.persons));
        let mut taken: Vec<u32> = Vec::new();
        let mut sum = 0_i64;
        for declared in within {
            if declared.units.iter().all(|u| !taken.contains(u)) {
                taken.extend(declared.units.iter());
                sum = sum.saturating_add(declared.persons);
            }
        }
        sum
    }

    fn at_most(&self, units: &[u32]) -> Option<i64> {
        let holding =
            self.declared.iter().filter(|d| subset(units, &d.units)).map(|d| d.persons).min();
        self.exactly(units).into_iter().chain(holding).min()
    }
}

/// Every number declared to one employer group.
#[derive(Debug, Clone, Default)]
pub struct Populations {
    periods: BTreeMap<Days, Arc<Period>>,
}

impl Populations {
    /// `units`: ascending, distinct, not empty.
    pub fn declare(
        &mut self,
        days: Days,
        units: &Arc<[u32]>,
        persons: i64,
        digest: Option<Arc<str>>,
    ) {
        let period = Arc::make_mut(self.periods.entry(days).or_default());
        let (Some(last), Ok(sum)) = (units.last(), u64::try_from(persons)) else { return };
        period.equations.grow(last + 1);
        if period.equations.entries() + units.len() <= MOST_ENTRIES {
            // The first declaration stands; one that contradicts it adds nothing.
            if period.equations.insert(units, sum, &mut HashMap::new()) == Inserted::Contradicts {
                return;
            }
        }
        period.declared.push(Declared { units: Arc::clone(units), persons, digest });
    }

    /// What is known of the persons absent from `units` (ascending) at any time of `days`.
    /// `enough`: a lower bound past which a better one is not looked for.
    pub fn of(&self, units: &[u32], days: Days, enough: i64) -> Persons {
        let at_most = self.at_most(units, days);
        let at_least = self.at_least(units, days, enough);
        // Contradictory declarations prove nothing.
        let at_least = at_most.map_or(at_least, |most| at_least.min(most));
        Persons { at_least, at_most }
    }

    /// The last exact number declared for one unit, whatever the period.
    pub fn last_of_unit(&self, unit: u32) -> Option<i64> {
        self.periods.values().rev().find_map(|p| p.exactly(&[unit]))
    }

    /// Digests of the numbers declared for units among these and days among these.
    pub fn digests(&self, units: &[u32], days: Days) -> impl Iterator<Item = Arc<str>> {
        self.periods
            .iter()
            .filter(move |(period, _)| period.overlaps(days))
            .flat_map(|(_, p)| &p.declared)
            .filter(move |d| d.units.iter().any(|u| units.binary_search(u).is_ok()))
            .filter_map(|d| d.digest.clone())
    }

    fn at_most(&self, units: &[u32], days: Days) -> Option<i64> {
        self.holding(days).filter_map(|(_, p)| p.at_most(units)).min()
    }

    /// Lower bound over exactly these days, cheap enough to be asked of every set.
    pub fn at_least_over(&self, units: &[u32], days: Days) -> i64 {
        let Some(period) = self.periods.get(&days) else { return 0 };
        period.exactly(units).unwrap_or_else(|| period.packed(units))
    }

    fn at_least(&self, units: &[u32], days: Days, enough: i64) -> i64 {
        let mut best = 0;
        let mut by_unit = vec![0_i64; units.len()];
        let within = self.periods.iter().filter(|(p, _)| p.within(days));
        for (_, period) in within {
            best = best.max(period.exactly(units).unwrap_or(0)).max(period.packed(units));
            if best >= enough {
                return best;
            }
            for (most, unit) in by_unit.iter_mut().zip(units) {
                *most = (*most).max(period.exactly(&[*unit]).unwrap_or(0));
            }
        }
        best = best.max(by_unit.iter().fold(0_i64, |a, b| a.saturating_add(*b)));
        // Who was absent in the whole and in none of the other parts was absent in this one.
        for (whole, period) in self.holding(days).filter(|(whole, _)| **whole != days) {
            let Some(all) = period.exactly(units) else { continue };
            let others = whole.around(days).map(|part| match part {
                None => Some(0),
                Some(part) => self.at_most(units, part),
            });
            if let [Some(before), Some(after)] = others {
                best = best.max(all - before - after);
            }
        }
        best
    }

    fn holding(&self, days: Days) -> impl Iterator<Item = (&Days, &Arc<Period>)> {
        self.periods.iter().filter(move |(p, _)| days.within(**p))
    }
}

/// Whether ascending `a` is within ascending `b`.
fn subset(a: &[u32], b: &[u32]) -> bool {
    a.len() <= b.len() && a.iter().all(|u| b.binary_search(u).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: Days = Days { first: 0, last: 364 };

    fn units(ids: &[u32]) -> Arc<[u32]> {
        Arc::from(ids)
    }

    #[test]
    fn the_difference_of_two_declared_sets_is_known_and_its_parts_are_not() {
        let mut known = Populations::default();
        known.declare(YEAR, &units(&[0, 1, 2]), 55, None);
        known.declare(YEAR, &units(&[0]), 25, None);
        assert_eq!(known.of(&[1, 2], YEAR, 1_000).exactly(), Some(30));
        assert_eq!(known.of(&[1], YEAR, 1_000), Persons { at_least: 0, at_most: Some(55) });
        assert_eq!(known.of(&[3], YEAR, 1_000), Persons { at_least: 0, at_most: None });
    }

    #[test]
    fn a_longer_period_bounds_a_shorter_one_and_their_difference_bounds_the_rest() {
        let (half, rest) = (Days { first: 0, last: 180 }, Days { first: 181, last: 364 });
        let mut known = Populations::default();
        known.declare(half, &units(&[0]), 40, None);
        known.declare(YEAR, &units(&[0]), 60, None);
        assert_eq!(known.of(&[0], rest, 1_000), Persons { at_least: 20, at_most: Some(60) });
        assert_eq!(known.of(&[0], half, 1_000).exactly(), Some(40));
    }

    #[test]
    fn a_contradiction_leaves_the_first_declaration() {
        let mut known = Populations::default();
        known.declare(YEAR, &units(&[0]), 9, None);
        known.declare(YEAR, &units(&[0]), 900, None);
        assert_eq!(known.of(&[0], YEAR, 11).exactly(), Some(9));
    }
}
