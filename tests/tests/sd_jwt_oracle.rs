//! SD-JWT against RFC 9901's published examples and against an independent implementation
//! (`sd-jwt-payload`), both ways: it reads what we write, we read what it writes.
//!
//! Within our subset: SHA-256, every digest disclosed, no nesting. The RFC's texts are signed
//! with ES256, so their payloads are read here and their signatures are not.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use greffe_domain::encoding::base64url;
use greffe_domain::filing::{Disclosures, UnverifiedFiling};
use greffe_domain::json;
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_domain::kind::Kind;
use greffe_domain::refusal::RefusalCode;
use greffe_domain::sdjwt::{Disclosure, SdJwt, TYP_FILING, require_complete, reveal};
use greffe_tests::ledger::{Draft, TestLedger};
use greffe_tests::sample;
use proptest::prelude::*;
use sd_jwt_payload::{Hasher, JsonObject, JwsSigner, SdJwtBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

// RFC 9901.

#[test]
fn disclosures_of_section_4_2_have_their_digests() {
    let family_name = Disclosure::parse(
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
    )
    .expect("§4.2.1");
    assert_eq!(family_name.name.as_deref(), Some("family_name"));
    assert_eq!(family_name.value, "Möbius");
    assert_eq!(family_name.digest(), "X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0");
    let country = Disclosure::parse("WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIkZSIl0").expect("§4.2.2");
    assert_eq!((country.name.as_deref(), &country.value), (None, &json!("FR")));
    assert_eq!(country.digest(), "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs");

    // §4.2.4: where the digests stand.
    let payload = json!({
        "given_name": "Alice", "_sd": ["X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0"],
        "nationalities": ["DE", {"...": "w0I8EKcdCtUPkGCNUrfwVp2xEgNjtoIDlOxc9-PlOhs"}, "US"],
    });
    let revealed = reveal(&payload, &[family_name, country]).expect("both are asked for");
    assert_eq!(
        without_digests(&revealed),
        json!({"given_name": "Alice", "family_name": "Möbius", "nationalities": ["DE", "FR", "US"]})
    );
}

#[test]
fn other_spellings_of_section_4_2_1_are_the_same_value_with_another_digest() {
    let mut digests = Vec::new();
    for encoded in [
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNXHUwMGY2Yml1cyJd",
        "WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsImZhbWlseV9uYW1lIiwiTcO2Yml1cyJd",
        "WwoiXzI2YmM0TFQtYWM2cTJLSTZjQlc1ZXMiLAoiZmFtaWx5X25hbWUiLAoiTcO2Yml1cyIKXQ",
    ] {
        let disclosure = Disclosure::parse(encoded).expect("a spelling the RFC shows");
        assert_eq!(disclosure.value, "Möbius");
        assert_eq!(disclosure.encoded(), encoded, "kept as it travels");
        digests.push(disclosure.digest());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

/// Disclosure, the digest it is published with, its name and its value.
type Published = (&'static str, &'static str, Option<&'static str>, Value);

fn section_5_1() -> Vec<Published> {
    vec![
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
            Some("given_name"),
            json!("John"),
        ),
        (
            "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImZhbWlseV9uYW1lIiwgIkRvZSJd",
            "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
            Some("family_name"),
            json!("Doe"),
        ),
        (
            "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImVtYWlsIiwgImpvaG5kb2VAZXhhbXBsZS5jb20iXQ",
            "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE",
            Some("email"),
            json!("johndoe@example.com"),
        ),
        (
            "WyJlSThaV205UW5LUHBOUGVOZW5IZGhRIiwgInBob25lX251bWJlciIsICIrMS0yMDItNTU1LTAxMDEiXQ",
            "PorFbpKuVu6xymJagvkFsFXAbRoc2JGlAUA2BA4o7cI",
            Some("phone_number"),
            json!("+1-202-555-0101"),
        ),
        (
            "WyJRZ19PNjR6cUF4ZTQxMmExMDhpcm9BIiwgInBob25lX251bWJlcl92ZXJpZmllZCIsIHRydWVd",
            "XQ_3kPKt1XyX7KANkqVR6yZ2Va5NrPIvPYbyMvRKBMM",
            Some("phone_number_verified"),
            json!(true),
        ),
        (
            "WyJBSngtMDk1VlBycFR0TjRRTU9xUk9BIiwgImFkZHJlc3MiLCB7InN0cmVldF9hZGRyZXNzIjogIjEyMyBNYWluIFN0IiwgImxvY2FsaXR5IjogIkFueXRvd24iLCAicmVnaW9uIjogIkFueXN0YXRlIiwgImNvdW50cnkiOiAiVVMifV0",
            "XzFrzwscM6Gn6CJDc6vVK8BkMnfG8vOSKfpPIZdAfdE",
            Some("address"),
            json!({"street_address": "123 Main St", "locality": "Anytown", "region": "Anystate", "country": "US"}),
        ),
        (
            "WyJQYzMzSk0yTGNoY1VfbEhnZ3ZfdWZRIiwgImJpcnRoZGF0ZSIsICIxOTQwLTAxLTAxIl0",
            "gbOsI4Edq2x2Kw-w5wPEzakob9hV1cRD0ATN3oQL9JM",
            Some("birthdate"),
            json!("1940-01-01"),
        ),
        (
            "WyJHMDJOU3JRZmpGWFE3SW8wOXN5YWpBIiwgInVwZGF0ZWRfYXQiLCAxNTcwMDAwMDAwXQ",
            "CrQe7S5kqBAHt-nMYXgc6bdt2SH5aTY1sU_M-PgkjPI",
            Some("updated_at"),
            json!(1570000000),
        ),
        (
            "WyJsa2x4RjVqTVlsR1RQVW92TU5JdkNBIiwgIlVTIl0",
            "pFndjkZ_VCzmyTa6UjlZo3dh-ko8aIKQc9DlGzhaVYo",
            None,
            json!("US"),
        ),
        (
            "WyJuUHVvUW5rUkZxM0JJZUFtN0FuWEZBIiwgIkRFIl0",
            "7Cf6JkPudry3lcbwHgeZ8khAv1U1OSlerP0VkBJrWZ0",
            None,
            json!("DE"),
        ),
    ]
}

#[test]
fn the_example_of_section_5_1_is_revealed_as_published() {
    let published = section_5_1();
    let disclosures: Vec<Disclosure> = published
        .iter()
        .map(|(encoded, digest, name, value)| {
            let disclosure = Disclosure::parse(encoded).expect("a published disclosure");
            assert_eq!(disclosure.digest(), *digest);
            assert_eq!((disclosure.name.as_deref(), &disclosure.value), (*name, value));
            disclosure
        })
        .collect();
    let payload = json!({
        "_sd": [
            "CrQe7S5kqBAHt-nMYXgc6bdt2SH5aTY1sU_M-PgkjPI",
            "JzYjH4svliH0R3PyEMfeZu6Jt69u5qehZo7F7EPYlSE",
            "PorFbpKuVu6xymJagvkFsFXAbRoc2JGlAUA2BA4o7cI",
            "TGf4oLbgwd5JQaHyKVQZU9UdGE0w5rtDsrZzfUaomLo",
            "XQ_3kPKt1XyX7KANkqVR6yZ2Va5NrPIvPYbyMvRKBMM",
            "XzFrzwscM6Gn6CJDc6vVK8BkMnfG8vOSKfpPIZdAfdE",
            "gbOsI4Edq2x2Kw-w5wPEzakob9hV1cRD0ATN3oQL9JM",
            "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4",
        ],
        "iss": "https://issuer.example.com", "iat": 1_683_000_000, "exp": 1_883_000_000,
        "sub": "user_42",
        "nationalities": [
            {"...": "pFndjkZ_VCzmyTa6UjlZo3dh-ko8aIKQc9DlGzhaVYo"},
            {"...": "7Cf6JkPudry3lcbwHgeZ8khAv1U1OSlerP0VkBJrWZ0"},
        ],
        "_sd_alg": "sha-256",
    });
    assert!(require_complete(&payload, &disclosures).is_ok());
    let revealed = without_digests(&reveal(&payload, &disclosures).expect("all are asked for"));
    assert_eq!(
        revealed,
        json!({
            "iss": "https://issuer.example.com", "iat": 1_683_000_000, "exp": 1_883_000_000,
            "sub": "user_42", "_sd_alg": "sha-256", "given_name": "John", "family_name": "Doe",
            "email": "johndoe@example.com", "phone_number": "+1-202-555-0101",
            "phone_number_verified": true, "birthdate": "1940-01-01", "updated_at": 1_570_000_000,
            "address": {"street_address": "123 Main St", "locality": "Anytown",
                        "region": "Anystate", "country": "US"},
            "nationalities": ["US", "DE"],
        })
    );
    // The independent library agrees.
    assert_eq!(read_by_the_library(&payload, &disclosures), {
        let mut expected = revealed;
        expected.as_object_mut().expect("an object").remove("_sd_alg");
        expected
    });
    let fewer = require_complete(&payload, &disclosures[1..]).expect_err("one is not sent");
    assert_eq!(fewer.code, RefusalCode::DisclosureMissing);
}

/// Appendix A.1, without its decoys and the values that our subset has no place for.
#[test]
fn the_disclosures_of_appendix_a_1_have_their_digests() {
    for (encoded, digest, name, value) in [
        (
            "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgInN1YiIsICI2YzVjMGE0OS1iNTg5LTQzMWQtYmFlNy0yMTkxMjJhOWVjMmMiXQ",
            "X6ZAYOII2vPN40V7xExZwVwz7yRmLNcVwt5DL8RLv4g",
            "sub",
            "6c5c0a49-b589-431d-bae7-219122a9ec2c",
        ),
        (
            "WyJlbHVWNU9nM2dTTklJOEVZbnN4QV9BIiwgImdpdmVuX25hbWUiLCAiXHU1OTJhXHU5MGNlIl0",
            "ommFAicVT8LGHCB0uywx7fYuo3MHYKO15cz-RZEYM5Q",
            "given_name",
            "太郎",
        ),
        (
            "WyI2SWo3dE0tYTVpVlBHYm9TNXRtdlZBIiwgImZhbWlseV9uYW1lIiwgIlx1NWM3MVx1NzUzMCJd",
            "C9inp6YoRaEXR427zYJP7Qrk1WH_8bdwOA_YUrUnGQU",
            "family_name",
            "山田",
        ),
        (
            "WyJlSThaV205UW5LUHBOUGVOZW5IZGhRIiwgImVtYWlsIiwgIlwidW51c3VhbCBlbWFpbCBhZGRyZXNzXCJAZXhhbXBsZS5qcCJd",
            "Kuet1yAa0HIQvYnOVd59hcViO9Ug6J2kSfqYRBeowvE",
            "email",
            "\"unusual email address\"@example.jp",
        ),
        (
            "WyJRZ19PNjR6cUF4ZTQxMmExMDhpcm9BIiwgInBob25lX251bWJlciIsICIrODEtODAtMTIzNC01Njc4Il0",
            "s0BKYsLWxQQeU8tVlltM7MKsIRTrEIa1PkJmqxBBf5U",
            "phone_number",
            "+81-80-1234-5678",
        ),
    ] {
        let disclosure = Disclosure::parse(encoded).expect("a published disclosure");
        assert_eq!(disclosure.digest(), digest);
        assert_eq!((disclosure.name.as_deref(), &disclosure.value), (Some(name), &json!(value)));
    }
}

/// §4.2.6: a disclosure that discloses further ones is outside our subset, and says so.
#[test]
fn the_recursive_disclosure_of_section_4_2_6_is_refused() {
    let nested = json!(["4drfeTtSUK3aY_-PF12gcX", "nationalities",
        [{"...": "PmnlrRjhLcwf8zTDdK15HVGwHtPYjddvD362WjBLwro"}]]);
    let refusal = Disclosure::parse(&base64url(&json::canonical(&nested))).expect_err("nested");
    assert_eq!(refusal.code, RefusalCode::Malformed);
}

// The independent implementation.

struct Sha256Hasher;

impl Hasher for Sha256Hasher {
    fn digest(&self, input: &[u8]) -> Vec<u8> {
        Sha256::digest(input).to_vec()
    }

    fn alg_name(&self) -> &str {
        "sha-256"
    }
}

struct Signer<'a>(&'a SecretKey);

#[async_trait]
impl JwsSigner for Signer<'_> {
    type Error = String;

    async fn sign(&self, header: &JsonObject, payload: &JsonObject) -> Result<Vec<u8>, String> {
        let part = |object: &JsonObject| {
            serde_json::to_vec(object).map(|bytes| base64url(&bytes)).map_err(|e| e.to_string())
        };
        let input = format!("{}.{}", part(header)?, part(payload)?);
        let signature = base64url(&self.0.sign(input.as_bytes()));
        Ok(format!("{input}.{signature}").into_bytes())
    }
}

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the signer waits for nothing"),
    }
}

