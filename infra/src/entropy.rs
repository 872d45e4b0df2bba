//! Random bytes from the operating system: the only place that draws them.

use crate::store::{Fault, FaultKind};

/// Nonces drawn at once: one call for 256 entries.
const BULK: usize = 256;

/// Random bytes: a key's seed, a salt.
pub fn draw<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<(), Fault> {
    getrandom::fill(bytes).map_err(|e| {
        Fault::new(FaultKind::Unavailable, "draw random bytes", "the operating system").because(e)
    })
}

/// Nonces of entries, drawn in bulk.
#[derive(Debug)]
pub struct Nonces {
    drawn: [[u8; 16]; BULK],
    used: usize,
}

impl Default for Nonces {
    fn default() -> Self {
        Self { drawn: [[0; 16]; BULK], used: BULK }
    }
}

impl Nonces {
    /// A nonce never given before.
    pub fn draw(&mut self) -> Result<[u8; 16], Fault> {
        if self.used == BULK {
            fill(self.drawn.as_flattened_mut())?;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.drawn[self.used - 1])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_nonce_is_given_twice() {
        let mut nonces = Nonces::default();
        let drawn: HashSet<[u8; 16]> =
            (0..3 * BULK).map(|_| nonces.draw().expect("randomness")).collect();
        assert_eq!(drawn.len(), 3 * BULK);
        assert!(!drawn.contains(&[0; 16]));
    }
}
