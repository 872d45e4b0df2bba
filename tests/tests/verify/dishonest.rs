//! An operator who holds the ledger's key and lies: every link, signature and head is right.

use std::sync::LazyLock;

use greffe_domain::event::{ClockKind, Event};
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_domain::kind::Kind;
use greffe_domain::seal::SealError;
use greffe_tests::ledger::{Draft, Force, REGISTRAR, TestLedger};
use greffe_tests::sample::{self, AUTHORITY, EMPLOYER, FUND, PROCESSING};
use greffe_verify::Reason;
use serde_json::{Value, json};

use super::{assert_broken, broken, sound};

/// A sound ledger of some 500 entries.
fn ledger() -> TestLedger {
    static LEDGER: LazyLock<TestLedger> = LazyLock::new(|| {
        let mut ledger = sample::ledger_of(500, ClockKind::Real);
        ledger.pass_seconds(60);
        ledger
    });
    LEDGER.clone()
}

/// Honest entries after the lie, so that it is not the last.
fn go_on(ledger: &mut TestLedger) {
    for n in 0..5 {
        sample::grow(ledger, n);
    }
}

/// Records a filing by force, goes on, and returns its first position.
fn force(ledger: &mut TestLedger, draft: &Draft<'_>, force: &Force<'_>) -> u64 {
    let text = ledger.sign(draft);
    let key = simulated_party_key(draft.iss);
    let position = ledger.force(&text, key.public(), force)[0];
    go_on(ledger);
    position
}

/// The same, with a change to the leaf.
fn tamper(ledger: &mut TestLedger, draft: &Draft<'_>, change: &dyn Fn(&mut Value)) -> u64 {
    force(ledger, draft, &Force { tamper: Some(change), ..Force::default() })
}

fn report(subjects: &[u64]) -> Draft<'static> {
    Draft::act(FUND, Kind::AccessReport, sample::access(subjects))
}

fn milestone() -> Draft<'static> {
    let about = json!({"type": "processing", "id": PROCESSING});
    Draft::act(FUND, Kind::MilestoneRecord, json!({"about": about, "milestone": "published"}))
}

#[test]
fn recording_by_force_what_is_right_is_sound() {
    let mut ledger = ledger();
    force(&mut ledger, &milestone(), &Force::default());
    force(&mut ledger, &report(&[1]), &Force::default());
    sound(&ledger, &ledger.export());
}

#[test]
fn an_event_that_is_not_the_function_of_its_filing_is_named() {
    let changes: [&dyn Fn(&mut Value); 9] = [
        &|leaf| leaf["event"]["data"]["body"]["milestone"] = json!("commissioned"),
        &|leaf| leaf["event"]["data"]["iss"] = json!(AUTHORITY),
        &|leaf| leaf["event"]["data"]["evidence"] = json!("judgment"),
        &|leaf| leaf["event"]["data"]["reference"] = json!("ajoutée"),
        &|leaf| leaf["event"]["data"]["at"]["latest"] = json!("2012-01-01"),
        &|leaf| leaf["event"]["data"]["more"] = json!(1),
        &|leaf| leaf["event"]["data"]["kind"] = json!("condition.set"),
        &|leaf| leaf["event"]["type"] = json!("EvaluationPublished"),
        &|leaf| leaf["event"]["version"] = json!(2),
    ];
    for change in changes {
        let mut ledger = ledger();
        let position = tamper(&mut ledger, &milestone(), change);
        assert_broken!(&ledger, &ledger.export(), position, Reason::NotItsFiling);
    }
}

#[test]
fn a_verdict_on_what_is_not_judged_is_named() {
    let mut ledger = ledger();
    let position = tamper(&mut ledger, &milestone(), &|leaf| {
        leaf["event"]["data"]["verdict"] = json!({"verdict": "COVERED", "findings": [],
            "basis": [], "regime": "LIL-2004", "judged_at": 1});
    });
    assert_broken!(&ledger, &ledger.export(), position, Reason::NotItsFiling);
}

