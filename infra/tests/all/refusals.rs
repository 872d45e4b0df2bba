//! Every refusal, from the text submitted to the code answered: nothing is recorded by any.

use std::sync::Arc;

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::base64url;
use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::{Kind, StreamType};
use greffe_domain::refusal::RefusalCode as C;
use greffe_domain::sdjwt;
use greffe_domain::vocabulary::Role;
use greffe_infra::clock::Clock;
use greffe_infra::store::{MemoryStore, Store};
use greffe_infra::submit::SubmitError;
use greffe_infra::testing::{
    self, REGISTRAR, access, access_body, declaration, draft, party_register, proof, seal, sign,
};
use serde_json::{Value, json};

use crate::support::{refusal, refused, settled, sound};

/// A filing with one member of its payload changed.
fn with(mut filing: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = filing.pointer_mut(parent).expect("a member");
    parent[name] = value;
    filing
}

/// A filing whose payload is these bytes, signed as they are.
fn raw(payload: &[u8], author: &str) -> String {
    let key = simulated_party_key(author);
    let header = json!({"alg": "EdDSA", "kid": key.public().kid(), "typ": sdjwt::TYP_FILING});
    let input = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(payload));
    let signature = key.sign(input.as_bytes());
    format!("{input}.{}~", base64url(&signature))
}

/// The text of a payload, one piece of it replaced.
fn edited(filing: Value, from: &str, to: &str) -> String {
    let (payload, disclosures) = draft(filing).concealed();
    let text = payload.to_string();
    assert!(text.contains(from), "{text}");
    let signed = raw(text.replacen(from, to, 1).as_bytes(), payload["iss"].as_str().expect("iss"));
    disclosures.iter().fold(signed, |text, d| text + d.encoded() + "~")
}

fn statement(text: &str) -> Value {
    json!({"iss": "cnamts", "kind": "processing.withdraw", "body": {
        "processing": "suivi", "reason": text,
    }})
}

#[tokio::test]
async fn an_author_who_is_not_who_the_filing_says_is_refused() {
    let (ledger, store) = settled().await;
    let filing = || draft(access("cnamts", "suivi", 1));
    let (payload, disclosures) = filing().concealed();
    // Another party's key; a key nobody enrolled; the right kid over another text.
    let by = |party: &str| seal(&payload, &disclosures, &simulated_party_key(party));
    refused(&ledger, &by("cnil"), C::KeyUnknown).await;
    refused(&ledger, &by("nobody"), C::KeyUnknown).await;
    let (other, _) = filing().concealed();
    let (mine, theirs) = (by("cnamts"), seal(&other, &[], &simulated_party_key("cnamts")));
    let mixed = format!(
        "{}{}",
        mine.rsplit_once('.').expect("a signature").0,
        &theirs[theirs.rfind('.').expect("a signature")..]
    );
    let mixed = disclosures.iter().fold(mixed, |text, d| text + d.encoded() + "~");
    refused(&ledger, &mixed, C::SignatureInvalid).await;
    refused(&ledger, &sign(access("nobody", "suivi", 1)), C::KeyUnknown).await;

    // A key that is revoked, by itself: it signs nothing after, not even in the same filing.
    let second = simulated_party_key("cnamts, second key");
    ledger
        .submit(&sign(json!({"iss": "cnamts", "kind": "party.enrol-key", "body": {
            "party": "cnamts", "key": second.public().to_jwk(), "proof": proof("cnamts", &second),
        }})))
        .await
        .expect("enrolled");
    let revoke = |kid: &str| json!({"party": "cnamts", "kid": kid, "reason": "lost"});
    let first = simulated_party_key("cnamts").public().kid().to_owned();
    let both = json!([revoke(&first), revoke(second.public().kid())]);
    let both = sign(json!({"iss": "cnamts", "kind": "party.revoke-key", "body": both}));
    refused(&ledger, &both, C::KeyRevoked).await;
    let one = json!({"iss": "cnamts", "kind": "party.revoke-key", "body": revoke(&first)});
    ledger.submit(&sign(one)).await.expect("revoked");
    refused(&ledger, &filing().sign(), C::KeyRevoked).await;
    let (payload, disclosures) = filing().concealed();
    ledger.submit(&seal(&payload, &disclosures, &second)).await.expect("the other key signs");
    sound(&*store).await;
}

