//! Strict verification under a key that signs often: the answer of `verify_strict`, sooner,
//! from multiples of the key that are kept.
//!
//! A signature is good when `[S]B - [k]A` is its `R`, byte for byte (RFC 8032 §5.1.7 without
//! cofactor). Computed afresh, that takes a doubling for each bit of a scalar; with
//! multiples of `A` and `B` at hand, additions are left. Everything here is public: nothing
//! runs in constant time. Not here: reading keys, and refusing those of small order
//! (`key.rs`). Why this is safe: `docs/adr/0042-multiples-of-a-key.md`.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha512};

/// Verifications after which multiples are made, which takes about as long as four.
const AFTER: u32 = 32;
/// Keys whose multiples are kept at any time, about 80 KiB each.
const MOST: usize = 256;

/// Keys that have a permit.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Of the base point, for everybody: about 640 KiB, made at the first use.
static BASE: LazyLock<Multiples<8>> =
    LazyLock::new(|| Multiples::of(EdwardsPoint::mul_base(&Scalar::ONE)));

/// How often a key has verified and, once that is often, its multiples.
#[derive(Default)]
pub(super) struct Often {
    verified: AtomicU32,
    kept: OnceLock<Kept>,
}

struct Kept {
    /// Of the key's opposite.
    multiples: Multiples<4>,
    _permit: Permit,
}

/// One of [`MOST`], given back with the key's last copy.
struct Permit(());

impl Permit {
    fn take() -> Option<Self> {
        KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < MOST).then_some(n + 1))
            .ok()
            .map(|_| Self(()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Often {
    /// Counts a verification, and answers it if the multiples of this key are kept.
    ///
    /// `key`: the same each time, and not of small order.
    pub fn verify_strict(
        &self,
        key: &VerifyingKey,
        message: &[u8],
        signature: &[u8; 64],
    ) -> Option<bool> {
        self.multiples(key).map(|multiples| multiples.verify_strict(key, message, signature))
    }

    fn multiples(&self, key: &VerifyingKey) -> Option<&Multiples<4>> {
        if self.kept.get().is_none() {
            let verified = self.verified.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if !verified.is_multiple_of(AFTER) {
                return None;
            }
            let permit = Permit::take()?;
            let multiples = Multiples::of(-key.to_edwards());
            // Another thread may have been as quick; then these are dropped.
            let _ = self.kept.set(Kept { multiples, _permit: permit });
        }
        self.kept.get().map(|kept| &kept.multiples)
    }
}

/// `k` of RFC 8032 §5.1.7. `r`: 32 bytes, as the signature has them.
fn challenge(r: &[u8], key: &VerifyingKey, message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key.as_bytes()).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

impl Multiples<4> {
    /// `self`: of the opposite of this key.
    fn verify_strict(&self, key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let (r, s) = signature.split_at(32);
        let s = s.try_into().expect("64 bytes less 32");
        // Not reduced, it would be a second signature of the same.
        let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)) else {
            return false;
        };
        let mut expected = EdwardsPoint::identity();
        BASE.add(&s, &mut expected);
        self.add(&challenge(r, key, message), &mut expected);
        // Equal to canonical bytes, `r` is the point itself: it needs no reading.
        expected.compress().as_bytes() == r && !expected.is_small_order()
    }
}

/// `[d · 2^(WIDTH · i)]P` for each window `i` of a scalar and each digit `d` from 1 to half of
/// the window's range. `WIDTH` divides 8.
struct Multiples<const WIDTH: usize>(Vec<EdwardsPoint>);

impl<const WIDTH: usize> Multiples<WIDTH> {
    const RANGE: usize = 1 << WIDTH;
    const HALF: usize = Self::RANGE / 2;

    fn of(point: EdwardsPoint) -> Self {
        let windows = 256 / WIDTH;
        let mut multiples = Vec::with_capacity(windows * Self::HALF);
        let mut base = point;
        for _ in 0..windows {
            let mut multiple = base;
            multiples.push(multiple);
            for _ in 1..Self::HALF {
                multiple += base;
                multiples.push(multiple);
            }
            base = multiple + multiple;
        }
        Self(multiples)
    }

