//! An affair in a few lines: facts applied to a register in memory, and an access judged.
//!
//! Only the fold and the judge: nothing is signed, and no aggregate is asked whether the
//! fact may be filed. A base affair is sound; a test changes one thing and looks at one rule.

use greffe_domain::body::{Access, Body};
use greffe_domain::date::Timestamp;
use greffe_domain::edtf::Edtf;
use greffe_domain::encoding::base64url;
use greffe_domain::event::{At, Event};
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT, Case, Judgement, Rulebook};
use greffe_domain::sdjwt::{self, Disclosure};
use greffe_domain::verdict::{Evidence, Finding, Outcome};
use serde_json::{Value, json};

pub const FUND: &str = "caisse";
pub const AUTHORITY: &str = "cnil";
pub const COURT: &str = "tribunal";
pub const COUNCIL: &str = "comite";
pub const EMPLOYER: &str = "employeur";
pub const DESK: &str = "guichet";
pub const OBSERVER: &str = "presse";

const PARTIES: [(&str, &str); 7] = [
    (FUND, "controller"),
    (AUTHORITY, "regulator"),
    (COURT, "court"),
    (COUNCIL, "works-council"),
    (EMPLOYER, "employer"),
    (DESK, "subject-desk"),
    (OBSERVER, "observer"),
];

/// Reference to an invented person.
pub fn person(n: u8) -> String {
    base64url(&[n; 32])
}

#[derive(Clone)]
struct Filed {
    iss: String,
    kind: Kind,
    at: Option<String>,
    evidence: &'static str,
    body: Value,
    /// Its concealed values were erased.
    erased: bool,
}

/// Facts in the order of their recording, and the access they bear upon.
#[derive(Clone)]
pub struct Affair {
    facts: Vec<Filed>,
    access: Value,
    day: String,
    /// When the access was recorded, if it was; its position follows the facts before it.
    recorded: Option<(usize, Timestamp)>,
    /// The access's own concealed values are not at hand.
    access_erased: bool,
}

/// The processing, the purpose and the recipient of the base affair.
pub const PROCESSING: &str = "suivi";
pub const PURPOSE: &str = "PUR-ABSENCE-BENCHMARK";

impl Affair {
    /// Declared, filed as the law of that year asked, those concerned informed, everything on
    /// 10 January; an access to a rate by the fund itself on 15 June.
    pub fn of(year: u32) -> Self {
        let formality = match year {
            ..=2004 => "F78-16-DECL",
            2005..=2018 => "F04-23-DN",
            _ => "F18-30-REG",
        };
        let affair = Self {
            facts: Vec::new(),
            access: json!({
                "processing": PROCESSING, "purpose": PURPOSE, "categories": ["ABS-RATE"],
                "recipient": {"party": FUND, "role": "R-CARSAT"},
                "basis": {"codes": ["A6-1-E"]}, "cohort": {"units": ["site-1"], "cells": []},
                "channel": "report",
            }),
            day: format!("{year}-06-15"),
            recorded: None,
            access_erased: false,
        };
        let january = format!("{year}-01-10");
        affair
            .with(
                FUND,
                Kind::ProcessingDeclare,
                &january,
                json!({
                    "processing": PROCESSING, "controller": FUND, "title": "Suivi (inventé)",
                    "purposes": [{"code": PURPOSE}], "categories": [{"code": "ABS-RATE"}],
                    "subjects": ["Salariés"], "recipients": [{"role": "R-CARSAT"}],
                    "legal_basis": ["A6-1-E"],
                }),
            )
            .formality(formality, &january)
            .with(
                FUND,
                Kind::InformationRecord,
                &january,
                json!({
                    "processing": PROCESSING, "step": "I-NOTICE-COLLECTIVE", "audience": "Salariés",
                }),
            )
    }

    /// Adds an act. An empty `at` is no date.
    pub fn with(self, iss: &str, kind: Kind, at: &str, body: Value) -> Self {
        self.with_evidence(iss, kind, at, "act", body)
    }

    /// Adds what the press says: a description.
    pub fn told(self, kind: Kind, at: &str, body: Value) -> Self {
        self.with_evidence(OBSERVER, kind, at, "press", body)
    }

