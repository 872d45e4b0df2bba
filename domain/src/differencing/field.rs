//! Arithmetic modulo two primes of about 64 bits.
//!
//! Ranks over the rationals are what matters; a prime that large can only err on a matrix
//! one of whose minors it divides, and two primes must err together to hide a derivation.
//! Elements are `u64` below the modulus; callers keep them so.

/// A prime modulus below 2⁶⁴.
pub trait Prime: Clone + Copy + std::fmt::Debug + Default {
    const MODULUS: u64;

    /// The product, reduced.
    fn mul(a: u64, b: u64) -> u64;

    fn add(a: u64, b: u64) -> u64 {
        let (sum, carried) = a.overflowing_add(b);
        if carried || sum >= Self::MODULUS { sum.wrapping_sub(Self::MODULUS) } else { sum }
    }

    fn neg(a: u64) -> u64 {
        if a == 0 { 0 } else { Self::MODULUS - a }
    }

    fn sub(a: u64, b: u64) -> u64 {
        Self::add(a, Self::neg(b))
    }

    /// The inverse of an element that is not zero (Fermat).
    fn inverse(a: u64) -> u64 {
        let (mut base, mut exponent, mut out) = (a, Self::MODULUS - 2, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                out = Self::mul(out, base);
            }
            base = Self::mul(base, base);
            exponent >>= 1;
        }
        out
    }
}

/// 2⁶¹ − 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mersenne61;

impl Prime for Mersenne61 {
    const MODULUS: u64 = (1 << 61) - 1;

    fn mul(a: u64, b: u64) -> u64 {
        let product = u128::from(a) * u128::from(b);
        // 2⁶¹ = 1 here, so the high part is added to the low one.
        let low = product as u64 & Self::MODULUS;
        let high = (product >> 61) as u64;
        Self::add(low, high)
    }
}

/// 2⁶⁴ − 2³² + 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Goldilocks;

impl Prime for Goldilocks {
    const MODULUS: u64 = 0xffff_ffff_0000_0001;

    fn mul(a: u64, b: u64) -> u64 {
        const EPSILON: u64 = 0xffff_ffff;
        let product = u128::from(a) * u128::from(b);
        let (low, high) = (product as u64, (product >> 64) as u64);
        // 2⁶⁴ = 2³² − 1 and 2⁹⁶ = −1 here.
        let (mut out, borrowed) = low.overflowing_sub(high >> 32);
        if borrowed {
            out = out.wrapping_sub(EPSILON);
        }
        let (mut out, carried) = out.overflowing_add((high & EPSILON) * EPSILON);
        if carried {
            out = out.wrapping_add(EPSILON);
        }
        if out >= Self::MODULUS { out - Self::MODULUS } else { out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agrees_with_wide_arithmetic<P: Prime>() {
        let p = u128::from(P::MODULUS);
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            seed % P::MODULUS
        };
        let edges = [0, 1, 2, P::MODULUS - 1, P::MODULUS - 2, 0xffff_ffff, 1 << 32, 1 << 60];
        let drawn: Vec<u64> = (0..500).map(|_| draw()).collect();
        for &a in edges.iter().chain(&drawn) {
            for &b in edges.iter().chain(&drawn[..60]) {
                let (x, y) = (u128::from(a), u128::from(b));
                assert_eq!(u128::from(P::mul(a, b)), x * y % p, "{a} × {b}");
                assert_eq!(u128::from(P::add(a, b)), (x + y) % p, "{a} + {b}");
                assert_eq!(u128::from(P::sub(a, b)), (x + p - y) % p, "{a} − {b}");
            }
            if a != 0 {
                assert_eq!(P::mul(a, P::inverse(a)), 1, "the inverse of {a}");
            }
        }
    }

    #[test]
    fn both_primes_agree_with_wide_arithmetic() {
        agrees_with_wide_arithmetic::<Mersenne61>();
        agrees_with_wide_arithmetic::<Goldilocks>();
    }
}
