//! A list whose copies share what they have in common.
//!
//! The form after a disclosure that may yet be denied stands beside the form before it.
//! Copying thousands of rows for a handful that change would be most of the work, so lists
//! are cut in chunks, and a change copies one chunk.

use std::ops::Index;
use std::sync::Arc;

const CHUNK: usize = 256;

#[derive(Debug, Clone)]
pub struct Chunks<T>(Vec<Arc<Vec<T>>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Chunks<T> {
    pub fn len(&self) -> usize {
        match self.0.last() {
            Some(last) => (self.0.len() - 1) * CHUNK + last.len(),
            None => 0,
        }
    }

    pub fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => Arc::make_mut(last).push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.0.push(Arc::new(chunk));
            }
        }
    }

    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut Arc::make_mut(&mut self.0[index / CHUNK])[index % CHUNK]
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.0[index / CHUNK][index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had_when_the_other_changes() {
        let mut list = Chunks::default();
        (0..1_000).for_each(|n| list.push(n));
        let copy = list.clone();
        *list.get_mut(300) = 7;
        list.push(1_000);
        assert_eq!((list.len(), list[300], list[1_000]), (1_001, 7, 1_000));
        assert_eq!((copy.len(), copy[300]), (1_000, 300));
        assert!(copy.iter().copied().eq(0..1_000));
    }
}
