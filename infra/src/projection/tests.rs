//! Projections against a plain scan of the entries, on random ledgers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use greffe_domain::body::{Access, Body};
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::base64url;
use greffe_domain::event::{ClockKind, Event, Filed, LedgerOpened};
use greffe_domain::key::{enrolment_text, simulated_party_key};
use greffe_domain::kind::Kind;
use greffe_domain::register::Register;
use greffe_domain::rules::again::{Standing, State, is_same, judge_again};
use greffe_domain::rules::{CURRENT, Case};
use greffe_domain::sdjwt::{self, Disclosure, TYP_FILING};
use greffe_domain::seal::{Leaf, Position, TreeSize};
use greffe_domain::subject::SubjectRef;
use greffe_domain::verdict::Verdict;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::writing::Writing;
use super::*;
use crate::clock::Clock;
use crate::ledger::open_ledger;
use crate::store::faulty::FaultyStore;
use crate::store::{MemoryStore, Store, contract};

const ORIGIN: &str = "test.greffe.example/projections";
const START: i64 = 1_100_000_000;

/// A ledger in memory, and what has been filed in it.
struct Court {
    ledger: Ledger,
    filed: i64,
    /// Positions of accesses, with their subjects' digests.
    accesses: Vec<(u64, Vec<String>)>,
    /// Decisions rendered, `d-0` on.
    decisions: usize,
    /// Digests of who agreed or objected.
    said: Vec<String>,
}

impl Court {
    async fn open() -> Self {
        Self::on(Arc::new(MemoryStore::new(ORIGIN))).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        let (key, registrar) = (simulated_party_key("ledger"), simulated_party_key("greffe"));
        let opened = LedgerOpened {
            origin: ORIGIN.to_owned(),
            ledger_key: key.public().clone(),
            registrar: "greffe".to_owned(),
            registrar_key: registrar.public().clone(),
            clock: ClockKind::Simulated,
            opened_at: Timestamp::from_unix_seconds(START),
        };
        open_ledger(&*store, &key, opened).await.expect("an empty store");
        let ledger =
            Ledger::start(store, Clock::System, key, [7; 32], None).await.expect("a ledger");
        let mut court =
            Self { ledger, filed: 0, accesses: Vec::new(), decisions: 0, said: Vec::new() };
        for (party, role) in [
            ("caisse-a", "controller"),
            ("caisse-b", "controller"),
            ("usine", "employer"),
            ("atelier", "employer"),
            ("autorite", "regulator"),
            ("tribunal", "court"),
            ("guichet", "subject-desk"),
            ("presse", "observer"),
        ] {
            let key = simulated_party_key(party);
            let proof = key.sign(enrolment_text(ORIGIN, party, key.public().kid()).as_bytes());
            let body = json!({
                "party": party, "name": format!("Établissement {party}"), "roles": [role],
                "key": key.public().to_jwk(), "proof": base64url(&proof),
            });
            court.file("greffe", "party.register", None, "act", body).await.expect("a party");
        }
        court
    }

    async fn file(
        &mut self,
        iss: &str,
        kind: &str,
        at: Option<&str>,
        evidence: &str,
        body: Value,
    ) -> Result<u64, String> {
        self.filed += 1;
        // Some filings share their second.
        let iat = START + self.filed / 3 * 40_000;
        let kind = Kind::parse(kind).expect("a kind");
        let mut salt = self.filed.to_le_bytes().repeat(2);
        let mut salts = || {
            salt[15] = salt[15].wrapping_add(1);
            <[u8; 16]>::try_from(salt.as_slice()).expect("16 bytes")
        };
        let (body, disclosures) = sdjwt::conceal(body, &|path| kind.is_concealed(path), &mut salts);
        let mut payload = json!({
            "iss": iss, "aud": ORIGIN, "iat": iat, "jti": format!("jti-{}", self.filed),
            "kind": kind.as_str(), "evidence": evidence, "body": body, "_sd_alg": "sha-256",
        });
        if let Some(at) = at {
            payload["at"] = at.into();
        }
        let jwt = sdjwt::sign(&payload, TYP_FILING, &simulated_party_key(iss));
        let text = sdjwt::compact(&jwt, &disclosures);
        let receipts = self.ledger.submit(&text).await.map_err(|e| e.to_string())?;
        let position = receipts[0].position.0;
        if matches!(kind, Kind::AccessReport | Kind::AccessRequest) {
            let digests = disclosures.iter().map(Disclosure::digest).collect();
            self.accesses.push((position, digests));
        } else if matches!(kind, Kind::AgreementRecord | Kind::ObjectionRecord) {
            self.said.extend(disclosures.iter().map(Disclosure::digest));
        }
        Ok(position)
    }

    /// A filing about a processing: author, kind, body.
    fn other(&self, what: usize, p: &str, n: usize) -> (&'static str, &'static str, Value) {
        let owner = ["caisse-a", "caisse-b"][n % 5 / 4];
        let purpose = ["PUR-EMPLOYER-AWARENESS", "PUR-ABSENCE-BENCHMARK"][n % 2];
        let essai = format!("essai-{}", n % 2);
        let about = match n % 4 {
            0 => json!({"type": "experiment", "id": essai}),
            1 => match self.accesses.get(n % self.accesses.len().max(1)) {
                Some((access, _)) => json!({"type": "access", "id": access.to_string()}),
                None => json!({"type": "processing", "id": p}),
            },
            _ => json!({"type": "processing", "id": p}),
        };
        let thing = match n % 4 {
            0 => json!({"type": "experiment", "id": essai}),
            _ => json!({"type": "processing", "id": p}),
        };
        let site = json!({
            "id": format!("site-{}", n % 4), "name": "Site",
            "headcount": ([150, 412, 198])[n % 3], "headcount_on": (["2003-01", "2004-06-01"])[n % 2],
        });
        let rule = [
            "PURPOSE-INCOMPATIBLE",
            "SUBJECTS-NOT-INFORMED",
            "HEADCOUNT-UNIT-AMBIGUOUS",
            "AUTHORISATION-NOT-SOUGHT",
            "CATEGORY-INFERRED",
            "WORKS-COUNCIL-NOT-CONSULTED",
        ][n % 6];
        let accesses: Vec<u64> =
            self.accesses.iter().map(|(a, _)| *a).skip(n % 5).step_by(3).take(2).collect();
        match what % 24 {
            0 | 1 => (
                owner,
                "formality.file",
                json!({
                    "formality": format!("f-{}", n % 8), "processing": p, "purposes": [purpose],
                    "kind": (["F78-16-DECL", "F04-25-AUT", "F-NONE", "F18-30-REG", "F04-24-NS"])[n % 5],
                }),
            ),
            2 => (
                "autorite",
                "formality.acknowledge",
                json!({
                    "formality": format!("f-{}", n % 8), "number": "rec-1",
                }),
            ),
            3 => (
                owner,
                "information.record",
                json!({
                    "processing": p, "audience": "assurés",
                    "step": (["I-NOTICE-INDIVIDUAL", "I-NOTICE-NONE", "I-CE-CONSULTED"])[n % 3],
                }),
            ),
            4 => (
                owner,
                "works-council.opine",
                json!({
                    "processing": p, "on": "projet", "opinion": (["favourable", "unfavourable", "none"])[n % 3],
                }),
            ),
            5 => (
                "presse",
                "consultation.record",
                json!({
                    "about": thing, "step": "I-SOCIAL-PARTNERS", "held": n.is_multiple_of(3),
                }),
            ),
            6 => (
                owner,
                "assessment.file",
                json!({
                    "processing": p, "residual_risk": (["low", "high"])[n % 2],
                }),
            ),
            7 | 8 => (
                "guichet",
                "agreement.record",
                json!({
                    "processing": p, "scope": "transmission", "subject": reference(n % 4).to_string(),
                }),
            ),
            9 | 10 => (
                "autorite",
                "decision.end",
                json!({
                    "decision": format!("d-{}", n % self.decisions.max(1)),
                    "effective_from": (["2003", "2005-03-10", "2004-06"])[n % 3],
                    "how": (["ANNULLED-EX-TUNC", "REPEALED-EX-NUNC", "SUSPENDED", "ANNULLED-DEFERRED"])[n % 4],
                }),
            ),
            11 => (
                "tribunal",
                "ruling.record",
                json!({
                    "ruling": format!("r-{}", n % 5), "court": "Tribunal", "processing": p,
                    "outcome": "COURT-UNLAWFUL", "establishes": [{"fact": rule, "holds": !n.is_multiple_of(3)}],
                    "accesses": if n.is_multiple_of(2) { accesses } else { Vec::new() },
                    "excludes_evidence": n.is_multiple_of(4),
                }),
            ),
            12 => (
                "presse",
                "statement.record",
                json!({
                    "about": about, "claims": [{"fact": rule, "holds": !n.is_multiple_of(4)}],
                }),
            ),
            13 => (
                "presse",
                "milestone.record",
                json!({
                    "about": thing, "milestone": (["tender-launched", "evaluation-planned"])[n % 2],
                }),
            ),
            14 => (
                "presse",
                "milestone.record",
                json!({
                    "about": {"type": "ruling", "id": format!("r-{}", n % 5)},
                    "milestone": "appeal-lodged",
                }),
            ),
            15 => (
                owner,
                "experiment.launch",
                json!({
                    "experiment": essai, "processing": p, "unit": "establishment",
                    "headcount_above": 200, "categories": ["ABS-FACT"], "start": "2003",
                    "minimum_days": 300, "evaluation_planned": n.is_multiple_of(3),
                }),
            ),
            16 | 17 => (owner, "experiment.enrol", json!({"experiment": essai, "site": site})),
            18 => (owner, "experiment.plan-expansion", json!({"experiment": essai})),
            19 => (
                owner,
                "experiment.expand",
                match n % 3 {
                    0 => json!({"experiment": essai, "sites": [site]}),
                    1 => json!({"experiment": essai, "end": "2004-12"}),
                    _ => json!({"experiment": essai, "categories": ["ABS-RATE"]}),
                },
            ),
            20 => (
                owner,
                ["experiment.evaluate", "experiment.end"][n % 9 / 8],
                match n % 9 / 8 {
                    0 => json!({"experiment": essai, "conclusions": ["positive"]}),
                    _ => json!({"experiment": essai}),
                },
            ),
            21 => (
                "autorite",
                ["condition.set", "condition.meet"][n % 2],
                json!({
                    "about": thing, "condition": (["concertation", "bilan"])[n / 2 % 2],
                }),
            ),
            22 => (
                "presse",
                "use.record",
                json!({
                    "processing": p, "access": accesses.first().copied().unwrap_or(0),
                    "purpose": purpose, "consequence": "sanction", "subject": reference(0).to_string(),
                }),
            ),
            _ => (
                "presse",
                "reference.publish",
                json!({
                    "reference": "texte-1", "kind": (["law", "report"])[n % 2], "title": "Texte",
                    "objects": [purpose], "authority": "autorité",
                }),
            ),
        }
    }

