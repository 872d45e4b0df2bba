//! What can be subtracted, against two oracles that share no code with the check.
//!
//! `oracle` decides by elimination over the rationals, and tries every protected set there
//! is; `two_worlds` does without algebra: it looks for two worlds that agree on everything
//! published and differ on the set. Universes are small, sequences many.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use greffe_domain::body::Measure;
use greffe_domain::differencing::{Aggregate, Cell, Count, Days, Disclosure, History, Limits};
use greffe_domain::vocabulary::Category;
use serde::Deserialize;

const K: i64 = 11;
const LIMITS: Limits = Limits { k: K, sets: 20_000 };
const CATEGORIES: [&str; 3] = ["ABS-MOTIVE-TMS", "ABS-MOTIVE-LOMB", "ABS-MOTIVE-RPS"];

/// A generator of numbers, the same at each run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("a small number")
    }

    /// A part of 0..n that is not empty.
    fn some(&mut self, n: usize) -> Vec<usize> {
        let mask = 1 + self.below((1 << n) - 1);
        (0..n).filter(|i| mask >> i & 1 == 1).collect()
    }
}

// Exact fractions, for the oracle.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fraction(i128, i128);

fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a.abs().max(1) } else { gcd(b, a % b) }
}

impl Fraction {
    const ZERO: Self = Self(0, 1);

    fn of(numerator: i128, denominator: i128) -> Self {
        let divisor = gcd(numerator, denominator) * denominator.signum();
        Self(numerator / divisor, denominator / divisor)
    }

    fn minus_product(self, a: Self, b: Self) -> Self {
        let product = Self::of(a.0 * b.0, a.1 * b.1);
        Self::of(self.0 * product.1 - product.0 * self.1, self.1 * product.1)
    }

    fn over(self, other: Self) -> Self {
        Self::of(self.0 * other.1, self.1 * other.0)
    }
}

/// Rank of 0/1 rows, by elimination over the rationals.
fn rank(rows: &[Vec<bool>]) -> usize {
    let mut rows: Vec<Vec<Fraction>> =
        rows.iter().map(|row| row.iter().map(|b| Fraction(i128::from(*b), 1)).collect()).collect();
    let mut rank = 0;
    let columns = rows.first().map_or(0, Vec::len);
    for column in 0..columns {
        let Some(pivot) = (rank..rows.len()).find(|r| rows[*r][column] != Fraction::ZERO) else {
            continue;
        };
        rows.swap(rank, pivot);
        let pivot = rows[rank].clone();
        for row in rows.iter_mut().skip(rank + 1) {
            let factor = row[column].over(pivot[column]);
            if factor != Fraction::ZERO {
                for (value, other) in row.iter_mut().zip(&pivot) {
                    *value = value.minus_product(factor, *other);
                }
            }
        }
        rank += 1;
    }
    rank
}

fn derivable(rows: &[Vec<bool>], set: &[bool]) -> bool {
    let mut more = rows.to_vec();
    more.push(set.to_vec());
    rank(&more) == rank(rows)
}

/// A small world: units × periods × categories.
#[derive(Clone, Copy)]
struct World {
    units: usize,
    periods: usize,
    categories: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    units: Vec<usize>,
    /// First and last period.
    periods: (usize, usize),
    categories: Vec<usize>,
}

impl World {
    fn atoms(self, block: &Block) -> Vec<bool> {
        let mut atoms = vec![false; self.units * self.periods * self.categories];
        for unit in &block.units {
            for period in block.periods.0..=block.periods.1 {
                for category in &block.categories {
                    atoms[(unit * self.periods + period) * self.categories + category] = true;
                }
            }
        }
        atoms
    }

    fn runs(self) -> Vec<(usize, usize)> {
        (0..self.periods).flat_map(|a| (a..self.periods).map(move |b| (a, b))).collect()
    }

    /// Units × contiguous periods × one category, two, or all.
    fn protectable(self) -> Vec<Block> {
        let category_sets: Vec<Vec<usize>> = (1..1_usize << self.categories)
            .map(|mask| (0..self.categories).filter(|i| mask >> i & 1 == 1).collect::<Vec<_>>())
            .filter(|set| set.len() <= 2 || set.len() == self.categories)
            .collect();
        let mut blocks = Vec::new();
        for mask in 1..1_usize << self.units {
            let units: Vec<usize> = (0..self.units).filter(|i| mask >> i & 1 == 1).collect();
            for periods in self.runs() {
                for categories in &category_sets {
                    blocks.push(Block {
                        units: units.clone(),
                        periods,
                        categories: categories.clone(),
                    });
                }
            }
        }
        blocks
    }
}

fn days((first, last): (usize, usize)) -> Days {
    let day = |n: usize| i32::try_from(n).expect("few periods") * 30;
    Days { first: day(first), last: day(last + 1) - 1 }
}

