//! One measure: atoms, the equations published about them, and the sets they give away.
//!
//! An *atom* is a block of units × a block of days × a block of categories, where blocks
//! are the finest parts that the disclosures so far told apart. When one cuts a block, its
//! atoms are cut with it and the equations are written over both halves. A published cell
//! is the equation that adds its atoms; a suppressed one is a set that must stay unknown.
//!
//! After a disclosure only sets that hold an atom whose probe moved can be newly derivable.
//! Those examined are units × contiguous days × one block of categories, two, or all; units
//! that every equation treats alike are taken together, and units are joined only while the
//! persons certainly absent stay fewer than `k`. Every set found is confirmed by reducing
//! it. Values are never looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::chunks::Chunks;
use super::echelon::{Echelon, Inserted, mix};
use super::field::{Goldilocks, Mersenne61, Prime};
use super::population::Populations;
use super::shape::{Days, Limits};

/// Atoms and coefficients past which a measure is not followed any further.
const MOST_ATOMS: usize = 200_000;
const MOST_ENTRIES: usize = 1_000_000;
/// Atoms of one cell past which it is not followed.
const MOST_ATOMS_OF_CELL: usize = 50_000;

/// Units × days × categories, by their numbers, ascending.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region {
    pub units: Vec<u32>,
    pub categories: Vec<u32>,
    pub days: Days,
}

/// What a disclosure made derivable.
#[derive(Debug, Default)]
pub struct Found {
    pub sets: Vec<Region>,
    /// Suppressed cells, with the position of their disclosure.
    pub suppressed: Vec<(u64, Region)>,
    pub incomplete: bool,
}

/// A partition of numbers into blocks.
#[derive(Debug, Clone, Default)]
struct Blocks {
    of: HashMap<u32, u32>,
    members: Vec<Vec<u32>>,
}

impl Blocks {
    /// Makes `set` a union of blocks. Answers block → the one cut out of it. Numbers not
    /// met before make one block.
    fn refine(&mut self, set: &[u32]) -> HashMap<u32, u32> {
        let mut inside: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut fresh = Vec::new();
        for number in set {
            match self.of.get(number) {
                Some(block) => inside.entry(*block).or_default().push(*number),
                None => fresh.push(*number),
            }
        }
        let mut cut = HashMap::new();
        for (block, within) in inside {
            if within.len() < self.members[block as usize].len() {
                let without: Vec<u32> = self.members[block as usize]
                    .iter()
                    .copied()
                    .filter(|n| within.binary_search(n).is_err())
                    .collect();
                self.members[block as usize] = within;
                cut.insert(block, self.add(without));
            }
        }
        if !fresh.is_empty() {
            self.add(fresh);
        }
        cut
    }

    fn add(&mut self, members: Vec<u32>) -> u32 {
        let block = u32::try_from(self.members.len()).expect("blocks are numbered in 32 bits");
        self.of.extend(members.iter().map(|m| (*m, block)));
        self.members.push(members);
        block
    }

    fn of_set(&self, set: &[u32]) -> Vec<u32> {
        let mut blocks: Vec<u32> = set.iter().map(|n| self.of[n]).collect();
        blocks.sort_unstable();
        blocks.dedup();
        blocks
    }

    fn union(&self, blocks: &[u32]) -> Vec<u32> {
        let members = blocks.iter().flat_map(|b| &self.members[*b as usize]);
        let mut union: Vec<u32> = members.copied().collect();
        union.sort_unstable();
        union
    }
}

/// Block of units, first day of the block of days, block of categories. Blocks of days are
/// named by their first day: cutting one leaves its first part its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Atom {
    units: u32,
    first: i32,
    categories: u32,
}

/// First day and block of categories → the column of the atom.
type ColumnsOfUnits = HashMap<(i32, u32), u32>;

#[derive(Debug, Clone, Default)]
pub struct Table {
    units: Blocks,
    categories: Blocks,
    /// First day → last day of each block of days.
    days: BTreeMap<i32, i32>,
    /// By block of units.
    columns: HashMap<u32, Arc<ColumnsOfUnits>>,
    atoms: Chunks<Atom>,
    /// Equal for atoms that the same equations hold.
    marks: Chunks<u64>,
    first: Echelon<Mersenne61>,
    second: Echelon<Goldilocks>,
    /// Cells published so far.
    equations: u64,
    /// Suppressed cells not derivable so far, with the position of their disclosure.
    suppressed: Arc<Vec<(u64, Region)>>,
    overflown: bool,
}