    /// Plays a step; what the ledger refuses is not recorded, and that is all.
    async fn play(&mut self, step: &Step) {
        let processing = |n: usize| ["telerecours", "absences", "accueil"][n % 3];
        let purpose = |n: usize| ["PUR-EMPLOYER-AWARENESS", "PUR-ABSENCE-BENCHMARK"][n % 2];
        let date = |n: usize| {
            [None, Some("2003"), Some("2004-05"), Some("2005-03-10"), Some("2004-12/2005-02")]
                [n % 5]
        };
        let _ = match step.clone() {
            Step::Declare { who, processing: p, date: d } => {
                let (iss, evidence) =
                    [("caisse-a", "act"), ("caisse-b", "act"), ("presse", "press")][who % 3];
                let body = json!({
                    "processing": processing(p), "title": format!("Gestion n° {p} des Arrêts"),
                    "purposes": [{"code": purpose(p)}], "categories": [{"code": "ABS-FACT"}],
                    "subjects": ["assurés"], "recipients": [{"role": "R-EMPLOYER-HR"}],
                    "legal_basis": ["A6-1-E"],
                });
                let declared =
                    self.file(iss, "processing.declare", date(d), evidence, body.clone()).await;
                match declared {
                    Ok(position) => Ok(position),
                    Err(_) => self.file(iss, "processing.amend", date(d), evidence, body).await,
                }
            }
            Step::Access { who, processing: p, purpose: u, date: d, people, seed } => {
                let (iss, recipient) = [
                    ("presse", "usine"),
                    ("presse", "atelier"),
                    ("usine", "usine"),
                    ("caisse-a", "atelier"),
                    ("autorite", "caisse-b"),
                ][who % 5];
                let kind = if iss == "usine" { "access.request" } else { "access.report" };
                let category = ["ABS-FACT", "ABS-RATE", "CLAIMS-CARE"][seed % 3];
                let role = ["R-EMPLOYER-HR", "R-SPST-CELL"][seed % 2];
                let basis = ["A6-1-E", "A6-1-F"][seed / 2 % 2];
                let mut body = json!({
                    "processing": processing(p), "purpose": purpose(u),
                    "categories": [category, "ABS-DURATION"],
                    "recipient": {
                        "party": recipient,
                        "role": role,
                    },
                    "basis": {"codes": [basis]},
                    "channel": "report",
                });
                if seed % 4 > 0 {
                    body["recipient"]["site"] = json!({"id": format!("site-{}", seed % 4)});
                }
                if seed > 24 && seed % 7 == 0 {
                    body["experiment"] = format!("essai-{}", seed % 2).into();
                }
                if seed > 24 && seed % 6 == 0 {
                    body["basis"]["reference"] = ["texte-1", "n-3", "rec-1"][seed / 6 % 3].into();
                }
                if seed > 24 && seed % 9 == 0 {
                    body["period"] = "2001".into();
                }
                if seed % 5 == 0 {
                    body["discloser"] = "caisse-b".into();
                }
                let people: Vec<String> =
                    (0..people).map(|n| reference((seed + n) % 4).to_string()).collect();
                if seed % 2 == 0 {
                    body["subjects"] = people.into();
                } else {
                    body["cohort"] = json!({"units": [], "cells": [], "members": people});
                    if seed > 24 {
                        let units = json!([format!("site-{}", seed / 4 % 4)]);
                        body["cohort"]["cells"] = json!([{
                            "units": units.clone(), "categories": ["ABS-FACT"],
                            "value": seed % 17, "unit": "persons", "suppressed": false,
                        }]);
                        body["cohort"]["units"] = units;
                        body["cohort"]["absentees"] = (seed % 19).into();
                    }
                }
                self.file(iss, kind, date(d), "act", body).await
            }
            Step::Decide { processing: p, purpose: u, outcome, date: d } => {
                let outcome_code = ["REFUSED", "ACCEPTED"][outcome % 2];
                let mut body = json!({
                    "decision": format!("d-{}", self.decisions),
                    "number": format!("N°{}-É", self.filed),
                    "processing": processing(p),
                    "outcomes": [{
                        "purpose": purpose(u), "outcome": outcome_code, "grounds": [],
                        "conditions": if outcome % 5 == 1 {
                            json!([{"condition": "bilan"}])
                        } else {
                            json!([])
                        },
                    }],
                });
                if outcome % 3 == 1 {
                    body["until"] = "2004-12".into();
                }
                if outcome % 4 == 1 {
                    body["effective_from"] = ["2003", "2005"][outcome / 4 % 2].into();
                }
                let decided = self.file("autorite", "decision.render", date(d), "act", body).await;
                self.decisions += usize::from(decided.is_ok());
                decided
            }
            Step::Object { processing: p, person } => {
                let body = json!({
                    "processing": processing(p), "scope": "everything",
                    "subject": reference(person % 4).to_string(),
                });
                self.file("guichet", "objection.record", Some("2003"), "act", body).await
            }
            Step::Contest { access } => {
                let Some((access, _)) = self.accesses.get(access % self.accesses.len().max(1))
                else {
                    return;
                };
                let body = json!({
                    "access": access, "subject": reference(0).to_string(), "ground": "inexact",
                });
                self.file("guichet", "access.contest", None, "act", body).await
            }
            Step::Erase { access } => {
                let of_access = self.accesses.get(access % self.accesses.len().max(1));
                let digests = match of_access {
                    _ if access % 3 == 1 => &self.said,
                    Some((_, digests)) => digests,
                    None => return,
                };
                if digests.is_empty() {
                    return;
                }
                let body = json!({
                    "digests": [digests[access % digests.len()]], "ground": "art-17",
                    "scope": "one access",
                });
                self.file("greffe", "subject.erase", None, "act", body).await
            }
            Step::Other { what, processing: p, n } => {
                let (iss, kind, body) = self.other(what, processing(p), n);
                let evidence = ["act", "receipt", "judgment", "press"][n % 7 % 4];
                self.file(iss, kind, date(n / 3), evidence, body).await
            }
        };
    }
}

fn reference(person: usize) -> SubjectRef {
    SubjectRef([u8::try_from(person).expect("few people") + 1; 32])
}

