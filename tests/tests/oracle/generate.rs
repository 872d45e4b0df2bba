//! Random affairs: rich, plausible, reproducible from a seed.
//!
//! Days fall in a narrow window around one day, so that facts meet on the same day, just
//! before and just after a term; dates are given to the day, the month, the year, as
//! intervals, open intervals or not at all. Every code drawn comes from a small pool, so that
//! declarations, decisions, experiments and accesses speak of the same things.

use greffe_domain::body::{Access, Body};
use greffe_domain::date::{Interval, LegalDate, Timestamp};
use greffe_domain::edtf::Edtf;
use greffe_domain::encoding::base64url;
use greffe_domain::event::Event;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_domain::sdjwt::{self, Disclosure};
use serde_json::{Value, json};

use super::interpreter::Entry;

/// SplitMix64: short, and the same for ever.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len() as u64) as usize]
    }

    fn some<'a>(&mut self, from: &[&'a str], chance: u64) -> Vec<&'a str> {
        from.iter().filter(|_| self.percent(chance)).copied().collect()
    }
}

/// One fact to record, personal values in clear.
#[derive(Clone, Debug)]
pub struct Draft {
    pub iss: &'static str,
    pub kind: Kind,
    pub at: Option<String>,
    pub evidence: &'static str,
    pub body: Value,
    pub time: Timestamp,
}

/// An access that was asked about, not recorded.
#[derive(Clone, Debug)]
pub struct Asked {
    pub body: Value,
    pub at: String,
}

#[derive(Clone, Debug)]
pub struct Timeline {
    pub drafts: Vec<Draft>,
    pub asked: Vec<Asked>,
}

pub const FUND: &str = "caisse";
pub const FIRM: &str = "entreprise";
const AUTHORITY: &str = "cnil";
const COURT: &str = "tribunal";
const COUNCIL: &str = "comite";
const EMPLOYER: &str = "employeur";
const DESK: &str = "guichet";
const PRESS: &str = "presse";

const PARTIES: [(&str, &[&str]); 8] = [
    (FUND, &["controller"]),
    (FIRM, &["controller", "employer"]),
    (AUTHORITY, &["regulator"]),
    (COURT, &["court"]),
    (COUNCIL, &["works-council"]),
    (EMPLOYER, &["employer"]),
    (DESK, &["subject-desk"]),
    (PRESS, &["observer"]),
];

const PURPOSES: [&str; 3] = ["PUR-ABSENCE-BENCHMARK", "PUR-STAFF-STEERING", "PUR-DISCIPLINE"];
const CATEGORIES: [&str; 10] = [
    "ABS-RATE",
    "ABS-DURATION",
    "ABS-MOTIVE-TMS",
    "ABS-MOTIVE-RPS",
    "ABS-MOTIVE-INFERRED",
    "NIR",
    "SOC-DIFFICULTY",
    "CALL-RECORDING",
    "DMST",
    "IRDP-SCORE",
];
const ROLES: [&str; 6] =
    ["R-CARSAT", "R-EMPLOYER-HR", "R-LINE-MANAGER", "R-OCC-PHYSICIAN", "R-SPST-CELL", "R-VENDOR"];
const OUTCOMES: [&str; 12] = [
    "ACCEPTED",
    "ACCEPTED",
    "ACCEPTED-CONDITIONS",
    "ACCEPTED-CONDITIONS",
    "REFUSED",
    "REFUSED-AS-SUBMITTED",
    "OPINION-FAVOURABLE",
    "OPINION-UNFAVOURABLE",
    "TACIT-REJECTED",
    "TACIT-ACCEPTED",
    "RECOMMENDATION",
    "RECEIPT-ISSUED",
];
const FACTS: [&str; 9] = [
    "PURPOSE-INCOMPATIBLE",
    "SUBJECTS-NOT-INFORMED",
    "WORKS-COUNCIL-NOT-CONSULTED",
    "AUTHORISATION-NOT-SOUGHT",
    "CATEGORY-INFERRED",
    "HEADCOUNT-UNIT-AMBIGUOUS",
    "CALLERS-NOT-INFORMED",
    "CONDITION-NOT-MET",
    "CONCERTATION-MISSING",
];
const CONDITIONS: [&str; 3] = ["affichage", "concertation-sociale", "audit"];
const SITES: [&str; 3] = ["site-1", "site-2", "site-3"];
const PROCESSINGS: [&str; 2] = ["suivi", "index"];

