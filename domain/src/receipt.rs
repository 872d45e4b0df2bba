//! A receipt, checked by whoever holds the data: no receipt, no data.
//!
//! `bytes → Receipt → leaf in its place, signed by the ledger → a granted request, in time,
//! for what is asked → Grant`. Pure and offline: the caller gives the ledger's name and keys
//! ([`LedgerKeys`]) and the day. Nothing is believed that the ledger did not sign: the
//! members beside the leaf are compared with it, and what a [`Grant`] says is read from the
//! leaf alone. Shape and order of the checks: `docs/receipts.md`.
//!
//! Not here: who the caller is talking to. A receipt names the recipient; that the one who
//! shows it is that recipient, the data source establishes by its own means.

use std::fmt;

use serde_json::{Value, json};

use crate::body::{Access, Body};
use crate::date::{LegalDate, Timestamp};
use crate::encoding::{Hash32, base64url_decode};
use crate::event::{At, Event, Filed};
use crate::json;
use crate::key::PublicKey;
use crate::kind::EventType;
use crate::refusal::Words;
use crate::register::LedgerKey;
use crate::rules::Rulebook;
use crate::seal::{Leaf, Position, check_link, link};
use crate::trust::Trust;
use crate::verdict::Verdict;
use crate::vocabulary::{Category, Purpose};

/// Levels of objects and arrays: those of a leaf, inside a receipt, inside a request.
const MAX_RECEIPT_DEPTH: usize = 40;

/// The keys a ledger signs with: the first one, and those that rotations name.
#[derive(Debug, Clone)]
pub struct LedgerKeys {
    origin: String,
    /// Ascending by the first position each signs.
    keys: Vec<LedgerKey>,
}

impl LedgerKeys {
    /// The ledger named by a trust file, as long as no rotation is known.
    pub fn of(trust: &Trust) -> Self {
        let first = LedgerKey { key: trust.ledger_key.clone(), from: 0 };
        Self { origin: trust.origin.clone(), keys: vec![first] }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Takes rotations in, in whatever order they are given: receipts of `LedgerKeyRotated`,
    /// or the same sealed entries from an export. Each must be signed by the key before it.
    ///
    /// Errors: the first that is not one, or that does not follow.
    pub fn follow<'a>(
        &mut self,
        rotations: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), RotationError> {
        let mut read = Vec::new();
        for bytes in rotations {
            let value = parse(bytes).map_err(RotationError::Unreadable)?;
            let value = only(value).map_err(RotationError::Unreadable)?;
            let sealed = Sealed::read(&value).map_err(RotationError::Unreadable)?;
            let leaf = Leaf::parse(&sealed.leaf)
                .map_err(|e| RotationError::Unreadable(Unreadable(e.to_string())))?;
            read.push((sealed, leaf));
        }
        read.sort_by_key(|(_, leaf)| leaf.position);
        for (sealed, leaf) in read {
            let position = leaf.position;
            sealed
                .check(&leaf, self)
                .map_err(|reason| RotationError::Refused { position, reason })?;
            let Ok(Event::LedgerKeyRotated { ledger_key }) = Event::read(&leaf.event) else {
                return Err(RotationError::NotARotation { position });
            };
            let from = position.0 + 1;
            if self.keys.last().is_none_or(|last| last.from < from) {
                self.keys.push(LedgerKey { key: ledger_key, from });
            }
        }
        Ok(())
    }

    /// The key that signs the entry at `position`, as far as rotations are known.
    fn at(&self, position: Position) -> &PublicKey {
        let key = self.keys.iter().rev().find(|k| k.from <= position.0);
        &key.expect("the first key signs from position 0").key
    }
}

/// Why a rotation cannot be followed: the keys are then not known, and nothing can be
/// checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    #[error("a rotation cannot be read: {0}")]
    Unreadable(Unreadable),
    #[error("the entry {position}, given as a rotation, records no new key")]
    NotARotation { position: Position },
    #[error("the rotation at entry {position} does not follow: {reason}")]
    Refused { position: Position, reason: Refused },
}