#[derive(Debug, Clone)]
enum Step {
    Declare {
        who: usize,
        processing: usize,
        date: usize,
    },
    Access {
        who: usize,
        processing: usize,
        purpose: usize,
        date: usize,
        people: usize,
        seed: usize,
    },
    Decide {
        processing: usize,
        purpose: usize,
        outcome: usize,
        date: usize,
    },
    Object {
        processing: usize,
        person: usize,
    },
    Contest {
        access: usize,
    },
    Erase {
        access: usize,
    },
    /// Everything else that can be filed about a processing.
    Other {
        what: usize,
        processing: usize,
        n: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 0..60_usize;
    let step = prop_oneof![
        2 => (n.clone(), n.clone(), n.clone())
            .prop_map(|(who, processing, date)| Step::Declare { who, processing, date }),
        6 => (n.clone(), n.clone(), n.clone(), n.clone(), 0..3_usize, n.clone()).prop_map(
            |(who, processing, purpose, date, people, seed)| Step::Access {
                who, processing, purpose, date, people, seed
            }
        ),
        2 => (n.clone(), n.clone(), n.clone(), n.clone()).prop_map(
            |(processing, purpose, outcome, date)| Step::Decide { processing, purpose, outcome, date }
        ),
        3 => (n.clone(), n.clone())
            .prop_map(|(processing, person)| Step::Object { processing, person }),
        1 => n.clone().prop_map(|access| Step::Contest { access }),
        2 => n.clone().prop_map(|access| Step::Erase { access }),
        7 => (n.clone(), n.clone(), n)
            .prop_map(|(what, processing, n)| Step::Other { what, processing, n }),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a scan finds at a position.
struct Scanned {
    row: EntryRow,
    event: Event,
    /// Controller of the access's processing, as folded up to there.
    controller: Option<String>,
    /// The register before it.
    before: Register,
}

impl Scanned {
    fn filed(&self) -> Option<&Filed> {
        self.event.filed()
    }

    fn access(&self) -> Option<&Access> {
        self.filed()?.body.access()
    }

    fn verdict(&self) -> &Verdict {
        self.filed().and_then(|f| f.verdict.as_deref()).expect("an access is judged")
    }

    fn iss(&self) -> Option<&str> {
        self.filed().map(|f| f.iss.as_str())
    }

    fn parties(&self) -> BTreeSet<String> {
        let mut parties: BTreeSet<String> = self.iss().into_iter().map(str::to_owned).collect();
        if let Some(access) = self.access() {
            parties.insert(access.recipient.party.clone());
            parties.extend(access.discloser.clone().or(self.controller.clone()));
        }
        parties
    }
}

async fn scan(ledger: &Ledger) -> Vec<Scanned> {
    let mut register = Register::new();
    let mut scanned = Vec::new();
    let rows = ledger.store().entries(Position(0), 10_000).await.expect("entries");
    for row in rows {
        let disclosures: Vec<Disclosure> = ledger
            .store()
            .disclosures_at(&[row.position])
            .await
            .expect("disclosures")
            .iter()
            .map(|d| Disclosure::parse(&d.encoded).expect("a disclosure"))
            .collect();
        let leaf = Leaf::parse(&row.sealed.leaf).expect("a leaf");
        let event = Event::read_disclosed(&leaf.event, &disclosures).expect("an event");
        let before = register.clone();
        let controller = event
            .filed()
            .and_then(|f| f.body.access())
            .and_then(|a| register.processing(&a.processing)?.controller.clone());
        register.apply(row.position.0, row.time, &event);
        scanned.push(Scanned { row, event, controller, before });
    }
    scanned
}

fn admits(filter: &AccessFilter, s: &Scanned) -> bool {
    let Some(access) = s.access() else { return false };
    let is = |asked: &Option<String>, has: &dyn Fn(&str) -> bool| asked.as_deref().is_none_or(has);
    let days = s.filed().expect("an access is filed").at.valid_days(s.row.time.date());
    let members = access.cohort.iter().flat_map(|c| &c.members);
    let site = access.recipient.site.as_ref();
    filter.subject.is_none_or(|asked| {
        access.subjects.iter().chain(members).any(|s| s.value == Some(asked.to_string()))
    }) && is(&filter.party, &|p| s.parties().contains(p))
        && is(&filter.visible_to, &|p| s.parties().contains(p))
        && is(&filter.recipient, &|p| access.recipient.party == p)
        && is(&filter.discloser, &|p| {
            access.discloser.as_deref().or(s.controller.as_deref()) == Some(p)
        })
        && is(&filter.experiment, &|e| access.experiment.as_deref() == Some(e))
        && is(&filter.site, &|id| site.is_some_and(|s| s.id == id))
        && is(&filter.processing, &|p| access.processing == p)
        && is(&filter.purpose, &|p| access.purpose == *p)
        && is(&filter.category, &|c| access.categories.iter().any(|x| *x == *c))
        && is(&filter.basis, &|b| access.basis.codes.iter().any(|x| *x == *b))
        && is(&filter.verdict, &|v| s.verdict().verdict.as_str() == v)
        && is(&filter.finding, &|f| s.verdict().findings.iter().any(|x| x.code == *f))
        && filter.from.is_none_or(|from| days.latest.is_none_or(|latest| latest >= from))
        && filter.to.is_none_or(|to| days.earliest.is_none_or(|earliest| earliest <= to))
        && filter.known_at.is_none_or(|size| s.row.position.0 < size.0)
        && (!filter.groups_only || access.cohort.is_some())
}

async fn all_accesses(p: &Arc<Projections>, filter: &AccessFilter) -> Vec<AccessRow> {
    let mut filter = AccessFilter { limit: 3, ..filter.clone() };
    let mut rows = Vec::new();
    loop {
        let page = p.accesses(filter.clone()).await.expect("a page");
        rows.extend(page.items);
        match page.next {
            None => return rows,
            next => filter.cursor = next,
        }
    }
}

/// Every filter with one member, and some with two.
fn access_filters(scanned: &[Scanned]) -> Vec<AccessFilter> {
    let some = |text: &str| Some(text.to_owned());
    let none = AccessFilter::default();
    let mut filters = vec![none.clone()];
    for person in 0..5 {
        filters.push(AccessFilter { subject: Some(reference(person)), ..none.clone() });
    }
    for party in ["caisse-a", "caisse-b", "usine", "presse", "nobody"] {
        filters.push(AccessFilter { party: some(party), ..none.clone() });
        filters.push(AccessFilter { recipient: some(party), ..none.clone() });
        filters.push(AccessFilter { discloser: some(party), ..none.clone() });
        filters.push(AccessFilter {
            visible_to: some(party),
            subject: Some(reference(1)),
            ..none.clone()
        });
        filters.push(AccessFilter {
            party: some(party),
            processing: some("absences"),
            verdict: some("NOT-COVERED"),
            ..none.clone()
        });
    }
    for site in ["site-1", "site-3", "site-9"] {
        filters.push(AccessFilter { site: some(site), ..none.clone() });
    }
    for processing in ["telerecours", "absences", "accueil"] {
        filters.push(AccessFilter { processing: some(processing), ..none.clone() });
        filters.push(AccessFilter {
            processing: some(processing),
            purpose: some("PUR-ABSENCE-BENCHMARK"),
            ..none.clone()
        });
    }
    for (category, basis) in [("ABS-FACT", "A6-1-E"), ("CLAIMS-CARE", "A6-1-F"), ("x", "y")] {
        filters.push(AccessFilter { category: some(category), ..none.clone() });
        filters.push(AccessFilter { basis: some(basis), ..none.clone() });
    }
    let experiments = scanned.iter().filter_map(|s| s.access()?.experiment.clone());
    for experiment in experiments.chain(["none".to_owned()]).collect::<BTreeSet<_>>() {
        filters.push(AccessFilter { experiment: Some(experiment), ..none.clone() });
    }
    let judged = || scanned.iter().filter(|s| s.access().is_some()).map(Scanned::verdict);
    let verdicts: BTreeSet<&str> = judged().map(|v| v.verdict.as_str()).collect();
    for verdict in verdicts {
        filters.push(AccessFilter { verdict: some(verdict), ..none.clone() });
    }
    let codes: BTreeSet<&str> =
        judged().flat_map(|v| &v.findings).map(|f| f.code.as_str()).collect();
    for code in codes {
        filters.push(AccessFilter { finding: some(code), ..none.clone() });
        filters.push(AccessFilter { finding: some(code), site: some("site-1"), ..none.clone() });
    }
    for day in ["2002-12-31", "2003-06-01", "2004-05-31", "2005-03-10", "2005-03-11"] {
        let day = LegalDate::parse(day);
        filters.push(AccessFilter { from: day, ..none.clone() });
        filters.push(AccessFilter { to: day, ..none.clone() });
        filters.push(AccessFilter { from: day, to: day, ..none.clone() });
    }
    let half = TreeSize(scanned.len() as u64 * 2 / 3);
    filters.push(AccessFilter { known_at: Some(half), ..none.clone() });
    filters.push(AccessFilter { known_at: Some(half), party: some("usine"), ..none.clone() });
    filters.push(AccessFilter { groups_only: true, ..none.clone() });
    filters.push(AccessFilter { groups_only: true, site: some("site-1"), ..none });
    filters
}

async fn check_accesses(p: &Arc<Projections>, scanned: &[Scanned]) {
    for filter in access_filters(scanned) {
        let expected: Vec<&Scanned> = scanned.iter().filter(|s| admits(&filter, s)).collect();
        let rows = all_accesses(p, &filter).await;
        let positions: Vec<u64> = rows.iter().map(|r| r.position).collect();
        let wanted: Vec<u64> = expected.iter().map(|s| s.row.position.0).collect();
        assert_eq!(positions, wanted, "{filter:?}");
        let newest = AccessFilter { order: Order::NewestFirst, ..filter.clone() };
        let mut back: Vec<u64> =
            all_accesses(p, &newest).await.iter().map(|r| r.position).collect();
        back.reverse();
        assert_eq!(back, wanted, "{newest:?}");
        for (row, s) in rows.iter().zip(expected) {
            let access = s.access().expect("an access");
            let sorted =
                |codes: Vec<&str>| codes.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(row.days, s.filed().expect("filed").at.valid_days(s.row.time.date()));
            assert_eq!(row.recorded, s.row.time);
            assert_eq!(row.event_type, s.row.event_type.as_str());
            assert_eq!(Some(row.iss.as_str()), s.iss());
            assert_eq!(row.recipient, access.recipient.party);
            assert_eq!(row.discloser, access.discloser.clone().or(s.controller.clone()));
            assert_eq!(row.processing, access.processing);
            assert_eq!(row.purpose, access.purpose.as_str());
            assert_eq!(row.site, access.recipient.site.as_ref().map(|s| s.id.clone()));
            let categories = sorted(access.categories.iter().map(|c| c.as_str()).collect());
            assert_eq!(row.categories, categories.into_iter().collect::<Vec<_>>());
            assert_eq!(row.verdict, s.verdict().verdict.as_str());
            let codes: Vec<&str> = s.verdict().findings.iter().map(|f| f.code.as_str()).collect();
            assert_eq!(row.findings.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), codes);
            let contested = scanned
                .iter()
                .filter(|c| filter.known_at.is_none_or(|size| c.row.position.0 < size.0))
                .find(|c| match c.filed().map(|f| &*f.body) {
                    Some(greffe_domain::body::Body::ContestAccess(b)) => b.access == row.position,
                    _ => false,
                })
                .map(|c| c.row.position.0);
            assert_eq!(row.contested, contested);
        }
    }
}

async fn check_findings(p: &Arc<Projections>, ledger: &Ledger, scanned: &[Scanned]) {
    let standings = standings(ledger, scanned);
    let some = |text: &str| Some(text.to_owned());
    let none = FindingFilter::default();
    let middle = scanned.get(scanned.len() / 2).map(|s| s.row.time);
    let mut filters = vec![none.clone(), FindingFilter { since: middle, ..none.clone() }];
    for party in ["usine", "caisse-b", "nobody"] {
        filters.push(FindingFilter { party: some(party), ..none.clone() });
        filters.push(FindingFilter { visible_to: some(party), since: middle, ..none.clone() });
    }
    for state in State::ALL {
        filters.push(FindingFilter { state: Some(state), ..none.clone() });
        filters.push(FindingFilter { state: Some(state), since: middle, ..none.clone() });
    }
    let codes: BTreeSet<&str> =
        standings.iter().flat_map(|s| &s.findings).map(|f| f.code.as_str()).collect();
    for code in codes {
        filters.push(FindingFilter { code: some(code), ..none.clone() });
        filters.push(FindingFilter { code: some(code), party: some("usine"), ..none.clone() });
    }
    for filter in filters {
        let mut expected = Vec::new();
        let time = |position: u64| scanned[usize::try_from(position).expect("a position")].row.time;
        for standing in &standings {
            let s = &scanned[usize::try_from(standing.position).expect("a position")];
            for (ordinal, f) in standing.findings.iter().enumerate() {
                if filter.code.as_deref().is_none_or(|c| f.code == *c)
                    && filter.party.as_ref().is_none_or(|p| s.parties().contains(p))
                    && filter.visible_to.as_ref().is_none_or(|p| s.parties().contains(p))
                    && filter.state.is_none_or(|state| state == f.state(standing.position))
                    && filter.since.is_none_or(|since| time(f.until.unwrap_or(f.since)) >= since)
                {
                    expected.push((s.row.position.0, ordinal as u64, f.code.as_str().to_owned()));
                }
            }
        }
        let mut found = Vec::new();
        let mut asked = FindingFilter { limit: 2, ..filter.clone() };
        loop {
            let page = p.findings(asked.clone()).await.expect("a page");
            found.extend(page.items.into_iter().map(|f| (f.position, f.ordinal, f.code)));
            match page.next {
                None => break,
                next => asked.cursor = next,
            }
        }
        assert_eq!(found, expected, "{filter:?}");
    }
}

async fn check_audit(p: &Arc<Projections>, scanned: &[Scanned]) {
    let some = |text: &str| Some(text.to_owned());
    let none = AuditFilter::default();
    let time = |n: usize| scanned.get(n.min(scanned.len() - 1)).map(|s| s.row.time);
    let mut filters = vec![
        none.clone(),
        AuditFilter { from: time(scanned.len() / 3), to: time(scanned.len() / 2), ..none.clone() },
        AuditFilter { to: time(4), by: some("greffe"), ..none.clone() },
    ];
    for q in [
        "CAISSE",
        "12",
        "établissement ca",
        "ARRÊTS",
        "1",
        "access",
        "n°",
        "etablissement",
        "zzz",
        "%",
        "presse",
        "",
    ] {
        filters.push(AuditFilter { q: some(q), ..none.clone() });
        filters.push(AuditFilter { q: some(q), visible_to: some("usine"), ..none.clone() });
    }
    for party in ["greffe", "usine", "presse", "nobody"] {
        filters.push(AuditFilter { by: some(party), ..none.clone() });
        filters.push(AuditFilter { visible_to: some(party), ..none.clone() });
    }
    for s in scanned {
        let stream = format!("{}/{}", s.row.stream.kind, s.row.stream.id);
        filters.push(AuditFilter { stream: Some(stream), ..none.clone() });
        filters.push(AuditFilter { stream: some(s.row.stream.kind.as_str()), ..none.clone() });
        filters.push(AuditFilter { event_type: some(s.row.event_type.as_str()), ..none.clone() });
    }
    for filter in filters {
        let admits = |s: &&Scanned| {
            let row = &s.row;
            let q = read::fold(filter.q.as_deref().unwrap_or_default());
            let texts = match (s.filed(), s.access()) {
                (Some(filed), None) => read::searched_text(filed),
                _ => String::new(),
            };
            // An entry that is its own stream's is named by its position, in full.
            let is_own = row.stream.id == row.position.0.to_string();
            let named = if is_own { "" } else { row.stream.id.as_str() };
            let stream = |asked: &str| match asked.split_once('/') {
                None => row.stream.kind.as_str() == asked,
                Some((kind, id)) => row.stream.kind.as_str() == kind && row.stream.id == id,
            };
            filter.event_type.as_deref().is_none_or(|t| row.event_type.as_str() == t)
                && filter.by.as_deref().is_none_or(|by| s.iss() == Some(by))
                && filter.visible_to.as_ref().is_none_or(|p| s.parties().contains(p))
                && filter.stream.as_deref().is_none_or(stream)
                && filter.from.is_none_or(|t| row.time >= t)
                && filter.to.is_none_or(|t| row.time <= t)
                && (q.is_empty()
                    || row.stream.id == q
                    || [s.iss().unwrap_or(""), named, row.event_type.as_str(), &texts]
                        .iter()
                        .any(|text| read::fold(text).contains(&q)))
        };
        let expected: Vec<u64> = scanned.iter().filter(admits).map(|s| s.row.position.0).collect();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let mut found = Vec::new();
            let mut asked = AuditFilter { limit: 5, order, ..filter.clone() };
            loop {
                let page = p.audit(asked.clone()).await.expect("a page");
                for item in page.items {
                    let s = &scanned[usize::try_from(item.position).expect("a position")];
                    assert_eq!(item.event_type, s.row.event_type.as_str());
                    assert_eq!(item.iss.as_deref(), s.iss());
                    assert_eq!(item.stream_type, s.row.stream.kind.as_str());
                    assert_eq!(item.stream_id, s.row.stream.id);
                    assert_eq!(item.time, s.row.time);
                    found.push(item.position);
                }
                match page.next {
                    None => break,
                    next => asked.cursor = next,
                }
            }
            if order == Order::NewestFirst {
                found.reverse();
            }
            assert_eq!(found, expected, "{asked:?}");
        }
    }
}

async fn check_stats(p: &Arc<Projections>, scanned: &[Scanned]) {
    let mut expected = Stats { entries: scanned.len() as u64, ..Stats::default() };
    let count = |counts: &mut BTreeMap<String, u64>, text: &str| {
        *counts.entry(text.to_owned()).or_default() += 1;
    };
    for s in scanned {
        count(&mut expected.events, s.row.event_type.as_str());
        if s.access().is_some() {
            count(&mut expected.verdicts, s.verdict().verdict.as_str());
            count(&mut expected.regimes, &s.verdict().regime);
            let codes: BTreeSet<&str> =
                s.verdict().findings.iter().map(|f| f.code.as_str()).collect();
            codes.into_iter().for_each(|code| count(&mut expected.findings, code));
        }
    }
    expected.parties = scanned.last().map_or(0, |s| {
        let mut register = s.before.clone();
        register.apply(s.row.position.0, s.row.time, &s.event);
        register.parties().count() as u64
    });
    assert_eq!(p.stats().await.expect("counts"), expected);
}

/// What is found by name is what a reading of every entry finds, the last recorded first.
async fn check_named(p: &Arc<Projections>, scanned: &[Scanned]) {
    use greffe_domain::kind::EventType as E;
    for words in
        ["caisse", "ARRÊTS", "arrets  suivi", "u", "n°", "%", "_", "a_b", "usine", "", "zzz"]
    {
        let asked: Vec<String> = words.split_whitespace().map(read::fold).collect();
        let mut expected = Vec::new();
        for s in scanned.iter().rev() {
            let names = matches!(
                s.row.event_type,
                E::ProcessingDeclared
                    | E::ProcessingAmended
                    | E::DecisionRendered
                    | E::ExperimentLaunched
                    | E::PartyRegistered
            );
            let text = s.filed().filter(|_| names).map(read::searched_text).unwrap_or_default();
            let thing = (s.row.stream.kind, s.row.stream.id.clone());
            let holds = !asked.is_empty() && asked.iter().all(|word| text.contains(word));
            if holds && !expected.contains(&thing) {
                expected.push(thing);
            }
        }
        for limit in [1, 3, 1_000] {
            let found = p.named(words.to_owned(), limit).await.expect("an answer");
            assert_eq!(found, expected[..limit.min(expected.len())], "{words:?}, {limit} at most");
        }
    }
}

/// What the register gives in order is what it holds, sorted.
fn check_order(register: &Register) {
    use greffe_domain::kind::StreamType as T;
    let sorted = |mut all: Vec<(u64, String)>| {
        all.sort();
        all
    };
    let declared = || register.processings().filter(|(_, p)| !p.versions.is_empty());
    let processings = declared().map(|(id, p)| (p.first, id.clone())).collect();
    assert_eq!(register.in_order(T::Processing), sorted(processings));
    let decisions = register.decisions().map(|(id, d)| (d.rendered.position, id.clone()));
    assert_eq!(register.in_order(T::Decision), sorted(decisions.collect()));
    let experiments = register.experiments().map(|(id, e)| (e.first, id.clone()));
    assert_eq!(register.in_order(T::Experiment), sorted(experiments.collect()));
    let parties = register.parties().map(|(id, p)| (p.position, id.clone()));
    assert_eq!(register.in_order(T::Party), sorted(parties.collect()));
    let versions = declared()
        .flat_map(|(id, p)| p.versions.iter().map(|v| (v.position, T::Processing, id.clone())));
    let rendered =
        register.decisions().map(|(id, d)| (d.rendered.position, T::Decision, id.clone()));
    let mut acts: Vec<(u64, T, String)> = versions.chain(rendered).collect();
    acts.sort_by_key(|(position, ..)| *position);
    assert_eq!(register.acts(), acts);
    for (party, _) in register.parties() {
        let own = |(id, p): (&String, &greffe_domain::register::Processing)| {
            (p.controller.as_ref() == Some(party)).then(|| id.clone())
        };
        let expected: BTreeSet<String> = register.processings().filter_map(own).collect();
        let mut given = register.controlled_by(party).to_vec();
        given.sort();
        assert_eq!(given, expected.into_iter().collect::<Vec<_>>(), "each once");
    }
}

/// What stands of each access, judged after every later entry whatever that is about, with
/// values that were erased left out, as they are for whoever rebuilds.
fn standings(ledger: &Ledger, scanned: &[Scanned]) -> Vec<Standing> {
    let mut standings = Vec::new();
    for s in scanned.iter().filter(|s| s.access().is_some()) {
        let case = Case {
            access: s.access().expect("an access"),
            days: s.filed().expect("filed").at.valid_days(s.row.time.date()),
            recorded: Some((s.row.position.0, s.row.time)),
        };
        let mut standing = Standing::as_recorded(s.row.position.0, s.verdict());
        for by in s.row.position.0 + 1..scanned.len() as u64 {
            let after = ledger.with_register(|register| {
                judge_again(&CURRENT, &case, s.verdict(), register.view(by + 1))
            });
            standing.follow(by, after.expect("a processing"));
        }
        standings.push(standing);
    }
    standings
}

/// Counted as counting one by one finds it.
async fn check_counts(p: &Arc<Projections>, scanned: &[Scanned], standings: &[Standing]) {
    let mut accesses: BTreeMap<_, u64> = BTreeMap::new();
    let mut parties: BTreeMap<_, u64> = BTreeMap::new();
    let mut findings: BTreeMap<_, u64> = BTreeMap::new();
    let mut standing_by: BTreeMap<String, u64> = BTreeMap::new();
    let mut changed: Vec<u64> = Vec::new();
    let mut moved: Vec<u64> = Vec::new();
    for standing in standings {
        let s = &scanned[usize::try_from(standing.position).expect("a position")];
        let access = s.access().expect("an access");
        let days = s.filed().expect("filed").at.valid_days(s.row.time.date());
        let month = days.latest.or(days.earliest).map(|day| (day.year(), day.month()));
        let then = s.verdict().verdict.as_str().to_owned();
        let now = standing.now.verdict.as_str().to_owned();
        let bases: BTreeSet<_> = access.basis.codes.iter().map(|b| b.as_str().to_owned()).collect();
        for basis in bases.into_iter().map(Some).chain([None]) {
            *accesses.entry((month, basis, then.clone(), now.clone())).or_default() += 1;
        }
        for party in s.parties() {
            *parties.entry((party, then.clone(), now.clone())).or_default() += 1;
        }
        let discloser = access.discloser.clone().or(s.controller.clone());
        for stood in &standing.findings {
            let state = stood.state(standing.position);
            let code = stood.code.as_str().to_owned();
            for party in
                [None, discloser.clone()].into_iter().take(1 + usize::from(discloser.is_some()))
            {
                *findings.entry((party, code.clone(), state.as_str())).or_default() += 1;
            }
            if let Some(discloser) = discloser.clone().filter(|_| stood.until.is_none()) {
                *standing_by.entry(discloser).or_default() += 1;
            }
            moved.extend(stood.until.or(Some(stood.since)).filter(|by| *by > standing.position));
        }
        changed.extend(standing.changed_by.last());
    }
    let counted = p.access_counts().await.expect("counts");
    let counted: BTreeMap<_, u64> =
        counted.into_iter().map(|c| ((c.month, c.basis, c.then, c.now), c.accesses)).collect();
    assert_eq!(counted, accesses);
    let everybody: BTreeSet<String> = parties.keys().map(|(party, ..)| party.clone()).collect();
    let mut counted = BTreeMap::new();
    for party in everybody.iter().cloned().chain(["nobody".to_owned()]) {
        for c in p.party_counts(party.clone()).await.expect("counts") {
            counted.insert((party.clone(), c.then, c.now), c.accesses);
        }
    }
    assert_eq!(counted, parties);
    let mut counted = BTreeMap::new();
    for party in everybody.into_iter().map(Some).chain([None]) {
        for c in p.finding_counts(party).await.expect("counts") {
            counted.insert((c.party, c.code, c.state.as_str()), c.findings);
        }
    }
    assert_eq!(counted, findings);
    let by: BTreeMap<_, _> =
        p.findings_by_party(1_000).await.expect("counts").into_iter().collect();
    assert_eq!(by, standing_by);
    for since in [0, scanned.len() / 2, scanned.len() - 1] {
        let time = scanned[since].row.time;
        let first = scanned.iter().position(|s| s.row.time >= time).expect("itself") as u64;
        let after = |positions: &[u64]| {
            (positions.iter().filter(|p| **p >= first).count() as u64).min(MAX_COUNTED + 1)
        };
        let expected = Changed { accesses: after(&changed), findings: after(&moved) };
        assert_eq!(p.changed_since(time).await.expect("counts"), expected, "since {since}");
    }
}

/// Stored as a judgement of everything after every entry finds it.
async fn check_now(p: &Arc<Projections>, ledger: &Ledger, scanned: &[Scanned]) {
    let standings = standings(ledger, scanned);
    check_counts(p, scanned, &standings).await;
    for standing in standings {
        let row = p.access(standing.position).await.expect("a page").expect("an access");
        let s = &scanned[usize::try_from(standing.position).expect("a position")];
        let now = row.now.verdict.as_ref().unwrap_or(s.verdict());
        let by: Vec<String> = scanned[usize::try_from(standing.position).expect("a position")..]
            .iter()
            .map(|s| format!("{} {}", s.row.position, s.row.event_type))
            .collect();
        assert!(
            is_same(now, &standing.now),
            "access {}\nstored {now:#?}\nnaive {:#?}\n{by:?}",
            standing.position,
            standing.now
        );
        assert_eq!(row.now.changed_by, standing.changed_by, "{by:?}");
        assert_eq!(row.now.outcome, standing.now.verdict.as_str());
        let since = standing.changed_by.last().copied().unwrap_or(standing.position);
        assert_eq!(row.now.since, since);
        let found = p
            .findings(FindingFilter {
                cursor: Some(standing.position * 1_024),
                limit: 1_000,
                ..FindingFilter::default()
            })
            .await
            .expect("a page");
        let found = found.items.into_iter().filter(|f| f.position == standing.position);
        let found: Vec<_> = found
            .map(|f| {
                let until = f.until.map(|until| until.position);
                (f.code, f.evidence, f.positions, f.state, f.since.position, until)
            })
            .collect();
        let expected: Vec<_> = standing
            .findings
            .iter()
            .map(|f| {
                let (code, evidence) = (f.code.as_str().to_owned(), f.evidence.as_str().to_owned());
                let state = f.state(standing.position);
                (code, evidence, f.positions.clone(), state, f.since, f.until)
            })
            .collect();
        assert_eq!(found, expected, "access {} {by:?}", standing.position);
    }
}

/// With few keys that wait in memory, so that they are soon swept into their table.
fn open(directory: &Path) -> Arc<Projections> {
    Arc::new(Projections::open_with(&directory.join(PROJECTIONS_FILE), 7).expect("projections"))
}

/// Every row of every table, as text, but for where keys are: all of them are somewhere.
fn dump(p: &Projections) -> Vec<String> {
    check_keys(p);
    p.query_now("dump", |c| {
        let mut out = Vec::new();
        // Ids depend on the order in which words were met, which is that of the entries.
        for table in [
            "progress",
            "words",
            "postings",
            "entries",
            "texts",
            "accesses",
            "findings",
            "subjects",
            "access_counts",
            "party_counts",
            "finding_counts",
        ] {
            let mut statement = c.prepare(&format!("SELECT * FROM {table}"))?;
            // How far keys are in their table depends on the batches: see `check_keys`.
            let columns = statement.column_count() - usize::from(table == "progress");
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values: Vec<_> = (0..columns)
                    .map(|i| row.get::<_, rusqlite::types::Value>(i))
                    .collect::<Result<_, _>>()?;
                out.push(format!("{table} {values:?}"));
            }
        }
        Ok(out)
    })
    .expect("every row")
}

