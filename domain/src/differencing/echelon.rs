//! A reduced row echelon form that is kept and extended.
//!
//! Rows are sparse: a pivot of coefficient 1 and what else the row has, in columns that are
//! nobody's pivot. Beside the rows stands one *probe*: a vector that every row is
//! orthogonal to, drawn at random (in the sense of a fixed mixing of the column numbers) in
//! their null space. A set of columns whose probe does not sum to zero is certainly not
//! derivable; one whose probe does is, but for one chance in 2⁶¹, and is then reduced to be
//! sure. So most questions cost a sum.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::chunks::Chunks;
use super::field::Prime;

const NONE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Row {
    pivot: u32,
    /// Coefficients in other columns, ascending; none is a pivot.
    rest: Vec<(u32, u64)>,
    /// Right-hand side; zero throughout where values are none of our business.
    sum: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The rows before it already gave it.
    Redundant,
    Independent,
    /// The rows before it give another right-hand side: it is not kept.
    Contradicts,
}

/// Row space of the rows inserted, over one prime field.
#[derive(Debug, Clone, Default)]
pub struct Echelon<P> {
    rows: Chunks<Arc<Row>>,
    /// Column → the row whose pivot it is.
    pivot_of: Chunks<u32>,
    /// Column → how many rows have it beside their pivot.
    uses: Chunks<u32>,
    probe: Chunks<u64>,
    entries: usize,
    field: PhantomData<P>,
}

impl<P: Prime> Echelon<P> {
    pub fn columns(&self) -> u32 {
        u32::try_from(self.probe.len()).expect("columns are numbered in 32 bits")
    }

    /// Coefficients kept: what the form costs in memory.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Adds columns, in no row yet, up to that many.
    pub fn grow(&mut self, columns: u32) {
        for column in self.columns()..columns {
            self.pivot_of.push(NONE);
            self.uses.push(0);
            self.probe.push(mix(u64::from(column)) % (P::MODULUS - 1) + 1);
        }
    }

    /// The probe in a column.
    pub fn probe(&self, column: u32) -> u64 {
        self.probe[column as usize]
    }

    /// What is left of an indicator once the rows are taken out of it, and of its sum.
    fn residue(&self, columns: &[u32], sum: u64) -> (Vec<(u32, u64)>, u64) {
        let mut terms: Vec<(u32, u64)> = Vec::with_capacity(columns.len());
        let mut left = sum;
        for &column in columns {
            match self.pivot_of[column as usize] {
                NONE => terms.push((column, 1)),
                row => {
                    let row = &self.rows[row as usize];
                    terms.extend(row.rest.iter().map(|(c, v)| (*c, P::neg(*v))));
                    left = P::sub(left, row.sum);
                }
            }
        }
        // Many terms over few columns are added in place; few are sorted.
        if terms.len() * 4 > self.probe.len() {
            let mut sums = vec![0; self.probe.len()];
            for (column, value) in terms {
                sums[column as usize] = P::add(sums[column as usize], value);
            }
            let kept = (0..).zip(sums).filter(|(_, sum)| *sum != 0);
            return (kept.collect(), left);
        }
        (combine::<P>(terms), left)
    }

    /// Whether the rows give the sum over these (distinct) columns.
    pub fn derives(&self, columns: &[u32]) -> bool {
        self.residue(columns, 0).0.is_empty()
    }

    /// The sum over these (distinct) columns that the right-hand sides give, if they do.
    pub fn sum_over(&self, columns: &[u32]) -> Option<u64> {
        let (rest, left) = self.residue(columns, 0);
        rest.is_empty().then(|| P::neg(left))
    }

    /// Adds the row that is 1 in these (distinct) columns.
    ///
    /// `before`: receives, of every column whose probe changes, the probe it had when first
    /// met.
    pub fn insert(
        &mut self,
        columns: &[u32],
        sum: u64,
        before: &mut HashMap<u32, u64>,
    ) -> Inserted {
        let (mut rest, mut left) = self.residue(columns, sum);
        if rest.is_empty() {
            return if left == 0 { Inserted::Redundant } else { Inserted::Contradicts };
        }
        // A pivot that no row has costs no elimination.
        let at = (0..rest.len())
            .min_by_key(|i| (self.uses[rest[*i].0 as usize], rest[*i].0))
            .expect("`rest` is not empty");
        let (pivot, coefficient) = rest.remove(at);
        if coefficient != 1 {
            let scale = P::inverse(coefficient);
            rest.iter_mut().for_each(|(_, v)| *v = P::mul(*v, scale));
            left = P::mul(left, scale);
        }
        if self.uses[pivot as usize] > 0 {
            self.eliminate(pivot, &rest, left, before);
        }
        let row = Row { pivot, rest, sum: left };
        row.rest.iter().for_each(|(c, _)| *self.uses.get_mut(*c as usize) += 1);
        self.entries += row.rest.len() + 1;
        *self.pivot_of.get_mut(pivot as usize) =
            u32::try_from(self.rows.len()).expect("rows are numbered in 32 bits");
        self.rows.push(Arc::new(row));
        self.set_probe(self.rows.len() - 1, before);
        Inserted::Independent
    }

