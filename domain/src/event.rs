//! What the ledger records: facts, in the past tense, as they stand in a leaf's `event`.
//!
//! A filed event is a function of its filing's item, plus the verdict for accesses
//! (`docs/format.md` §2); the verifier rebuilds it and compares. Reading is tolerant of
//! values whose disclosures are gone; writing gives canonical bytes (RFC 8785) directly.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::body::Body;
use crate::date::{Interval, LegalDate, Timestamp};
use crate::edtf::Edtf;
use crate::json::{write_canonical, write_canonical_str};
use crate::key::PublicKey;
use crate::kind::{EventType, EvidenceKind, Kind};
use crate::sdjwt;
use crate::verdict::Verdict;

/// When a fact was so, as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The EDTF text, verbatim; `None` = any day up to the recording.
    pub text: Option<String>,
    /// What the text says. Open at both ends when there is no text.
    pub interval: Interval,
}

impl At {
    pub fn unknown() -> Self {
        Self { text: None, interval: Interval { earliest: None, latest: None } }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let edtf = Edtf::parse(text).ok()?;
        Some(Self { text: Some(text.to_owned()), interval: edtf.interval() })
    }

    /// The days on which the fact may have happened, given the day it was recorded: an
    /// author who names no date says only that it had happened by then.
    pub fn valid_days(&self, recorded: LegalDate) -> Interval {
        match self.text {
            Some(_) => self.interval,
            None => Interval { earliest: None, latest: Some(recorded) },
        }
    }
}

/// An event that came from a filing.
#[derive(Debug, Clone)]
pub struct Filed {
    pub event_type: EventType,
    pub kind: Kind,
    pub iss: String,
    pub at: At,
    pub evidence: EvidenceKind,
    pub reference: Option<String>,
    /// The body exactly as signed, digests in place.
    pub signed: Arc<Value>,
    /// The same, read; concealed values as far as their disclosures were at hand.
    pub body: Arc<Body>,
    /// For accesses only.
    pub verdict: Option<Arc<Verdict>>,
}

impl PartialEq for Filed {
    /// Two filed events are equal when they record the same: disclosures do not count.
    fn eq(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.kind == other.kind
            && self.iss == other.iss
            && self.at == other.at
            && self.evidence == other.evidence
            && self.reference == other.reference
            && self.signed == other.signed
            && self.verdict == other.verdict
    }
}

/// What the ledger's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    Real,
    /// An entry's time is its filing's `iat`: for replays and demonstrations.
    Simulated,
}

impl ClockKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Simulated => "simulated",
        }
    }
}

/// Position 0 of every ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerOpened {
    pub origin: String,
    pub ledger_key: PublicKey,
    pub registrar: String,
    pub registrar_key: PublicKey,
    pub clock: ClockKind,
    pub opened_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    LedgerOpened(Box<LedgerOpened>),
    /// The next entries are signed by this key; this one still by the former.
    LedgerKeyRotated {
        ledger_key: PublicKey,
    },
    Filed(Filed),
}

/// Why an `event` object cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the event is not one this version knows: {0}")]
pub struct EventError(pub String);

impl Event {
    pub fn event_type(&self) -> EventType {
        match self {
            Event::LedgerOpened(_) => EventType::LedgerOpened,
            Event::LedgerKeyRotated { .. } => EventType::LedgerKeyRotated,
            Event::Filed(filed) => filed.event_type,
        }
    }

    pub fn filed(&self) -> Option<&Filed> {
        match self {
            Event::Filed(filed) => Some(filed),
            _ => None,
        }
    }