/// Every row of a subject has a key, in the table or in memory, and nothing else has.
fn check_keys(p: &Projections) {
    let waiting: BTreeSet<(i64, i64)> =
        p.keys.read().expect("no writer panicked").index.all().copied().collect();
    let (of_rows, in_table) = p
        .query_now("check keys", |c| {
            let of_rows = c
                .prepare("SELECT reference, id FROM subjects")?
                .query_map([], |row| {
                    let reference: [u8; 32] = row.get(0)?;
                    let first = reference[..8].try_into().expect("eight bytes");
                    Ok((i64::from_be_bytes(first), row.get(1)?))
                })?
                .collect::<rusqlite::Result<BTreeSet<(i64, i64)>>>()?;
            let in_table = c
                .prepare("SELECT key, id FROM subject_keys")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<BTreeSet<(i64, i64)>>>()?;
            Ok((of_rows, in_table))
        })
        .expect("every key");
    assert_eq!(&waiting | &in_table, of_rows);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_filter_answers_as_a_scan_of_the_entries_does(
        steps in steps(),
        reads in prop::collection::vec(1..9_usize, 1..6),
        batch in 1..7_usize,
        started in any::<bool>(),
        remembered in any::<bool>(),
    ) {
        runtime().block_on(async {
            let directory = tempfile::tempdir().expect("a directory");
            let mut court = Court::open().await;
            let mut p = open(directory.path());
            let recent = court.ledger.keep_recent();
            if started {
                start_experiments(&mut court).await;
            }
            for (n, step) in steps.iter().enumerate() {
                court.play(step).await;
                // Caught up now and then, in batches of another size; closed and opened.
                if n % reads[n % reads.len()] == 0 {
                    let _pass = p.pass.lock().await;
                    let recent = remembered.then_some(&*recent);
                    p.pass(&court.ledger, recent, batch).await.expect("a pass");
                }
                if n % 11 == 10 {
                    p = open(directory.path());
                }
            }
            p.catch_up(&court.ledger).await.expect("a pass");
            assert_eq!(p.lag(&court.ledger), 0);
            let scanned = scan(&court.ledger).await;
            check_accesses(&p, &scanned).await;
            check_findings(&p, &court.ledger, &scanned).await;
            check_audit(&p, &scanned).await;
            check_named(&p, &scanned).await;
            court.ledger.with_register(check_order);
            check_stats(&p, &scanned).await;
            check_now(&p, &court.ledger, &scanned).await;
            let incremental = dump(&p);
            p.rebuild(&court.ledger).await.expect("a rebuild");
            assert_eq!(dump(&p), incremental);
            court.ledger.shutdown().await;
        });
    }
}

