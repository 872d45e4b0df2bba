//! What the verifier may keep in memory, and where it puts the rest.

use std::path::PathBuf;

use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_tests::ledger::{Draft, Force};
use greffe_tests::sample;
use greffe_verify::{Failure, Limits, Reason, verify_within};

use super::{Class, Lines, assert_broken, broken, trust};

#[test]
fn a_filing_used_twice_is_the_first_failure_though_another_is_met_before_it_is_known() {
    let mut ledger = sample::ledger_of(300, ClockKind::Simulated);
    let text = ledger.sign(&Draft::act(sample::FUND, Kind::AccessReport, sample::access(&[3])));
    let key = simulated_party_key(sample::FUND);
    ledger.force(&text, key.public(), &Force::default());
    let again = ledger.force(&text, key.public(), &Force::default())[0];
    for n in 300..600 {
        sample::grow(&mut ledger, n);
    }
    // Far behind it, an entry is missing.
    let mut lines = Lines::of(&ledger.export());
    let missing = ledger.size() - 100;
    lines.0.remove(lines.index(Class::Entry, missing));
    assert_broken!(&ledger, &lines.bytes(), again, Reason::FilingUsedTwice);
    // The file ends before its head: the same.
    let export = ledger.export();
    let cut = &export[..export.len() - 1_000];
    assert_broken!(&ledger, cut, again, Reason::FilingUsedTwice);
    // Another failure before it stays the first.
    let mut lines = Lines::of(&ledger.export());
    lines.0.remove(lines.index(Class::Entry, again - 10));
    let (position, reason) = broken(&ledger, &lines.bytes());
    assert_eq!(position, again - 10, "{reason}");
}

#[test]
fn without_a_temporary_file_nothing_is_judged_and_the_reason_is_told() {
    let ledger = sample::ledger_of(100, ClockKind::Simulated);
    let nowhere = Limits { records: 20, scratch: PathBuf::from("/nowhere/at/all") };
    let failure = verify_within(&ledger.export()[..], &trust(&ledger), &nowhere);
    match failure {
        Err(failure @ Failure::NoScratch(_)) => {
            assert!(failure.to_string().contains("temporary file"), "{failure}");
        }
        Err(failure) => panic!("another failure: {failure}"),
        Ok(report) => panic!("judged all the same: {report}"),
    }
    // With room in memory no file is needed.
    let roomy = Limits { records: 100_000, ..nowhere };
    verify_within(&ledger.export()[..], &trust(&ledger), &roomy).expect("sound");
}

#[test]
fn temporary_files_leave_no_name_behind() {
    let scratch = tempfile::tempdir().expect("a directory");
    let ledger = sample::ledger_of(200, ClockKind::Simulated);
    let limits = Limits { records: 7, scratch: scratch.path().to_owned() };
    verify_within(&ledger.export()[..], &trust(&ledger), &limits).expect("sound");
    assert_eq!(std::fs::read_dir(scratch.path()).expect("readable").count(), 0);
}