#[tokio::test]
async fn another_ledger_s_filing_a_token_and_a_used_name_are_refused() {
    let (ledger, _) = settled().await;
    let other = with(access("cnamts", "suivi", 1), "/aud", "autre.example".into());
    refused(&ledger, &sign(other), C::AudMismatch).await;
    let (payload, _) = draft(statement("fin")).concealed();
    let token = sdjwt::sign(&payload, sdjwt::TYP_TOKEN, &simulated_party_key("cnamts"));
    refused(&ledger, &format!("{token}~"), C::Malformed).await;
    refused(&ledger, &token, C::Malformed).await;

    let first = with(access("cnamts", "suivi", 1), "/jti", "une-fois".into());
    let recorded = ledger.submit(&sign(first)).await.expect("recorded");
    let again = with(access("cnamts", "suivi", 2), "/jti", "une-fois".into());
    let refusal = refused(&ledger, &sign(again), C::JtiReused).await;
    assert_eq!(refusal.position, Some(recorded[0].position.0));
    // The name is the author's: another may use it.
    let other = with(access("press-archive", "suivi", 2), "/jti", "une-fois".into());
    ledger.submit(&sign(other)).await.expect("recorded");
}

#[tokio::test]
async fn on_a_real_clock_iat_must_be_near_it() {
    let clock = Clock::at(Timestamp::from_unix_seconds(testing::OPENED));
    let store = Arc::new(MemoryStore::new(testing::ORIGIN));
    let ledger = testing::open_with(Arc::clone(&store) as _, ClockKind::Real, clock.clone())
        .await
        .expect("a ledger");
    testing::settle(&ledger).await;
    let at = |iat: i64| sign(with(access("cnamts", "suivi", 1), "/iat", iat.into()));
    let now = testing::OPENED + 200_000;
    clock.set(Timestamp::from_unix_seconds(now));
    for iat in [now + 301, now - 86_401, 0, -1] {
        refused(&ledger, &at(iat), C::IatOutOfWindow).await;
    }
    let kept = at(now - 86_400);
    let first = ledger.submit(&kept).await.expect("just in time");
    ledger.submit(&at(now + 300)).await.expect("just in time");
    assert_eq!(first[0].time, Timestamp::from_unix_seconds(now), "the clock's time, not `iat`");
    // Sent again later, it is still the same filing; and a clock set back moves no time back.
    clock.set(Timestamp::from_unix_seconds(now + 100_000));
    let again = ledger.submit(&kept).await.expect("recorded before");
    assert_eq!(again[0].position, first[0].position);
    clock.set(Timestamp::from_unix_seconds(now - 1_000));
    let later = ledger.submit(&at(now - 1_000)).await.expect("recorded");
    assert_eq!(later[0].time, first[0].time);
    sound(&*store).await;
}