/// Two processings that run as an experiment each.
async fn start_experiments(court: &mut Court) {
    for n in 0..2 {
        court.play(&Step::Declare { who: 0, processing: n, date: 1 }).await;
        court.play(&Step::Other { what: 15, processing: n, n }).await;
    }
}

/// A ledger with a processing and `n` accesses.
async fn court_with(n: usize) -> Court {
    let mut court = Court::open().await;
    court.play(&Step::Declare { who: 0, processing: 0, date: 1 }).await;
    more_accesses(&mut court, n).await;
    court
}

async fn more_accesses(court: &mut Court, n: usize) {
    for seed in 0..n {
        court
            .play(&Step::Access { who: 0, processing: 0, purpose: 0, date: 3, people: 1, seed })
            .await;
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_miss_an_access_while_entries_arrive() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(7).await;
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    for filter in [
        AccessFilter { limit: 3, ..AccessFilter::default() },
        AccessFilter { limit: 3, party: Some("usine".to_owned()), ..AccessFilter::default() },
    ] {
        let mut filter = filter;
        let mut seen = Vec::new();
        let mut until = 0;
        loop {
            let page = p.accesses(filter.clone()).await.expect("a page");
            seen.extend(page.items.iter().map(|r| r.position));
            let Some(next) = page.next else { break };
            filter.cursor = Some(next);
            if until < 3 {
                more_accesses(&mut court, 1).await;
                p.catch_up(&court.ledger).await.expect("a pass");
                until += 1;
            }
        }
        let expected: Vec<u64> = court.accesses.iter().map(|(position, _)| *position).collect();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_batch_that_fails_leaves_the_rows_and_the_cursor_of_the_one_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let court = court_with(12).await;
    let store = court.ledger.store();
    let rows = store.entries(Position(0), 100).await.expect("entries");
    let disclosures = store.disclosures(Position(0), Position(100)).await.expect("disclosures");
    let (first, second) = rows.split_at(12);
    let apply = |p: &Projections, rows: &[EntryRow]| {
        let none = |_: &[Position]| Ok((Vec::new(), Vec::new()));
        court
            .ledger
            .with_register(|r| p.apply(ORIGIN, rows.to_vec(), disclosures.clone(), r, &none))
    };
    let p = open(directory.path());
    apply(&p, first).expect("a batch");
    let before = dump(&p);

    // Stopped in the middle of a transaction, as a crash would.
    let blocker =
        rusqlite::Connection::open(directory.path().join(PROJECTIONS_FILE)).expect("a connection");
    blocker
        .execute_batch(
            "CREATE TRIGGER stop BEFORE INSERT ON accesses WHEN NEW.position > 15 \
             BEGIN SELECT RAISE(ABORT, 'stopped'); END",
        )
        .expect("a trigger");
    apply(&p, second).expect_err("the trigger stops it");
    assert_eq!(dump(&p), before);
    drop(p);
    blocker.execute_batch("DROP TRIGGER stop").expect("no trigger");
    drop(blocker);

    let p = open(directory.path());
    assert_eq!(p.size(), TreeSize(12));
    assert_eq!(dump(&p), before);
    assert_eq!(p.catch_up(&court.ledger).await.expect("a pass"), court.ledger.size());
    let resumed = dump(&p);
    p.rebuild(&court.ledger).await.expect("a rebuild");
    assert_eq!(dump(&p), resumed);
}

#[tokio::test]
async fn after_a_failure_the_same_projections_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let court = court_with(4).await;
    let p = open(directory.path());
    let blocker =
        rusqlite::Connection::open(directory.path().join(PROJECTIONS_FILE)).expect("a connection");
    let stop = "CREATE TRIGGER stop BEFORE INSERT ON accesses BEGIN SELECT RAISE(ABORT, 'x'); END";
    blocker.execute_batch(stop).expect("a trigger");
    p.catch_up(&court.ledger).await.expect_err("the trigger stops it");
    blocker.execute_batch("DROP TRIGGER stop").expect("no trigger");
    p.catch_up(&court.ledger).await.expect("a pass");
    let scanned = scan(&court.ledger).await;
    check_accesses(&p, &scanned).await;
    check_stats(&p, &scanned).await;
}

#[tokio::test]
async fn another_schema_another_ledger_and_garbage_are_dropped_and_rebuilt() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(PROJECTIONS_FILE);
    let court = court_with(5).await;
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    let right = dump(&p);
    drop(p);

    let connection = rusqlite::Connection::open(&path).expect("a connection");
    connection.pragma_update(None, "user_version", SCHEMA + 1).expect("another version");
    drop(connection);
    let p = open(directory.path());
    assert_eq!(p.size(), TreeSize(0));
    p.catch_up(&court.ledger).await.expect("a pass");
    assert_eq!(dump(&p), right);

    // The same name, other entries: links are random, so no two ledgers share one.
    let other = court_with(9).await;
    p.catch_up(&other.ledger).await.expect("a pass");
    check_accesses(&p, &scan(&other.ledger).await).await;
    drop(p);

    std::fs::write(&path, b"this is not a database, and long enough to be taken for one")
        .expect("garbage");
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    assert_eq!(dump(&p), right);
}

