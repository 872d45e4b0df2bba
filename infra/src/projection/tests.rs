//! Projections against a plain scan of the entries.