impl Table {
    pub fn add(
        &mut self,
        position: u64,
        published: Vec<Region>,
        suppressed: Vec<Region>,
        limits: Limits,
        absentees: &Populations,
    ) -> Found {
        if self.overflown || !self.make_room(published.iter().chain(&suppressed)) {
            self.overflown = true;
            return Found { incomplete: true, ..Found::default() };
        }
        for region in &suppressed {
            self.columns_of(region);
        }
        let (mut before, mut before_second) = (HashMap::new(), HashMap::new());
        for region in &published {
            let columns = self.columns_of(region);
            self.equations += 1;
            let mark = mix(mix(self.equations));
            columns.iter().for_each(|c| {
                let kept = self.marks.get_mut(*c as usize);
                *kept = mix(*kept ^ mark);
            });
            let added = self.first.insert(&columns, 0, &mut before);
            self.second.insert(&columns, 0, &mut before_second);
            debug_assert_ne!(added, Inserted::Contradicts, "sums are all zero here");
        }
        if !suppressed.is_empty() {
            let added = suppressed.into_iter().map(|region| (position, region));
            Arc::make_mut(&mut self.suppressed).extend(added);
        }
        let mut sets = BTreeSet::new();
        let first = Search::new(self, &self.first, &before, limits, absentees);
        let mut incomplete = first.run(&mut sets);
        let second = Search::new(self, &self.second, &before_second, limits, absentees);
        incomplete |= second.run(&mut sets);
        let derivable = |region: &Region| {
            let columns = self.find_columns(region);
            first.newly(&columns) || second.newly(&columns)
        };
        let moved = first.days_moved();
        let (derived, kept): (Vec<_>, Vec<_>) = match moved {
            None => (Vec::new(), Vec::new()),
            Some(moved) => {
                let leaks =
                    |(_, region): &(u64, Region)| region.days.overlaps(moved) && derivable(region);
                if self.suppressed.iter().any(leaks) {
                    self.suppressed.iter().cloned().partition(leaks)
                } else {
                    (Vec::new(), Vec::new())
                }
            }
        };
        if !derived.is_empty() {
            self.suppressed = Arc::new(kept);
        }
        if self.first.entries() > MOST_ENTRIES || self.second.entries() > MOST_ENTRIES {
            self.overflown = true;
        }
        Found { sets: sets.into_iter().collect(), suppressed: derived, incomplete }
    }