#[test]
fn an_item_left_out_is_named() {
    let batch = || {
        let bodies: Value = (0..5).map(|n| sample::access(&[n])).collect();
        Draft::act(FUND, Kind::AccessReport, bodies)
    };
    // (items recorded, offset of the first bad position)
    let cases: [(&[usize], u64); 6] = [
        (&[0, 1, 2, 3], 4),
        (&[0, 1, 3, 4], 2),
        (&[1, 2, 3, 4], 0),
        (&[0, 1, 2, 4, 3], 3),
        (&[0, 0, 1, 2, 3, 4], 1),
        (&[0, 1, 2, 3, 4, 4], 5),
    ];
    for (items, offset) in cases {
        let mut ledger = ledger();
        let position =
            force(&mut ledger, &batch(), &Force { items: Some(items), ..Force::default() });
        let (found, reason) = broken(&ledger, &ledger.export());
        assert_eq!(found, position + offset, "{items:?}: {reason}");
        let right = matches!(
            reason,
            Reason::ItemsLeftOut { .. } | Reason::ItemOrder { .. } | Reason::FilingUsedTwice
        );
        assert!(right, "{items:?}: {reason}");
    }
    // As the very last of the ledger.
    let mut ledger = ledger();
    let text = ledger.sign(&batch());
    let key = simulated_party_key(FUND);
    ledger.force(&text, key.public(), &Force { items: Some(&[0, 1]), ..Force::default() });
    assert_broken!(&ledger, &ledger.export(), ledger.size(), Reason::ItemsLeftOut { from: 2 });
}

#[test]
fn a_kinder_verdict_is_named() {
    fn kinder(leaf: &mut Value) {
        let verdict = &mut leaf["event"]["data"]["verdict"];
        verdict["verdict"] = json!("COVERED");
        verdict["findings"] = json!([]);
        if leaf["event"]["type"] == "AccessDenied" {
            leaf["event"]["type"] = json!("AccessGranted");
        }
    }
    for kind in [Kind::AccessRequest, Kind::AccessReport] {
        let mut ledger = ledger();
        let draft = Draft::act(EMPLOYER, kind, sample::access_by_employer(&[1]));
        let position = tamper(&mut ledger, &draft, &kinder);
        assert_broken!(&ledger, &ledger.export(), position, Reason::Outcome { .. });
    }
}

#[test]
fn a_verdict_changed_in_any_member_is_named() {
    let changes: [&dyn Fn(&mut Value); 8] = [
        &|verdict| drop(verdict["findings"].as_array_mut().expect("a list").remove(0)),
        &|verdict| verdict["findings"][0]["severity"] = json!("INFO"),
        &|verdict| {
            let evidence = &mut verdict["findings"][0]["evidence"];
            let softer = if *evidence == "UNCERTAIN" { "NOT-EVIDENCED" } else { "UNCERTAIN" };
            *evidence = json!(softer);
        },
        &|verdict| verdict["findings"][0]["source"] = json!("Une autre source (inventée)"),
        &|verdict| verdict["findings"][0]["positions"] = json!([0]),
        &|verdict| verdict["basis"] = json!([]),
        &|verdict| verdict["regime"] = json!("another"),
        &|verdict| verdict["judged_at"] = json!(3),
    ];
    for change in changes {
        let mut ledger = ledger();
        let draft = Draft::act(EMPLOYER, Kind::AccessReport, sample::access_by_employer(&[1]));
        let position =
            tamper(&mut ledger, &draft, &|leaf| change(&mut leaf["event"]["data"]["verdict"]));
        let (found, reason) = broken(&ledger, &ledger.export());
        assert_eq!(found, position, "{reason}");
        let right =
            matches!(reason, Reason::Outcome { .. } | Reason::Finding { .. } | Reason::Verdict(_));
        assert!(right, "{reason}");
    }
}

