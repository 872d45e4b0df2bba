//! A filing: SD-JWT in, claims out.
//!
//! `bytes → UnverifiedFiling::parse → verify(author's key) → Filing`. The SD-JWT mechanics
//! are `sdjwt.rs`; the shapes of bodies `schema.rs`; whether the author's key is enrolled
//! and may file this is decided later, against the register, at a position. Pure and
//! thread-safe: servers run it on all cores ahead of the sequencer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::body::Body;
use crate::date::Timestamp;
use crate::encoding::Hash32;
use crate::event::{At, Filed};
use crate::identifier;
use crate::key::PublicKey;
use crate::kind::{EventType, EvidenceKind, Kind};
use crate::refusal::{FieldError, Refusal, RefusalCode as C, Words};
use crate::schema;
use crate::sdjwt::{self, Disclosure, SdJwt};
use crate::verdict::Verdict;

/// Most bytes of one filing, disclosures included.
pub const MAX_FILING_BYTES: usize = 2 * 1024 * 1024;
/// Most facts under one signature.
pub const MAX_ITEMS: usize = 1_000;
/// How far ahead of the ledger's clock `iat` may be, and how far behind. Seconds.
pub const IAT_AHEAD_S: i64 = 5 * 60;
pub const IAT_BEHIND_S: i64 = 24 * 60 * 60;
/// Longest `jti`, `aud` or `reference`, in bytes.
const MAX_CLAIM_BYTES: usize = 512;

/// Whether every concealed value must come with its disclosure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosures {
    /// A filing being submitted: exactly one per digest.
    Complete,
    /// A filing read back: values may have been erased, or not be ours to read.
    AsFound,
}

/// A filing whose text was read and whose author was not checked.
#[derive(Debug)]
pub struct UnverifiedFiling {
    sdjwt: SdJwt,
    disclosures: Disclosures,
    iss: String,
    aud: String,
    iat: i64,
    jti: String,
}

/// One fact of a filing.
#[derive(Debug, Clone)]
pub struct Item {
    /// The body exactly as signed, digests in place.
    pub signed: Arc<Value>,
    pub body: Arc<Body>,
    /// Indices into the filing's disclosures of those that belong to this item.
    pub disclosures: Vec<usize>,
}

/// A filing whose signature was checked against a key, and whose bodies have their shape.
#[derive(Debug, Clone)]
pub struct Filing {
    /// The issuer-signed JWT, verbatim, without disclosures.
    pub jwt: String,
    pub digest: Hash32,
    pub kid: String,
    pub iss: String,
    pub aud: String,
    /// Seconds since the epoch.
    pub iat: i64,
    pub jti: String,
    pub kind: Kind,
    pub at: At,
    pub evidence: EvidenceKind,
    pub reference: Option<String>,
    pub items: Vec<Item>,
    /// Whether `body` is an array: pointers into it then carry the item's index.
    pub batch: bool,
    pub disclosures: Vec<Disclosure>,
}

impl UnverifiedFiling {
    /// Reads the compact form. Errors: `filing-too-large`, `malformed` and its siblings.
    pub fn parse(text: &str, disclosures: Disclosures) -> Result<Self, Refusal> {
        if text.len() > MAX_FILING_BYTES {
            return Err(Refusal::new(
                C::FilingTooLarge,
                "un dépôt tient en 2 Mio ; le scinder",
                "a filing holds at most 2 MiB; split it",
            ));
        }
        let sdjwt = SdJwt::parse(text)?;
        if sdjwt.typ() != sdjwt::TYP_FILING {
            return Err(Refusal::new(
                C::Malformed,
                "l’en-tête `typ` doit être greffe-filing+sd-jwt",
                "the header's `typ` must be greffe-filing+sd-jwt",
            ));
        }
        let payload = sdjwt.payload();
        let iss = claim(payload, "iss")?.to_owned();
        let aud = claim(payload, "aud")?.to_owned();
        let jti = claim(payload, "jti")?.to_owned();
        let iat = match payload.get("iat") {
            Some(Value::Number(n)) => n.as_i64().ok_or_else(|| not_integer("/iat"))?,
            Some(_) => return Err(not_integer("/iat")),
            None => return Err(missing("iat")),
        };
        // The range in which a time in microseconds is exact JSON.
        if !(-62_135_596_800..=9_007_199_254).contains(&iat) {
            return Err(Refusal::at(
                "/iat",
                C::DateInvalid,
                "`iat` : secondes depuis 1970",
                "`iat`: seconds since 1970",
            ));
        }
        Ok(Self { sdjwt, disclosures, iss, aud, iat, jti })
    }