/// Days on and around which the law changed, and days in the middle of each.
const MIDDLES: [(i32, u32, u32); 12] = [
    (1995, 6, 15),
    (2002, 3, 1),
    (2004, 8, 7),
    (2004, 11, 20),
    (2005, 3, 10),
    (2011, 6, 15),
    (2016, 2, 29),
    (2018, 5, 25),
    (2018, 9, 3),
    (2020, 6, 15),
    (2021, 5, 26),
    (2023, 12, 31),
];

struct Writer {
    dice: Dice,
    middle: LegalDate,
    now: Timestamp,
    drafts: Vec<Draft>,
    /// Processings declared, with their controller.
    processings: Vec<(&'static str, &'static str)>,
    formalities: Vec<(String, &'static str)>,
    decisions: Vec<String>,
    rulings: Vec<String>,
    experiments: Vec<(String, &'static str)>,
    /// Positions of the accesses recorded, with their processing.
    accesses: Vec<(u64, &'static str)>,
    names: u64,
    /// An affair in good order, in which few things go wrong.
    orderly: bool,
}

impl Timeline {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1));
        let (year, month, day) = MIDDLES[dice.below(MIDDLES.len() as u64) as usize];
        let middle = LegalDate::from_ymd(year, month, day).expect("a day of the calendar");
        let orderly = dice.percent(50);
        let mut writer = Writer {
            now: middle.add_days(-(dice.below(300) as i32)).start(),
            middle,
            dice,
            drafts: Vec::new(),
            processings: Vec::new(),
            formalities: Vec::new(),
            decisions: Vec::new(),
            rulings: Vec::new(),
            experiments: Vec::new(),
            accesses: Vec::new(),
            names: 0,
            orderly,
        };
        writer.write();
        let asked = (0..2).map(|_| writer.ask()).collect();
        Timeline { drafts: writer.drafts, asked }
    }
}

impl Writer {
    fn write(&mut self) {
        for (party, roles) in PARTIES {
            let body = json!({
                "party": party, "name": party, "roles": roles,
                "key": simulated_party_key(party).public().to_jwk(), "proof": base64url(&[0; 64]),
            });
            self.drafts.push(Draft {
                iss: "greffe",
                kind: Kind::PartyRegister,
                at: None,
                evidence: "act",
                body,
                time: self.now,
            });
        }
        self.declare(PROCESSINGS[0], FUND, false);
        if self.dice.percent(30) {
            self.declare(PROCESSINGS[1], FIRM, false);
        }
        if self.orderly || self.dice.percent(60) {
            self.formality(true);
        }
        if self.orderly || self.dice.percent(40) {
            self.inform("I-NOTICE-COLLECTIVE");
        }
        let more = 3 + self.dice.below(30);
        for _ in 0..more {
            self.one();
        }
        if self.accesses.is_empty() {
            self.access();
        }
        if self.dice.percent(50) {
            self.one();
        }
    }