    /// Adds `[scalar]P`, exactly: also where `P` has a part of small order.
    ///
    /// `scalar`: reduced, so that its last window is small and carries nothing further.
    fn add(&self, scalar: &Scalar, sum: &mut EdwardsPoint) {
        let digits = scalar.as_bytes().iter().flat_map(|byte| {
            (0..8).step_by(WIDTH).map(move |bit| usize::from(byte >> bit) % Self::RANGE)
        });
        let mut carry = 0;
        for (multiples, digit) in self.0.chunks_exact(Self::HALF).zip(digits) {
            // A digit of the upper half is one more of the next window, less the difference.
            let digit = digit + carry;
            carry = usize::from(digit > Self::HALF);
            let times = if carry == 0 { digit } else { Self::RANGE - digit };
            let Some(index) = times.checked_sub(1) else { continue };
            if carry == 0 {
                *sum += &multiples[index];
            } else {
                *sum -= &multiples[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::traits::IsIdentity;
    use ed25519_dalek::{Signature, Signer, SigningKey};

    use super::*;

    /// What `verify_strict` answers, ours being the same.
    fn judged(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> bool {
        let theirs = key.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
        let ours = Multiples::of(-key.to_edwards()).verify_strict(key, message, signature);
        assert_eq!(ours, theirs, "{:?} {message:?} {signature:?}", key.as_bytes());
        theirs
    }

    fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
        [*r, *s].concat().try_into().expect("twice 32 bytes")
    }

    #[test]
    fn multiples_are_those_of_the_library() {
        let point = EdwardsPoint::mul_base(&Scalar::from(123_456_789u64)) + EIGHT_TORSION[1];
        let few = Multiples::<4>::of(point);
        let many = Multiples::<8>::of(point);
        let mut scalars: Vec<Scalar> = [0u64, 1, 7, 8, 9, 15, 16, 127, 128, 129, 255, 256, 0x8888]
            .into_iter()
            .flat_map(|n| [Scalar::from(n), -Scalar::from(n)])
            .collect();
        scalars.push(Scalar::from_bytes_mod_order([0x88; 32]));
        scalars.push(Scalar::from_bytes_mod_order([0x80; 32]));
        for n in 0..200u64 {
            let hash = Sha512::digest(n.to_le_bytes());
            scalars.push(Scalar::from_bytes_mod_order_wide(&hash.into()));
        }
        for scalar in scalars {
            let (mut with_few, mut with_many) =
                (EdwardsPoint::identity(), EdwardsPoint::identity());
            few.add(&scalar, &mut with_few);
            many.add(&scalar, &mut with_many);
            // By its bits, since a product of the library may be of the scalar modulo the
            // order of the base point, and this point has a part of small order.
            let mut expected = EdwardsPoint::identity();
            for byte in scalar.as_bytes().iter().rev() {
                for bit in (0..8).rev() {
                    expected += expected;
                    if byte >> bit & 1 == 1 {
                        expected += point;
                    }
                }
            }
            assert_eq!(with_few, expected, "{scalar:?}");
            assert_eq!(with_many, expected, "{scalar:?}");
        }
    }

    #[test]
    fn signatures_and_all_that_is_one_bit_away_are_judged_alike() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let key = signing.verifying_key();
        let good = signing.sign(b"filed").to_bytes();
        assert!(judged(&key, b"filed", &good));
        assert!(!judged(&key, b"other", &good));
        for bit in 0..512 {
            let mut signature = good;
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(!judged(&key, b"filed", &signature), "bit {bit}");
        }
    }

    #[test]
    fn a_scalar_that_is_not_reduced_is_refused() {
        // The order of the base point, RFC 8032 §5.1.
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let signing = SigningKey::from_bytes(&[8; 32]);
        let good = signing.sign(b"filed").to_bytes();
        let mut carry = 0u16;
        let mut same = good;
        for (byte, order) in same[32..].iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert!(!judged(&signing.verifying_key(), b"filed", &same));
    }

    #[test]
    fn keys_and_signatures_with_a_part_of_small_order_are_judged_alike() {
        let secret = Scalar::from_bytes_mod_order([5; 32]);
        let nonce = Scalar::from_bytes_mod_order([6; 32]);
        let (mut accepted, mut refused) = (0, 0);
        for of_key in EIGHT_TORSION {
            let point = EdwardsPoint::mul_base(&secret) + of_key;
            let key = VerifyingKey::from_bytes(point.compress().as_bytes()).expect("a point");
            for of_r in EIGHT_TORSION {
                let r = (EdwardsPoint::mul_base(&nonce) + of_r).compress();
                for n in 0..16u8 {
                    let s = nonce + challenge(r.as_bytes(), &key, &[n]) * secret;
                    if judged(&key, &[n], &signature(r.as_bytes(), s.as_bytes())) {
                        accepted += 1;
                    } else {
                        refused += 1;
                    }
                }
            }
        }
        // Both happen: by chance alone, since [k] of the key's part must be that of `R`.
        assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused");
    }

    #[test]
    fn an_r_of_small_order_is_refused() {
        let secret = Scalar::from_bytes_mod_order([5; 32]);
        let key = EdwardsPoint::mul_base(&secret).compress();
        let key = VerifyingKey::from_bytes(key.as_bytes()).expect("a point");
        for r in EIGHT_TORSION {
            let r = r.compress();
            let s = challenge(r.as_bytes(), &key, b"filed") * secret;
            assert!(!judged(&key, b"filed", &signature(r.as_bytes(), s.as_bytes())));
            // The first is what verification without that refusal accepts.
            let expected = EdwardsPoint::mul_base(&s)
                - key.to_edwards() * challenge(r.as_bytes(), &key, b"filed");
            assert!(expected.is_identity());
        }
        // The identity, written as no library writes it: y = p + 1.
        let mut r = [0xff; 32];
        (r[0], r[31]) = (0xee, 0x7f);
        let s = challenge(&r, &key, b"filed") * secret;
        assert!(!judged(&key, b"filed", &signature(&r, s.as_bytes())));
    }

    #[test]
    fn multiples_are_kept_of_a_key_that_verifies_often() {
        let signing = SigningKey::from_bytes(&[9; 32]);
        let (key, good) = (signing.verifying_key(), signing.sign(b"filed").to_bytes());
        let often = Often::default();
        for _ in 1..AFTER {
            assert_eq!(often.verify_strict(&key, b"filed", &good), None);
        }
        assert_eq!(often.verify_strict(&key, b"filed", &good), Some(true));
        assert_eq!(often.verify_strict(&key, b"other", &good), Some(false));
        assert!(KEPT.load(Ordering::Relaxed) > 0);
    }
}