    fn with_evidence(
        mut self,
        iss: &str,
        kind: Kind,
        at: &str,
        evidence: &'static str,
        body: Value,
    ) -> Self {
        let at = (!at.is_empty()).then(|| at.to_owned());
        self.facts.push(Filed { iss: iss.to_owned(), kind, at, evidence, body, erased: false });
        self
    }

    /// A formality of the controller, named after its kind and day, for the purpose.
    pub fn formality(self, kind: &str, at: &str) -> Self {
        let id = format!("{kind}-{at}").to_lowercase();
        self.with(
            FUND,
            Kind::FormalityFile,
            at,
            json!({
                "formality": id, "processing": PROCESSING, "kind": kind, "purposes": [PURPOSE],
            }),
        )
    }

    /// A decision of the authority on the purpose.
    pub fn decision(self, id: &str, outcome: &str, at: &str) -> Self {
        self.with(
            AUTHORITY,
            Kind::DecisionRender,
            at,
            json!({
                "decision": id, "processing": PROCESSING,
                "outcomes": [{"purpose": PURPOSE, "outcome": outcome}],
            }),
        )
    }

    /// The end of a decision, said by a court on the day it takes effect or later.
    pub fn ended(self, id: &str, how: &str, effective_from: &str, at: &str) -> Self {
        self.with(
            COURT,
            Kind::DecisionEnd,
            at,
            json!({
                "decision": id, "how": how, "effective_from": effective_from,
            }),
        )
    }

    /// A claim about the processing.
    pub fn claim(self, fact: &str, holds: bool) -> Self {
        self.with(
            FUND,
            Kind::StatementRecord,
            "",
            json!({
                "about": {"type": "processing", "id": PROCESSING},
                "claims": [{"fact": fact, "holds": holds}],
            }),
        )
    }

    /// Takes out every fact of a kind.
    pub fn without(mut self, kind: Kind) -> Self {
        self.facts.retain(|fact| fact.kind != kind);
        self
    }