/// Digests dropped: `{"digest":…,"value":v}` is `v`.
fn without_digests(revealed: &Value) -> Value {
    match revealed {
        Value::Object(members) if members.len() == 2 && members.contains_key("digest") => {
            members["value"].clone()
        }
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), without_digests(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(without_digests).collect(),
        other => other.clone(),
    }
}

/// What the library makes of a payload and these disclosures.
fn read_by_the_library(payload: &Value, disclosures: &[Disclosure]) -> Value {
    let header = json!({"alg": "EdDSA", "typ": "example+sd-jwt"});
    let part = |value: &Value| base64url(&json::canonical(value));
    let mut text = format!("{}.{}.{}~", part(&header), part(payload), base64url(&[0; 64]));
    for disclosure in disclosures {
        text.push_str(disclosure.encoded());
        text.push('~');
    }
    let read = sd_jwt_payload::SdJwt::parse(&text).expect("the library reads it");
    read.into_disclosed_object(&Sha256Hasher).expect("the library discloses it").into()
}

/// Kind, body in clear, and the JSON Pointers of what must be concealed.
fn bodies(words: &[String], number: i64) -> Vec<(Kind, Value, Vec<String>)> {
    let pointers = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let mut access = sample::access(&[1, 2]);
    access["recipient"]["agent"] = words[0].clone().into();
    let mut cohort = sample::access(&[]);
    cohort.as_object_mut().expect("an object").remove("subjects");
    cohort["cohort"] = json!({
        "headcount": 250, "absentees": 12, "units": ["site-1"],
        "cells": [{"units": ["site-1"], "categories": ["ABS-RATE"], "value": number,
                   "unit": "days", "suppressed": false, "largest_share_permille": 300}],
        "members": [sample::subject(3)],
    });
    vec![
        (
            Kind::AgreementRecord,
            json!({"processing": "p", "subject": sample::subject(1), "scope": words[1]}),
            pointers(&["/subject"]),
        ),
        (
            Kind::MilestoneRecord,
            json!({"about": {"type": "processing", "id": "p"}, "milestone": "published",
                   "note": words[0]}),
            pointers(&["/note"]),
        ),
        (
            Kind::StatementRecord,
            json!({"about": {"type": "processing", "id": "p"}, "claims": [
                {"fact": "SMALL-CELL", "holds": true, "text": words[0]},
                {"fact": "SMALL-CELL", "holds": false, "text": words[1]}]}),
            pointers(&["/claims/0/text", "/claims/1/text"]),
        ),
        (Kind::AccessReport, access, pointers(&["/recipient/agent", "/subjects/0", "/subjects/1"])),
        (
            Kind::AccessReport,
            cohort,
            pointers(&[
                "/cohort/absentees",
                "/cohort/cells/0/value",
                "/cohort/cells/0/largest_share_permille",
                "/cohort/members/0",
            ]),
        ),
        (
            Kind::AccessContest,
            json!({"access": 3, "subject": sample::subject(1), "ground": words[1]}),
            pointers(&["/subject", "/ground"]),
        ),
    ]
}

