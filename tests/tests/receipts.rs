//! A receipt checked by whoever holds the data: what it grants, and all it is refused for.

use greffe_domain::date::LegalDate;
use greffe_domain::event::ClockKind;
use greffe_domain::key::SecretKey;
use greffe_domain::kind::Kind;
use greffe_domain::receipt::{Asked, Grant, LedgerKeys, NoGrant, Refused, RotationError, check};
use greffe_domain::rules::{CURRENT, FIRST};
use greffe_domain::trust::Trust;
use greffe_domain::vocabulary::{Category, Purpose};
use greffe_tests::ledger::{Draft, TestLedger};
use greffe_tests::sample::{self, EMPLOYER, FUND, PROCESSING};
use serde_json::{Value, json};

const UNTIL: &str = "2012-12-31";
const SITE: &str = "site-invente";
/// Day of the sample ledger, on which requests are recorded.
const RECORDED: &str = "2012-01-02";

fn day(text: &str) -> LegalDate {
    LegalDate::parse(text).expect("a day")
}

/// A ledger whose accesses have a term.
fn ledger() -> TestLedger {
    let mut ledger = sample::opened(ClockKind::Real);
    sample::authorise_until(&mut ledger, UNTIL);
    ledger.pass_seconds(60);
    ledger
}

fn file(ledger: &mut TestLedger, kind: Kind, iss: &str, body: Value) -> u64 {
    let day = ledger.now().date().to_string();
    ledger.file(&Draft::act(iss, kind, body).at(&day)).expect("recorded")[0]
}

/// A request that is granted; its position.
fn granted(ledger: &mut TestLedger) -> u64 {
    file(ledger, Kind::AccessRequest, FUND, sample::access_to_cohort(SITE))
}

fn keys(ledger: &TestLedger) -> LedgerKeys {
    let trust = Trust::parse(ledger.trust().to_string().as_bytes()).expect("our trust file");
    LedgerKeys::of(&trust)
}

fn checked(receipt: &Value, keys: &LedgerKeys) -> Result<Grant, NoGrant> {
    check(receipt.to_string().as_bytes(), keys, day("2012-06-01"), &Asked::default())
}

/// Code of the refusal; panics when it is granted or cannot be read.
#[track_caller]
fn refused(answer: Result<Grant, NoGrant>) -> &'static str {
    match answer {
        Err(NoGrant::Refused(refused)) => {
            let words = refused.words();
            assert!(!words.fr.is_empty() && words.fr != words.en);
            refused.code()
        }
        Err(other) => panic!("refused, not unreadable: {other}"),
        Ok(grant) => panic!("granted: {}", grant.to_value()),
    }
}

#[test]
fn a_receipt_says_what_was_granted_to_whom_and_until_when() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let grant = checked(&ledger.receipt(position), &keys(&ledger)).expect("granted");
    let said = grant.to_value();
    let expected = json!({
        "granted": true, "position": position, "processing": PROCESSING,
        "purpose": "PUR-CASE-MGMT", "categories": ["REINTEGRATION-PLAN", "EMP-IDENTITY"],
        "recipient": {"party": FUND, "role": "R-CASE-MANAGER", "site": SITE},
        "cohort": {"headcount": 412, "units": [SITE]}, "subjects": null,
        "valid_until": UNTIL, "rulebook": CURRENT.version,
    });
    for (member, value) in expected.as_object().expect("an object") {
        assert_eq!(&said[member], value, "{member}");
    }
}

#[test]
fn persons_are_their_digests() {
    let mut ledger = ledger();
    let position = file(&mut ledger, Kind::AccessRequest, FUND, sample::access(&[4, 5]));
    let receipt = ledger.receipt(position);
    let grant = checked(&receipt, &keys(&ledger)).expect("granted").to_value();
    let concealed = receipt["leaf"]["event"]["data"]["body"]["subjects"].as_array().expect("two");
    let digests: Vec<&Value> = concealed.iter().map(|subject| &subject["..."]).collect();
    assert_eq!(grant["subjects"].as_array().expect("digests").iter().collect::<Vec<_>>(), digests);
    assert_eq!(digests.len(), 2);
}

#[test]
fn the_last_day_is_in_time_and_the_next_is_not() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position).to_string();
    let on = |text| check(receipt.as_bytes(), &keys(&ledger), day(text), &Asked::default());
    assert!(on(UNTIL).is_ok());
    assert_eq!(refused(on("2013-01-01")), "expired");
    assert_eq!(refused(on("2112-01-01")), "expired");
}

#[test]
fn a_grant_without_a_term_has_none() {
    let mut ledger = sample::opened(ClockKind::Real);
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position).to_string();
    let grant = check(receipt.as_bytes(), &keys(&ledger), day("2112-01-01"), &Asked::default());
    assert_eq!(grant.expect("granted").valid_until(), None);
}