    /// Cuts blocks so that every region is a union of atoms. `false`: too many of them.
    fn make_room<'a>(&mut self, regions: impl Iterator<Item = &'a Region>) -> bool {
        for region in regions {
            let cut = self.units.refine(&region.units);
            self.cut_atoms(|atom| Some(Atom { units: *cut.get(&atom.units)?, ..atom }));
            let cut = self.categories.refine(&region.categories);
            self.cut_atoms(|atom| Some(Atom { categories: *cut.get(&atom.categories)?, ..atom }));
            self.cut_days_at(region.days.first);
            if let Some(next) = region.days.last.checked_add(1) {
                self.cut_days_at(next);
            }
            self.fill_days(region.days);
            let atoms = self.units.of_set(&region.units).len()
                * self.categories.of_set(&region.categories).len()
                * self.days.range(region.days.first..=region.days.last).count();
            if atoms > MOST_ATOMS_OF_CELL || self.atoms.len() + atoms > MOST_ATOMS {
                return false;
            }
        }
        true
    }

    fn cut_days_at(&mut self, day: i32) {
        let holding = self.days.range(..day).next_back().map(|(first, last)| (*first, *last));
        let Some((first, last)) = holding.filter(|(_, last)| *last >= day) else { return };
        self.days.insert(first, day - 1);
        self.days.insert(day, last);
        self.cut_atoms(|atom| (atom.first == first).then_some(Atom { first: day, ..atom }));
    }

    /// Makes blocks of the days among these that are in none.
    fn fill_days(&mut self, days: Days) {
        let mut next = days.first;
        let held: Vec<(i32, i32)> =
            self.days.range(days.first..=days.last).map(|(f, l)| (*f, *l)).collect();
        for (first, last) in held {
            if next < first {
                self.days.insert(next, first - 1);
            }
            next = last.saturating_add(1);
        }
        if next <= days.last {
            self.days.insert(next, days.last);
        }
    }

    /// Gives a twin to every atom that has one.
    fn cut_atoms(&mut self, twin: impl Fn(Atom) -> Option<Atom>) {
        let mut twins = HashMap::new();
        for column in 0..self.atoms.len() {
            if let Some(atom) = twin(self.atoms[column]) {
                let added = self.add_atom(atom);
                *self.marks.get_mut(added as usize) = self.marks[column];
                let column = u32::try_from(column).expect("columns are numbered in 32 bits");
                twins.insert(column, added);
            }
        }
        if !twins.is_empty() {
            let columns = u32::try_from(self.atoms.len()).expect("columns are numbered in 32 bits");
            self.first.split(&twins, columns);
            self.second.split(&twins, columns);
        }
    }

    fn add_atom(&mut self, atom: Atom) -> u32 {
        let column = u32::try_from(self.atoms.len()).expect("columns are numbered in 32 bits");
        let of_units = Arc::make_mut(self.columns.entry(atom.units).or_default());
        of_units.insert((atom.first, atom.categories), column);
        self.atoms.push(atom);
        self.marks.push(0);
        column
    }

    /// Atoms of a region that is a union of them; those not met before are added.
    fn columns_of(&mut self, region: &Region) -> Vec<u32> {
        let atoms = self.atoms_of(region);
        let columns = atoms
            .into_iter()
            .map(|atom| match self.find(atom) {
                Some(column) => column,
                None => self.add_atom(atom),
            })
            .collect();
        let known = u32::try_from(self.atoms.len()).expect("columns are numbered in 32 bits");
        self.first.grow(known);
        self.second.grow(known);
        columns
    }

    fn find_columns(&self, region: &Region) -> Vec<u32> {
        let atoms = self.atoms_of(region).into_iter();
        let known = "atoms of a region examined, or of a cell disclosed, have their column";
        atoms.map(|atom| self.find(atom).expect(known)).collect()
    }

    fn find(&self, atom: Atom) -> Option<u32> {
        self.columns.get(&atom.units)?.get(&(atom.first, atom.categories)).copied()
    }

    fn atoms_of(&self, region: &Region) -> Vec<Atom> {
        let categories = self.categories.of_set(&region.categories);
        let mut atoms = Vec::new();
        for units in self.units.of_set(&region.units) {
            for first in self.days.range(region.days.first..=region.days.last).map(|(f, _)| *f) {
                atoms.extend(categories.iter().map(|c| Atom { units, first, categories: *c }));
            }
        }
        atoms
    }

    fn last_day(&self, first: i32) -> i32 {
        self.days[&first]
    }
}

/// Looks, in one field, for sets that moved from unknown to derivable.
struct Search<'a, P> {
    table: &'a Table,
    form: &'a Echelon<P>,
    /// Columns whose probe moved, with the probe they had.
    before: HashMap<u32, u64>,
    limits: Limits,
    absentees: &'a Populations,
}

/// Sums of the probe over part of a set: now, and before the disclosure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    now: u64,
    then: u64,
}

impl Sums {
    fn plus<P: Prime>(self, other: Self) -> Self {
        Self { now: P::add(self.now, other.now), then: P::add(self.then, other.then) }
    }

    /// Derivable now, and not then.
    fn is_new(self) -> bool {
        self.now == 0 && self.then != 0
    }
}

/// Units that every equation about some atoms treats alike.
struct Alike {
    units: Vec<u32>,
    sums: Sums,
    /// One of those atoms moved.
    moved: bool,
    /// Some atom of these units and categories is not derivable.
    open: bool,
    /// Persons certainly absent.
    persons: i64,
}

impl<'a, P: Prime> Search<'a, P> {
    fn new(
        table: &'a Table,
        form: &'a Echelon<P>,
        before: &HashMap<u32, u64>,
        limits: Limits,
        absentees: &'a Populations,
    ) -> Self {
        let moved = before.iter().filter(|(c, then)| form.probe(**c) != **then);
        let before = moved.map(|(c, then)| (*c, *then)).collect();
        Self { table, form, before, limits, absentees }
    }

    fn sums(&self, column: u32) -> Sums {
        let now = self.form.probe(column);
        Sums { now, then: self.before.get(&column).copied().unwrap_or(now) }
    }

    /// Whether the region of these atoms is derivable now and was not.
    fn newly(&self, columns: &[u32]) -> bool {
        let sums =
            columns.iter().fold(Sums::default(), |sums, column| sums.plus::<P>(self.sums(*column)));
        sums.is_new() && self.form.derives(columns)
    }