    /// Party that says it signed.
    pub fn iss(&self) -> &str {
        &self.iss
    }

    pub fn kid(&self) -> &str {
        self.sdjwt.kid()
    }

    pub fn jti(&self) -> &str {
        &self.jti
    }

    pub fn iat(&self) -> i64 {
        self.iat
    }

    pub fn digest(&self) -> Hash32 {
        self.sdjwt.digest()
    }

    /// Refuses a filing meant for another ledger.
    pub fn check_audience(&self, origin: &str) -> Result<(), Refusal> {
        if self.aud == origin {
            return Ok(());
        }
        Err(Refusal::at(
            "/aud",
            C::AudMismatch,
            format!("ce dépôt est adressé à un autre registre ; celui-ci est « {origin} »"),
            format!("this filing is addressed to another ledger; this one is `{origin}`"),
        ))
    }

    /// Checks the author's signature (strictly, RFC 8032) and then the shape of every body.
    pub fn verify(self, key: &PublicKey) -> Result<Filing, Refusal> {
        self.sdjwt.verify(key)?;
        self.open()
    }

    fn open(self) -> Result<Filing, Refusal> {
        const MEMBERS: &[&str] =
            &["iss", "aud", "iat", "jti", "kind", "at", "evidence", "reference", "body", "_sd_alg"];
        let Self { sdjwt, disclosures: completeness, iss, aud, iat, jti } = self;
        let payload = sdjwt.payload();
        let members = payload.as_object().ok_or_else(|| {
            Refusal::new(
                C::Malformed,
                "la charge doit être un objet JSON",
                "the payload must be a JSON object",
            )
        })?;
        if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(Refusal::at(
                format!("/{name}"),
                C::FieldUnknown,
                format!("« {name} » n’est pas un membre d’un dépôt"),
                format!("`{name}` is not a member of a filing"),
            ));
        }
        if members.get("_sd_alg").and_then(Value::as_str) != Some("sha-256") {
            return Err(Refusal::at(
                "/_sd_alg",
                C::FieldMissing,
                "`_sd_alg` doit être \"sha-256\"",
                "`_sd_alg` must be \"sha-256\"",
            ));
        }
        if !identifier::is_slug(&iss) {
            return Err(Refusal::at(
                "/iss",
                C::IdentifierInvalid,
                "`iss` : l’identifiant d’une partie",
                "`iss`: the id of a party",
            ));
        }
        let kind = claim(payload, "kind")?;
        let kind = Kind::parse(kind).ok_or_else(|| unknown_code("/kind", kind))?;
        let evidence = claim(payload, "evidence")?;
        let evidence =
            EvidenceKind::parse(evidence).ok_or_else(|| unknown_code("/evidence", evidence))?;
        let at = match members.get("at") {
            None => At::unknown(),
            Some(value) => value.as_str().and_then(At::parse).ok_or_else(|| {
                Refusal::at(
                    "/at",
                    C::DateInvalid,
                    "`at` : une date EDTF (ISO 8601-2 niveaux 0 et 1), ou rien si elle est inconnue",
                    "`at`: an EDTF date (ISO 8601-2 levels 0 and 1), or nothing if unknown",
                )
            })?,
        };
        let reference = match members.get("reference") {
            None => None,
            Some(_) => Some(claim(payload, "reference")?.to_owned()),
        };