/// A request by the fund for `at`, recorded on the ledger's day; the codes with which it is
/// refused on each of `days`, `granted` where it is not.
fn asked_for(at: &str, days: &[&str]) -> Vec<&'static str> {
    let mut ledger = ledger();
    assert_eq!(ledger.now().date(), day(RECORDED), "the sample's day");
    let request = Draft::act(FUND, Kind::AccessRequest, sample::access_to_cohort(SITE)).at(at);
    let position = ledger.file(&request).expect("recorded")[0];
    let receipt = ledger.receipt(position);
    assert_eq!(receipt["leaf"]["event"]["type"], "AccessGranted", "{receipt:#}");
    let keys = keys(&ledger);
    let on = |text: &&str| {
        let answer = check(receipt.to_string().as_bytes(), &keys, day(text), &Asked::default());
        if answer.is_ok() { "granted" } else { refused(answer) }
    };
    days.iter().map(on).collect()
}

#[test]
fn a_day_that_had_passed_grants_itself_and_no_later_one() {
    let before = asked_for("2012-01-01", &["2011-12-31", "2012-01-01", RECORDED, UNTIL]);
    assert_eq!(before, ["other-day", "granted", "other-day", "other-day"]);
}

#[test]
fn a_day_to_come_grants_nothing_before_it() {
    let after = asked_for("2012-01-03", &[RECORDED, "2012-01-03", UNTIL, "2013-01-01"]);
    assert_eq!(after, ["other-day", "granted", "granted", "expired"]);
}

#[test]
fn several_days_are_granted_from_the_first_on() {
    let days = ["2011-12-31", "2012-01-01", RECORDED, "2012-01-04", UNTIL, "2013-01-01"];
    let around = asked_for("2012-01-01/2012-01-03", &days);
    assert_eq!(around, ["other-day", "granted", "granted", "granted", "granted", "expired"]);
}

#[test]
fn what_was_not_granted_on_request_grants_nothing() {
    let mut ledger = ledger();
    let employer = || sample::access_by_employer(&[1]);
    let denied = file(&mut ledger, Kind::AccessRequest, EMPLOYER, employer());
    assert_eq!(refused(checked(&ledger.receipt(denied), &keys(&ledger))), "denied");
    let covered = file(&mut ledger, Kind::AccessReport, FUND, sample::access(&[1]));
    assert_eq!(ledger.receipt(covered)["verdict"]["verdict"], "COVERED");
    for position in [covered, 0, 1] {
        let answer = checked(&ledger.receipt(position), &keys(&ledger));
        assert_eq!(refused(answer), "not-a-request", "{position}");
    }
}

#[test]
fn whichever_byte_is_changed_nothing_is_granted() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position).to_string().into_bytes();
    let keys = keys(&ledger);
    let asked = Asked::default();
    assert!(check(&receipt, &keys, day("2012-06-01"), &asked).is_ok());
    for index in 0..receipt.len() {
        let mut altered = receipt.clone();
        altered[index] ^= 1;
        let answer = check(&altered, &keys, day("2012-06-01"), &asked);
        assert!(answer.is_err(), "byte {index}: {}", String::from_utf8_lossy(&altered));
    }
}

#[test]
fn a_member_that_is_not_what_the_ledger_signed_is_named() {
    let mut ledger = ledger();
    let one = granted(&mut ledger);
    ledger.pass_seconds(1);
    let other = granted(&mut ledger);
    let other = ledger.receipt(other);
    let denied = file(&mut ledger, Kind::AccessRequest, EMPLOYER, sample::access_by_employer(&[1]));
    let denied = ledger.receipt(denied);
    let one = ledger.receipt(one);
    let keys = keys(&ledger);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut receipt = one.clone();
        change(&mut receipt);
        checked(&receipt, &keys)
    };
    let member = |answer| match answer {
        Err(NoGrant::Refused(Refused::Altered(member))) => member,
        other => panic!("altered, not {other:?}"),
    };
    for name in ["position", "time", "filing", "signature"] {
        let found = member(with(&|receipt| receipt[name] = other[name].clone()));
        assert_eq!(found, name);
    }
    // Of a leaf and a link that do not belong together, it is the leaf that is held to be.
    for name in ["link", "leaf"] {
        assert_eq!(member(with(&|receipt| receipt[name] = other[name].clone())), "leaf");
    }
    assert_eq!(member(with(&|receipt| receipt["origin"] = json!("registre.example"))), "origin");
    assert_eq!(member(with(&|receipt| receipt["verdict"]["basis"] = json!([]))), "verdict");
    let without = |name: &'static str| {
        member(with(&move |receipt| drop(receipt.as_object_mut().expect("one").remove(name))))
    };
    assert_eq!(without("verdict"), "verdict");
    assert_eq!(without("valid_until"), "valid_until");
    let later = with(&|receipt| receipt["valid_until"] = json!("2013-12-31"));
    assert_eq!(member(later), "valid_until");
    let inside = with(&|receipt| {
        receipt["leaf"]["event"]["data"]["verdict"]["valid_until"] = json!("2013-12-31");
    });
    assert_eq!(member(inside), "leaf");
    // A denial made to look like a grant.
    let mut kinder = denied.clone();
    kinder["verdict"] = one["verdict"].clone();
    assert_eq!(member(checked(&kinder, &keys)), "verdict");
    kinder["leaf"]["event"]["type"] = json!("AccessGranted");
    assert_eq!(member(checked(&kinder, &keys)), "leaf");
}

