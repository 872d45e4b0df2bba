//! The link: the hash that chains one leaf to the next.

use crate::encoding::Hash32;

/// BLAKE3 key-derivation context of links.
pub const LINK_CONTEXT: &str = "greffe v1 entry link";

/// Link of one leaf: 32 bytes, BLAKE3 in key-derivation mode under [`LINK_CONTEXT`].
/// `leaf`: the stored bytes, exactly.
pub fn link(leaf: &[u8]) -> Hash32 {
    Hash32(blake3::derive_key(LINK_CONTEXT, leaf))
}
