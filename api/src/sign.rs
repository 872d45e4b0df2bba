//! A filing, from the clear text its author writes to the SD-JWT that is sent.
//!
//! Conceals what `schema` says is personal, adds `iat` and `jti`, signs. Randomness and the
//! time are handed in, so that a replay signs the same bytes twice. Nothing is checked that
//! the ledger checks anyway, except the shape needed to conceal.

use greffe_domain::body::Access;
use greffe_domain::filing::{Disclosures, Filing, UnverifiedFiling};
use greffe_domain::json;
use greffe_domain::key::SecretKey;
use greffe_domain::kind::{EvidenceKind, Kind};
use greffe_domain::refusal::{Refusal, RefusalCode};
use greffe_domain::schema;
use greffe_domain::sdjwt::{self, Disclosure, TYP_FILING};
use serde_json::{Map, Value, json};

/// A filing as its author writes it, personal values in clear.
#[derive(Debug, Clone)]
pub struct Draft {
    pub iss: String,
    pub kind: Kind,
    /// EDTF text; checked by the ledger.
    pub at: Option<String>,
    pub evidence: EvidenceKind,
    pub reference: Option<String>,
    /// One body, or an array of them.
    pub body: Value,
}

/// What a draft lacks to be signed.
#[derive(Debug, Clone)]
pub struct Stamp<'a> {
    /// Origin of the ledger it is for.
    pub aud: &'a str,
    /// Seconds since 1970.
    pub iat: i64,
    /// Unique for this author.
    pub jti: &'a str,
}

impl Draft {
    /// Reads `{iss, kind, at?, evidence, reference?, body}`.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::from_value(json::parse(bytes).map_err(|e| e.refusal())?)
    }

    pub fn from_value(value: Value) -> Result<Self, Refusal> {
        const MEMBERS: [&str; 6] = ["iss", "kind", "at", "evidence", "reference", "body"];
        let Value::Object(mut members) = value else {
            return Err(Refusal::new(
                RefusalCode::Malformed,
                "attendu : {iss, kind, at?, evidence, reference?, body}",
                "expected {iss, kind, at?, evidence, reference?, body}",
            ));
        };
        if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(Refusal::at(
                format!("/{name}"),
                RefusalCode::FieldUnknown,
                format!("« {name} » n’est pas un membre d’un dépôt ; le retirer"),
                format!("`{name}` is not a member of a filing; remove it"),
            ));
        }
        let kind = required(&members, "kind")?;
        let kind = Kind::parse(&kind).ok_or_else(|| unknown("kind", &kind))?;
        let evidence = required(&members, "evidence")?;
        let evidence =
            EvidenceKind::parse(&evidence).ok_or_else(|| unknown("evidence", &evidence))?;
        Ok(Self {
            iss: required(&members, "iss")?,
            kind,
            at: optional(&members, "at")?,
            evidence,
            reference: optional(&members, "reference")?,
            body: members.remove("body").ok_or_else(|| missing("body"))?,
        })
    }

    /// The signed compact form, disclosures included. `salts`: fresh bytes at each call.
    pub fn sign(
        &self,
        stamp: &Stamp<'_>,
        salts: &mut dyn FnMut() -> [u8; 16],
        key: &SecretKey,
    ) -> String {
        let (body, disclosures) = conceal(self.kind, &self.body, salts);
        let mut payload = json!({
            "iss": self.iss,
            "aud": stamp.aud,
            "iat": stamp.iat,
            "jti": stamp.jti,
            "kind": self.kind,
            "evidence": self.evidence,
            "body": body,
            "_sd_alg": "sha-256",
        });
        for (name, value) in [("at", &self.at), ("reference", &self.reference)] {
            if let Some(value) = value {
                payload[name] = value.as_str().into();
            }
        }
        sdjwt::compact(&sdjwt::sign(&payload, TYP_FILING, key), &disclosures)
    }
}

/// Fresh salts from one draw of the system's randomness.
pub fn salts(seed: [u8; 32]) -> impl FnMut() -> [u8; 16] {
    let mut counter = 0u64;
    move || {
        counter += 1;
        let hash = blake3::keyed_hash(&seed, &counter.to_le_bytes());
        let mut salt = [0; 16];
        salt.copy_from_slice(&hash.as_bytes()[..16]);
        salt
    }
}