#[test]
fn withholding_a_disclosure_frees_only_what_rests_on_it() {
    let withheld = |_: u64| true;
    let leave = greffe_tests::ledger::Leave { withheld: Some(&withheld), ..Default::default() };
    // The recipient's finding rests on no person.
    let mut ledger = ledger();
    let draft = Draft::act(EMPLOYER, Kind::AccessReport, sample::access_by_employer(&[1]));
    let position = tamper(&mut ledger, &draft, &|leaf| {
        let verdict = &mut leaf["event"]["data"]["verdict"];
        let findings = verdict["findings"].as_array_mut().expect("a list");
        findings.retain(|f| f["code"] != "RECIPIENT-NOT-AUTHORISED");
    });
    let (found, reason) = broken(&ledger, &ledger.export_without(&leave));
    assert_eq!(found, position, "{reason}");
    // Neither does the conclusion drawn from the findings recorded.
    let mut ledger = self::ledger();
    let position = tamper(&mut ledger, &draft, &|leaf| {
        leaf["event"]["data"]["verdict"]["verdict"] = json!("COVERED");
    });
    let export = ledger.export_without(&leave);
    assert_broken!(&ledger, &export, position, Reason::Outcome { .. });
}

#[test]
fn a_granted_access_that_was_denied_is_named() {
    let mut ledger = ledger();
    let draft = Draft::act(EMPLOYER, Kind::AccessRequest, sample::access_by_employer(&[1]));
    let position = tamper(&mut ledger, &draft, &|leaf| {
        assert_eq!(leaf["event"]["type"], "AccessDenied");
        leaf["event"]["type"] = json!("AccessGranted");
    });
    assert_broken!(&ledger, &ledger.export(), position, Reason::NotItsFiling);
}

#[test]
fn a_term_lengthened_or_left_out_is_named() {
    let changes: [&dyn Fn(&mut Value); 3] = [
        &|verdict| verdict["valid_until"] = json!("2013-12-31"),
        &|verdict| drop(verdict.as_object_mut().expect("an object").remove("valid_until")),
        &|verdict| verdict["valid_until"] = json!("2011-12-31"),
    ];
    // A person who did not object: what her disclosure would tell leaves the term as it is.
    let body = || sample::access(&[3]);
    for withheld in [false, true] {
        for change in changes {
            let mut ledger = ledger();
            sample::authorise_until(&mut ledger, "2012-12-31");
            let draft = Draft::act(FUND, Kind::AccessRequest, body()).at("2012-01-20");
            let position = tamper(&mut ledger, &draft, &|leaf| {
                let verdict = &mut leaf["event"]["data"]["verdict"];
                assert_eq!(verdict["valid_until"], "2012-12-31");
                change(verdict);
            });
            let leave = greffe_tests::ledger::Leave {
                withheld: withheld.then_some(&|_: u64| true),
                ..Default::default()
            };
            let export = ledger.export_without(&leave);
            assert_broken!(&ledger, &export, position, Reason::Verdict("valid_until"));
        }
    }
}

#[test]
fn an_access_without_a_verdict_is_named() {
    let mut ledger = ledger();
    let position = tamper(&mut ledger, &report(&[1]), &|leaf| {
        leaf["event"]["data"].as_object_mut().expect("an object").remove("verdict");
    });
    assert_broken!(&ledger, &ledger.export(), position, Reason::NoVerdict);
}