fn words() -> impl Strategy<Value = Vec<String>> {
    // Letters, marks and controls; digits and `@` would be refused in clear as personal data.
    prop::collection::vec("[a-zé’\"\\\\\u{1f}\n\u{e000}\u{1f600} ]{0,40}x", 2)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_library_reads_what_we_write(words in words(), number in -json::MAX_INTEGER..json::MAX_INTEGER) {
        let mut ledger = TestLedger::open("registre.example", greffe_domain::event::ClockKind::Simulated);
        for (kind, body, pointers) in bodies(&words, number) {
            let text = ledger.sign(&Draft::act("caisse", kind, body.clone()));
            let read = sd_jwt_payload::SdJwt::parse(&text).expect("the library reads it");
            prop_assert_eq!(read.headers()["typ"].as_str(), Some(TYP_FILING));
            prop_assert_eq!(read.disclosures().len(), pointers.len());
            let ours = SdJwt::parse(&text).expect("our own text");
            for (theirs, ours) in read.disclosures().iter().zip(ours.disclosures()) {
                prop_assert_eq!(theirs.as_str(), ours.encoded());
                prop_assert_eq!(&theirs.claim_name, &ours.name);
                prop_assert_eq!(&theirs.claim_value, &ours.value);
                prop_assert_eq!(Sha256Hasher.encoded_digest(theirs.as_str()), ours.digest());
            }
            let disclosed = read.into_disclosed_object(&Sha256Hasher).expect("the library discloses");
            prop_assert_eq!(&disclosed["body"], &body);
        }
    }

    #[test]
    fn we_read_what_the_library_writes(words in words(), number in -json::MAX_INTEGER..json::MAX_INTEGER) {
        let key = simulated_party_key("caisse");
        for (kind, body, pointers) in bodies(&words, number) {
            let payload = json!({
                "iss": "caisse", "aud": "registre.example", "iat": 1_795_291_200, "jti": "j",
                "kind": kind, "evidence": "act", "body": body,
            });
            let mut builder = SdJwtBuilder::new_with_hasher(payload, Sha256Hasher).expect("an object")
                .header("typ", TYP_FILING).header("kid", key.public().kid());
            for pointer in &pointers {
                builder = builder.make_concealable(&format!("/body{pointer}")).expect("it is there");
            }
            let written = now(builder.finish(&Signer(&key), "EdDSA")).expect("signed");
            let text = written.presentation();
            let filing = UnverifiedFiling::parse(&text, Disclosures::Complete)
                .and_then(|filing| filing.verify(key.public()))
                .unwrap_or_else(|refusal| panic!("{kind}: {refusal} {:?}", refusal.errors));
            prop_assert_eq!(filing.disclosures.len(), pointers.len());
            prop_assert_eq!(filing.items.len(), 1);
            for (ours, theirs) in filing.disclosures.iter().zip(written.disclosures()) {
                prop_assert_eq!(ours.encoded(), theirs.as_str());
                prop_assert_eq!(&ours.value, &theirs.claim_value);
            }
            let revealed = reveal(&filing.items[0].signed, &filing.disclosures).expect("all asked for");
            prop_assert_eq!(without_digests(&revealed), body);
        }
    }
}

#[test]
fn decoys_of_the_library_are_refused() {
    let key = simulated_party_key("caisse");
    let payload = json!({
        "iss": "caisse", "aud": "registre.example", "iat": 1_795_291_200, "jti": "j",
        "kind": "milestone.record", "evidence": "act",
        "body": {"about": {"type": "processing", "id": "p"}, "milestone": "published", "note": "x"},
    });
    let builder = SdJwtBuilder::new_with_hasher(payload, Sha256Hasher)
        .and_then(|b| b.make_concealable("/body/note"))
        .and_then(|b| b.add_decoys("/body", 1))
        .expect("the library conceals it")
        .header("typ", TYP_FILING)
        .header("kid", key.public().kid());
    let text = now(builder.finish(&Signer(&key), "EdDSA")).expect("signed").presentation();
    let refusal = UnverifiedFiling::parse(&text, Disclosures::Complete)
        .and_then(|filing| filing.verify(key.public()))
        .expect_err("a decoy has no disclosure");
    assert_eq!(refusal.code, RefusalCode::DisclosureMissing);
}
