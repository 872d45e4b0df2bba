//! Exports that are sound, whole or in part.

use greffe_domain::event::ClockKind;
use greffe_tests::ledger::Leave;
use greffe_tests::sample;

use super::sound;

#[test]
fn an_honest_ledger_is_sound_and_every_access_judged_again() {
    for clock in [ClockKind::Real, ClockKind::Simulated] {
        let ledger = sample::ledger_of(600, clock);
        let report = sound(&ledger, &ledger.export());
        assert_eq!(report.entries, ledger.size());
        assert_eq!((report.hidden, report.not_rejudged, report.erased), (0, 0, 0));
        assert!(report.accesses > 400 && report.rejudged == report.accesses);
        assert!(report.filings < report.entries, "some filings are batches");
    }
}

#[test]
fn accesses_judged_without_their_disclosures_are_counted_as_not_rejudged() {
    let ledger = sample::ledger_of(600, ClockKind::Simulated);
    let all = |_: u64| true;
    let export = ledger.export_without(&Leave { withheld: Some(&all), ..Leave::default() });
    let report = sound(&ledger, &export);
    assert_eq!(report.disclosures, 0);
    assert!(report.undisclosed > 400);
    assert!(report.not_rejudged > 300, "objections are compared with subjects");
    assert!(report.rejudged > 0, "before the first objection nothing rests on a person");
}