#[test]
fn a_filing_used_twice_is_named() {
    // At once: the same filing is still at hand.
    let mut ledger = ledger();
    let text = ledger.sign(&milestone());
    let key = simulated_party_key(FUND);
    ledger.force(&text, key.public(), &Force::default());
    let position = ledger.force(&text, key.public(), &Force::default())[0];
    go_on(&mut ledger);
    assert_broken!(&ledger, &ledger.export(), position, Reason::FilingUsedTwice);
    // Later: it is exported again.
    let mut ledger = self::ledger();
    let text = ledger.sign(&milestone());
    ledger.force(&text, key.public(), &Force::default());
    go_on(&mut ledger);
    let position = ledger.force(&text, key.public(), &Force::default())[0];
    go_on(&mut ledger);
    assert_broken!(&ledger, &ledger.export(), position, Reason::FilingUsedTwice);
    // Another filing under the same `jti`.
    let mut ledger = self::ledger();
    for jti in ["one", "two", "one"] {
        let text = ledger.sign_with(&milestone(), &key, |payload| payload["jti"] = json!(jti));
        ledger.force(&text, key.public(), &Force::default());
        ledger.pass_seconds(1);
    }
    assert_broken!(&ledger, &ledger.export(), ledger.size() - 1, Reason::FilingUsedTwice);
}

#[test]
fn an_entry_that_cites_another_filing_is_named() {
    let mut ledger = ledger();
    let position = tamper(&mut ledger, &milestone(), &|leaf| {
        leaf["filing"]["digest"] = json!("0".repeat(64));
    });
    assert_broken!(&ledger, &ledger.export(), position, Reason::FilingUncited);
    let mut ledger = self::ledger();
    let position = tamper(&mut ledger, &milestone(), &|leaf| leaf["filing"]["item"] = json!(1));
    assert_broken!(&ledger, &ledger.export(), position, Reason::NoItem(1));
    let mut ledger = self::ledger();
    let position = tamper(&mut ledger, &milestone(), &|leaf| leaf["filing"] = Value::Null);
    assert_broken!(&ledger, &ledger.export(), position, Reason::FilingUncited);
}

#[test]
fn a_fact_without_a_filing_is_named() {
    let mut ledger = ledger();
    let text = ledger.sign(&milestone());
    let key = simulated_party_key(FUND);
    ledger.submit(&text).expect("a milestone");
    let position = ledger.size();
    // Invented from nothing, in a leaf that says it has no filing.
    let event = Event::LedgerKeyRotated { ledger_key: key.public().clone() };
    ledger.append_own(
        event,
        Some(&|leaf| {
            leaf["event"] = json!({"data": {"kind": "decision.end"}, "type": "DecisionEnded",
                "version": 1});
        }),
    );
    assert_broken!(&ledger, &ledger.export(), position, Reason::NoFiling);
}

#[test]
fn an_event_of_the_ledger_that_says_more_is_named() {
    let mut ledger = ledger();
    let position = ledger.size();
    let key = SecretKey::from_seed(&[3; 32]);
    let event = Event::LedgerKeyRotated { ledger_key: key.public().clone() };
    ledger.append_own(event, Some(&|leaf| leaf["event"]["data"]["why"] = json!("planned")));
    assert_broken!(&ledger, &ledger.export(), position, Reason::OwnEvent);
}

#[test]
fn a_key_kept_after_its_rotation_is_named() {
    let mut ledger = ledger();
    let next = SecretKey::from_seed(&[3; 32]);
    // The rotation is recorded, and the old key goes on signing.
    ledger.append_own(Event::LedgerKeyRotated { ledger_key: next.public().clone() }, None);
    let position = ledger.size();
    go_on(&mut ledger);
    assert_broken!(&ledger, &ledger.export(), position, Reason::Seal(SealError::Key(_)));
}

#[test]
fn a_filing_by_the_wrong_role_is_named() {
    let end = json!({"decision": sample::DECISION, "how": "EXPIRED",
        "effective_from": "2012-01-01"});
    let key = SecretKey::from_seed(&[4; 32]);
    let ledger = ledger();
    let registration = ledger.registration("friend", &["regulator"], &key);
    let enrolment = ledger.enrolment(AUTHORITY, &key);
    for (kind, body) in [
        (Kind::DecisionEnd, end),
        (Kind::PartyRegister, registration),
        (Kind::PartyEnrolKey, enrolment),
    ] {
        let mut ledger = self::ledger();
        let position = force(&mut ledger, &Draft::act(FUND, kind, body), &Force::default());
        assert_broken!(&ledger, &ledger.export(), position, Reason::Role { .. });
    }
}