    fn name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}-{}", self.names)
    }

    /// A day near the middle; the same few days come back often.
    fn day(&mut self) -> LegalDate {
        const USUAL: [i32; 12] = [-1, 0, 1, -1, 0, -30, -61, -122, -123, 30, -365, -366];
        let offset = if self.dice.percent(55) {
            USUAL[self.dice.below(USUAL.len() as u64) as usize]
        } else {
            self.dice.below(500) as i32 - 380
        };
        self.middle.add_days(offset)
    }

    fn date(&mut self) -> String {
        let day = self.day();
        let text = day.to_string();
        match self.dice.below(40) {
            0..4 => text[..7].to_owned(),
            4 => text[..4].to_owned(),
            5 => format!("../{text}"),
            6 => format!("{text}/.."),
            7 => {
                let end = day.add_days(self.dice.below(40) as i32);
                format!("{text}/{end}")
            }
            8 => format!("{text}?"),
            9 => format!("{}~", &text[..7]),
            _ => text,
        }
    }

    fn at(&mut self) -> Option<String> {
        (!self.dice.percent(4)).then(|| self.date())
    }

    /// Before the middle, most likely: what an affair in good order has behind it.
    fn early(&mut self) -> Option<String> {
        let day = self.middle.add_days(-(150 + self.dice.below(200) as i32));
        if self.dice.percent(80) { Some(day.to_string()) } else { self.at() }
    }

    fn file(&mut self, iss: &'static str, kind: Kind, at: Option<String>, body: Value) {
        let told = self.dice.percent(if self.orderly { 4 } else { 12 });
        let may_describe =
            kind.roles().iter().any(|r| r.as_str() == "observer") || kind.roles().is_empty();
        let (iss, evidence) = if told && may_describe && self.dice.percent(60) {
            (PRESS, self.dice.pick(&["press", "act"]))
        } else if told {
            (iss, self.dice.pick(&["statement", "press"]))
        } else {
            (iss, self.dice.pick(&["act", "act", "act", "receipt", "judgment"]))
        };
        // Seldom recorded on the spot; the clock never goes back.
        let wait = [0, 0, 1, 60, 3_600, 86_400, 86_400 * 4, 86_400 * 40];
        let seconds = wait[self.dice.below(wait.len() as u64) as usize];
        self.now = Timestamp::from_micros(self.now.micros() + seconds * 1_000_000 + 17);
        let time = self.now;
        self.drafts.push(Draft { iss, kind, at, evidence, body, time });
    }

    fn processing(&mut self) -> (&'static str, &'static str) {
        let n = self.processings.len() as u64;
        let n = if self.dice.percent(80) { 0 } else { self.dice.below(n) };
        self.processings[n as usize]
    }

    fn declaration(&mut self, processing: &str, controller: &str) -> Value {
        let odds = if self.orderly { 85 } else { 55 };
        let mut purposes = self.dice.some(&PURPOSES, odds);
        if purposes.is_empty() {
            purposes.push(PURPOSES[0]);
        }
        let mut categories: Vec<Value> = Vec::new();
        for code in CATEGORIES {
            if self.dice.percent(odds) {
                let mut category = json!({"code": code});
                if self.dice.percent(30) {
                    category["retention_days"] = json!([30, 60, 365][self.dice.below(3) as usize]);
                }
                categories.push(category);
            }
        }
        let mut recipients: Vec<Value> = Vec::new();
        for role in ROLES {
            if self.dice.percent(odds) {
                let mut recipient = json!({"role": role});
                if self.dice.percent(15) {
                    recipient["party"] = json!(self.dice.pick(&[FUND, EMPLOYER]));
                }
                recipients.push(recipient);
            }
        }
        let bases = ["A6-1-E", "LIL7-3", "UNSTATED", "N-A-1978", "A9-2-B"];
        let mut body = json!({
            "processing": processing, "title": "Suivi (inventé)",
            "purposes": purposes.iter().map(|p| json!({"code": p})).collect::<Vec<_>>(),
            "categories": categories, "subjects": ["Salariés"], "recipients": recipients,
            "legal_basis": [self.dice.pick(&bases)],
        });
        // Unnamed, nothing that the controller files afterwards would be its own.
        body["controller"] = json!(controller);
        if self.dice.percent(50) {
            body["special_basis"] = json!([self.dice.pick(&["A9-2-B", "LIL8-DEROG", "UNSTATED"])]);
        }
        if self.dice.percent(40) {
            body["monitors_staff"] = json!(self.dice.percent(70));
        }
        if self.dice.percent(40) {
            body["high_risk"] = json!(self.dice.percent(80));
        }
        if self.dice.percent(20) {
            body["identifiability"] = json!(self.dice.pick(&["NOMINATIVE", "ANONYMOUS"]));
        }
        body
    }

    fn declare(&mut self, processing: &'static str, controller: &'static str, again: bool) {
        let body = self.declaration(processing, controller);
        let kind = if again { Kind::ProcessingAmend } else { Kind::ProcessingDeclare };
        let at = if again { self.at() } else { self.early() };
        self.file(controller, kind, at, body);
        if !again {
            self.processings.push((processing, controller));
        }
    }

    fn formality(&mut self, early: bool) {
        let (processing, controller) = self.processing();
        let kinds: &[&str] = match self.middle.year() {
            ..2004 => &["F78-16-DECL", "F78-15-AVIS", "F78-17-NS", "F78-18-NIR", "F78-40-SANTE"],
            2004 => &["F78-16-DECL", "F78-15-AVIS", "F04-23-DN", "F04-25-AUT", "F78-18-NIR"],
            2005..2018 => &[
                "F04-23-DN",
                "F04-25-AUT",
                "F04-25-AUT",
                "F04-25-AU",
                "F04-24-NS",
                "F04-27-NIR",
                "F04-27-AVIS",
                "F04-RU",
                "F78-16-DECL",
                "F04-26-AVIS",
                "F04-54-SANTE",
                "F04-24-DISP",
                "F04-22-CIL",
            ],
            _ => &[
                "F18-30-REG",
                "F18-30-REG",
                "F18-30-REG",
                "F18-35-AIPD",
                "F18-36-CONS",
                "F18-L30-NIR",
                "F18-L66-AUT",
                "F18-L66-REF",
                "F18-L31-AVIS",
                "F18-L73-MR",
                "F04-23-DN",
                "F04-25-AUT",
            ],
        };
        let kind = if self.dice.percent(4) {
            "F-NONE"
        } else if early && self.orderly {
            if self.middle.year() >= 2018 { "F18-30-REG" } else { kinds[0] }
        } else {
            self.dice.pick(kinds)
        };
        let formality = self.name("formalite");
        let mut purposes = self.dice.some(&PURPOSES, 70);
        if early && self.orderly {
            purposes = PURPOSES.to_vec();
        }
        let mut body = json!({
            "formality": formality, "processing": processing, "kind": kind, "purposes": purposes,
        });
        if self.dice.percent(40) {
            body["number"] = json!("1234");
        }
        if self.dice.percent(20) {
            body["reference"] = json!("norme");
        }
        let at = if early { self.early() } else { self.at() };
        self.file(controller, Kind::FormalityFile, at, body);
        self.formalities.push((formality, processing));
    }

    fn inform(&mut self, step: &str) {
        let (processing, controller) = self.processing();
        let body = json!({"processing": processing, "step": step, "audience": "Salariés"});
        let at = if self.orderly { self.early() } else { self.at() };
        self.file(controller, Kind::InformationRecord, at, body);
    }

    fn decision(&mut self) {
        let (processing, _) = self.processing();
        let decision = self.name("decision");
        let mut outcomes: Vec<Value> = Vec::new();
        for purpose in PURPOSES {
            if !self.dice.percent(70) {
                continue;
            }
            let outcome = if self.orderly && self.dice.percent(70) {
                "ACCEPTED"
            } else {
                self.dice.pick(&OUTCOMES)
            };
            let mut said = json!({"purpose": purpose, "outcome": outcome});
            if self.dice.percent(25) {
                said["conditions"] = json!([{"condition": self.dice.pick(&CONDITIONS)}]);
            }
            if self.dice.percent(15) {
                said["grounds"] = json!([{"fact": self.dice.pick(&FACTS)}]);
            }
            outcomes.push(said);
        }
        let mut body = json!({
            "decision": decision, "processing": processing, "outcomes": outcomes,
        });
        if self.dice.percent(25) {
            body["effective_from"] = json!(self.date());
        }
        if self.dice.percent(20) {
            body["until"] = json!(self.date());
        }
        let here: Vec<String> = self
            .formalities
            .iter()
            .filter(|(_, p)| *p == processing)
            .map(|(formality, _)| formality.clone())
            .collect();
        if !here.is_empty() && self.dice.percent(40) {
            body["formality"] = json!(here[self.dice.below(here.len() as u64) as usize]);
        }
        let at = self.at();
        self.file(AUTHORITY, Kind::DecisionRender, at, body);
        self.decisions.push(decision);
    }

    fn end_decision(&mut self) {
        if self.decisions.is_empty() {
            return self.decision();
        }
        let n = self.dice.below(self.decisions.len() as u64) as usize;
        let how = self.dice.pick(&[
            "ANNULLED-EX-TUNC",
            "ANNULLED-DEFERRED",
            "WITHDRAWN-EX-TUNC",
            "REPEALED-EX-NUNC",
            "SUSPENDED",
            "EXPIRED",
        ]);
        let mut body = json!({
            "decision": self.decisions[n], "how": how, "effective_from": self.date(),
        });
        if self.dice.percent(20) {
            body["purposes"] = json!(self.dice.some(&PURPOSES, 50));
        }
        let iss = self.dice.pick(&[AUTHORITY, COURT]);
        let at = self.at();
        self.file(iss, Kind::DecisionEnd, at, body);
    }

    fn ruling(&mut self) {
        let ruling = self.name("jugement");
        let mut body = json!({
            "ruling": ruling, "court": "Tribunal (inventé)", "outcome": "COURT-UNLAWFUL",
        });
        let facts = self.dice.some(&FACTS, 25);
        let establishes: Vec<Value> =
            facts.iter().map(|f| json!({"fact": f, "holds": self.dice.percent(60)})).collect();
        body["establishes"] = json!(establishes);
        if self.accesses.is_empty() || self.dice.percent(60) {
            body["processing"] = json!(self.processing().0);
        }
        if !self.accesses.is_empty() && self.dice.percent(50) {
            let n = self.dice.below(self.accesses.len() as u64) as usize;
            body["accesses"] = json!([self.accesses[n].0]);
        }
        if self.dice.percent(40) {
            body["appeal"] = json!(self.dice.pick(&["open", "reserved", "closed", "none"]));
        }
        if self.dice.percent(30) {
            body["excludes_evidence"] = json!(self.dice.percent(70));
        }
        let iss = self.dice.pick(&[COURT, COURT, AUTHORITY]);
        let at = self.at();
        self.file(iss, Kind::RulingRecord, at, body);
        self.rulings.push(ruling);
    }

    fn about(&mut self) -> Value {
        let (processing, _) = self.processing();
        match self.dice.below(10) {
            0..2 if !self.experiments.is_empty() => {
                json!({"type": "experiment", "id": self.experiments[0].0})
            }
            2 if !self.accesses.is_empty() => {
                let n = self.dice.below(self.accesses.len() as u64) as usize;
                json!({"type": "access", "id": self.accesses[n].0.to_string()})
            }
            _ => json!({"type": "processing", "id": processing}),
        }
    }

    /// About a processing or an experiment.
    fn about_a_project(&mut self) -> Value {
        loop {
            let about = self.about();
            if about["type"] != "access" {
                return about;
            }
        }
    }

    fn statement(&mut self) {
        let mut claims: Vec<Value> = Vec::new();
        for _ in 0..1 + self.dice.below(2) {
            claims.push(json!({"fact": self.dice.pick(&FACTS), "holds": self.dice.percent(65)}));
        }
        let body = json!({"about": self.about(), "claims": claims});
        let iss = self.dice.pick(&[FUND, FIRM, COUNCIL, EMPLOYER]);
        let at = self.at();
        self.file(iss, Kind::StatementRecord, at, body);
    }

    fn site(&mut self) -> Value {
        let mut site = json!({"id": self.dice.pick(&SITES), "name": "Site (inventé)"});
        if self.dice.percent(75) {
            site["headcount"] = json!([150, 200, 201, 412][self.dice.below(4) as usize]);
        }
        if self.dice.percent(70) {
            site["headcount_on"] = json!(self.date());
        }
        site
    }

    fn launch(&mut self) {
        let (processing, controller) = self.processing();
        let experiment = self.name("essai");
        let mut body = json!({
            "experiment": experiment, "processing": processing,
            "unit": self.dice.pick(&["establishment", "company"]),
            "categories": self.dice.some(&CATEGORIES, if self.orderly { 90 } else { 50 }),
            "start": self.date(),
        });
        if self.dice.percent(15) {
            body["categories"] = json!(["ABS-MOTIVE-TMS"]);
        }
        if self.dice.percent(70) {
            body["headcount_above"] = json!(200);
        }
        if self.dice.percent(30) {
            body["end"] = json!(self.date());
        }
        if self.dice.percent(30) {
            body["minimum_days"] = json!([30, 122, 365][self.dice.below(3) as usize]);
        }
        if self.dice.percent(50) {
            body["evaluation_planned"] = json!(self.dice.percent(80));
        }
        if self.dice.percent(20) {
            body["regions"] = json!(["Nord", "Sud"]);
        }
        let at = if self.orderly { self.early() } else { self.at() };
        self.file(controller, Kind::ExperimentLaunch, at, body);
        self.experiments.push((experiment.clone(), controller));
        if self.dice.percent(70) {
            let body = json!({"experiment": experiment, "site": self.site()});
            let at = if self.orderly { self.early() } else { self.at() };
            self.file(controller, Kind::ExperimentEnrol, at, body);
        }
    }

    fn in_experiment(&mut self) {
        let Some((experiment, controller)) = self.experiments.last().cloned() else {
            return self.launch();
        };
        let at = self.at();
        let (kind, body) = match self.dice.below(12) {
            0..4 => (Kind::ExperimentEnrol, json!({"experiment": experiment, "site": self.site()})),
            4 | 5 => (
                Kind::ExperimentPlanExpansion,
                json!({"experiment": experiment, "target_sites": 40, "approximate": true}),
            ),
            6 | 7 => {
                let mut body = json!({"experiment": experiment});
                if self.dice.percent(60) {
                    body["sites"] = json!([self.site()]);
                }
                if self.dice.percent(40) {
                    body["categories"] = json!(self.dice.some(&CATEGORIES, 40));
                }
                if self.dice.percent(40) {
                    body["end"] = json!(self.date());
                }
                (Kind::ExperimentExpand, body)
            }
            8 => (Kind::ExperimentEnd, json!({"experiment": experiment})),
            9 => {
                let about = json!({"type": "experiment", "id": experiment});
                let condition = self.dice.pick(&CONDITIONS);
                (Kind::ConditionSet, json!({"about": about, "condition": condition}))
            }
            _ => (
                Kind::ExperimentEvaluate,
                json!({"experiment": experiment, "conclusions": ["positive"]}),
            ),
        };
        self.file(controller, kind, at, body);
    }

    fn person(&mut self) -> String {
        base64url(&[self.dice.below(3) as u8; 32])
    }

    fn access_body(&mut self) -> Value {
        let (processing, _) = self.processing();
        let role =
            if self.orderly && self.dice.percent(60) { "R-CARSAT" } else { self.dice.pick(&ROLES) };
        let party = self.dice.pick(&[FUND, FUND, EMPLOYER]);
        let mut recipient = json!({"party": party, "role": role});
        if self.dice.percent(75) {
            let mut site = json!({"id": self.dice.pick(&SITES)});
            if self.dice.percent(20) {
                site["headcount"] = json!([200, 201][self.dice.below(2) as usize]);
            }
            recipient["site"] = site;
        }
        let mut categories = self.dice.some(&CATEGORIES, 18);
        if categories.is_empty() {
            categories.push("ABS-RATE");
        }
        let codes = ["A6-1-E", "LIL7-3", "UNSTATED", "A9-2-B", "LIL8-DEROG", "N-A-1978"];
        let mut basis = json!({"codes": [self.dice.pick(&codes)]});
        if self.dice.percent(30) {
            basis["reference"] = json!(self.dice.pick(&["rapport", "norme", "1234", "inconnu"]));
        }
        let purpose = if self.dice.percent(60) { PURPOSES[0] } else { self.dice.pick(&PURPOSES) };
        let mut body = json!({
            "processing": processing, "purpose": purpose, "categories": categories,
            "recipient": recipient, "basis": basis, "channel": "report",
        });
        if !self.experiments.is_empty() && self.dice.percent(50) {
            let n = self.dice.below(self.experiments.len() as u64) as usize;
            body["experiment"] = json!(self.experiments[n].0);
        }
        if self.dice.percent(30) {
            body["identifiability"] =
                json!(self.dice.pick(&["NOMINATIVE", "PSEUDONYMOUS", "AGGREGATE-CHECKED"]));
        }
        if self.dice.percent(35) {
            body["period"] = json!(self.date());
        }
        if self.dice.percent(10) {
            body["data_retention_until"] = json!(self.date());
        }
        if self.dice.percent(55) {
            let mut cohort = json!({"units": ["site-1"], "cells": []});
            if self.dice.percent(20) {
                cohort["headcount"] = json!([200, 201][self.dice.below(2) as usize]);
            }
            if self.dice.percent(30) {
                cohort["members"] = json!([self.person()]);
            }
            body["cohort"] = cohort;
        } else {
            let mut persons = vec![self.person()];
            if self.dice.percent(30) {
                persons.push(base64url(&[7; 32]));
            }
            body["subjects"] = json!(persons);
        }
        body
    }

    fn access(&mut self) {
        let body = self.access_body();
        let processing = PROCESSINGS.iter().find(|p| body["processing"] == **p);
        let at = if self.dice.percent(70) {
            Some(self.middle.add_days(self.dice.below(3) as i32 - 1).to_string())
        } else {
            self.at()
        };
        let kind = if self.dice.percent(50) { Kind::AccessRequest } else { Kind::AccessReport };
        let position = self.drafts.len() as u64;
        // Recorded after its day, mostly: the clock catches up with it.
        let day = self.middle.start();
        if self.dice.percent(60) && self.now < day {
            self.now = day;
        }
        self.file(FUND, kind, at, body);
        self.accesses.push((position, processing.expect("one of two")));
    }

    fn ask(&mut self) -> Asked {
        let at = if self.dice.percent(60) { self.middle.to_string() } else { self.date() };
        Asked { body: self.access_body(), at }
    }

    fn one(&mut self) {
        let (processing, controller) = self.processing();
        let at = self.at();
        match self.dice.below(100) {
            0..14 => self.access(),
            14..18 => self.declare(processing, controller, true),
            18..26 => self.formality(false),
            26..30 => {
                let steps = [
                    "I-NOTICE-INDIVIDUAL",
                    "I-CALLER-NOTICE",
                    "I-CALLER-NOTICE",
                    "I-NOTICE-NONE",
                    "I-NOTICE-COLLECTIVE",
                ];
                let step = self.dice.pick(&steps);
                self.inform(step);
            }
            30..41 => self.decision(),
            41..48 => self.end_decision(),
            48..52 => self.ruling(),
            52..58 => self.statement(),
            58..62 => self.launch(),
            62..74 => self.in_experiment(),
            74..77 => {
                let opinion = self.dice.pick(&["favourable", "unfavourable", "none"]);
                let body = json!({"processing": processing, "opinion": opinion, "on": "le projet"});
                self.file(COUNCIL, Kind::WorksCouncilOpine, at, body);
            }
            77..80 => {
                let step =
                    self.dice.pick(&["I-SOCIAL-PARTNERS", "I-HEALTH-PROFESSION", "I-CE-CONSULTED"]);
                let about = self.about_a_project();
                let body = json!({"about": about, "step": step, "held": self.dice.percent(50)});
                self.file(FUND, Kind::ConsultationRecord, at, body);
            }
            80..83 => {
                let risk = self.dice.pick(&["low", "medium", "high", "high"]);
                let mut body = json!({"processing": processing, "residual_risk": risk});
                if self.dice.percent(30) {
                    body["consulted_regulator"] = json!(self.dice.percent(60));
                }
                self.file(controller, Kind::AssessmentFile, at, body);
            }
            83..87 => {
                let kind = self.dice.pick(&[&Kind::AgreementRecord, &Kind::ObjectionRecord]);
                let subject = self.person();
                let body = json!({"processing": processing, "subject": subject, "scope": "tout"});
                self.file(DESK, *kind, at, body);
            }
            87..89 => {
                let kind = self.dice.pick(&["report", "press", "law", "norm"]);
                let reference = self.dice.pick(&["rapport", "norme"]);
                let body = json!({
                    "reference": reference, "kind": kind, "title": "Texte (inventé)",
                    "objects": self.dice.some(&PURPOSES, 50), "authority": "autorité",
                });
                // A text is published once.
                if !self
                    .drafts
                    .iter()
                    .any(|d| d.body["reference"] == reference && d.kind == Kind::ReferencePublish)
                {
                    self.file(AUTHORITY, Kind::ReferencePublish, at, body);
                }
            }
            89..92 => {
                let about = self.about_a_project();
                let kind = self.dice.pick(&[&Kind::ConditionSet, &Kind::ConditionMeet]);
                let body = json!({"about": about, "condition": self.dice.pick(&CONDITIONS)});
                self.file(controller, *kind, at, body);
            }
            92..94 if !self.accesses.is_empty() => {
                let n = self.dice.below(self.accesses.len() as u64) as usize;
                let (access, processing) = self.accesses[n];
                let body = json!({
                    "processing": processing, "access": access,
                    "purpose": self.dice.pick(&PURPOSES), "consequence": "licenciement",
                });
                self.file(EMPLOYER, Kind::UseRecord, at, body);
            }
            94..96 if !self.rulings.is_empty() => {
                let milestone = self.dice.pick(&["appeal-lodged", "appeal-reserved", "published"]);
                let about = json!({"type": "ruling", "id": self.rulings[0]});
                let body = json!({"about": about, "milestone": milestone});
                self.file(FUND, Kind::MilestoneRecord, at, body);
            }
            96..98 if !self.formalities.is_empty() => {
                let formality = self.formalities[0].0.clone();
                let known = |d: &Draft| {
                    d.kind == Kind::FormalityAcknowledge && d.body["formality"] == *formality
                };
                if !self.drafts.iter().any(known) {
                    let body = json!({"formality": formality, "number": "1234"});
                    self.file(AUTHORITY, Kind::FormalityAcknowledge, at, body);
                }
            }
            _ => {
                let body = json!({"processing": processing, "capabilities": []});
                self.file(controller, Kind::ProcessingDeploy, at, body);
            }
        }
    }
}