    /// Takes a column that becomes a pivot out of the rows that have it.
    fn eliminate(
        &mut self,
        pivot: u32,
        rest: &[(u32, u64)],
        sum: u64,
        before: &mut HashMap<u32, u64>,
    ) {
        for index in 0..self.rows.len() {
            let row = Arc::clone(&self.rows[index]);
            let Ok(at) = row.rest.binary_search_by_key(&pivot, |(c, _)| *c) else { continue };
            let factor = row.rest[at].1;
            let mut terms: Vec<(u32, u64)> =
                row.rest.iter().copied().filter(|(c, _)| *c != pivot).collect();
            terms.extend(rest.iter().map(|(c, v)| (*c, P::neg(P::mul(factor, *v)))));
            let next = Row {
                pivot: row.pivot,
                rest: combine::<P>(terms),
                sum: P::sub(row.sum, P::mul(factor, sum)),
            };
            row.rest.iter().for_each(|(c, _)| *self.uses.get_mut(*c as usize) -= 1);
            next.rest.iter().for_each(|(c, _)| *self.uses.get_mut(*c as usize) += 1);
            self.entries = self.entries + next.rest.len() - row.rest.len();
            *self.rows.get_mut(index) = Arc::new(next);
            self.set_probe(index, before);
        }
    }

    /// Makes the probe orthogonal to a row again.
    fn set_probe(&mut self, index: usize, before: &mut HashMap<u32, u64>) {
        let row = &self.rows[index];
        let sum =
            row.rest.iter().fold(0, |sum, (c, v)| P::add(sum, P::mul(*v, self.probe[*c as usize])));
        let pivot = row.pivot;
        before.entry(pivot).or_insert(self.probe[pivot as usize]);
        *self.probe.get_mut(pivot as usize) = P::neg(sum);
    }

    /// Cuts columns in two. Every row that had one has both, with one coefficient: the form
    /// stays reduced, because a twin is in no row but those of its original.
    ///
    /// `twins`: column → its twin, a column beyond those known so far.
    pub fn split(&mut self, twins: &HashMap<u32, u32>, columns: u32) {
        self.grow(columns);
        let mut unused = HashMap::new();
        for index in 0..self.rows.len() {
            let row = Arc::clone(&self.rows[index]);
            let pivot_twin = twins.get(&row.pivot).map(|twin| (*twin, 1));
            let mut added: Vec<(u32, u64)> = pivot_twin.into_iter().collect();
            added.extend(row.rest.iter().filter_map(|(c, v)| Some((*twins.get(c)?, *v))));
            if added.is_empty() {
                continue;
            }
            let mut next = Row::clone(&row);
            added.iter().for_each(|(c, _)| *self.uses.get_mut(*c as usize) += 1);
            self.entries += added.len();
            next.rest.extend(added);
            next.rest.sort_unstable_by_key(|(c, _)| *c);
            *self.rows.get_mut(index) = Arc::new(next);
            self.set_probe(index, &mut unused);
        }
    }
}

/// One coefficient a column, ascending, zeros left out.
fn combine<P: Prime>(mut terms: Vec<(u32, u64)>) -> Vec<(u32, u64)> {
    // Often two ascending runs, which a stable sort merges.
    terms.sort_by_key(|(c, _)| *c);
    let mut out: Vec<(u32, u64)> = Vec::with_capacity(terms.len());
    for (column, value) in terms {
        match out.last_mut() {
            Some((last, sum)) if *last == column => *sum = P::add(*sum, value),
            _ => {
                if out.last().is_some_and(|(_, sum)| *sum == 0) {
                    out.pop();
                }
                out.push((column, value));
            }
        }
    }
    if out.last().is_some_and(|(_, sum)| *sum == 0) {
        out.pop();
    }
    out
}

/// Spreads a number over 64 bits (the finaliser of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differencing::field::{Goldilocks, Mersenne61};

    fn form<P: Prime>(columns: u32, rows: &[&[u32]]) -> Echelon<P> {
        let mut form = Echelon::default();
        form.grow(columns);
        for row in rows {
            form.insert(row, 0, &mut HashMap::new());
        }
        form
    }

    #[test]
    fn a_difference_is_derived_and_a_part_of_a_sum_is_not() {
        let form = form::<Mersenne61>(3, &[&[0, 1, 2], &[0, 1]]);
        assert!(form.derives(&[2]));
        assert!(!form.derives(&[0]));
        assert_eq!(form.probe(2), 0);
        assert_ne!(form.probe(0), 0);
    }

    #[test]
    fn three_pairs_give_each_member_by_division() {
        // x+y, y+z, z+x: each is half of a sum of the three.
        let form = form::<Goldilocks>(3, &[&[0, 1], &[1, 2], &[0, 2]]);
        for column in 0..3 {
            assert!(form.derives(&[column]));
        }
    }

    #[test]
    fn a_column_cut_in_two_is_no_longer_derived_by_half() {
        let mut form = form::<Mersenne61>(2, &[&[0, 1], &[1]]);
        assert!(form.derives(&[0]));
        form.split(&HashMap::from([(0, 2)]), 3);
        assert!(!form.derives(&[0]));
        assert!(form.derives(&[0, 2]));
        form.split(&HashMap::from([(1, 3)]), 4);
        assert!(form.derives(&[1, 3]));
        assert!(!form.derives(&[1]));
    }

    #[test]
    fn sums_are_derived_with_their_rows_and_contradictions_are_told() {
        let mut form = Echelon::<Mersenne61>::default();
        form.grow(2);
        let mut before = HashMap::new();
        assert_eq!(form.insert(&[0, 1], 55, &mut before), Inserted::Independent);
        assert_eq!(form.sum_over(&[1]), None);
        assert_eq!(form.insert(&[0], 25, &mut before), Inserted::Independent);
        assert_eq!(form.sum_over(&[1]), Some(30));
        assert_eq!(form.insert(&[1], 30, &mut before), Inserted::Redundant);
        assert_eq!(form.insert(&[1], 31, &mut before), Inserted::Contradicts);
    }
}