    fn days_moved(&self) -> Option<Days> {
        let firsts = || self.before.keys().map(|c| self.table.atoms[*c as usize].first);
        let (first, last) = (firsts().min()?, firsts().max()?);
        Some(Days { first, last: self.table.last_day(last) })
    }

    /// Adds the sets found. Answers whether work stopped at the limit.
    fn run(&self, sets: &mut BTreeSet<Region>) -> bool {
        if self.before.is_empty() {
            return false;
        }
        let mut moved: BTreeMap<(u32, i32), HashSet<u32>> = BTreeMap::new();
        for column in self.before.keys() {
            let atom = self.table.atoms[*column as usize];
            moved.entry((atom.categories, atom.first)).or_default().insert(atom.units);
        }
        let open: HashSet<(u32, u32)> = self
            .table
            .atoms
            .iter()
            .zip(0..)
            .filter(|(_, column)| self.form.probe(*column) != 0)
            .map(|(atom, _)| (atom.units, atom.categories))
            .collect();
        let mut budget = self.limits.sets;
        for categories in self.category_sets(&moved) {
            let mut firsts: Vec<i32> = moved
                .keys()
                .filter(|(category, _)| categories.contains(category))
                .map(|(_, first)| *first)
                .collect();
            firsts.sort_unstable();
            firsts.dedup();
            for first in firsts {
                let alike = self.alike(&categories, first, &moved, &open);
                let mut joined = Vec::new();
                let complete =
                    self.join(&alike, 0, &mut joined, &categories, first, &mut budget, sets);
                if !complete {
                    return true;
                }
            }
        }
        false
    }

    /// One block of categories, two, or all of them, that hold a moved atom.
    fn category_sets(&self, moved: &BTreeMap<(u32, i32), HashSet<u32>>) -> BTreeSet<Vec<u32>> {
        let all: Vec<u32> = (0..).take(self.table.categories.members.len()).collect();
        let mut sets = BTreeSet::new();
        for (category, _) in moved.keys() {
            sets.insert(vec![*category]);
            for other in all.iter().filter(|o| *o != category) {
                sets.insert(vec![*category.min(other), *category.max(other)]);
            }
        }
        sets.insert(all);
        sets
    }

    fn column(&self, units: u32, first: i32, categories: u32) -> Option<u32> {
        self.table.find(Atom { units, first, categories })
    }

    /// Sums over one unit, or `None` where no equation and no cell ever spoke of part of it.
    fn sums_of(&self, units: u32, first: i32, categories: &[u32]) -> Option<Sums> {
        let mut sums = Sums::default();
        for category in categories {
            sums = sums.plus::<P>(self.sums(self.column(units, first, *category)?));
        }
        Some(sums)
    }

    fn alike(
        &self,
        categories: &[u32],
        first: i32,
        moved: &BTreeMap<(u32, i32), HashSet<u32>>,
        open: &HashSet<(u32, u32)>,
    ) -> Vec<Alike> {
        let mut by_marks: BTreeMap<Vec<u64>, Alike> = BTreeMap::new();
        for units in (0..).take(self.table.units.members.len()) {
            let Some(sums) = self.sums_of(units, first, categories) else { continue };
            let marks = categories
                .iter()
                .filter_map(|c| self.column(units, first, *c))
                .map(|column| self.table.marks[column as usize])
                .collect();
            let group = by_marks.entry(marks).or_insert(Alike {
                units: Vec::new(),
                sums: Sums::default(),
                moved: false,
                open: false,
                persons: 0,
            });
            group.units.push(units);
            group.sums = group.sums.plus::<P>(sums);
            let has_moved =
                |c: &u32| moved.get(&(*c, first)).is_some_and(|of_units| of_units.contains(&units));
            group.moved |= categories.iter().any(has_moved);
            group.open |= categories.iter().any(|c| open.contains(&(units, *c)));
        }
        let days = Days { first, last: self.table.last_day(first) };
        let mut alike: Vec<Alike> = by_marks.into_values().collect();
        alike.retain(|group| group.moved || group.open);
        for group in &mut alike {
            let units = self.table.units.union(&group.units);
            group.persons = self.absentees.at_least_over(&units, days);
        }
        // Marks are arbitrary; the order of work, and so where it stops, must not be.
        alike.sort_by(|a, b| (!a.moved, &a.units).cmp(&(!b.moved, &b.units)));
        alike
    }