        if completeness == Disclosures::Complete {
            sdjwt::require_complete(payload, sdjwt.disclosures())?;
        }
        let mut revealed = sdjwt::reveal(payload, sdjwt.disclosures())?;
        let body = members.get("body").ok_or_else(|| missing("body"))?;
        let batch = body.is_array();
        let mut errors = Vec::new();
        match (body, &revealed["body"]) {
            (Value::Array(signed), Value::Array(open)) => {
                if signed.is_empty() {
                    return Err(missing("body"));
                }
                if signed.len() > MAX_ITEMS {
                    return Err(Refusal::at(
                        "/body",
                        C::BatchTooLong,
                        format!("{} faits ; 1 000 au plus sous une signature", signed.len()),
                        format!("{} facts; at most 1,000 under one signature", signed.len()),
                    ));
                }
                for (i, (signed, open)) in signed.iter().zip(open).enumerate() {
                    schema::check(kind, signed, open, &format!("/body/{i}"), &mut errors);
                }
            }
            (signed, open) => schema::check(kind, signed, open, "/body", &mut errors),
        }
        personal_data_in_clear(payload, &mut String::new(), &mut errors);
        if let Some(refusal) = Refusal::from_errors(errors) {
            return Err(refusal);
        }
        let (digest, kid) = (sdjwt.digest(), sdjwt.kid().to_owned());
        let (jwt, mut payload, disclosures) = sdjwt.into_parts();
        let one_or_many = |body: Value| match body {
            Value::Array(bodies) => bodies,
            body => vec![body],
        };
        let signed = one_or_many(payload["body"].take());
        let open = one_or_many(revealed["body"].take());
        let index_of: HashMap<&str, usize> =
            disclosures.iter().enumerate().map(|(i, d)| (d.digest_str(), i)).collect();
        let mut items = Vec::with_capacity(signed.len());
        for (i, (signed, open)) in signed.into_iter().zip(open).enumerate() {
            let body = Body::read(kind, open).map_err(|e| {
                Refusal::at(
                    if batch { format!("/body/{i}") } else { "/body".to_owned() },
                    C::Malformed,
                    format!("contenu illisible : {e}"),
                    format!("unreadable body: {e}"),
                )
            })?;
            items.push(Item {
                disclosures: disclosures_of(&signed, &index_of),
                signed: Arc::new(signed),
                body: Arc::new(body),
            });
        }
        Ok(Filing {
            jwt,
            digest,
            kid,
            iss,
            aud,
            iat,
            jti,
            kind,
            at,
            evidence,
            reference,
            items,
            batch,
            disclosures,
        })
    }
}

impl Filing {
    /// The event item `index` becomes. `event_type` and `verdict` are the judge's for
    /// accesses; for any other kind they are `self.kind.event()` and `None`.
    pub fn event(
        &self,
        index: usize,
        event_type: EventType,
        verdict: Option<Arc<Verdict>>,
    ) -> Filed {
        let item = &self.items[index];
        Filed {
            event_type,
            kind: self.kind,
            iss: self.iss.clone(),
            at: self.at.clone(),
            evidence: self.evidence,
            reference: self.reference.clone(),
            signed: Arc::clone(&item.signed),
            body: Arc::clone(&item.body),
            verdict,
        }
    }

    /// Refuses an `iat` too far from the ledger's clock (real clocks only).
    pub fn check_issue_time(&self, now: Timestamp) -> Result<(), Refusal> {
        check_issue_time(self.iat, now)
    }
}

/// `iat` (seconds) against the ledger's clock: at most 5 min ahead, 24 h behind.
pub fn check_issue_time(iat: i64, now: Timestamp) -> Result<(), Refusal> {
    let ahead = iat.saturating_sub(now.unix_seconds());
    if (-IAT_BEHIND_S..=IAT_AHEAD_S).contains(&ahead) {
        return Ok(());
    }
    Err(Refusal::at(
        "/iat",
        C::IatOutOfWindow,
        "`iat` s’écarte de l’heure du registre (5 min d’avance ou 24 h de retard au plus) ; régler l’horloge et signer de nouveau",
        "`iat` is too far from the ledger's clock (at most 5 min ahead, 24 h behind); set the clock and sign again",
    ))
}

