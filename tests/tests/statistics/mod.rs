//! Statistical disclosure: the check by subtraction against oracles, and its rules.

mod differencing;
pub(crate) mod rules;