#[test]
fn a_receipt_written_again_with_white_space_and_more_members_is_the_same() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let mut receipt = ledger.receipt(position);
    receipt["proof"] = json!({"a later version": "may say more"});
    let kept = serde_json::to_vec_pretty(&json!([receipt])).expect("text");
    let grant = check(&kept, &keys(&ledger), day("2012-06-01"), &Asked::default());
    assert_eq!(grant.expect("granted").position.0, position);
}

#[test]
fn what_is_no_receipt_is_unreadable_and_not_refused() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let one = ledger.receipt(position);
    let doubled = one.to_string().replacen('{', "{\"position\":1,", 1);
    let mut missing = one.clone();
    missing.as_object_mut().expect("one").remove("link");
    for text in
        ["", "{}", "[]", "null", &doubled, &missing.to_string(), &json!([one, one]).to_string()]
    {
        let answer = check(text.as_bytes(), &keys(&ledger), day("2012-06-01"), &Asked::default());
        assert!(matches!(answer, Err(NoGrant::Unreadable(_))), "{text}");
    }
}

#[test]
fn a_receipt_of_another_ledger_is_refused_by_name() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position);
    let trust = |change: &dyn Fn(&mut Value)| {
        let mut trust = ledger.trust();
        change(&mut trust);
        LedgerKeys::of(&Trust::parse(trust.to_string().as_bytes()).expect("a trust file"))
    };
    let elsewhere = trust(&|trust| trust["origin"] = json!("registre.example/ailleurs"));
    assert_eq!(refused(checked(&receipt, &elsewhere)), "other-ledger");
    let key = SecretKey::from_seed(&[9; 32]).public().to_jwk();
    let impostor = trust(&|trust| trust["ledger_key"] = key.clone());
    assert_eq!(refused(checked(&receipt, &impostor)), "key-unknown");
}

#[test]
fn a_grant_is_for_what_was_asked_and_nothing_else() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position).to_string();
    let keys = keys(&ledger);
    let ask = |asked: Asked<'_>| check(receipt.as_bytes(), &keys, day("2012-06-01"), &asked);
    let plan = [Category::parse("REINTEGRATION-PLAN").expect("a code")];
    let right = Asked {
        processing: Some(PROCESSING),
        purpose: Purpose::parse("PUR-CASE-MGMT"),
        categories: &plan,
        recipient: Some(FUND),
        site: Some(SITE),
    };
    assert!(ask(right).is_ok());
    let motive = [plan[0], Category::parse("ABS-MOTIVE").expect("a code")];
    for (asked, code) in [
        (Asked { processing: Some("autre"), ..right }, "other-processing"),
        (Asked { purpose: Purpose::parse("PUR-BENEFITS"), ..right }, "other-purpose"),
        (Asked { categories: &motive, ..right }, "other-category"),
        (Asked { recipient: Some(EMPLOYER), ..right }, "other-recipient"),
        (Asked { site: Some("autre-site"), ..right }, "other-site"),
    ] {
        assert_eq!(refused(ask(asked)), code);
    }
    // A grant for no site in particular answers no request for one.
    let position = file(&mut ledger, Kind::AccessRequest, FUND, sample::access(&[1]));
    let receipt = ledger.receipt(position).to_string();
    let asked = Asked { site: Some(SITE), ..Asked::default() };
    assert_eq!(refused(check(receipt.as_bytes(), &keys, day("2012-06-01"), &asked)), "other-site");
}