fn concealed(kind: Kind, body: &Value) -> (Value, Vec<Disclosure>) {
    let mut salt = 0u8;
    sdjwt::conceal(body.clone(), &|path| kind.is_concealed(path), &mut || {
        salt += 1;
        [salt; 16]
    })
}

/// The event a draft becomes.
pub fn event(draft: &Draft) -> Event {
    let (signed, disclosures) = concealed(draft.kind, &draft.body);
    let event = json!({
        "type": draft.kind.event(), "version": 1,
        "data": {"at": {"text": draft.at}, "body": signed, "evidence": draft.evidence,
                 "iss": draft.iss, "kind": draft.kind},
    });
    Event::read_disclosed(&event, &disclosures).unwrap_or_else(|e| panic!("{}: {e}", draft.kind))
}

pub fn entries(drafts: &[Draft]) -> Vec<Entry> {
    let of = |(n, draft): (usize, &Draft)| Entry {
        position: n as u64,
        time: draft.time,
        filed: event(draft).filed().expect("a draft is filed").clone(),
    };
    drafts.iter().enumerate().map(of).collect()
}

impl Asked {
    pub fn access(&self) -> Access {
        let (signed, disclosures) = concealed(Kind::AccessReport, &self.body);
        let revealed = sdjwt::reveal(&signed, &disclosures).expect("all are asked for");
        match Body::read(Kind::AccessReport, revealed) {
            Ok(Body::ReportAccess(access)) => access,
            other => panic!("the access does not read: {other:?}"),
        }
    }

    pub fn days(&self) -> Interval {
        Edtf::parse(&self.at).expect("a date").interval()
    }
}