/// The bytes are no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Why nothing may be released on a receipt. Each has a stable code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// This member is not what the ledger signed.
    Altered(&'static str),
    /// Sound or not, it is of the ledger of that name.
    OtherLedger(String),
    /// Signed by a key that is not, as far as is known, the ledger's at that position.
    KeyUnknown {
        kid: String,
        position: Position,
    },
    /// The entry is no request for access. Names what it is.
    NotARequest(EventType),
    Denied {
        position: Position,
        verdict: &'static str,
    },
    /// The entry was written under rules that did not seal the term.
    TermNotSealed(String),
    /// `until` was the last good day.
    Expired {
        until: LegalDate,
        on: LegalDate,
    },
    /// Other days were judged. `judged`: as the request wrote them.
    OtherDay {
        judged: String,
        on: LegalDate,
    },
    /// It was granted for something else than what is asked.
    NotFor {
        what: Scope,
        granted: String,
        asked: String,
    },
}

/// In what a request may go beyond a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Processing,
    Purpose,
    Category,
    Recipient,
    Site,
}

impl Refused {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Altered(_) => "altered",
            Self::OtherLedger(_) => "other-ledger",
            Self::KeyUnknown { .. } => "key-unknown",
            Self::NotARequest(_) => "not-a-request",
            Self::Denied { .. } => "denied",
            Self::TermNotSealed(_) => "term-not-sealed",
            Self::Expired { .. } => "expired",
            Self::OtherDay { .. } => "other-day",
            Self::NotFor { what, .. } => match what {
                Scope::Processing => "other-processing",
                Scope::Purpose => "other-purpose",
                Scope::Category => "other-category",
                Scope::Recipient => "other-recipient",
                Scope::Site => "other-site",
            },
        }
    }

    pub fn words(&self) -> Words {
        match self {
            Self::Altered(member) => Words::new(
                format!("« {member} » n’est pas ce que le registre a signé : le reçu a été altéré"),
                format!("`{member}` is not what the ledger signed: the receipt was altered"),
            ),
            Self::OtherLedger(origin) => Words::new(
                format!("le reçu est celui d’un autre registre, « {origin} »"),
                format!("the receipt is of another ledger, `{origin}`"),
            ),
            Self::KeyUnknown { kid, position } => Words::new(
                format!(
                    "l’entrée {position} est signée par la clé {kid}, qui n’est pas celle du registre à cette position ; si le registre a changé de clé, donner aussi le reçu de chaque changement"
                ),
                format!(
                    "entry {position} is signed by key {kid}, which is not the ledger's at that position; if the ledger changed its key, give the receipt of each rotation too"
                ),
            ),
            Self::NotARequest(event) => Words::new(
                format!(
                    "l’entrée n’est pas une demande d’accès mais {event} : elle n’accorde rien"
                ),
                format!("the entry is no request for access but {event}: it grants nothing"),
            ),
            Self::Denied { position, verdict } => Words::new(
                format!(
                    "l’accès a été refusé à l’entrée {position} ({verdict}) ; c’est un constat du registre, non une décision de justice"
                ),
                format!(
                    "the access was denied at entry {position} ({verdict}); a finding of the register, not a ruling"
                ),
            ),
            Self::TermNotSealed(rulebook) => Words::new(
                format!(
                    "les règles du {rulebook} n’inscrivaient pas le terme de l’accès : rien ne dit jusqu’à quand il vaut ; le demander de nouveau"
                ),
                format!(
                    "the rules of {rulebook} did not record the access's term: nothing signed says until when it is good; request it again"
                ),
            ),
            Self::Expired { until, on } => Words::new(
                format!("l’accès valait jusqu’au {until} inclus, et nous sommes le {on}"),
                format!("the access was good up to {until} included, and this is {on}"),
            ),
            Self::OtherDay { judged, on } => Words::new(
                format!(
                    "l’accès a été jugé pour {judged}, et nous sommes le {on} : le demander pour ce jour"
                ),
                format!(
                    "the access was judged for {judged}, and this is {on}: request it for this day"
                ),
            ),
            Self::NotFor { what, granted, asked } => {
                let (fr, en) = match what {
                    Scope::Processing => ("le traitement", "the processing"),
                    Scope::Purpose => ("la finalité", "the purpose"),
                    Scope::Category => ("les catégories", "the categories"),
                    Scope::Recipient => ("le destinataire", "the recipient"),
                    Scope::Site => ("le site", "the site"),
                };
                Words::new(
                    format!("accordé pour {fr} {granted}, et non {asked}"),
                    format!("granted for {en} {granted}, not {asked}"),
                )
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().en)
    }
}