fn units(units: &[usize]) -> Arc<[Arc<str>]> {
    units.iter().map(|u| Arc::from(format!("u{u}"))).collect()
}

fn categories(block: &Block) -> Arc<[Category]> {
    block.categories.iter().map(|c| Category::parse(CATEGORIES[*c]).expect("a code")).collect()
}

fn disclosure(position: u64, blocks: &[(Block, bool)]) -> Disclosure {
    let cells: Vec<Cell> = blocks
        .iter()
        .map(|(block, suppressed)| Cell {
            units: units(&block.units),
            categories: categories(block),
            measure: Measure::Days,
            suppressed: *suppressed,
        })
        .collect();
    Disclosure {
        position,
        days: days(blocks[0].0.periods),
        cells: Arc::from(cells),
        absentees: Vec::new(),
        headcounts: Vec::new(),
    }
}

/// Declares how many were absent, unit by unit and for every run of periods, so that every
/// set's number is known exactly: `persons[unit]` in each period, the same ones throughout.
fn declarations(world: World, persons: &[i64]) -> Vec<Disclosure> {
    let mut declared = Vec::new();
    for periods in world.runs() {
        let absentees = (0..world.units)
            .map(|unit| {
                let digest = Arc::from(format!("{unit}-{periods:?}"));
                (units(&[unit]), Count::Known { persons: persons[unit], digest })
            })
            .collect();
        declared.push(Disclosure {
            position: declared.len() as u64,
            days: days(periods),
            cells: Arc::from([]),
            absentees,
            headcounts: Vec::new(),
        });
    }
    declared
}

fn is_block(aggregate: &Aggregate, block: &Block) -> bool {
    *aggregate.units == *units(&block.units)
        && aggregate.days == days(block.periods)
        && *aggregate.categories == *categories(block)
}

/// One sequence, checked step by step.
fn check_sequence(world: World, draw: &mut Draw, steps: usize) -> usize {
    let persons: Vec<i64> =
        (0..world.units).map(|_| [0, 3, 5, 9, 10, 11, 25][draw.below(7)]).collect();
    let protectable: Vec<Block> = world
        .protectable()
        .into_iter()
        .filter(|b| b.units.iter().map(|u| persons[*u]).sum::<i64>() < K)
        .collect();
    let mut history = History::default();
    for declared in declarations(world, &persons) {
        history.push(Arc::new(declared));
    }
    let mut rows: Vec<Vec<bool>> = Vec::new();
    let mut hidden: BTreeSet<Block> = BTreeSet::new();
    let mut found = 0;
    for step in 0..steps {
        let periods = world.runs()[draw.below(world.runs().len())];
        let blocks: Vec<(Block, bool)> = (0..1 + draw.below(3))
            .map(|_| {
                let block = Block {
                    units: draw.some(world.units),
                    periods,
                    categories: draw.some(world.categories),
                };
                (block, draw.below(5) == 0)
            })
            .collect();
        let next = disclosure(1_000 + step as u64, &blocks);
        let derived = history.derived(history.disclosures().len(), &next, LIMITS);
        assert!(!derived.incomplete);

        let before = rows.clone();
        rows.extend(blocks.iter().filter(|(_, s)| !s).map(|(b, _)| world.atoms(b)));
        hidden.extend(blocks.iter().filter(|(_, s)| *s).map(|(b, _)| b.clone()));
        let newly = |block: &Block| {
            let set = world.atoms(block);
            derivable(&rows, &set) && !derivable(&before, &set)
        };

        // Some protected set is newly derivable exactly when the check names one.
        let expected: Vec<&Block> = protectable.iter().filter(|b| newly(b)).collect();
        let named: Vec<&Aggregate> = derived.sets.iter().filter(|s| s.persons.below(K)).collect();
        assert_eq!(
            named.is_empty(),
            expected.is_empty(),
            "persons {persons:?}\nbefore {:?}\nnext {blocks:?}\nexpected {expected:?}\nnamed {named:?}",
            history.disclosures().iter().map(|d| (&d.days, &d.cells)).collect::<Vec<_>>(),
        );
        // What it names is derivable, new, and holds few.
        for set in named {
            assert!(expected.iter().any(|b| is_block(set, b)), "{set:?} is not in {expected:?}");
        }
        // Suppressed cells are named exactly when they become derivable.
        let leaked: Vec<&Block> = hidden.iter().filter(|b| newly(b)).collect();
        for block in &leaked {
            assert!(derived.suppressed.iter().any(|s| is_block(s, block)), "{block:?} leaks");
        }
        for set in &derived.suppressed {
            assert!(leaked.iter().any(|b| is_block(set, b)), "{set:?} does not leak");
        }
        found += usize::from(!expected.is_empty()) + leaked.len();
        history.push(Arc::new(next));
    }
    found
}