#[test]
fn a_filing_with_a_revoked_key_is_named() {
    let mut ledger = ledger();
    let key = simulated_party_key(FUND);
    let new = SecretKey::from_seed(&[5; 32]);
    let body = ledger.enrolment(FUND, &new);
    ledger.file(&Draft::act(FUND, Kind::PartyEnrolKey, body)).expect("its own key");
    let body = json!({"party": FUND, "kid": key.public().kid(), "reason": "lost"});
    let revoked = ledger.file(&Draft::act(REGISTRAR, Kind::PartyRevokeKey, body)).expect("lost")[0];
    let position = force(&mut ledger, &milestone(), &Force::default());
    assert_broken!(&ledger, &ledger.export(), position, Reason::KeyRevoked(p) if p == revoked);
}

#[test]
fn a_filing_by_somebody_who_is_not_registered_is_named() {
    let mut ledger = ledger();
    let draft = Draft { iss: "stranger", ..milestone() };
    let position = force(&mut ledger, &draft, &Force::default());
    assert_broken!(&ledger, &ledger.export(), position, Reason::AuthorUnknown(_));
    // With a key of the operator's own making, in the name of a registered party.
    let mut ledger = self::ledger();
    let key = SecretKey::from_seed(&[6; 32]);
    let text = ledger.sign_with(&milestone(), &key, |_| {});
    let position = ledger.force(&text, key.public(), &Force::default())[0];
    assert_broken!(&ledger, &ledger.export(), position, Reason::KeyNotEnrolled { .. });
    // With another party's key.
    let mut ledger = self::ledger();
    let key = simulated_party_key(EMPLOYER);
    let text = ledger.sign_with(&milestone(), &key, |_| {});
    let position = ledger.force(&text, key.public(), &Force::default())[0];
    assert_broken!(&ledger, &ledger.export(), position, Reason::KeyNotEnrolled { .. });
}

#[test]
fn a_filing_for_another_ledger_is_named() {
    let mut ledger = ledger();
    let key = simulated_party_key(FUND);
    let text = ledger.sign_with(&milestone(), &key, |payload| {
        payload["aud"] = json!("registre.example/autre");
    });
    let position = ledger.force(&text, key.public(), &Force::default())[0];
    assert_broken!(&ledger, &ledger.export(), position, Reason::Audience(_));
}

#[test]
fn a_key_enrolled_without_proof_or_twice_is_named() {
    let key = SecretKey::from_seed(&[7; 32]);
    let ledger = ledger();
    let mut unproved = ledger.enrolment(FUND, &key);
    unproved["proof"] = ledger.enrolment(EMPLOYER, &key)["proof"].clone();
    let taken = ledger.enrolment(FUND, &simulated_party_key(EMPLOYER));
    for body in [unproved, taken] {
        let mut ledger = self::ledger();
        let draft = Draft::act(FUND, Kind::PartyEnrolKey, body);
        let position = force(&mut ledger, &draft, &Force::default());
        assert_broken!(&ledger, &ledger.export(), position, Reason::Enrolment(_));
    }
}

#[test]
fn a_time_that_its_filing_does_not_bear_out_is_named() {
    for (clock, seconds) in
        [(ClockKind::Real, 24 * 3600 + 1), (ClockKind::Real, -301), (ClockKind::Simulated, 1)]
    {
        let mut ledger = sample::ledger_of(500, clock);
        ledger.pass_seconds(3600);
        let text = ledger.sign(&milestone());
        ledger.pass_seconds(seconds);
        let key = simulated_party_key(FUND);
        let position = ledger.force(&text, key.public(), &Force::default())[0];
        assert_broken!(&ledger, &ledger.export(), position, Reason::IssueTime { .. });
    }
    // Within the window of a real clock.
    let mut ledger = sample::ledger_of(500, ClockKind::Real);
    ledger.pass_seconds(3600);
    let text = ledger.sign(&milestone());
    ledger.pass_seconds(24 * 3600);
    ledger.submit(&text).expect("the domain's `decide` does not look at `iat`");
    sound(&ledger, &ledger.export());
}

