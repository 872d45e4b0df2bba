//! Statistical disclosure: the check by subtraction against oracles, and its rules.

mod differencing;
mod rules;