/// Sequences in the thorough run; each has several steps, each step one decision.
const SEQUENCES: usize = 20_000;

#[test]
fn a_set_is_refused_exactly_when_rational_elimination_gives_it() {
    let mut draw = Draw(0x1234_5678_9abc_def1);
    let mut found = 0;
    for _ in 0..SEQUENCES {
        let world = World {
            units: 1 + draw.below(4),
            periods: 1 + draw.below(3),
            categories: 1 + draw.below(3),
        };
        // Small enough that every protected set is tried after every step.
        if world.units * world.periods * world.categories <= 12 {
            found += check_sequence(world, &mut draw, 5);
        }
    }
    assert!(found > SEQUENCES / 10, "the sequences try something: {found} findings");
}

/// Two worlds of values 0 to 2 that agree on every row and differ on the set: none, when
/// the set is derivable.
fn two_worlds(rows: &[Vec<bool>], set: &[bool]) -> bool {
    let atoms = set.len();
    let sum = |world: &[u8], row: &[bool]| -> u32 {
        world.iter().zip(row).filter(|(_, in_row)| **in_row).map(|(v, _)| u32::from(*v)).sum()
    };
    let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
    for number in 0..3_usize.pow(u32::try_from(atoms).expect("few atoms")) {
        let mut rest = number;
        let world: Vec<u8> = (0..atoms)
            .map(|_| {
                let digit = u8::try_from(rest % 3).expect("a digit");
                rest /= 3;
                digit
            })
            .collect();
        let published: Vec<u32> = rows.iter().map(|row| sum(&world, row)).collect();
        let value = sum(&world, set);
        if *seen.entry(published).or_insert(value) != value {
            return true;
        }
    }
    false
}

#[test]
fn a_set_is_derivable_exactly_when_no_two_worlds_differ_on_it() {
    let world = World { units: 3, periods: 1, categories: 2 };
    let mut draw = Draw(0x0dd_ba11);
    for _ in 0..400 {
        let mut history = History::default();
        let mut rows: Vec<Vec<bool>> = Vec::new();
        for step in 0..4 {
            let block = Block {
                units: draw.some(world.units),
                periods: (0, 0),
                categories: draw.some(world.categories),
            };
            let next = disclosure(step, &[(block.clone(), false)]);
            let derived = history.derived(history.disclosures().len(), &next, LIMITS);
            let before = rows.clone();
            rows.push(world.atoms(&block));
            // A set that two worlds of values 0 to 2 tell apart is not derivable; and a
            // rational relation between so few rows always has such worlds.
            for set in &derived.sets {
                let block = world.protectable().into_iter().find(|b| is_block(set, b));
                let atoms = world.atoms(&block.expect("a set of this world"));
                assert!(!two_worlds(&rows, &atoms), "{set:?} is not derivable");
                assert!(two_worlds(&before, &atoms), "{set:?} was derivable before");
            }
            let leaves_something = world.protectable().iter().any(|b| {
                let atoms = world.atoms(b);
                !two_worlds(&rows, &atoms) && two_worlds(&before, &atoms)
            });
            assert_eq!(leaves_something, !derived.sets.is_empty());
            history.push(Arc::new(next));
        }
    }
}

#[test]
fn an_answer_does_not_depend_on_when_it_is_asked() {
    let world = World { units: 3, periods: 3, categories: 2 };
    let mut draw = Draw(77);
    let mut history = History::default();
    let mut asked = Vec::new();
    for step in 0..40 {
        let run = world.runs()[draw.below(world.runs().len())];
        let block =
            Block { units: draw.some(3), periods: run, categories: draw.some(world.categories) };
        let next = disclosure(step, &[(block, false)]);
        // Asked about and not recorded: it leaves no trace.
        let other = Block { units: draw.some(3), periods: run, categories: vec![0] };
        history.derived(history.disclosures().len(), &disclosure(step, &[(other, true)]), LIMITS);
        asked.push(history.derived(history.disclosures().len(), &next, LIMITS));
        history.push(Arc::new(next));
    }
    let mut afresh = History::default();
    for disclosure in history.disclosures() {
        afresh.push(Arc::clone(disclosure));
    }
    for (len, answer) in asked.iter().enumerate().rev() {
        let next = &history.disclosures()[len];
        assert_eq!(history.derived(len, next, LIMITS), *answer, "disclosure {len}, asked late");
        assert_eq!(afresh.derived(len, next, LIMITS), *answer, "disclosure {len}, backwards");
    }
}