#[tokio::test]
async fn personal_data_in_clear_are_refused_however_they_are_written() {
    let (ledger, _) = settled().await;
    for text in [
        "dossier 2 55 08 14 168 025 38",
        "écrire à une.personne@exemple.fr",
        "appeler le 06 12 34 56 78",
    ] {
        refused(&ledger, &sign(statement(text)), C::PersonalDataInClear).await;
        let reference = with(access("cnamts", "suivi", 1), "/reference", text.into());
        refused(&ledger, &sign(reference), C::PersonalDataInClear).await;
    }
    // A value that must be concealed, signed in clear; and dressed as a revealed one.
    let digest = base64url(&[7; 32]);
    let subject = access_body("suivi", 1)["subjects"][0].clone();
    let key = simulated_party_key("cnamts");
    for clear in
        [subject.clone(), json!({"digest": digest, "value": subject}), json!({"digest": digest})]
    {
        let agreement = json!({"iss": "cnamts", "kind": "agreement.record", "body": {
            "processing": "suivi", "subject": clear, "scope": "suivi",
        }});
        let text = seal(&draft(agreement).payload, &[], &key);
        refused(&ledger, &text, C::PersonalDataInClear).await;
        let listed = with(access("cnamts", "suivi", 1), "/body/subjects", json!([clear]));
        let text = seal(&draft(listed).payload, &[], &key);
        refused(&ledger, &text, C::PersonalDataInClear).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_one_way_only_is_refused() {
    let (ledger, _) = settled().await;
    let ruling = |cents: &str| {
        let filing = json!({"iss": "court-1", "kind": "ruling.record", "body": {
            "ruling": "r-1", "court": "Tribunal", "outcome": "ACCEPTED", "establishes": [],
            "awarded_cents": 7_700_770,
        }});
        edited(filing, "7700770", cents)
    };
    for cents in ["9007199254740992", "-9007199254740992", "1.5", "1e3", "1.0"] {
        refused(&ledger, &ruling(cents), C::NumberNotInteger).await;
    }
    let twice = edited(statement("fin"), "\"reason\":", "\"reason\":\"x\",\"reason\":");
    refused(&ledger, &twice, C::Malformed).await;
    let nul = edited(statement("fin"), "fin", "f\\u0000n");
    refused(&ledger, &nul, C::Malformed).await;
    let (payload, _) = draft(statement("fin")).concealed();
    let mut bytes = payload.to_string().into_bytes();
    let at = bytes.windows(3).position(|w| w == b"fin").expect("there");
    bytes[at] = 0xff;
    refused(&ledger, &raw(&bytes, "cnamts"), C::Malformed).await;
    // 16 levels are read (and then are no body), 17 are not.
    let nested = |levels: usize| {
        let open = format!("\"fin\",\"deep\":{}{}", "[".repeat(levels), "]".repeat(levels));
        edited(statement("fin"), "\"fin\"", &open)
    };
    refused(&ledger, &nested(14), C::FieldUnknown).await;
    refused(&ledger, &nested(15), C::Malformed).await;
    refused(&ledger, &"a".repeat(10 * 1024 * 1024), C::FilingTooLarge).await;
    for text in ["", "~", "a.b.c~", "....~", "é~"] {
        refused(&ledger, text, C::Malformed).await;
    }
    let unknown = with(statement("fin"), "/extra", 1.into());
    refused(&ledger, &sign(unknown), C::FieldUnknown).await;
    let unsigned = sign(statement("fin")).replacen('.', "=.", 1);
    refused(&ledger, &unsigned, C::Malformed).await;
}

#[tokio::test]
async fn disclosures_are_exactly_those_asked_for() {
    let (ledger, _) = settled().await;
    let key = simulated_party_key("cnamts");
    let (payload, disclosures) = draft(access("cnamts", "suivi", 1)).concealed();
    let (_, others) = draft(access("cnamts", "suivi", 2)).concealed();
    let jwt = sdjwt::sign(&payload, sdjwt::TYP_FILING, &key);
    let text = |encoded: &[&str]| encoded.iter().fold(format!("{jwt}~"), |text, d| text + d + "~");
    let mine = disclosures[0].encoded();
    refused(&ledger, &text(&[]), C::DisclosureMissing).await;
    refused(&ledger, &text(&[others[0].encoded()]), C::DisclosureMissing).await;
    refused(&ledger, &text(&[mine, others[0].encoded()]), C::DisclosureUnexpected).await;
    refused(&ledger, &text(&[mine, mine]), C::DisclosureUnexpected).await;
    refused(&ledger, &text(&[&mine[..mine.len() - 8]]), C::Malformed).await;
    refused(&ledger, text(&[mine]).trim_end_matches('~'), C::Malformed).await;
    ledger.submit(&text(&[mine])).await.expect("recorded");
}

#[tokio::test]
async fn a_leaf_of_65_535_bytes_is_recorded_and_one_of_65_536_is_not() {
    let (ledger, store) = settled().await;
    let filing = |length: usize| {
        let mut filing = declaration("cnamts", "grand");
        let texts: Vec<String> = (0..length.div_ceil(1_000))
            .map(|n| "x".repeat((length - n * 1_000).min(1_000)))
            .collect();
        filing["body"]["security"] = texts.into();
        filing
    };
    // How many bytes a leaf has beside its text, whose commas and quotes count too.
    let trial = 64_000;
    let size = {
        let (other, _) = settled().await;
        let receipts = other.submit(&sign(filing(trial))).await.expect("recorded");
        receipts[0].leaf.get().len()
    };
    let most = trial + 65_535 - size;
    let most = most - (most.div_ceil(1_000) - trial.div_ceil(1_000)) * 3;
    refused(&ledger, &sign(filing(most + 1)), C::LeafTooLarge).await;
    // In the middle of a batch it undoes what came before.
    let bodies = json!([declaration("cnamts", "petit")["body"], filing(most + 1)["body"]]);
    let batch = sign(
        json!({"iss": "cnamts", "kind": "processing.declare", "at": "2015-01-01", "body": bodies}),
    );
    refused(&ledger, &batch, C::LeafTooLarge).await;
    assert!(ledger.with_register(|r| r.processing("petit").is_none()));
    let receipts = ledger.submit(&sign(filing(most))).await.expect("recorded");
    assert_eq!(receipts[0].leaf.get().len(), 65_535);
    sound(&*store).await;
}

#[tokio::test]
async fn a_thousand_and_one_facts_and_a_list_of_none_are_refused() {
    let (ledger, _) = settled().await;
    let bodies: Value = (0..1_001).map(|n| access_body("suivi", n)).collect();
    let batch = json!({"iss": "cnamts", "kind": "access.report", "body": bodies});
    refused(&ledger, &sign(batch), C::BatchTooLong).await;
    let none = json!({"iss": "cnamts", "kind": "access.report", "body": []});
    refused(&ledger, &sign(none), C::FieldMissing).await;
}

#[tokio::test]
async fn codes_and_ids_that_nobody_knows_are_refused() {
    let (ledger, _) = settled().await;
    let base = || access("cnamts", "suivi", 1);
    for (pointer, value, code) in [
        ("/kind", json!("access.invent"), C::CodeUnknown),
        ("/evidence", json!("rumour"), C::CodeUnknown),
        ("/body/purpose", json!("PUR-UNKNOWN"), C::CodeUnknown),
        ("/body/channel", json!("telepathy"), C::CodeUnknown),
        ("/body/recipient/role", json!("R-UNKNOWN"), C::CodeUnknown),
        ("/body/processing", json!("inconnu"), C::IdUnknown),
        ("/body/recipient/party", json!("inconnu"), C::IdUnknown),
        ("/body/experiment", json!("inconnu"), C::IdUnknown),
        ("/body/processing", json!("Majuscule"), C::IdentifierInvalid),
        ("/at", json!("hier"), C::DateInvalid),
        ("/iat", json!("hier"), C::NumberNotInteger),
    ] {
        refused(&ledger, &sign(with(base(), pointer, value)), code).await;
    }
    // Accesses by positions that do not exist, however far, the filing's own included.
    let next = ledger.size().0;
    for position in [next, next + 1, 9_007_199_254_740_991] {
        let contest = json!({"iss": "desk-1", "kind": "access.contest", "body": {
            "access": position, "subject": access_body("suivi", 1)["subjects"][0], "ground": "x",
        }});
        refused(&ledger, &sign(contest), C::IdUnknown).await;
    }
    for id in
        [next.to_string(), u64::MAX.to_string(), i64::MAX.to_string(), "007".into(), "1".into()]
    {
        let milestone = json!({"iss": "cnamts", "kind": "milestone.record", "body": {
            "about": {"type": "access", "id": id}, "milestone": "visit",
        }});
        refused(&ledger, &sign(milestone), C::IdUnknown).await;
    }
    assert!(
        ledger.receipt(greffe_domain::seal::Position(u64::MAX)).await.expect("no fault").is_none()
    );
}

#[tokio::test]
async fn keys_are_strong_proved_and_new() {
    let (ledger, _) = settled().await;
    let key = simulated_party_key("new");
    let register = || party_register("new", &["employer"]);
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        let jwk = json!({"crv": "Ed25519", "kty": "OKP", "x": base64url(&weak)});
        refused(&ledger, &sign(with(register(), "/body/key", jwk)), C::KeyWeak).await;
    }
    for bad in [proof("other", &key), proof("new", &simulated_party_key("x")), base64url(&[0; 64])]
    {
        refused(&ledger, &sign(with(register(), "/body/proof", bad.into())), C::ProofInvalid).await;
    }
    // A key that belongs to another party, and names that are taken: the registrar's too.
    let taken = simulated_party_key("cnil");
    let filing = with(register(), "/body/key", taken.public().to_jwk());
    let filing = with(filing, "/body/proof", proof("new", &taken).into());
    refused(&ledger, &sign(filing), C::AlreadyExists).await;
    refused(&ledger, &sign(party_register(REGISTRAR, &[])), C::AlreadyExists).await;
    let again = with(party_register("cnil", &["controller"]), "/body/key", key.public().to_jwk());
    let again = with(again, "/body/proof", proof("cnil", &key).into());
    refused(&ledger, &sign(again), C::AlreadyExists).await;

    let revoke = |iss: &str, party: &str, kid: &str| {
        sign(json!({"iss": iss, "kind": "party.revoke-key", "body": {
            "party": party, "kid": kid, "reason": "lost",
        }}))
    };
    let kid = |party: &str| simulated_party_key(party).public().kid().to_owned();
    refused(&ledger, &revoke("cnamts", "cnil", &kid("cnil")), C::NotYours).await;
    refused(&ledger, &revoke(REGISTRAR, "cnil", &kid("cnamts")), C::NotEnrolled).await;
    refused(&ledger, &revoke(REGISTRAR, REGISTRAR, &kid(REGISTRAR)), C::LastRegistrarKey).await;
    ledger.submit(&revoke(REGISTRAR, "court-1", &kid("court-1"))).await.expect("revoked");
    refused(&ledger, &revoke(REGISTRAR, "court-1", &kid("court-1")), C::AlreadyRevoked).await;
}

#[tokio::test]
async fn what_the_state_of_the_ledger_forbids_is_refused() {
    let (ledger, _) = settled().await;
    let of = |iss: &str, kind: &str, body: Value| {
        sign(json!({"iss": iss, "kind": kind, "at": "2015-06-01", "body": body}))
    };
    let mut purpose = declaration("cnamts", "suivi")["body"].clone();
    purpose["processing"] = "autre".into();
    refused(&ledger, &of("cnamts", "processing.amend", purpose), C::NotDeclared).await;
    let formality = |purposes: Value| {
        of(
            "cnamts",
            "formality.file",
            json!({
                "formality": "f-1", "processing": "suivi", "kind": "F78-16-DECL", "purposes": purposes,
            }),
        )
    };
    refused(&ledger, &formality(json!(["PUR-RESEARCH"])), C::NotDeclared).await;
    let enrol = |id: &str| {
        of(
            "cnamts",
            "experiment.enrol",
            json!({"experiment": id, "site": {"id": "s", "name": "S"}}),
        )
    };
    refused(&ledger, &enrol("e-1"), C::NotLaunched).await;
    ledger
        .submit(&of(
            "cnamts",
            "experiment.launch",
            json!({
                "experiment": "e-1", "processing": "suivi", "unit": "establishment",
                "categories": ["EMP-IDENTITY"], "start": "2015-06-01",
            }),
        ))
        .await
        .expect("launched");
    ledger
        .submit(&of("cnamts", "experiment.end", json!({"experiment": "e-1"})))
        .await
        .expect("ended");
    refused(&ledger, &enrol("e-1"), C::AlreadyEnded).await;
    refused(&ledger, &sign(declaration("cnamts", "suivi")), C::AlreadyExists).await;
    let for_another = with(declaration("cnamts", "leur"), "/body/controller", "cnil".into());
    refused(&ledger, &sign(for_another), C::NotYours).await;
    let stranger = with(access("employer-1", "suivi", 1), "/body/recipient/party", "cnil".into());
    refused(&ledger, &sign(stranger), C::NotYours).await;
}

/// Bodies that have their shape, for a role check that comes before anything else is asked.
fn body(kind: Kind) -> Value {
    let subject = access_body("suivi", 1)["subjects"][0].clone();
    let about = json!({"type": "processing", "id": "suivi"});
    match kind {
        Kind::PartyRegister => party_register("new", &["employer"])["body"].clone(),
        Kind::PartyEnrolKey => {
            let key = simulated_party_key("fresh");
            json!({"party": "cnil", "key": key.public().to_jwk(), "proof": proof("cnil", &key)})
        }
        Kind::PartyRevokeKey => json!({"party": "cnil", "kid": base64url(&[7; 32]), "reason": "x"}),
        Kind::ReferencePublish => json!({"reference": "au-1", "kind": "norm", "title": "N",
            "objects": [], "authority": "CNIL"}),
        Kind::ProcessingDeclare => {
            let mut body = declaration("cnamts", "new")["body"].clone();
            body.as_object_mut().expect("an object").remove("controller");
            body
        }
        Kind::ProcessingAmend => declaration("cnamts", "suivi")["body"].clone(),
        Kind::ProcessingDeploy => json!({"processing": "suivi"}),
        Kind::ProcessingWithdraw => json!({"processing": "suivi", "reason": "fin"}),
        Kind::FormalityFile => json!({"formality": "f-2", "processing": "suivi",
            "kind": "F78-16-DECL", "purposes": []}),
        Kind::FormalityAcknowledge => json!({"formality": "f-1", "number": "1"}),
        Kind::InformationRecord => {
            json!({"processing": "suivi", "step": "I-CE-INFORMED", "audience": "x"})
        }
        Kind::WorksCouncilOpine => json!({"processing": "suivi", "opinion": "none", "on": "x"}),
        Kind::ConsultationRecord => json!({"about": about, "step": "I-CE-INFORMED", "held": true}),
        Kind::AssessmentFile => json!({"processing": "suivi", "residual_risk": "low"}),
        Kind::AgreementRecord | Kind::ObjectionRecord => {
            json!({"processing": "suivi", "subject": subject, "scope": "x"})
        }
        Kind::DecisionRender => json!({"decision": "d-2", "processing": "suivi", "outcomes": []}),
        Kind::DecisionEnd => {
            json!({"decision": "d-1", "how": "SUSPENDED", "effective_from": "2016"})
        }
        Kind::RulingRecord => {
            json!({"ruling": "r-1", "court": "T", "outcome": "ACCEPTED", "establishes": []})
        }
        Kind::StatementRecord => json!({"about": about, "claims": []}),
        Kind::MilestoneRecord => json!({"about": about, "milestone": "visit"}),
        Kind::ExperimentLaunch => json!({"experiment": "e-2", "processing": "suivi",
            "unit": "establishment", "categories": [], "start": "2016"}),
        Kind::ExperimentEnrol => json!({"experiment": "e-1", "site": {"id": "s", "name": "S"}}),
        Kind::ExperimentPlanExpansion | Kind::ExperimentExpand | Kind::ExperimentEnd => {
            json!({"experiment": "e-1"})
        }
        Kind::ExperimentEvaluate => json!({"experiment": "e-1", "conclusions": []}),
        Kind::ConditionSet | Kind::ConditionMeet => json!({"about": about, "condition": "x"}),
        Kind::GeneraliseDecide => json!({"about": about}),
        Kind::AccessRequest | Kind::AccessReport => access_body("suivi", 1),
        Kind::UseRecord => {
            json!({"processing": "suivi", "purpose": "PUR-CASE-MGMT", "consequence": "x"})
        }
        Kind::AccessContest => json!({"access": 0, "subject": subject, "ground": "x"}),
        Kind::AccessAnswer => json!({"access": 0, "outcome": "x"}),
        Kind::SubjectErase => json!({"digests": [], "ground": "x", "scope": "x"}),
        Kind::ErasureRefuse => json!({"ground": "x"}),
    }
}

#[tokio::test]
async fn each_kind_is_filed_by_its_roles_and_by_no_other() {
    // On a store of its own for each author, so that what one files is not in another's way.
    for role in Role::NAMES {
        let (ledger, store) = settled().await;
        let author = format!("author-{role}");
        ledger.submit(&sign(party_register(&author, &[*role]))).await.expect("registered");
        let role = ledger.with_register(|r| r.party(&author).expect("a party").roles[0]);
        let setting = [
            json!({"iss": "cnamts", "kind": "formality.file", "body": {
                "formality": "f-1", "processing": "suivi", "kind": "F78-16-DECL", "purposes": []}}),
            json!({"iss": "cnil", "kind": "decision.render", "body": {
                "decision": "d-1", "processing": "suivi", "outcomes": []}}),
            json!({"iss": "cnamts", "kind": "experiment.launch", "body": {
                "experiment": "e-1", "processing": "suivi", "unit": "establishment",
                "categories": [], "start": "2015"}}),
            access("cnamts", "suivi", 1),
        ];
        let setting: Vec<String> = setting.into_iter().map(sign).collect();
        let receipts = ledger.submit_all(&setting).await.expect("recorded");
        let about = receipts.last().expect("an access").position;
        for kind in Kind::ALL {
            let mut filing = json!({"iss": author, "kind": kind.as_str(), "body": body(*kind)});
            if filing["body"].get("access").is_some() {
                filing["body"]["access"] = json!(about);
            }
            if matches!(kind, Kind::AccessReport | Kind::AccessRequest) {
                filing["body"]["recipient"]["party"] = author.clone().into();
            }
            let head = ledger.head().expect("signed");
            let allowed = kind.roles().is_empty() || kind.roles().contains(&role);
            match ledger.submit(&sign(filing)).await {
                Err(SubmitError::Refused(refusal)) => {
                    assert_eq!(
                        refusal.code == C::RoleNotAllowed,
                        !allowed,
                        "{role:?} {kind}: {refusal}"
                    );
                    // Who may file the kind is at most told that this one is not theirs, or
                    // what its state forbids: the body has its shape.
                    let expected = [
                        C::RoleNotAllowed,
                        C::NotYours,
                        C::NotEnrolled,
                        C::AlreadyExists,
                        C::IdUnknown,
                        C::AlreadyEnded,
                    ];
                    assert!(expected.contains(&refusal.code), "{role:?} {kind}: {refusal}");
                    assert_eq!(ledger.head().expect("signed"), head);
                }
                Err(error) => panic!("{role:?} {kind}: {error:?}"),
                Ok(_) => assert!(allowed, "{role:?} may not file {kind}"),
            }
        }
        sound(&*store).await;
    }
}

#[tokio::test]
async fn a_lot_names_the_line_that_is_refused() {
    let (ledger, _) = settled().await;
    let head = ledger.head().expect("signed");
    let lot = [sign(access("cnamts", "suivi", 1)), "rien".to_owned()];
    let refusal = refusal(ledger.submit_all(&lot).await);
    assert_eq!(refusal.code, C::Malformed);
    assert!(refusal.detail.en.starts_with("line 2: "), "{refusal}");
    assert_eq!(ledger.head().expect("signed"), head);
    // A key enrolled by an earlier line signs a later one.
    let lot = [sign(party_register("employer-2", &["employer"])), {
        let mut filing = access("employer-2", "suivi", 1);
        filing["body"]["recipient"]["party"] = "employer-2".into();
        sign(filing)
    }];
    ledger.submit_all(&lot).await.expect("recorded");
    let rows = ledger.store().stream(StreamType::Party, "employer-2").await.expect("rows");
    assert_eq!(rows.len(), 1);
}