#[tokio::test]
async fn an_erased_subject_leaves_no_byte_of_its_reference() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(0).await;
    // Cohort of one, then an individual.
    for seed in [1, 2] {
        let access = Step::Access { who: 0, processing: 0, purpose: 0, date: 3, people: 1, seed };
        court.play(&access).await;
    }
    let file = directory.path().join(PROJECTIONS_FILE);
    let p = Arc::new(Projections::open_with(&file, 1).expect("projections"));
    p.catch_up(&court.ledger).await.expect("a pass");
    more_accesses(&mut court, 1).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    let in_table = || {
        p.query_now("count keys", |c| {
            c.query_row("SELECT count(*) FROM subject_keys", [], |row| row.get::<_, i64>(0))
        })
    };
    assert_eq!(in_table().expect("a number"), 2, "the keys of the first pass were swept");
    let files = || -> Vec<u8> {
        std::fs::read_dir(directory.path())
            .expect("a directory")
            .flat_map(|f| std::fs::read(f.expect("a file").path()).expect("its bytes"))
            .collect()
    };
    // What a key is made of, and what a reference begins with.
    let holds = |person: usize| {
        let reference = reference(person).0;
        files().windows(8).any(|bytes| bytes == &reference[..8])
    };
    assert!(holds(1) && holds(2));
    court.play(&Step::Erase { access: 0 }).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    assert!(!holds(1), "the member erased is gone from the file and its log");
    assert!(holds(2), "the other one stays");
    assert_eq!(in_table().expect("a number"), 1, "the key went with its row");
    check_keys(&p);
    check_accesses(&p, &scan(&court.ledger).await).await;
}

