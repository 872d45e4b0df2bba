//! Filings signed with the parties' simulated keys.

use greffe::sign::{Draft, Stamp};
use greffe_domain::key::simulated_party_key;
use serde_json::{Value, json};

use crate::server::{NOW_S, ORIGIN};

/// A signed filing of evidence `act`; `jti` also seeds its salts.
pub fn sign(iss: &str, kind: &str, at: Option<&str>, body: Value, jti: &str) -> String {
    let mut draft = json!({"iss": iss, "kind": kind, "evidence": "act", "body": body});
    if let Some(at) = at {
        draft["at"] = at.into();
    }
    let draft = Draft::from_value(draft).expect("a filing's shape");
    let mut counter = 0u64;
    let mut salts = || {
        counter += 1;
        let seed = blake3::hash(format!("{jti} {counter}").as_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&seed.as_bytes()[..16]);
        salt
    };
    let stamp = Stamp { aud: ORIGIN, iat: NOW_S, jti };
    draft.sign(&stamp, &mut salts, &simulated_party_key(iss))
}

/// The declaration of a processing by its controller.
pub fn declaration(processing: &str, recipients: &[&str]) -> Value {
    let recipients: Vec<Value> = recipients.iter().map(|role| json!({"role": role})).collect();
    json!({
        "processing": processing, "title": "Suivi des arrêts",
        "purposes": [{"code": "PUR-BENEFITS", "main": true}],
        "categories": [{"code": "ABS-DURATION"}], "subjects": ["Assurés"],
        "recipients": recipients, "legal_basis": ["A6-1-E"],
    })
}

/// An access to a processing by a recipient, about one subject.
pub fn access(processing: &str, recipient: &str, role: &str, subject: [u8; 32]) -> Value {
    json!({
        "processing": processing, "purpose": "PUR-BENEFITS", "categories": ["ABS-DURATION"],
        "recipient": {"party": recipient, "role": role}, "basis": {"codes": ["A6-1-E"]},
        "subjects": [greffe_domain::encoding::base64url(&subject)], "channel": "api",
    })
}