    /// Canonical bytes of the `event` object: `{"data":…,"type":…,"version":…}`.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"data\":");
        match self {
            Event::Filed(filed) => filed.write_data(out),
            Event::LedgerOpened(opened) => write_canonical(
                &json!({
                    "clock": opened.clock.as_str(),
                    "ledger_key": opened.ledger_key.to_jwk(),
                    "opened_at": opened.opened_at,
                    "origin": opened.origin,
                    "registrar": {"key": opened.registrar_key.to_jwk(), "party": opened.registrar},
                }),
                out,
            ),
            Event::LedgerKeyRotated { ledger_key } => {
                write_canonical(&json!({"ledger_key": ledger_key.to_jwk()}), out);
            }
        }
        let event_type = self.event_type();
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(event_type.as_str().as_bytes());
        out.extend_from_slice(b"\",\"version\":");
        out.extend_from_slice(event_type.version().to_string().as_bytes());
        out.push(b'}');
    }

    /// Reads a leaf's `event`. Concealed values stay concealed.
    pub fn read(event: &Value) -> Result<Self, EventError> {
        Self::read_disclosed(event, &[])
    }

    /// Reads a leaf's `event` with the disclosures at hand; those that belong elsewhere
    /// are an error.
    pub fn read_disclosed(
        event: &Value,
        disclosures: &[sdjwt::Disclosure],
    ) -> Result<Self, EventError> {
        let err = |what: &str| EventError(what.to_owned());
        let name = event["type"].as_str().ok_or_else(|| err("no `type`"))?;
        let event_type = EventType::parse(name).ok_or_else(|| err(name))?;
        if event["version"].as_u64() != Some(event_type.version().into()) {
            return Err(EventError(format!("version {} of {name}", event["version"])));
        }
        let data = &event["data"];
        match event_type {
            EventType::LedgerOpened => Ok(Event::LedgerOpened(Box::new(LedgerOpened {
                origin: text(data, "origin")?,
                ledger_key: jwk(&data["ledger_key"])?,
                registrar: text(&data["registrar"], "party")?,
                registrar_key: jwk(&data["registrar"]["key"])?,
                clock: match data["clock"].as_str() {
                    Some("real") => ClockKind::Real,
                    Some("simulated") => ClockKind::Simulated,
                    _ => return Err(err("`clock` is neither real nor simulated")),
                },
                opened_at: data["opened_at"]
                    .as_str()
                    .and_then(Timestamp::parse)
                    .ok_or_else(|| err("`opened_at`"))?,
            }))),
            EventType::LedgerKeyRotated => {
                Ok(Event::LedgerKeyRotated { ledger_key: jwk(&data["ledger_key"])? })
            }
            _ => Filed::read(event_type, data, disclosures).map(Event::Filed),
        }
    }
}

fn text(data: &Value, member: &str) -> Result<String, EventError> {
    data[member].as_str().map(str::to_owned).ok_or_else(|| EventError(format!("no `{member}`")))
}

fn jwk(value: &Value) -> Result<PublicKey, EventError> {
    PublicKey::from_jwk(value).map_err(|refusal| EventError(refusal.to_string()))
}

impl Filed {
    /// Canonical bytes of `data`, members in RFC 8785 order.
    fn write_data(&self, out: &mut Vec<u8>) {
        fn day(day: Option<LegalDate>, out: &mut Vec<u8>) {
            match day {
                Some(day) => {
                    out.push(b'"');
                    out.extend_from_slice(day.to_string().as_bytes());
                    out.push(b'"');
                }
                None => out.extend_from_slice(b"null"),
            }
        }
        out.extend_from_slice(b"{\"at\":{\"earliest\":");
        day(self.at.interval.earliest, out);
        out.extend_from_slice(b",\"latest\":");
        day(self.at.interval.latest, out);
        out.extend_from_slice(b",\"text\":");
        match &self.at.text {
            Some(text) => write_canonical_str(text, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"},\"body\":");
        write_canonical(&self.signed, out);
        out.extend_from_slice(b",\"evidence\":\"");
        out.extend_from_slice(self.evidence.as_str().as_bytes());
        out.extend_from_slice(b"\",\"iss\":");
        write_canonical_str(&self.iss, out);
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(self.kind.as_str().as_bytes());
        out.push(b'"');
        if let Some(reference) = &self.reference {
            out.extend_from_slice(b",\"reference\":");
            write_canonical_str(reference, out);
        }
        if let Some(verdict) = &self.verdict {
            out.extend_from_slice(b",\"verdict\":");
            verdict.write_canonical(out);
        }
        out.push(b'}');
    }

    fn read(
        event_type: EventType,
        data: &Value,
        disclosures: &[sdjwt::Disclosure],
    ) -> Result<Self, EventError> {
        let kind = text(data, "kind")?;
        let kind = Kind::parse(&kind).ok_or(EventError(kind))?;
        let at = match &data["at"]["text"] {
            Value::Null => At::unknown(),
            Value::String(t) => {
                At::parse(t).ok_or_else(|| EventError(format!("date `{t}` in `at`")))?
            }
            _ => return Err(EventError("`at.text`".to_owned())),
        };
        let evidence = text(data, "evidence")?;
        let evidence = EvidenceKind::parse(&evidence).ok_or(EventError(evidence))?;
        let signed = data["body"].clone();
        let revealed =
            sdjwt::reveal(&signed, disclosures).map_err(|r| EventError(r.to_string()))?;
        let body =
            Body::read(kind, revealed).map_err(|e| EventError(format!("body of `{kind}`: {e}")))?;
        let verdict = match data.get("verdict") {
            None => None,
            Some(v) => Some(Arc::new(
                Verdict::deserialize_from(v).map_err(|e| EventError(format!("verdict: {e}")))?,
            )),
        };
        Ok(Self {
            event_type,
            kind,
            iss: text(data, "iss")?,
            at,
            evidence,
            reference: data.get("reference").and_then(Value::as_str).map(str::to_owned),
            signed: Arc::new(signed),
            body: Arc::new(body),
            verdict,
        })
    }
}

impl Verdict {
    fn deserialize_from(value: &Value) -> Result<Self, serde_json::Error> {
        <Self as serde::Deserialize>::deserialize(value)
    }
}