#[test]
fn time_that_goes_back_is_named() {
    let mut ledger = ledger();
    ledger.pass_seconds(-120);
    let position = force(&mut ledger, &milestone(), &Force::default());
    assert_broken!(&ledger, &ledger.export(), position, Reason::TimeWentBack { .. });
}

#[test]
fn a_gap_or_a_detour_in_a_stream_is_named() {
    for version in [0, 1, 1_000] {
        let mut ledger = ledger();
        let position = tamper(&mut ledger, &milestone(), &|leaf| {
            leaf["stream"]["version"] = json!(version);
        });
        assert_broken!(&ledger, &ledger.export(), position, Reason::StreamVersion { .. });
    }
    let mut ledger = ledger();
    let position = tamper(&mut ledger, &report(&[1]), &|leaf| leaf["stream"]["version"] = json!(2));
    assert_broken!(&ledger, &ledger.export(), position, Reason::StreamVersion { .. });
    let changes: [&dyn Fn(&mut Value); 2] =
        [&|leaf| leaf["stream"]["id"] = json!("another"), &|leaf| {
            leaf["stream"]["type"] = json!("decision")
        }];
    for change in changes {
        let mut ledger = self::ledger();
        let position = tamper(&mut ledger, &milestone(), change);
        assert_broken!(&ledger, &ledger.export(), position, Reason::Stream { .. });
    }
}

#[test]
fn following_on_an_access_that_is_none_is_named() {
    let mut ledger = ledger();
    let body = json!({"access": 2, "subject": sample::subject(1), "ground": "Conteste"});
    let draft = Draft::act(sample::DESK, Kind::AccessContest, body);
    let position = force(&mut ledger, &draft, &Force::default());
    assert_broken!(&ledger, &ledger.export(), position, Reason::NoAccess(_));
}

#[test]
fn an_unknown_rulebook_is_named() {
    let mut ledger = ledger();
    let position =
        tamper(&mut ledger, &milestone(), &|leaf| leaf["rulebook"] = json!("1999-01-01"));
    assert_broken!(&ledger, &ledger.export(), position, Reason::Rulebook(_));
}

#[test]
fn a_leaf_of_another_place_is_named() {
    type Change<'a> = (&'a dyn Fn(&mut Value), fn(&SealError) -> bool);
    let changes: [Change<'_>; 4] = [
        (&|leaf| leaf["position"] = json!(7), |e| matches!(e, SealError::Position { .. })),
        (&|leaf| leaf["prev"] = json!("0".repeat(64)), |e| matches!(e, SealError::Prev)),
        (&|leaf| leaf["origin"] = json!("a.example"), |e| matches!(e, SealError::Origin(_))),
        (&|leaf| leaf["v"] = json!(2), |e| matches!(e, SealError::Leaf(_))),
    ];
    for (change, is_right) in changes {
        let mut ledger = ledger();
        let position = tamper(&mut ledger, &milestone(), change);
        assert_broken!(
            &ledger,
            &ledger.export(),
            position,
            Reason::Seal(ref error) if is_right(error)
        );
    }
}

#[test]
fn a_ledger_opened_twice_is_named() {
    let mut ledger = ledger();
    let position = ledger.size();
    let opened = greffe_domain::json::parse(&ledger.entries()[0].sealed.leaf).expect("a leaf");
    let opened = Event::read(&opened["event"]).expect("LedgerOpened");
    ledger.append_own(opened, None);
    assert_broken!(&ledger, &ledger.export(), position, Reason::OpenedTwice);
}