/// Why there is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoGrant {
    /// It is no receipt, or of a format this version does not know.
    #[error("the receipt cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
    #[error("{0}")]
    Refused(Refused),
}

impl From<Refused> for NoGrant {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What somebody who shows a receipt asks for. What is left out is not compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    pub processing: Option<&'a str>,
    pub purpose: Option<Purpose>,
    /// Each must be among those granted.
    pub categories: &'a [Category],
    /// Party that receives.
    pub recipient: Option<&'a str>,
    /// Id of the recipient's site. A grant that names no site is for none in particular,
    /// and does not answer a request for one.
    pub site: Option<&'a str>,
}

/// A request for access that the ledger granted: what its leaf says.
#[derive(Debug, Clone)]
pub struct Grant {
    pub origin: String,
    pub position: Position,
    /// When it was recorded.
    pub time: Timestamp,
    pub rulebook: String,
    /// Who asked.
    pub iss: String,
    /// Days of access the verdict is about.
    pub at: At,
    pub access: Access,
    pub verdict: Verdict,
}

impl Grant {
    /// Whether the day is one that was judged, or comes after them under a grant that was
    /// still to be served when it was recorded: its term then says how long.
    ///
    /// A request for days that had passed grants those days alone. Were it good afterwards,
    /// whoever is refused today would ask for a day of the past on which it was lawful.
    fn reaches(&self, on: LegalDate) -> bool {
        let recorded = self.time.date();
        let judged = self.at.valid_days(recorded);
        let begun = judged.earliest.is_none_or(|earliest| earliest <= on);
        let still = |day| judged.latest.is_none_or(|latest| day <= latest);
        begun && (still(on) || still(recorded))
    }

    /// Last day on which it may be served. `None`: what it rests on has no term.
    pub fn valid_until(&self) -> Option<LegalDate> {
        self.verdict.valid_until
    }

    /// For programs (`docs/receipts.md` §3). Persons are digests, as in the leaf.
    pub fn to_value(&self) -> Value {
        let access = &self.access;
        let mut recipient = json!({"party": access.recipient.party, "role": access.recipient.role});
        if let Some(site) = &access.recipient.site {
            recipient["site"] = site.id.as_str().into();
        }
        let digests: Vec<&str> = access.subjects.iter().map(|s| s.digest.as_str()).collect();
        json!({
            "granted": true,
            "origin": self.origin,
            "position": self.position,
            "time": self.time,
            "by": self.iss,
            "at": self.at.text,
            "processing": access.processing,
            "experiment": access.experiment,
            "purpose": access.purpose,
            "categories": access.categories,
            "recipient": recipient,
            "discloser": access.discloser,
            "identifiability": access.identifiability,
            "period": access.period.as_ref().map(|p| p.text()),
            "basis": access.basis.codes,
            "subjects": (!digests.is_empty()).then_some(digests),
            "cohort": access.cohort.as_ref().map(|cohort| json!({
                "headcount": cohort.headcount, "units": cohort.units,
            })),
            "valid_until": self.valid_until(),
            "verdict": self.verdict.verdict,
            "regime": self.verdict.regime,
            "rulebook": self.rulebook,
        })
    }
}

/// The members that seal an entry, in a receipt as in an export.
struct Sealed {
    /// Canonical bytes: a receipt that was written again with other white space has the same.
    leaf: Vec<u8>,
    link: Hash32,
    signature: [u8; 64],
    kid: String,
}

impl Sealed {
    fn read(value: &Value) -> Result<Self, Unreadable> {
        let leaf = value.get("leaf").filter(|leaf| leaf.is_object()).ok_or_else(|| bad("leaf"))?;
        let signature = text(value, "signature")?;
        let signature = base64url_decode(signature).and_then(|bytes| bytes.try_into().ok());
        Ok(Self {
            leaf: json::canonical(leaf),
            link: Hash32::parse(text(value, "link")?).ok_or_else(|| bad("link"))?,
            signature: signature.ok_or_else(|| bad("signature"))?,
            kid: text(value, "key")?.to_owned(),
        })
    }