/// Conceals a body, or each body of a batch.
fn conceal(
    kind: Kind,
    body: &Value,
    salts: &mut dyn FnMut() -> [u8; 16],
) -> (Value, Vec<Disclosure>) {
    let is_concealed = |path: &[sdjwt::PathStep<'_>]| kind.is_concealed(path);
    match body {
        Value::Array(bodies) => {
            let mut disclosures = Vec::new();
            let bodies = bodies
                .iter()
                .map(|body| {
                    let (body, mut own) = sdjwt::conceal(body.clone(), &is_concealed, salts);
                    disclosures.append(&mut own);
                    body
                })
                .collect();
            (Value::Array(bodies), disclosures)
        }
        body => sdjwt::conceal(body.clone(), &is_concealed, salts),
    }
}

/// Reads an access that nobody signed, personal values in clear: for a dry run. Also gives
/// the body as it would be signed. The digests in both are made up.
pub fn hypothetical_access(body: &Value) -> Result<(Value, Access), Refusal> {
    let mut counter = 0u128;
    let mut salts = || {
        counter += 1;
        counter.to_be_bytes()
    };
    let (signed, disclosures) = conceal(Kind::AccessRequest, body, &mut salts);
    let revealed = sdjwt::reveal(&signed, &disclosures)?;
    let mut errors = Vec::new();
    schema::check(Kind::AccessRequest, &signed, &revealed, "/body", &mut errors);
    if let Some(refusal) = Refusal::from_errors(errors) {
        return Err(refusal);
    }
    let access = serde_json::from_value(revealed).map_err(|e| {
        Refusal::at(
            "/body",
            RefusalCode::Malformed,
            format!("contenu illisible : {e}"),
            format!("unreadable body: {e}"),
        )
    })?;
    Ok((signed, access))
}

/// Signs a draft with a key that is nobody's and opens it again, as far as a ledger would
/// before it asks who signed: whether it can be filed at all. The digests in it are made up.
///
/// `aud`: origin of the ledger. Errors: what `UnverifiedFiling` refuses, by pointer.
pub fn tried(draft: &Draft, aud: &str) -> Result<Filing, Refusal> {
    let key = SecretKey::from_seed(&[0; 32]);
    let mut counter = 0u128;
    let mut salts = || {
        counter += 1;
        counter.to_be_bytes()
    };
    let text = draft.sign(&Stamp { aud, iat: 0, jti: "tried" }, &mut salts, &key);
    UnverifiedFiling::parse(&text, Disclosures::Complete)?.verify(key.public())
}

fn required(members: &Map<String, Value>, name: &str) -> Result<String, Refusal> {
    optional(members, name)?.ok_or_else(|| missing(name))
}

fn optional(members: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::at(
            format!("/{name}"),
            RefusalCode::Malformed,
            format!("« {name} » : un texte"),
            format!("`{name}`: a text"),
        )),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::at(
        format!("/{name}"),
        RefusalCode::FieldMissing,
        format!("« {name} » est obligatoire"),
        format!("`{name}` is required"),
    )
}

fn unknown(name: &str, code: &str) -> Refusal {
    Refusal::at(
        format!("/{name}"),
        RefusalCode::CodeUnknown,
        format!("« {code} » n’est pas un code connu ; voir /v1/vocabulary"),
        format!("`{code}` is not a known code; see /v1/vocabulary"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use greffe_domain::key::simulated_party_key;

    #[test]
    fn a_signed_draft_hides_its_subject_and_opens_again() {
        let subject = "8xgVOa7tmXe7JuIFR3BuLizob9RZeCHNirHNQjKAduE";
        let draft = Draft::from_value(json!({
            "iss": "fund", "kind": "agreement.record", "evidence": "act", "at": "2020",
            "body": {"processing": "p", "subject": subject, "scope": "all"},
        }))
        .expect("a draft");
        let key = simulated_party_key("fund");
        let stamp = Stamp { aud: "a.b", iat: 1, jti: "j" };
        let text = draft.sign(&stamp, &mut || [3; 16], &key);
        let filing = UnverifiedFiling::parse(&text, Disclosures::Complete)
            .and_then(|f| f.verify(key.public()))
            .expect("our own filing");
        assert!(!filing.items[0].signed.to_string().contains(subject));
        assert_eq!(filing.disclosures.len(), 1);
        assert_eq!(filing.at.text.as_deref(), Some("2020"));
    }

    #[test]
    fn a_draft_with_a_member_too_many_is_refused_by_name() {
        let refusal = Draft::from_value(json!({"iss": "a", "jti": "b"})).expect_err("jti is ours");
        assert_eq!(refusal.errors[0].pointer, "/jti");
    }
}
