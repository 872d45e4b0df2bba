//! Exports that are sound, whole or in part.

use greffe_domain::event::ClockKind;
use greffe_domain::filing::{Disclosures, UnverifiedFiling};
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_domain::kind::Kind;
use greffe_domain::refusal::RefusalCode;
use greffe_domain::sdjwt;
use greffe_domain::seal::SealError;
use greffe_tests::ledger::{Draft, Force, Leave};
use greffe_tests::sample;
use greffe_verify::Reason;
use serde_json::json;

use super::{Class, Lines, assert_broken, sound};

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

#[test]
fn any_part_of_the_disclosures_will_do() {
    let ledger = sample::ledger_of(500, ClockKind::Simulated);
    let mut last = u64::MAX;
    for every in [2, 3, 7, 50] {
        let withheld = |position: u64| position.is_multiple_of(every);
        let leave = Leave { withheld: Some(&withheld), ..Leave::default() };
        let report = sound(&ledger, &ledger.export_without(&leave));
        assert_eq!(report.rejudged + report.not_rejudged, report.accesses);
        assert!(report.undisclosed < last, "fewer and fewer are withheld");
        last = report.undisclosed;
    }
}

#[test]
fn hidden_entries_are_accepted_and_counted() {
    let ledger = sample::ledger_of(600, ClockKind::Simulated);
    // As a reader who may see one party's accesses only: everything but accesses is shown.
    let register = sample::opened(ClockKind::Simulated).size();
    let is_access = |position: u64| {
        let leaf = String::from_utf8_lossy(&ledger.entries()[position as usize].sealed.leaf);
        leaf.contains("\"type\":\"access\"")
    };
    for every in [1, 2, 3] {
        let hidden = |position: u64| {
            position >= register && is_access(position) && position.is_multiple_of(every)
        };
        let expected = (0..ledger.size()).filter(|p| hidden(*p)).count() as u64;
        let export = ledger.export_without(&Leave { hidden: Some(&hidden), ..Leave::default() });
        let report = sound(&ledger, &export);
        assert_eq!(report.hidden, expected);
        assert_eq!(report.entries, ledger.size() - expected);
    }
}

#[test]
fn a_leaf_shown_after_a_hidden_one_must_chain_to_it() {
    let ledger = sample::ledger_of(100, ClockKind::Simulated);
    let hidden = |position: u64| position == 60;
    let export = ledger.export_without(&Leave { hidden: Some(&hidden), ..Leave::default() });
    sound(&ledger, &export);
    // Another ledger's hidden entry, rightly signed for that place by the same key.
    let mut other = sample::opened(ClockKind::Simulated);
    while other.size() < 100 {
        let n = other.size();
        other.pass_seconds(1);
        sample::grow(&mut other, n);
    }
    let foreign = other.export_without(&Leave { hidden: Some(&hidden), ..Leave::default() });
    let mut lines = Lines::of(&export);
    let foreign = Lines::of(&foreign);
    let (at, from) = (lines.index(Class::Entry, 60), foreign.index(Class::Entry, 60));
    lines.0[at] = foreign.0[from].clone();
    assert_broken!(&ledger, &lines.bytes(), 61, Reason::Seal(SealError::Prev));
}

#[test]
fn erased_values_are_told_apart_and_must_be_gone() {
    let mut ledger = sample::ledger_of(200, ClockKind::Simulated);
    let position = ledger.last_access().expect("accesses");
    let held = ledger.entries()[position as usize].disclosures.clone();
    assert!(!held.is_empty());
    let erasure = sample::erase(&mut ledger, position);
    for n in 200..260 {
        sample::grow(&mut ledger, n);
    }
    let export = ledger.export();
    let report = sound(&ledger, &export);
    assert_eq!(report.erased, held.len() as u64);
    assert_eq!(report.undisclosed, held.len() as u64);
    assert_eq!(report.not_rejudged, 1, "the access whose subject is erased");

    // A copy that kept the value is not this ledger.
    let mut lines = Lines::of(&export);
    let at = lines.index(Class::Entry, position) + 1;
    let kept = format!("{{\"position\":{position},\"disclosure\":\"{}\"}}", held[0].1);
    lines.0.insert(at, (Class::Disclosure, position, kept.into_bytes()));
    assert_broken!(&ledger, &lines.bytes(), erasure, Reason::ErasedStillDisclosed);
}

#[test]
fn an_erased_value_disclosed_again_later_is_broken() {
    let mut ledger = sample::ledger_of(100, ClockKind::Simulated);
    ledger.pass_seconds(60);
    let text = ledger.sign(&Draft::act(sample::FUND, Kind::AccessReport, sample::access(&[3])));
    let position = ledger.submit(&text).expect("an access")[0];
    sample::erase(&mut ledger, position);
    // The same disclosure under a new signature.
    let filing = UnverifiedFiling::parse(&text, Disclosures::Complete).expect("the filing");
    let key = simulated_party_key(sample::FUND);
    let filing = filing.verify(key.public()).expect("its author's");
    ledger.pass_seconds(60);
    let iat = ledger.now().unix_seconds();
    let payload = json!({
        "iss": sample::FUND, "aud": sample::ORIGIN, "iat": iat, "jti": "again",
        "kind": "access.report", "evidence": "act", "body": *filing.items[0].signed,
        "_sd_alg": "sha-256",
    });
    let again = format!(
        "{}~{}~",
        sdjwt::sign(&payload, sdjwt::TYP_FILING, &key),
        filing.disclosures[0].encoded()
    );
    let refusal = ledger.submit(&again).expect_err("erased stays erased");
    assert_eq!(refusal.code, RefusalCode::DisclosureUnexpected);
    // An operator who records it all the same.
    let force = Force { items: None, tamper: None };
    let position = ledger.force(&again, key.public(), &force)[0];
    assert_broken!(&ledger, &ledger.export(), position, Reason::DisclosureErased);
}

#[test]
fn key_rotations_are_followed() {
    let mut ledger = sample::ledger_of(100, ClockKind::Real);
    for (seed, until) in [("1", 200), ("2", 300), ("3", 400)] {
        ledger.pass_seconds(1);
        ledger.rotate_key(seed);
        while ledger.size() < until {
            let n = ledger.size();
            sample::grow(&mut ledger, n);
        }
    }
    let report = sound(&ledger, &ledger.export());
    assert_eq!(report.key_rotations, 3);
    // A rotation as the last entry: the new key signs the head.
    ledger.rotate_key("4");
    sound(&ledger, &ledger.export());
}

#[test]
fn a_party_may_change_its_keys() {
    let mut ledger = sample::opened(ClockKind::Real);
    let new = SecretKey::from_seed(&[5; 32]);
    let body = ledger.enrolment(sample::FUND, &new);
    ledger.file(&Draft::act(sample::FUND, Kind::PartyEnrolKey, body)).expect("its own key");
    let old = simulated_party_key(sample::FUND);
    let revocation = json!({"party": sample::FUND, "kid": old.public().kid(), "reason": "lost"});
    let draft = Draft::act(sample::FUND, Kind::PartyRevokeKey, revocation);
    let text = ledger.sign_with(&draft, &new, |_| {});
    ledger.submit(&text).expect("signed with the new key");
    let draft = Draft::act(sample::FUND, Kind::AccessReport, sample::access(&[1]));
    let text = ledger.sign_with(&draft, &new, |_| {});
    ledger.submit(&text).expect("signed with the new key");
    sound(&ledger, &ledger.export());
}