#[test]
fn past_the_work_cap_the_answer_says_so() {
    let mut history = History::default();
    let world = World { units: 16, periods: 1, categories: 2 };
    for unit in 0..world.units {
        let block = Block { units: vec![unit], periods: (0, 0), categories: vec![0, 1] };
        history.push(Arc::new(disclosure(unit as u64, &[(block, false)])));
    }
    let total = Block { units: (0..16).collect(), periods: (0, 0), categories: vec![0] };
    let next = disclosure(99, &[(total, false)]);
    let len = history.disclosures().len();
    assert!(history.derived(len, &next, Limits { k: K, sets: 1_000 }).incomplete);
    // With the numbers of absentees declared, large units are not joined.
    let mut declared = History::default();
    for mut disclosure in declarations(world, &[25; 16]) {
        disclosure.position = 0;
        declared.push(Arc::new(disclosure));
    }
    for disclosure in history.disclosures() {
        declared.push(Arc::clone(disclosure));
    }
    let len = declared.disclosures().len();
    assert!(!declared.derived(len, &next, Limits { k: K, sets: 1_000 }).incomplete);
}

// The published vectors.

#[derive(Deserialize)]
struct Vectors {
    k: i64,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    period: Option<String>,
    #[serde(default)]
    absentees: Vec<(Vec<String>, i64)>,
    #[serde(default)]
    cells: Vec<VectorCell>,
    /// Sets given away that hold fewer than `k`: units and categories.
    #[serde(default)]
    few: Vec<Named>,
    /// Sets given away of which it is not known.
    #[serde(default)]
    open: Vec<Named>,
    /// Suppressed cells given away.
    #[serde(default)]
    suppressed: Vec<Named>,
}

#[derive(Deserialize)]
struct VectorCell {
    units: Vec<String>,
    categories: Vec<String>,
    #[serde(default = "days_measure")]
    unit: String,
    #[serde(default)]
    suppressed: bool,
}

fn days_measure() -> String {
    "days".to_owned()
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord, Debug, Clone)]
struct Named {
    units: Vec<String>,
    categories: Vec<String>,
    #[serde(default)]
    period: Option<String>,
}

impl Named {
    fn of(set: &Aggregate) -> Self {
        Self {
            units: set.units.iter().map(|u| u.to_string()).collect(),
            categories: set.categories.iter().map(|c| c.as_str().to_owned()).collect(),
            period: set.days.text(),
        }
    }
}

#[test]
fn the_published_sequences_give_away_what_they_say() {
    let text = include_str!("../../vectors/differencing.json");
    let vectors: Vectors = serde_json::from_str(text).expect("the vectors are JSON");
    assert!(vectors.vectors.len() >= 14);
    for vector in &vectors.vectors {
        let mut history = History::default();
        for (position, step) in vector.steps.iter().enumerate() {
            let name = |names: &[String]| greffe_domain::differencing::names(names);
            let period = step
                .period
                .as_deref()
                .map(|p| greffe_domain::edtf::Edtf::parse(p).unwrap_or_else(|e| panic!("{e}")));
            let disclosure = Disclosure {
                position: position as u64,
                days: Days::of(period.as_ref()),
                cells: step
                    .cells
                    .iter()
                    .map(|cell| Cell {
                        units: name(&cell.units),
                        categories: cell
                            .categories
                            .iter()
                            .map(|c| Category::parse(c).unwrap_or_else(|| panic!("{c}")))
                            .collect(),
                        measure: serde_json::from_value(cell.unit.clone().into())
                            .unwrap_or_else(|e| panic!("{e}")),
                        suppressed: cell.suppressed,
                    })
                    .collect(),
                absentees: step
                    .absentees
                    .iter()
                    .map(|(units, persons)| {
                        let digest = Arc::from(format!("{position}-{units:?}"));
                        (name(units), Count::Known { persons: *persons, digest })
                    })
                    .collect(),
                headcounts: Vec::new(),
            };
            let limits = Limits { k: vectors.k, sets: 20_000 };
            let len = history.disclosures().len();
            let derived = history.derived(len, &disclosure, limits);
            let at = format!("{}, step {position}", vector.name);
            let sorted = |sets: Vec<Named>| -> BTreeSet<Named> { sets.into_iter().collect() };
            let subtracted = || derived.sets.iter().filter(|s| !s.published);
            let few = subtracted().filter(|s| s.persons.below(vectors.k));
            assert_eq!(sorted(few.map(Named::of).collect()), sorted(step.few.clone()), "{at}");
            let open = subtracted()
                .filter(|s| s.persons.perhaps_below(vectors.k) && !s.persons.below(vectors.k));
            assert_eq!(sorted(open.map(Named::of).collect()), sorted(step.open.clone()), "{at}");
            let suppressed = derived.suppressed.iter().map(Named::of).collect();
            assert_eq!(sorted(suppressed), sorted(step.suppressed.clone()), "{at}");
            history.push(Arc::new(disclosure));
        }
    }
}
