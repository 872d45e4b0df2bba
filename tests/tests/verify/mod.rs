//! The verifier against honest exports, tampering, and a dishonest operator.

mod honest;

use greffe_tests::ledger::TestLedger;
use greffe_verify::{Failure, Reason, Report, Trust, verify};

fn trust(ledger: &TestLedger) -> Trust {
    Trust::parse(ledger.trust().to_string().as_bytes()).expect("our own trust file")
}

fn check(ledger: &TestLedger, export: &[u8]) -> Result<Report, Failure> {
    verify(export, &trust(ledger))
}

#[track_caller]
fn sound(ledger: &TestLedger, export: &[u8]) -> Report {
    check(ledger, export).unwrap_or_else(|failure| panic!("should be sound: {failure}"))
}

/// Position and reason of the failure; panics if the export is sound or cannot be judged.
#[track_caller]
fn broken(ledger: &TestLedger, export: &[u8]) -> (u64, Reason) {
    match check(ledger, export) {
        Err(Failure::Broken { position, reason, .. }) => (position.0, *reason),
        Err(failure) => panic!("should be broken: {failure}"),
        Ok(report) => panic!("should be broken: {report}"),
    }
}