#[test]
fn a_later_key_is_known_by_the_receipts_of_its_rotations() {
    let mut ledger = ledger();
    let first = granted(&mut ledger);
    let rotations: Vec<Vec<u8>> = ["second", "third"]
        .iter()
        .map(|seed| {
            ledger.rotate_key(seed);
            ledger.pass_seconds(1);
            ledger.receipt(ledger.size() - 1).to_string().into_bytes()
        })
        .collect();
    let last = granted(&mut ledger);
    let (first, last) = (ledger.receipt(first), ledger.receipt(last));
    let unaware = keys(&ledger);
    assert!(checked(&first, &unaware).is_ok());
    assert_eq!(refused(checked(&last, &unaware)), "key-unknown");
    // In any order, each once or more.
    let mut aware = unaware.clone();
    let given = [&rotations[1], &rotations[0], &rotations[1]];
    aware.follow(given.map(Vec::as_slice)).expect("each follows the one before");
    assert!(checked(&first, &aware).is_ok());
    assert!(checked(&last, &aware).is_ok());
    // The first of the two is missing.
    let answer = unaware.clone().follow([rotations[1].as_slice()]);
    assert!(matches!(
        answer,
        Err(RotationError::Refused { reason: Refused::KeyUnknown { .. }, .. })
    ));
    // Neither another entry nor noise is a rotation.
    let other = first.to_string();
    let answer = unaware.clone().follow([other.as_bytes()]);
    assert!(matches!(answer, Err(RotationError::NotARotation { .. })));
    let answer = unaware.clone().follow([b"{}".as_slice()]);
    assert!(matches!(answer, Err(RotationError::Unreadable(_))));
}

#[test]
fn a_key_that_was_replaced_signs_nothing_more_for_who_knows_of_it() {
    let mut honest = ledger();
    // Whoever kept the old key goes on as if nothing had happened.
    let mut thief = honest.clone();
    honest.rotate_key("second");
    let rotation = honest.receipt(honest.size() - 1).to_string();
    thief.pass_seconds(1);
    let forged = [granted(&mut thief), granted(&mut thief)].map(|at| thief.receipt(at));
    let unaware = keys(&honest);
    let mut aware = unaware.clone();
    aware.follow([rotation.as_bytes()]).expect("a rotation");
    // At the rotation's own position the old key is still the right one: two entries there
    // are a fork, which only the ledger's whole history shows.
    assert_eq!(refused(checked(&forged[1], &aware)), "key-unknown");
    assert!(checked(&forged[1], &unaware).is_ok(), "which is why a source must be told");
}

#[test]
fn a_grant_from_before_terms_were_sealed_is_to_be_requested_again() {
    let mut ledger = sample::opened_under(&FIRST, ClockKind::Real);
    sample::authorise_until(&mut ledger, UNTIL);
    ledger.pass_seconds(60);
    let position = granted(&mut ledger);
    let mut receipt = ledger.receipt(position);
    assert_eq!(refused(checked(&receipt, &keys(&ledger))), "term-not-sealed");
    // As it was given, with a term that nothing signed.
    receipt["valid_until"] = json!(UNTIL);
    assert_eq!(refused(checked(&receipt, &keys(&ledger))), "term-not-sealed");
}

// The page.

/// A block of `docs/receipts.md`, by the name after its language.
fn block(name: &str) -> String {
    let page = std::fs::read_to_string(greffe_tests::vectors::path("../docs/receipts.md"))
        .expect("docs/receipts.md is there");
    let opening = format!("```json {name}\n");
    let (_, rest) = page.split_once(&opening).unwrap_or_else(|| panic!("no block `{name}`"));
    rest.split_once("\n```").expect("the block ends").0.to_owned()
}

#[test]
fn the_example_of_the_page_is_granted_as_the_page_says_up_to_its_last_day() {
    let trust = Trust::parse(block("trust").as_bytes()).expect("a trust file");
    let keys = LedgerKeys::of(&trust);
    let receipt = block("receipt");
    let asked = Asked { recipient: Some(FUND), site: Some(SITE), ..Asked::default() };
    let grant = check(receipt.as_bytes(), &keys, day(UNTIL), &asked).expect("granted");
    let answer: Value = serde_json::from_str(&block("answer")).expect("JSON");
    assert_eq!(grant.to_value(), answer);
    let late = check(receipt.as_bytes(), &keys, day("2013-01-01"), &asked);
    assert_eq!(refused(late), "expired");
}

/// The example, made once and frozen: `cargo test -p greffe-tests --test all -- --ignored
/// --nocapture print_the_example`.
#[test]
#[ignore = "prints the blocks of docs/receipts.md"]
fn print_the_example() {
    let mut ledger = ledger();
    let position = granted(&mut ledger);
    let receipt = ledger.receipt(position);
    println!("```json trust\n{}\n```", ledger.trust());
    println!("```json receipt\n{receipt}\n```");
    let grant = checked(&receipt, &keys(&ledger)).expect("granted");
    println!("```json answer\n{:#}\n```", grant.to_value());
}