#[tokio::test]
async fn what_is_erased_while_somebody_reads_leaves_the_log_once_they_have_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(PROJECTIONS_FILE);
    let mut court = court_with(3).await;
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    let reader = open_reader(&path).expect("a connection");
    let hold = || {
        reader.execute_batch("BEGIN").expect("a transaction");
        reader.query_row("SELECT size FROM progress", [], |_| Ok(())).expect("a snapshot");
    };
    let log = || std::fs::metadata(path.with_extension("db-wal")).map_or(0, |file| file.len());
    hold();
    court.play(&Step::Erase { access: 0 }).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    assert!(p.fold_owed.load(Ordering::SeqCst) && log() > 0, "a reader holds the log");
    reader.execute_batch("COMMIT").expect("read");
    p.catch_up(&court.ledger).await.expect("nothing new");
    assert!(!p.fold_owed.load(Ordering::SeqCst));
    assert_eq!(log(), 0);

    // Stopped before it came to that.
    hold();
    court.play(&Step::Erase { access: 2 }).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    assert!(p.fold_owed.load(Ordering::SeqCst));
    let copy = tempfile::tempdir().expect("a directory");
    for suffix in ["db", "db-wal"] {
        let file = path.with_extension(suffix);
        let name = file.file_name().expect("a name").to_owned();
        std::fs::copy(file, copy.path().join(name)).expect("copied");
    }
    let again = open(copy.path());
    assert!(!again.fold_owed.load(Ordering::SeqCst));
    let log = std::fs::metadata(copy.path().join("projections.db-wal"));
    assert_eq!(log.map_or(0, |file| file.len()), 0);
}

#[tokio::test]
async fn a_file_damaged_while_it_is_open_is_dropped_and_filled_again() {
    use std::os::unix::fs::FileExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(PROJECTIONS_FILE);
    let mut court = court_with(9).await;
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    // All of it is in the file, and none in the log.
    assert!(crate::store::sqlite::fold_log(
        &rusqlite::Connection::open(&path).expect("a connection")
    ));
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file");
    let pages = file.metadata().expect("its size").len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0xff; 4096], page * 4096).expect("written over");
    }
    let damaged = p.accesses(AccessFilter::default()).await.expect_err("it cannot be read");
    assert_eq!(damaged.kind(), FaultKind::Corrupt);
    more_accesses(&mut court, 1).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    let scanned = scan(&court.ledger).await;
    check_accesses(&p, &scanned).await;
    check_stats(&p, &scanned).await;
}

#[tokio::test]
async fn a_store_that_is_late_ends_a_pass_and_loses_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(FaultyStore::new(MemoryStore::new(ORIGIN)));
    let mut court = Court::on(Arc::clone(&store) as _).await;
    court.play(&Step::Declare { who: 0, processing: 0, date: 1 }).await;
    more_accesses(&mut court, 6).await;
    let p = open(directory.path());
    let end = Position(court.ledger.size().0 - 2);
    store.end_at(end);
    let late = p.catch_up(&court.ledger).await.expect_err("entries are missing");
    assert_eq!(late.kind(), FaultKind::Unavailable);
    assert_eq!(p.size(), TreeSize(end.0));
    store.end_at(Position(u64::MAX));
    assert_eq!(p.catch_up(&court.ledger).await.expect("a pass"), court.ledger.size());
    check_accesses(&p, &scan(&court.ledger).await).await;
}