    /// Examines every union of groups that starts with a moved one, by growing it. Answers
    /// whether the budget sufficed.
    #[allow(clippy::too_many_arguments)]
    fn join<'g>(
        &self,
        alike: &'g [Alike],
        from: usize,
        joined: &mut Vec<&'g Alike>,
        categories: &[u32],
        first: i32,
        budget: &mut usize,
        sets: &mut BTreeSet<Region>,
    ) -> bool {
        for (index, group) in alike.iter().enumerate().skip(from) {
            // Moved groups come first: without one at the start there is none.
            if joined.is_empty() && !group.moved {
                return true;
            }
            // What is derivable on its own adds nothing to a set that is not.
            if !joined.is_empty() && !group.open {
                continue;
            }
            let Some(left) = budget.checked_sub(1) else { return false };
            *budget = left;
            joined.push(group);
            let sums = joined.iter().fold(Sums::default(), |s, g| s.plus::<P>(g.sums));
            let persons = joined.iter().fold(0_i64, |n, g| n.saturating_add(g.persons));
            let mut units: Vec<u32> = joined.iter().flat_map(|g| &g.units).copied().collect();
            units.sort_unstable();
            let last = self.table.last_day(first);
            if sums.is_new() {
                self.report(&units, categories, Days { first, last }, sets);
            } else if !self.runs(&units, categories, first, sums, budget, sets) {
                return false;
            }
            let grows = sums.now != 0 && persons < self.limits.k && group.open;
            if grows && !self.join(alike, index + 1, joined, categories, first, budget, sets) {
                return false;
            }
            joined.pop();
        }
        true
    }

    /// Looks for contiguous days around a block, longer than it, over which the set is newly
    /// derivable: a pair of sums to the left and to the right that cancel. Each block summed
    /// counts as a set examined. Answers whether the budget sufficed.
    fn runs(
        &self,
        units: &[u32],
        categories: &[u32],
        first: i32,
        here: Sums,
        budget: &mut usize,
        sets: &mut BTreeSet<Region>,
    ) -> bool {
        let over = |first: i32| -> Option<Sums> {
            units.iter().try_fold(Sums::default(), |sums, unit| {
                Some(sums.plus::<P>(self.sums_of(*unit, first, categories)?))
            })
        };
        // Left: sums over blocks from each start up to the one before `first`, nearest first.
        let mut left: HashMap<u64, Vec<(i32, u64)>> = HashMap::from([(0, vec![(first, 0)])]);
        let mut sums = Sums::default();
        let mut next = first;
        for (start, last) in self.table.days.range(..first).rev() {
            if last.checked_add(1) != Some(next) {
                break;
            }
            let Some(more) = over(*start) else { break };
            let Some(rest) = budget.checked_sub(1) else { return false };
            *budget = rest;
            sums = sums.plus::<P>(more);
            left.entry(sums.now).or_default().push((*start, sums.then));
            next = *start;
        }
        let mut right = here;
        let mut end = self.table.last_day(first);
        let mut best: Option<i32> = None;
        let mut following =
            self.table.days.range((std::ops::Bound::Excluded(first), std::ops::Bound::Unbounded));
        loop {
            let candidates = left.get(&P::neg(right.now)).map_or(&[][..], Vec::as_slice);
            let then = P::neg(right.then);
            // Nearest start first; a later end is of use only with a nearer start.
            let start = candidates.iter().find(|(_, before)| *before != then).map(|c| c.0);
            if let Some(start) = start.filter(|s| best.is_none_or(|b| *s > b)) {
                self.report(units, categories, Days { first: start, last: end }, sets);
                best = Some(start);
                if start == first {
                    return true;
                }
            }
            let Some((start, last)) = following.next() else { return true };
            if end.checked_add(1) != Some(*start) {
                return true;
            }
            let Some(more) = over(*start) else { return true };
            let Some(rest) = budget.checked_sub(1) else { return false };
            *budget = rest;
            right = right.plus::<P>(more);
            end = *last;
        }
    }

    fn report(&self, units: &[u32], categories: &[u32], days: Days, sets: &mut BTreeSet<Region>) {
        let region = Region {
            units: self.table.units.union(units),
            categories: self.table.categories.union(categories),
            days,
        };
        if self.form.derives(&self.table.find_columns(&region)) {
            sets.insert(region);
        }
    }
}
