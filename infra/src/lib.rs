//! Stores, sequencer, projections.