#[tokio::test]
async fn what_is_read_for_one_transaction_is_bounded_in_bytes_too() {
    let store = MemoryStore::new(contract::ORIGIN);
    let mut sample = contract::Sample::default();
    let leaf = vec![b' '; 64 * 1024];
    let most = BATCH_BYTES / leaf.len() + READ_ENTRIES;
    while sample.head().size.0 < 2 * most as u64 {
        let mut batch = sample.batch(64, 1);
        batch.entries.iter_mut().for_each(|row| row.sealed.leaf = leaf.clone());
        sample.add(&batch);
        store.append(batch).await.expect("appended");
    }
    let (rows, _) = read_rows(&store, Position(0), BATCH_ENTRIES).await.expect("rows");
    assert!((most - READ_ENTRIES..=most).contains(&rows.len()), "{} of {most}", rows.len());
    let (few, _) = read_rows(&store, Position(3), 5).await.expect("rows");
    let positions: Vec<u64> = few.iter().map(|row| row.position.0).collect();
    assert_eq!(positions, [3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_snapshot_finds_everybody_whatever_memory_has_become() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(12).await;
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    let reader = open_reader(&directory.path().join(PROJECTIONS_FILE)).expect("a connection");
    let asked = || -> Vec<Vec<u64>> {
        let of = |person| {
            let filter =
                AccessFilter { subject: Some(reference(person)), limit: 99, ..Default::default() };
            let page = query::accesses(&reader, &p.keys, &filter).expect("a page");
            page.items.iter().map(|row| row.position).collect()
        };
        (0..5).map(of).collect()
    };
    reader.execute_batch("BEGIN").expect("a transaction");
    let before = asked();
    assert!(before.iter().flatten().count() > 5, "{before:?}");
    for _ in 0..20 {
        more_accesses(&mut court, 3).await;
        p.catch_up(&court.ledger).await.expect("a pass");
        assert_eq!(asked(), before);
    }
    reader.execute_batch("COMMIT").expect("a transaction");
    let after = asked();
    assert!(after.iter().flatten().count() > before.iter().flatten().count() + 20, "{after:?}");
    check_accesses(&p, &scan(&court.ledger).await).await;
}

#[tokio::test]
async fn what_was_just_recorded_is_not_read_back() {
    let mut court = court_with(1).await;
    let recent = court.ledger.keep_recent();
    let from = court.ledger.size().next();
    more_accesses(&mut court, 3).await;
    let read = async |from: Position| {
        let (read, origin) =
            read_batch(&court.ledger, Some(&recent), from, 2).await.expect("entries");
        (read.iter().map(|entry| entry.position).collect::<Vec<_>>(), origin)
    };
    let before = Position(from.0 - 1);
    assert_eq!(read(before).await, (vec![before.0, from.0], Origin::Store));
    assert_eq!(read(from).await, (vec![from.0, from.0 + 1], Origin::Memory));
    assert_eq!(read(from).await, (vec![from.0, from.0 + 1], Origin::Store), "taken once");
    assert_eq!(read(Position(from.0 + 2)).await, (vec![from.0 + 2], Origin::Memory));
}

#[tokio::test]
async fn who_filed_reads_what_it_filed() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(0).await;
    let p = open(directory.path());
    let follower = tokio::spawn(Arc::clone(&p).run(court.ledger.clone()));
    for n in 1..6 {
        more_accesses(&mut court, 1).await;
        p.wait_for(court.ledger.size()).await;
        assert_eq!(all_accesses(&p, &AccessFilter::default()).await.len(), n);
    }
    follower.abort();
}

#[tokio::test]
async fn a_later_refusal_changes_the_verdict_and_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(1).await;
    let p = open(directory.path());
    let access = court.accesses[0].0;
    let store = Arc::clone(court.ledger.store());
    let leaf = store.entry(Position(access)).await.expect("a row").expect("one").sealed;
    court.play(&Step::Contest { access: 0 }).await;
    p.catch_up(&court.ledger).await.expect("a pass");
    let row = p.access(access).await.expect("a page").expect("an access");
    assert_eq!((row.now.verdict, row.now.changed_by, row.now.since), (None, vec![], access));
    court.play(&Step::Decide { processing: 0, purpose: 0, outcome: 0, date: 1 }).await;
    let refusal = court.ledger.size().0 - 1;
    p.catch_up(&court.ledger).await.expect("a pass");
    let row = p.access(access).await.expect("a page").expect("an access");
    assert_eq!((&*row.now.changed_by, row.now.since), (&[refusal][..], refusal));
    let now = row.now.verdict.expect("another than recorded");
    assert!(now.findings.iter().any(|f| f.positions.contains(&refusal)));
    let found = p
        .findings(FindingFilter {
            code: Some("PURPOSE-REFUSED".to_owned()),
            limit: 9,
            ..FindingFilter::default()
        })
        .await
        .expect("a page");
    let [finding] = &found.items[..] else { panic!("one finding, not {:?}", found.items) };
    assert_eq!((finding.position, finding.state), (access, State::Changed));
    assert_eq!((finding.since.position, finding.cause), (refusal, Some(refusal)));
    // Nothing recorded is rewritten.
    let after = store.entry(Position(access)).await.expect("a row").expect("one").sealed;
    assert_eq!((after.leaf, after.link, after.signature), (leaf.leaf, leaf.link, leaf.signature));
}

#[tokio::test]
async fn each_kind_of_entry_has_what_it_touches_judged_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(0).await;
    start_experiments(&mut court).await;
    for seed in 0..60 {
        let (processing, purpose) = (seed % 2, seed / 2 % 2);
        let who = [0, 3, 2][seed % 3];
        let access = Step::Access { who, processing, purpose, date: 3, people: 2, seed };
        court.play(&access).await;
    }
    for n in 0..12 {
        court.play(&Step::Decide { processing: n % 2, purpose: n / 2, outcome: n, date: n }).await;
        for what in 0..24 {
            // Ends of experiments stay for the last.
            if what != 20 || n > 7 {
                court.play(&Step::Other { what, processing: n % 2, n }).await;
            }
        }
    }
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    check_now(&p, &court.ledger, &scan(&court.ledger).await).await;
    for access in 0..30 {
        court.play(&Step::Erase { access: access * 2 }).await;
    }
    // Everything that was said of some persons and groups.
    for (_, digests) in court.accesses.clone().into_iter().skip(25).take(20) {
        let body = json!({"digests": digests, "ground": "art-17", "scope": "un accès"});
        let _ = court.file("greffe", "subject.erase", None, "act", body).await;
    }
    p.catch_up(&court.ledger).await.expect("a pass");
    let scanned = scan(&court.ledger).await;
    let kinds: BTreeSet<&str> = scanned.iter().map(|s| s.row.event_type.as_str()).collect();
    assert!(kinds.len() >= 29, "{kinds:?}");
    check_now(&p, &court.ledger, &scanned).await;
    let followed = dump(&p);
    p.rebuild(&court.ledger).await.expect("a rebuild");
    assert_eq!(dump(&p), followed);
}

#[tokio::test]
async fn what_rested_on_a_value_since_erased_is_as_it_was_recorded() {
    // Whose value is erased: the access's, or that of the objection of the same person.
    for own in [true, false] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut court = court_with(0).await;
        more_accesses(&mut court, 1).await;
        let (access, digests) = court.accesses[0].clone();
        let p = open(directory.path());
        court.play(&Step::Object { processing: 0, person: 0 }).await;
        let objection = court.ledger.size().0 - 1;
        p.catch_up(&court.ledger).await.expect("a pass");
        let row = p.access(access).await.expect("a page").expect("an access");
        assert_eq!(row.now.changed_by, [objection]);
        let digest = if own { digests[0].clone() } else { court.said[0].clone() };
        let body = json!({"digests": [digest], "ground": "art-17", "scope": "un accès"});
        court.file("greffe", "subject.erase", None, "act", body).await.expect("an erasure");
        p.catch_up(&court.ledger).await.expect("a pass");
        let row = p.access(access).await.expect("a page").expect("an access");
        assert_eq!((row.now.verdict, row.now.changed_by, row.now.since), (None, vec![], access));
        check_now(&p, &court.ledger, &scan(&court.ledger).await).await;
        let followed = dump(&p);
        p.rebuild(&court.ledger).await.expect("a rebuild");
        assert_eq!(dump(&p), followed);
    }
}

/// Positions that an entry has judged again.
fn in_scope(p: &Projections, event: &Event, register: &Register, at: u64) -> Vec<u64> {
    use greffe_domain::rules::touch::touched;
    let scope = touched(event, register.view(at + 1));
    let mut held = lock(&p.writer);
    let writer = held.as_mut().expect("a writer");
    let erased = scope.digests.iter().filter_map(|d| read::digest(d)).collect();
    let mut writing = Writing::new(&writer.connection, &mut writer.words, &p.keys, erased);
    again::select(&mut writing, &scope, at).expect("positions")
}

#[tokio::test]
async fn an_entry_touches_what_it_is_about_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut court = court_with(0).await;
    court.play(&Step::Declare { who: 0, processing: 1, date: 1 }).await;
    for n in 0..24 {
        let (processing, purpose) = (n % 2, n / 2 % 2);
        court
            .play(&Step::Access { who: 0, processing, purpose, date: 3, people: 1, seed: n })
            .await;
    }
    court.play(&Step::Decide { processing: 0, purpose: 1, outcome: 0, date: 1 }).await;
    court.play(&Step::Object { processing: 0, person: 2 }).await;
    for other in 0..21 {
        court.play(&Step::Other { what: other, processing: 0, n: other }).await;
    }
    let p = open(directory.path());
    p.catch_up(&court.ledger).await.expect("a pass");
    let scanned = scan(&court.ledger).await;
    for s in &scanned {
        let found = court
            .ledger
            .with_register(|register| in_scope(&p, &s.event, register, s.row.position.0));
        for position in found {
            let access = scanned[usize::try_from(position).expect("a position")].access();
            let access = access.expect("only accesses are touched");
            match s.filed().map(|f| &*f.body) {
                Some(Body::RenderDecision(b)) => {
                    assert_eq!(access.processing, b.processing);
                    assert!(b.outcomes.iter().any(|o| o.purpose == access.purpose));
                }
                Some(Body::RecordObjection(b) | Body::RecordAgreement(b)) => {
                    assert_eq!(access.processing, b.processing);
                    let person = b.subject.as_ref().and_then(|s| s.value.as_ref());
                    assert!(access.subjects.iter().any(|s| s.value.as_ref() == person));
                }
                Some(Body::RecordRuling(b)) if !b.accesses.is_empty() => {
                    assert!(b.accesses.contains(&position));
                }
                Some(Body::RecordMilestone(b)) => {
                    assert_ne!(b.milestone, "tender-launched");
                }
                Some(Body::RegisterParty(_) | Body::ContestAccess(_)) | None => {
                    panic!("{} touches {position}", s.row.event_type)
                }
                _ => {}
            }
        }
    }
}