fn claim<'a>(payload: &'a Value, name: &str) -> Result<&'a str, Refusal> {
    match payload.get(name) {
        None => Err(missing(name)),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_CLAIM_BYTES => Ok(text),
        Some(_) => Err(Refusal::at(
            format!("/{name}"),
            C::Malformed,
            format!("« {name} » : un texte de 1 à 512 octets"),
            format!("`{name}`: a text of 1 to 512 bytes"),
        )),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::at(
        format!("/{name}"),
        C::FieldMissing,
        format!("« {name} » est obligatoire"),
        format!("`{name}` is required"),
    )
}

fn not_integer(pointer: &str) -> Refusal {
    Refusal::at(pointer, C::NumberNotInteger, "attendu : un entier", "expected an integer")
}

fn unknown_code(pointer: &str, code: &str) -> Refusal {
    Refusal::at(
        pointer,
        C::CodeUnknown,
        format!("« {code} » n’est pas un code connu ; voir /v1/vocabulary"),
        format!("`{code}` is not a known code; see /v1/vocabulary"),
    )
}

/// Members whose text is machine-made: looking for people in them would only misfire.
fn is_machine_made(name: &str) -> bool {
    matches!(name, "_sd" | "..." | "key" | "proof" | "kid" | "digests" | "siren" | "siret")
}

/// Any clear text that holds a valid NIR, an e-mail address or a telephone number.
///
/// `pointer`: where the value stands in the payload; left as it was.
fn personal_data_in_clear(value: &Value, pointer: &mut String, errors: &mut Vec<FieldError>) {
    let depth = pointer.len();
    match value {
        Value::String(text) if identifier::find_personal_data(text).is_some() => {
            errors.push(FieldError {
                    pointer: pointer.clone(),
                    code: C::PersonalDataInClear,
                    detail: Words::new(
                        "ce texte contient un NIR, une adresse électronique ou un numéro de téléphone ; le retirer",
                        "this text holds a social-security number, an e-mail address or a telephone number; remove it",
                    ),
                });
        }
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                if value.is_string() || value.is_array() || value.is_object() {
                    pointer.push('/');
                    pointer.push_str(&i.to_string());
                    personal_data_in_clear(value, pointer, errors);
                    pointer.truncate(depth);
                }
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                if !is_machine_made(name) && !value.is_number() {
                    pointer.push('/');
                    pointer.push_str(name);
                    personal_data_in_clear(value, pointer, errors);
                    pointer.truncate(depth);
                }
            }
        }
        _ => {}
    }
}

/// Indices of the disclosures whose digests stand in this body, ascending. `index_of`: from
/// the digests of the filing's disclosures.
fn disclosures_of(signed: &Value, index_of: &HashMap<&str, usize>) -> Vec<usize> {
    if index_of.is_empty() {
        return Vec::new();
    }
    let mut digests = HashSet::new();
    collect_digests(signed, &mut digests);
    let mut indices: Vec<usize> =
        digests.into_iter().filter_map(|d| index_of.get(d).copied()).collect();
    indices.sort_unstable();
    indices
}

/// Every digest that stands in a signed value, in no order.
pub fn collect_digests<'a>(value: &'a Value, out: &mut HashSet<&'a str>) {
    match value {
        Value::Array(values) => values.iter().for_each(|v| collect_digests(v, out)),
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("_sd", Value::Array(digests)) => {
                        out.extend(digests.iter().filter_map(Value::as_str));
                    }
                    ("...", Value::String(digest)) => {
                        out.insert(digest);
                    }
                    _ => collect_digests(value, out),
                }
            }
        }
        _ => {}
    }
}
