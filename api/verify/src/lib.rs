//! Offline verifier.