    /// Changes the last fact of a kind.
    pub fn change(mut self, kind: Kind, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.last(kind).body);
        self
    }

    /// Gives the last fact of a kind another day.
    pub fn dated(mut self, kind: Kind, at: &str) -> Self {
        self.last(kind).at = (!at.is_empty()).then(|| at.to_owned());
        self
    }

    /// Makes the last fact of a kind a description by the press.
    pub fn only_told(mut self, kind: Kind) -> Self {
        let fact = self.last(kind);
        (fact.iss, fact.evidence) = (OBSERVER.to_owned(), "press");
        self
    }

    /// Erases the concealed values of the last fact of a kind.
    pub fn erased(mut self, kind: Kind) -> Self {
        self.last(kind).erased = true;
        self
    }

    fn last(&mut self, kind: Kind) -> &mut Filed {
        let fact = self.facts.iter_mut().rev().find(|fact| fact.kind == kind);
        fact.unwrap_or_else(|| panic!("no `{kind}` in this affair"))
    }

    /// Gives the access another day.
    pub fn on(mut self, day: &str) -> Self {
        self.day = day.to_owned();
        self
    }

    pub fn access(mut self, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.access);
        self
    }

    /// An access to named persons instead of a group.
    pub fn to_persons(self, persons: &[u8]) -> Self {
        let persons: Vec<String> = persons.iter().map(|n| person(*n)).collect();
        self.access(|access| {
            access.as_object_mut().expect("an access is an object").remove("cohort");
            access["subjects"] = json!(persons);
        })
    }

    /// Erases the concealed values of the access.
    pub fn access_erased(mut self) -> Self {
        self.access_erased = true;
        self
    }

    /// The access was recorded now, after the facts added so far, at noon of that day.
    pub fn recorded(mut self, day: &str) -> Self {
        let time = Timestamp::parse(&format!("{day}T12:00:00Z")).expect("a day");
        self.recorded = Some((self.facts.len(), time));
        self
    }

    /// Position the access was recorded at.
    pub fn position(&self) -> u64 {
        let (before, _) = self.recorded.expect("`recorded` was called");
        (PARTIES.len() + before) as u64
    }

    fn register(&self) -> Register {
        let mut register = Register::new();
        let mut position = 0;
        // All is known at last: what weighs is when each thing happened.
        let now = Timestamp::parse("2026-11-21T12:00:00Z").expect("an instant");
        let mut apply = |fact: &Filed, position: u64| {
            let (signed, disclosures) = concealed(fact.kind, &fact.body);
            let disclosures = if fact.erased { Vec::new() } else { disclosures };
            let at = fact.at.as_deref().map_or_else(At::unknown, |text| {
                At::parse(text).unwrap_or_else(|| panic!("date `{text}`"))
            });
            let event = json!({
                "type": fact.kind.event(), "version": 1,
                "data": {"at": {"text": at.text}, "body": signed, "evidence": fact.evidence,
                         "iss": fact.iss, "kind": fact.kind},
            });
            let event = Event::read_disclosed(&event, &disclosures)
                .unwrap_or_else(|e| panic!("{}: {e}", fact.kind));
            register.apply(position, now, &event);
        };
        for (party, role) in PARTIES {
            let key = simulated_party_key(party).public().to_jwk();
            let body = json!({
                "party": party, "name": party, "roles": [role], "key": key,
                "proof": base64url(&[0; 64]),
            });
            let fact = Filed {
                iss: "greffe".to_owned(),
                kind: Kind::PartyRegister,
                at: None,
                evidence: "act",
                body,
                erased: false,
            };
            apply(&fact, position);
            position += 1;
        }
        for (index, fact) in self.facts.iter().enumerate() {
            if self.recorded.is_some_and(|(before, _)| before == index) {
                position += 1;
            }
            apply(fact, position);
            position += 1;
        }
        if self.recorded.is_some_and(|(before, _)| before == self.facts.len()) {
            position += 1;
        }
        register.advance(position);
        register
    }

    fn read_access(&self) -> Access {
        let (signed, disclosures) = concealed(Kind::AccessReport, &self.access);
        let disclosures = if self.access_erased { Vec::new() } else { disclosures };
        let revealed = sdjwt::reveal(&signed, &disclosures).expect("all are asked for");
        match Body::read(Kind::AccessReport, revealed) {
            Ok(Body::ReportAccess(access)) => access,
            other => panic!("the access does not read: {other:?}"),
        }
    }

    /// Judges the access with everything known.
    pub fn judge(&self) -> Judgement {
        self.judge_by(&CURRENT)
    }

    /// The same under a version of the rules.
    pub fn judge_by(&self, rulebook: &Rulebook) -> Judgement {
        let register = self.register();
        let access = self.read_access();
        let days = Edtf::parse(&self.day).expect("a date").interval();
        let recorded = self.recorded.map(|(_, time)| (self.position(), time));
        let case = Case { access: &access, days, recorded };
        rules::judge(rulebook, &case, register.now()).expect("the processing is registered")
    }

    pub fn verdict(&self) -> Outcome {
        self.judge().verdict.verdict
    }

    /// What a rule found.
    pub fn found(&self, code: &str) -> Vec<Finding> {
        let findings = self.judge().verdict.findings;
        findings.into_iter().filter(|f| f.code == *code).collect()
    }

    /// Asserts that a rule fires, once, with this evidence; gives the finding back.
    #[track_caller]
    pub fn fires(&self, code: &str, evidence: Evidence) -> Finding {
        let mut found = self.found(code);
        let how: Vec<Evidence> = found.iter().map(|f| f.evidence).collect();
        assert_eq!(how, [evidence], "{code}");
        found.remove(0)
    }

    /// Asserts that a rule does not fire.
    #[track_caller]
    pub fn quiet(&self, code: &str) {
        let found = self.found(code);
        assert!(found.is_empty(), "{code} fires: {found:?}");
    }

    /// Asserts that a rule was left undecided by a missing disclosure.
    #[track_caller]
    pub fn undecided(&self, code: &str) {
        let judged = self.judge();
        assert!(judged.undecided.iter().any(|c| *c == *code), "{code} was decided");
        assert!(judged.verdict.findings.iter().all(|f| f.code != *code), "{code} fires");
    }
}

fn concealed(kind: Kind, body: &Value) -> (Value, Vec<Disclosure>) {
    let mut salt = 0u8;
    sdjwt::conceal(body.clone(), &|path| kind.is_concealed(path), &mut || {
        salt += 1;
        [salt; 16]
    })
}