    /// That the ledger signed this leaf in its place.
    fn check(&self, leaf: &Leaf, keys: &LedgerKeys) -> Result<(), Refused> {
        if leaf.origin != keys.origin {
            return Err(Refused::OtherLedger(leaf.origin.clone()));
        }
        if link(&self.leaf) != self.link {
            return Err(Refused::Altered("leaf"));
        }
        let key = keys.at(leaf.position);
        if self.kid != key.kid() {
            let kid = self.kid.clone();
            return Err(Refused::KeyUnknown { kid, position: leaf.position });
        }
        check_link(&leaf.origin, leaf.position, &self.link, &self.signature, &self.kid, key)
            .map_err(|_| Refused::Altered("signature"))
    }
}

/// Checks a receipt, in the order of `docs/receipts.md` §2.
///
/// `receipt`: the JSON of one receipt, or an array of exactly one. `on`: the day on which the
/// data would be released, UTC.
pub fn check(
    receipt: &[u8],
    keys: &LedgerKeys,
    on: LegalDate,
    asked: &Asked<'_>,
) -> Result<Grant, NoGrant> {
    let grant = open(receipt, keys)?;
    if let Some(until) = grant.valid_until().filter(|until| on > *until) {
        return Err(Refused::Expired { until, on }.into());
    }
    if !grant.reaches(on) {
        let judged = grant.at.text.clone().unwrap_or_else(|| format!("…/{}", grant.time.date()));
        return Err(Refused::OtherDay { judged, on }.into());
    }
    compare(&grant, asked)?;
    Ok(grant)
}

/// Where a receipt proves that an entry stands, and its link, whatever the entry says.
///
/// `receipt`: the JSON of one receipt, or an array of exactly one.
pub fn entry_proven(receipt: &[u8], keys: &LedgerKeys) -> Result<(Position, Hash32), NoGrant> {
    let value = only(parse(receipt)?)?;
    let sealed = Sealed::read(&value)?;
    let leaf = Leaf::parse(&sealed.leaf).map_err(|e| Unreadable(e.to_string()))?;
    sealed.check(&leaf, keys)?;
    Ok((leaf.position, sealed.link))
}

/// The grant that a receipt proves, whatever the day and whatever is asked.
fn open(receipt: &[u8], keys: &LedgerKeys) -> Result<Grant, NoGrant> {
    let value = only(parse(receipt)?)?;
    let sealed = Sealed::read(&value)?;
    let beside = Beside::read(&value)?;
    // A leaf that is none, under its own link, is of a format we do not know; under another
    // link, it was one.
    let leaf = Leaf::parse(&sealed.leaf).map_err(|e| match link(&sealed.leaf) == sealed.link {
        true => NoGrant::Unreadable(Unreadable(e.to_string())),
        false => Refused::Altered("leaf").into(),
    })?;
    sealed.check(&leaf, keys)?;
    let event = Event::read(&leaf.event).map_err(|e| Unreadable(e.to_string()))?;
    let verdict = event.filed().and_then(|filed| filed.verdict.as_deref());
    beside.compare(&leaf, verdict)?;
    let event_type = event.event_type();
    let (filed, access, verdict) = match (&event, event_type) {
        (Event::Filed(filed), EventType::AccessGranted | EventType::AccessDenied) => {
            requested(filed).ok_or_else(|| Unreadable("a request without a verdict".to_owned()))?
        }
        _ => return Err(Refused::NotARequest(event_type).into()),
    };
    let position = leaf.position;
    if event_type != EventType::AccessGranted || !verdict.verdict.is_covered() {
        return Err(Refused::Denied { position, verdict: verdict.verdict.as_str() }.into());
    }
    // Rules newer than this build seal the term, as all have since it was decided.
    if Rulebook::by_version(&leaf.rulebook).is_some_and(|rulebook| !rulebook.states_term) {
        return Err(Refused::TermNotSealed(leaf.rulebook).into());
    }
    if beside.valid_until != verdict.valid_until {
        return Err(Refused::Altered("valid_until").into());
    }
    Ok(Grant {
        position,
        time: leaf.time,
        iss: filed.iss.clone(),
        at: filed.at.clone(),
        access: access.clone(),
        verdict: verdict.clone(),
        origin: leaf.origin,
        rulebook: leaf.rulebook,
    })
}

fn requested(filed: &Filed) -> Option<(&Filed, &Access, &Verdict)> {
    let Body::RequestAccess(access) = &*filed.body else { return None };
    Some((filed, access, filed.verdict.as_deref()?))
}

/// What a receipt repeats of its leaf, for people and programs that only read.
struct Beside {
    origin: String,
    position: Position,
    time: Timestamp,
    filing: Option<Hash32>,
    verdict: Option<Value>,
    valid_until: Option<LegalDate>,
}

impl Beside {
    fn read(value: &Value) -> Result<Self, Unreadable> {
        let optional = |name: &str| value.get(name).filter(|v| !v.is_null());
        let filing = match optional("filing") {
            None => None,
            Some(_) => Some(Hash32::parse(text(value, "filing")?).ok_or_else(|| bad("filing"))?),
        };
        let valid_until = match optional("valid_until") {
            None => None,
            Some(_) => {
                let day = LegalDate::parse(text(value, "valid_until")?);
                Some(day.ok_or_else(|| bad("valid_until"))?)
            }
        };
        let position = value.get("position").and_then(Value::as_u64);
        Ok(Self {
            origin: text(value, "origin")?.to_owned(),
            position: Position(position.ok_or_else(|| bad("position"))?),
            time: Timestamp::parse(text(value, "time")?).ok_or_else(|| bad("time"))?,
            filing,
            verdict: optional("verdict").cloned(),
            valid_until,
        })
    }

    fn compare(&self, leaf: &Leaf, verdict: Option<&Verdict>) -> Result<(), Refused> {
        let altered = if self.origin != leaf.origin {
            "origin"
        } else if self.position != leaf.position {
            "position"
        } else if self.time != leaf.time {
            "time"
        } else if self.filing != leaf.filing.map(|f| f.digest) {
            "filing"
        } else if self.verdict != verdict.map(Verdict::to_value) {
            "verdict"
        } else {
            return Ok(());
        };
        Err(Refused::Altered(altered))
    }
}

fn compare(grant: &Grant, asked: &Asked<'_>) -> Result<(), Refused> {
    let access = &grant.access;
    let not_for = |what, granted: &str, asked: &str| {
        Err(Refused::NotFor { what, granted: granted.to_owned(), asked: asked.to_owned() })
    };
    if let Some(processing) = asked.processing.filter(|p| *p != access.processing) {
        return not_for(Scope::Processing, &access.processing, processing);
    }
    if let Some(purpose) = asked.purpose.filter(|p| *p != access.purpose) {
        return not_for(Scope::Purpose, access.purpose.as_str(), purpose.as_str());
    }
    if let Some(category) = asked.categories.iter().find(|c| !access.categories.contains(c)) {
        let granted: Vec<&str> = access.categories.iter().map(|c| c.as_str()).collect();
        return not_for(Scope::Category, &granted.join(", "), category.as_str());
    }
    if let Some(recipient) = asked.recipient.filter(|r| *r != access.recipient.party) {
        return not_for(Scope::Recipient, &access.recipient.party, recipient);
    }
    let granted = access.recipient.site.as_ref().map(|site| site.id.as_str());
    match asked.site {
        Some(site) if granted != Some(site) => not_for(Scope::Site, granted.unwrap_or("—"), site),
        _ => Ok(()),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    json::parse_nested(bytes, MAX_RECEIPT_DEPTH).map_err(|e| Unreadable(e.to_string()))
}

/// The value itself, or the only one of a list: `greffe file` keeps lists.
fn only(value: Value) -> Result<Value, Unreadable> {
    match value {
        Value::Array(mut values) if values.len() == 1 => Ok(values.remove(0)),
        Value::Array(values) => {
            Err(Unreadable(format!("one receipt was expected, and these are {}", values.len())))
        }
        Value::Object(_) => Ok(value),
        _ => Err(Unreadable("a receipt is a JSON object".to_owned())),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, Unreadable> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| bad(name))
}

fn bad(member: &str) -> Unreadable {
    Unreadable(format!("`{member}` is missing, or not of its form"))
}
