//! What the register was: a fold of the ledger's entries, asked at a valid date and as
//! known at a position.
//!
//! Every fact keeps the position it comes from and the days on which it may have held, and
//! nothing is ever overwritten: "then" and "now" are the same fold, read at two sizes
//! (`View`). Used by the sequencer to decide, by the rules to judge, by the verifier to
//! judge again. Accesses themselves are not folded (they outnumber everything else); what
//! rulings and uses say of them is, and the shape of what they disclosed about groups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::body::{
    Access, AcknowledgeFormality, Body, Declaration, Deploy, EndDecision, EvaluateExperiment,
    ExpandExperiment, FileAssessment, FileFormality, LaunchExperiment, PlanExpansion,
    PublishReference, RecordAgreement, RecordConsultation, RecordInformation, RecordMilestone,
    RecordRuling, RecordStatement, RecordUse, RenderDecision, Site, Withdraw, WorksCouncilOpine,
};
use crate::date::{Certainty, Interval, LegalDate, Timestamp};
use crate::differencing::{Count, Disclosure, History};
use crate::event::{ClockKind, Event, Filed};
use crate::key::PublicKey;
use crate::kind::{EventType, EvidenceKind, StreamType};
use crate::vocabulary::{Category, Purpose, Role};

/// One recorded fact.
#[derive(Debug, Clone)]
pub struct Fact<T> {
    /// Position of the entry that records it.
    pub position: u64,
    pub recorded: Timestamp,
    /// Days on which it may have happened.
    pub at: Interval,
    pub iss: Arc<str>,
    pub evidence: EvidenceKind,
    /// The competent role's own act, receipt or judgment; otherwise it only describes.
    pub formal: bool,
    pub data: T,
}

impl<T> Fact<T> {
    /// Whether it came before an access on one of `days`.
    ///
    /// The same day, or overlapping intervals, leave the order open: `Maybe`.
    pub fn precedes(&self, days: &Interval) -> Certainty {
        self.at.strictly_before(days)
    }
}

#[derive(Debug, Clone)]
pub struct PartyKey {
    pub key: PublicKey,
    pub enrolled: u64,
    pub revoked: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Party {
    pub position: u64,
    pub name: String,
    pub roles: Vec<Role>,
    pub siren: Option<String>,
    pub keys: Vec<PartyKey>,
}

impl Party {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Everything recorded about one processing.
#[derive(Debug, Default, Clone)]
pub struct Processing {
    /// Party answerable for it, once somebody said who.
    pub controller: Option<String>,
    /// Position of the first declaration or description.
    pub first: u64,
    pub versions: Vec<Fact<Declaration>>,
    pub deployments: Vec<Fact<Deploy>>,
    pub withdrawals: Vec<Fact<Withdraw>>,
    pub formalities: Vec<Fact<FileFormality>>,
    pub receipts: Vec<Fact<AcknowledgeFormality>>,
    pub information: Vec<Fact<RecordInformation>>,
    pub opinions: Vec<Fact<WorksCouncilOpine>>,
    pub assessments: Vec<Fact<FileAssessment>>,
    pub agreements: Vec<Fact<RecordAgreement>>,
    pub objections: Vec<Fact<RecordAgreement>>,
    pub uses: Vec<Fact<RecordUse>>,
    /// The decisions on it, in order of recording.
    pub decisions: Vec<Decision>,
    pub rulings: Vec<String>,
    pub experiments: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Decision {
    pub rendered: Fact<RenderDecision>,
    pub endings: Vec<Fact<EndDecision>>,
}

#[derive(Debug, Default, Clone)]
pub struct Experiment {
    /// Position of the launch.
    pub first: u64,
    pub processing: String,
    pub launches: Vec<Fact<LaunchExperiment>>,
    /// Every enrolment, in order of recording.
    pub sites: Vec<Fact<Site>>,
    /// Site id → its enrolments, as indices into `sites`.
    by_id: HashMap<String, Vec<usize>>,
    /// SIRET → the enrolments of it, under whatever id.
    by_siret: HashMap<String, Vec<usize>>,
    pub plans: Vec<Fact<PlanExpansion>>,
    pub expansions: Vec<Fact<ExpandExperiment>>,
    pub evaluations: Vec<Fact<EvaluateExperiment>>,
    pub ends: Vec<Fact<()>>,
}

impl Experiment {
    fn enrol(&mut self, site: Fact<Site>) {
        let index = self.sites.len();
        self.by_id.entry(site.data.id.clone()).or_default().push(index);
        if let Some(siret) = &site.data.siret {
            self.by_siret.entry(siret.clone()).or_default().push(index);
        }
        self.sites.push(site);
    }

    /// The enrolments under that id, in order of recording.
    pub fn enrolments(&self, id: &str) -> impl DoubleEndedIterator<Item = &Fact<Site>> {
        self.by_id.get(id).into_iter().flatten().map(|&index| &self.sites[index])
    }

    /// The enrolments of that SIRET, in order of recording.
    pub fn enrolments_of_siret(&self, siret: &str) -> impl Iterator<Item = &Fact<Site>> {
        self.by_siret.get(siret).into_iter().flatten().map(|&index| &self.sites[index])
    }
}

/// What is filed `about` something.
#[derive(Debug, Default, Clone)]
pub struct About {
    pub statements: Vec<Fact<RecordStatement>>,
    pub milestones: Vec<Fact<RecordMilestone>>,
    pub consultations: Vec<Fact<RecordConsultation>>,
    pub conditions_set: Vec<Fact<String>>,
    pub conditions_met: Vec<Fact<String>>,
    pub generalisations: Vec<Fact<()>>,
}

/// A key of the ledger itself, and the first position it signs.
#[derive(Debug, Clone)]
pub struct LedgerKey {
    pub key: PublicKey,
    pub from: u64,
}

#[derive(Debug, Default, Clone)]
pub struct Register {
    /// Tree size folded so far.
    size: u64,
    origin: String,
    clock: Option<ClockKind>,
    ledger_keys: Vec<LedgerKey>,
    parties: HashMap<String, Party>,
    /// Key id → party. A key belongs to one party for ever.
    keys: HashMap<String, String>,
    references: HashMap<String, Fact<PublishReference>>,
    processings: HashMap<String, Processing>,
    /// Formality id → processing.
    formalities: HashMap<String, String>,
    /// Decision id → processing, index into its decisions.
    decisions: HashMap<String, (String, usize)>,
    rulings: HashMap<String, Fact<RecordRuling>>,
    experiments: HashMap<String, Experiment>,
    /// Processings, decisions, experiments and parties, as `in_order` gives them.
    order: HashMap<StreamType, Vec<(u64, String)>>,
    /// As `acts` gives them.
    acts: Vec<(u64, StreamType, String)>,
    /// Party → processings that it is the controller of.
    controlled: HashMap<String, Vec<String>>,
    about: HashMap<StreamType, HashMap<String, About>>,
    /// Digests whose values were erased: none may be disclosed again.
    erased: HashSet<String>,
    /// Access position → rulings that name it.
    ruled_accesses: HashMap<u64, Vec<String>>,
    /// Access position → (processing, index into its uses).
    used_accesses: HashMap<u64, Vec<(String, usize)>>,
    /// Employer group → what was disclosed to it about groups of persons.
    disclosed: HashMap<Arc<str>, Arc<History>>,
    /// Digest of a declared number of absentees → groups it was declared to.
    declared_to: HashMap<String, Vec<Arc<str>>>,
}

impl Register {
    pub fn new() -> Self {
        Self::default()
    }

    /// Tree size folded so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes note of entries that are not folded (accesses).
    pub fn advance(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn clock(&self) -> ClockKind {
        self.clock.unwrap_or(ClockKind::Real)
    }

    /// The ledger's key that signs the entry at `position`.
    pub fn ledger_key(&self, position: u64) -> Option<&PublicKey> {
        self.ledger_keys.iter().rev().find(|k| k.from <= position).map(|k| &k.key)
    }

    pub fn party(&self, id: &str) -> Option<&Party> {
        self.parties.get(id)
    }

    /// The party a key belongs to, and the key.
    pub fn key(&self, kid: &str) -> Option<(&str, &Party, &PartyKey)> {
        let (id, party) = self.parties.get_key_value(self.keys.get(kid)?)?;
        let key = party.keys.iter().find(|k| k.key.kid() == kid)?;
        Some((id, party, key))
    }

    pub fn parties(&self) -> impl Iterator<Item = (&String, &Party)> {
        self.parties.iter()
    }

    pub fn processing(&self, id: &str) -> Option<&Processing> {
        self.processings.get(id)
    }

    pub fn processings(&self) -> impl Iterator<Item = (&String, &Processing)> {
        self.processings.iter()
    }

    pub fn decision(&self, id: &str) -> Option<&Decision> {
        let (processing, index) = self.decisions.get(id)?;
        Some(&self.processings[processing].decisions[*index])
    }

    pub fn decisions(&self) -> impl Iterator<Item = (&String, &Decision)> {
        self.decisions
            .iter()
            .map(|(id, (processing, index))| (id, &self.processings[processing].decisions[*index]))
    }

    pub fn experiment(&self, id: &str) -> Option<&Experiment> {
        self.experiments.get(id)
    }

    pub fn experiments(&self) -> impl Iterator<Item = (&String, &Experiment)> {
        self.experiments.iter()
    }

    /// Ids of that kind, each with the position it was first recorded at, in that order.
    /// `kind`: a processing, a decision, an experiment or a party.
    pub fn in_order(&self, kind: StreamType) -> &[(u64, String)] {
        self.order.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Declarations, their changes, and decisions, in order of recording: what they are about
    /// comes once for each.
    pub fn acts(&self) -> &[(u64, StreamType, String)] {
        &self.acts
    }

    /// Processings that a party is the controller of, in order of recording.
    pub fn controlled_by(&self, party: &str) -> &[String] {
        self.controlled.get(party).map_or(&[], Vec::as_slice)
    }

    fn is_first(&mut self, kind: StreamType, position: u64, id: &str) {
        self.order.entry(kind).or_default().push((position, id.to_owned()));
    }

    pub fn reference(&self, id: &str) -> Option<&Fact<PublishReference>> {
        self.references.get(id)
    }

    pub fn references(&self) -> impl Iterator<Item = (&String, &Fact<PublishReference>)> {
        self.references.iter()
    }

    pub fn ruling(&self, id: &str) -> Option<&Fact<RecordRuling>> {
        self.rulings.get(id)
    }

    pub fn rulings(&self) -> impl Iterator<Item = (&String, &Fact<RecordRuling>)> {
        self.rulings.iter()
    }

    /// The formality of that id and the processing it is for.
    pub fn formality(&self, id: &str) -> Option<(&str, &Fact<FileFormality>)> {
        let processing = self.formalities.get(id)?;
        let fact =
            self.processings[processing].formalities.iter().find(|f| f.data.formality == id)?;
        Some((processing, fact))
    }

    pub fn about(&self, kind: StreamType, id: &str) -> Option<&About> {
        self.about.get(&kind)?.get(id)
    }

    /// Whether the value of this digest was erased.
    pub fn is_erased(&self, digest: &str) -> bool {
        self.erased.contains(digest)
    }

    pub fn has_erasures(&self) -> bool {
        !self.erased.is_empty()
    }

    /// The employer groups that an access discloses to: the company of the recipient, and
    /// that of the site where it is another. A party whose SIREN is not registered is a
    /// group of its own, whatever SIRET it gives.
    pub fn employer_groups(&self, access: &Access) -> Vec<Arc<str>> {
        let registered = self.party(&access.recipient.party).and_then(|p| p.siren.as_deref());
        let own = match registered {
            Some(siren) => format!("siren:{siren}"),
            None => format!("party:{}", access.recipient.party),
        };
        let siret = access.recipient.site.as_ref().and_then(|s| s.siret.as_deref());
        let of_site = siret.and_then(|s| s.get(..9)).map(|siren| format!("siren:{siren}"));
        let of_site = of_site.filter(|group| *group != own);
        [Some(own), of_site].into_iter().flatten().map(Arc::from).collect()
    }

    /// What was disclosed to an employer group; empty if nothing was.
    pub fn disclosed_to(&self, group: &str) -> Arc<History> {
        self.disclosed.get(group).cloned().unwrap_or_default()
    }

    /// Positions of disclosures about groups a number of whose absentees is neither at hand
    /// nor recorded as erased.
    pub fn withheld_numbers(&self) -> Vec<u64> {
        let mut positions: Vec<u64> = self
            .disclosed
            .values()
            .flat_map(|history| history.disclosures())
            .filter(|d| d.absentees.iter().any(|(_, c)| matches!(c, Count::Withheld(_))))
            .map(|d| d.position)
            .collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    fn disclose(&mut self, position: u64, access: &Access) {
        let Some(disclosure) = Disclosure::of(position, access) else { return };
        let disclosure = Arc::new(disclosure);
        for group in self.employer_groups(access) {
            for (_, count) in &disclosure.absentees {
                for digest in count.digests() {
                    let groups = self.declared_to.entry(digest.to_owned()).or_default();
                    groups.push(Arc::clone(&group));
                }
            }
            let history = self.disclosed.entry(group).or_default();
            Arc::make_mut(history).push(Arc::clone(&disclosure));
        }
    }

    /// Live keys of parties that hold the registrar role.
    pub fn live_registrar_keys(&self) -> usize {
        self.parties
            .values()
            .filter(|p| p.has(Role::Registrar))
            .flat_map(|p| &p.keys)
            .filter(|k| k.revoked.is_none())
            .count()
    }

    /// The register as known when the tree had `size` entries.
    pub fn view(&self, size: u64) -> View<'_> {
        View { register: self, size }
    }

    /// The register as known now.
    pub fn now(&self) -> View<'_> {
        self.view(self.size)
    }

    /// Whether that party's filing about that processing counts as formal.
    fn is_formal(&self, filed: &Filed, role: Role, processing: Option<&str>) -> bool {
        let competent = self.parties.get(&filed.iss).is_some_and(|p| p.has(role));
        let own = processing.is_none_or(|id| {
            self.processings.get(id).and_then(|p| p.controller.as_deref()) == Some(&filed.iss)
        });
        competent && own && filed.evidence.is_formal()
    }

    /// Folds one entry. Accepts whatever was once recorded.
    pub fn apply(&mut self, position: u64, recorded: Timestamp, event: &Event) {
        self.size = self.size.max(position + 1);
        match event {
            Event::LedgerOpened(opened) => {
                self.origin.clone_from(&opened.origin);
                self.clock = Some(opened.clock);
                self.ledger_keys.push(LedgerKey { key: opened.ledger_key.clone(), from: position });
                self.keys.insert(opened.registrar_key.kid().to_owned(), opened.registrar.clone());
                let key = PartyKey {
                    key: opened.registrar_key.clone(),
                    enrolled: position,
                    revoked: None,
                };
                self.is_first(StreamType::Party, position, &opened.registrar);
                self.parties.insert(
                    opened.registrar.clone(),
                    Party {
                        position,
                        name: opened.registrar.clone(),
                        roles: vec![Role::Registrar],
                        siren: None,
                        keys: vec![key],
                    },
                );
            }
            Event::LedgerKeyRotated { ledger_key } => {
                self.ledger_keys.push(LedgerKey { key: ledger_key.clone(), from: position + 1 });
            }
            Event::Filed(filed) => self.apply_filed(position, recorded, filed),
        }
    }

    fn apply_filed(&mut self, position: u64, recorded: Timestamp, filed: &Filed) {
        // Facts are shared with readers as clones of small bodies; the signed JSON is not kept.
        macro_rules! fact {
            ($data:expr, $formal:expr) => {
                Fact {
                    position,
                    recorded,
                    at: filed.at.valid_days(recorded.date()),
                    iss: Arc::from(filed.iss.as_str()),
                    evidence: filed.evidence,
                    formal: $formal,
                    data: $data,
                }
            };
        }
        macro_rules! processing {
            ($id:expr) => {
                self.processings.entry($id.clone()).or_default()
            };
        }
        macro_rules! about {
            ($about:expr) => {
                self.about.entry($about.kind).or_default().entry($about.id.clone()).or_default()
            };
        }
        match &*filed.body {
            Body::RegisterParty(b) => {
                let Ok(key) = PublicKey::from_jwk(&b.key) else { return };
                self.keys.insert(key.kid().to_owned(), b.party.clone());
                if !self.parties.contains_key(&b.party) {
                    self.is_first(StreamType::Party, position, &b.party);
                }
                self.parties.insert(
                    b.party.clone(),
                    Party {
                        position,
                        name: b.name.clone(),
                        roles: b.roles.clone(),
                        siren: b.siren.clone(),
                        keys: vec![PartyKey { key, enrolled: position, revoked: None }],
                    },
                );
            }
            Body::EnrolKey(b) => {
                let Ok(key) = PublicKey::from_jwk(&b.key) else { return };
                self.keys.insert(key.kid().to_owned(), b.party.clone());
                if let Some(party) = self.parties.get_mut(&b.party) {
                    party.keys.push(PartyKey { key, enrolled: position, revoked: None });
                }
            }
            Body::RevokeKey(b) => {
                if let Some(party) = self.parties.get_mut(&b.party) {
                    for key in party.keys.iter_mut().filter(|k| k.key.kid() == b.kid) {
                        key.revoked.get_or_insert(position);
                    }
                }
            }
            Body::PublishReference(b) => {
                let formal = self.is_formal(filed, Role::Regulator, None);
                self.references.insert(b.reference.clone(), fact!(b.clone(), formal));
            }
            Body::Declare(b) | Body::Amend(b) => {
                let by_controller =
                    self.parties.get(&filed.iss).is_some_and(|p| p.has(Role::Controller));
                let entry = processing!(b.processing);
                let is_first = entry.versions.is_empty();
                if is_first {
                    entry.first = position;
                }
                if entry.controller.is_none() {
                    entry.controller =
                        b.controller.clone().or_else(|| by_controller.then(|| filed.iss.clone()));
                    if let Some(controller) = &entry.controller {
                        let own = self.controlled.entry(controller.clone()).or_default();
                        own.push(b.processing.clone());
                    }
                }
                if is_first {
                    self.is_first(StreamType::Processing, position, &b.processing);
                }
                self.acts.push((position, StreamType::Processing, b.processing.clone()));
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).versions.push(fact);
            }
            Body::Deploy(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).deployments.push(fact);
            }
            Body::Withdraw(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).withdrawals.push(fact);
            }
            Body::FileFormality(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                self.formalities.insert(b.formality.clone(), b.processing.clone());
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).formalities.push(fact);
            }
            Body::AcknowledgeFormality(b) => {
                let formal = self.is_formal(filed, Role::Regulator, None);
                if let Some(processing) = self.formalities.get(&b.formality).cloned() {
                    processing!(processing).receipts.push(fact!(b.clone(), formal));
                }
            }
            Body::RecordInformation(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing))
                    || self.is_formal(filed, Role::Regulator, None)
                    || self.is_formal(filed, Role::Court, None);
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).information.push(fact);
            }
            Body::WorksCouncilOpine(b) => {
                let formal = self.is_formal(filed, Role::WorksCouncil, None)
                    || self.is_formal(filed, Role::Controller, Some(&b.processing));
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).opinions.push(fact);
            }
            Body::RecordConsultation(b) => {
                // Anybody may file one; an observer describes.
                let acts = self
                    .parties
                    .get(&filed.iss)
                    .is_some_and(|p| p.roles.iter().any(|role| *role != Role::Observer));
                let formal = filed.evidence.is_formal() && acts;
                about!(b.about).consultations.push(fact!(b.clone(), formal));
            }
            Body::FileAssessment(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                let fact = fact!(b.clone(), formal);
                processing!(b.processing).assessments.push(fact);
            }
            Body::RecordAgreement(b) => {
                processing!(b.processing)
                    .agreements
                    .push(fact!(b.clone(), filed.evidence.is_formal()));
            }
            Body::RecordObjection(b) => {
                processing!(b.processing)
                    .objections
                    .push(fact!(b.clone(), filed.evidence.is_formal()));
            }
            Body::RenderDecision(b) => {
                let formal = self.is_formal(filed, Role::Regulator, None);
                let rendered = fact!(b.clone(), formal);
                if !self.decisions.contains_key(&b.decision) {
                    self.is_first(StreamType::Decision, position, &b.decision);
                }
                self.acts.push((position, StreamType::Decision, b.decision.clone()));
                let decisions = &mut processing!(b.processing).decisions;
                let place = (b.processing.clone(), decisions.len());
                decisions.push(Decision { rendered, endings: Vec::new() });
                self.decisions.insert(b.decision.clone(), place);
            }
            Body::EndDecision(b) => {
                let formal = self.is_formal(filed, Role::Regulator, None)
                    || self.is_formal(filed, Role::Court, None);
                if let Some((processing, index)) = self.decisions.get(&b.decision) {
                    let decisions = &mut processing!(processing).decisions;
                    decisions[*index].endings.push(fact!(b.clone(), formal));
                }
            }
            Body::RecordRuling(b) => {
                let formal = self.is_formal(filed, Role::Court, None);
                if let Some(id) = &b.processing {
                    processing!(id).rulings.push(b.ruling.clone());
                }
                for access in &b.accesses {
                    self.ruled_accesses.entry(*access).or_default().push(b.ruling.clone());
                }
                self.rulings.insert(b.ruling.clone(), fact!(b.clone(), formal));
            }
            Body::RecordStatement(b) => {
                about!(b.about).statements.push(fact!(b.clone(), false));
            }
            Body::RecordMilestone(b) => {
                about!(b.about).milestones.push(fact!(b.clone(), filed.evidence.is_formal()));
            }
            Body::LaunchExperiment(b) => {
                let formal = self.is_formal(filed, Role::Controller, Some(&b.processing));
                processing!(b.processing).experiments.push(b.experiment.clone());
                let fact = fact!(b.clone(), formal);
                if !self.experiments.contains_key(&b.experiment) {
                    self.is_first(StreamType::Experiment, position, &b.experiment);
                }
                let experiment = self.experiments.entry(b.experiment.clone()).or_default();
                experiment.first = position;
                experiment.processing.clone_from(&b.processing);
                experiment.launches.push(fact);
            }
            Body::EnrolSite(b) => {
                if let Some(experiment) = self.experiments.get_mut(&b.experiment) {
                    experiment.enrol(fact!(b.site.clone(), filed.evidence.is_formal()));
                }
            }
            Body::PlanExpansion(b) => {
                if let Some(experiment) = self.experiments.get_mut(&b.experiment) {
                    experiment.plans.push(fact!(b.clone(), filed.evidence.is_formal()));
                }
            }
            Body::ExpandExperiment(b) => {
                if let Some(experiment) = self.experiments.get_mut(&b.experiment) {
                    for site in &b.sites {
                        experiment.enrol(fact!(site.clone(), filed.evidence.is_formal()));
                    }
                    experiment.expansions.push(fact!(b.clone(), filed.evidence.is_formal()));
                }
            }
            Body::EvaluateExperiment(b) => {
                if let Some(experiment) = self.experiments.get_mut(&b.experiment) {
                    experiment.evaluations.push(fact!(b.clone(), filed.evidence.is_formal()));
                }
            }
            Body::EndExperiment(b) => {
                if let Some(experiment) = self.experiments.get_mut(&b.experiment) {
                    experiment.ends.push(fact!((), filed.evidence.is_formal()));
                }
            }
            Body::SetCondition(b) => {
                let fact = fact!(b.condition.clone(), filed.evidence.is_formal());
                about!(b.about).conditions_set.push(fact);
            }
            Body::MeetCondition(b) => {
                let fact = fact!(b.condition.clone(), filed.evidence.is_formal());
                about!(b.about).conditions_met.push(fact);
            }
            Body::DecideGeneralisation(b) => {
                about!(b.about).generalisations.push(fact!((), filed.evidence.is_formal()));
            }
            Body::RecordUse(b) => {
                let fact = fact!(b.clone(), filed.evidence.is_formal());
                let entry = processing!(b.processing);
                if let Some(access) = b.access {
                    let index = entry.uses.len();
                    self.used_accesses
                        .entry(access)
                        .or_default()
                        .push((b.processing.clone(), index));
                }
                processing!(b.processing).uses.push(fact);
            }
            // What was denied was not shown.
            Body::RequestAccess(b) | Body::ReportAccess(b) => {
                if filed.event_type != EventType::AccessDenied {
                    self.disclose(position, b);
                }
            }
            Body::ContestAccess(_) | Body::AnswerContest(_) | Body::RefuseErasure(_) => {}
            // What was erased is forgotten here too; the digests stay.
            Body::EraseSubject(b) => {
                self.erased.extend(b.digests.iter().cloned());
                for digest in &b.digests {
                    for group in self.declared_to.remove(digest).unwrap_or_default() {
                        if let Some(history) = self.disclosed.get_mut(&group) {
                            Arc::make_mut(history).erase(digest, position);
                        }
                    }
                }
                let facts = self
                    .processings
                    .values_mut()
                    .flat_map(|p| p.agreements.iter_mut().chain(&mut p.objections));
                for subject in facts.filter_map(|f| f.data.subject.as_mut()) {
                    if b.digests.contains(&subject.digest) {
                        subject.value = None;
                    }
                }
            }
        }
    }
}

/// Facts known at a tree size: those at lower positions.
fn known<T>(facts: &[Fact<T>], size: u64) -> &[Fact<T>] {
    // Facts are pushed in order of position.
    &facts[..facts.partition_point(|f| f.position < size)]
}

/// The register as known at a tree size.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    register: &'a Register,
    size: u64,
}

impl<'a> View<'a> {
    pub fn register(&self) -> &'a Register {
        self.register
    }

    /// Tree size at which it is read.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn known<T>(&self, facts: &'a [Fact<T>]) -> &'a [Fact<T>] {
        known(facts, self.size)
    }

    pub fn knows<T>(&self, fact: &Fact<T>) -> bool {
        fact.position < self.size
    }

    pub fn party(&self, id: &str) -> Option<&'a Party> {
        self.register.party(id).filter(|p| p.position < self.size)
    }

    pub fn processing(&self, id: &str) -> Option<&'a Processing> {
        self.register.processing(id).filter(|p| p.first < self.size)
    }

    pub fn experiment(&self, id: &str) -> Option<&'a Experiment> {
        self.register.experiment(id).filter(|e| e.first < self.size)
    }

    pub fn decision(&self, id: &str) -> Option<&'a Decision> {
        self.register.decision(id).filter(|d| d.rendered.position < self.size)
    }

    pub fn reference(&self, id: &str) -> Option<&'a Fact<PublishReference>> {
        self.register.reference(id).filter(|r| r.position < self.size)
    }

    /// The decisions on a processing, in order of recording.
    pub fn decisions_on(&self, processing: &'a Processing) -> impl Iterator<Item = &'a Decision> {
        let size = self.size;
        processing.decisions.iter().take_while(move |d| d.rendered.position < size)
    }

    /// The rulings on a processing or on that access, in order of recording.
    pub fn rulings_on(
        &self,
        processing: &'a Processing,
        access: Option<u64>,
    ) -> Vec<&'a Fact<RecordRuling>> {
        let on_access = access
            .and_then(|p| self.register.ruled_accesses.get(&p))
            .map_or(&[][..], Vec::as_slice);
        let mut rulings: Vec<_> = processing
            .rulings
            .iter()
            .chain(on_access)
            .filter_map(|id| self.register.rulings.get(id))
            .filter(|r| r.position < self.size)
            .collect();
        rulings.sort_by_key(|r| r.position);
        rulings.dedup_by_key(|r| r.position);
        rulings
    }

    /// The uses recorded of that access.
    pub fn uses_of(&self, access: u64) -> impl Iterator<Item = &'a Fact<RecordUse>> {
        let register = self.register;
        let size = self.size;
        register
            .used_accesses
            .get(&access)
            .into_iter()
            .flatten()
            .map(|(processing, index)| &register.processings[processing].uses[*index])
            .filter(move |u| u.position < size)
    }

    /// What was filed about that thing.
    pub fn about(&self, kind: StreamType, id: &str) -> AboutView<'a> {
        AboutView { about: self.register.about(kind, id), size: self.size }
    }

    /// Positions of the known facts that judging an access may look at, ascending: those
    /// about its processing, experiments and decisions, the rulings on them and on it, its
    /// uses, and the text it cites. `access_position`: its own, which is not among them.
    ///
    /// A verdict that differs between two sizes differs because of facts listed here (or
    /// because of an erasure, which leaves no fact).
    pub fn touching(&self, access: &Access, access_position: u64) -> Vec<u64> {
        let mut found = Vec::new();
        macro_rules! collect {
            ($($facts:expr),+ $(,)?) => {
                $(found.extend(self.known($facts).iter().map(|f| f.position));)+
            };
        }
        macro_rules! collect_about {
            ($kind:expr, $id:expr) => {
                if let Some(a) = self.register.about($kind, $id) {
                    collect!(
                        &a.statements,
                        &a.milestones,
                        &a.consultations,
                        &a.conditions_set,
                        &a.conditions_met,
                        &a.generalisations,
                    );
                }
            };
        }
        let mut experiments: Vec<&str> = access.experiment.iter().map(String::as_str).collect();
        if let Some(processing) = self.processing(&access.processing) {
            collect!(
                &processing.versions,
                &processing.deployments,
                &processing.withdrawals,
                &processing.formalities,
                &processing.receipts,
                &processing.information,
                &processing.opinions,
                &processing.assessments,
                &processing.agreements,
                &processing.objections,
            );
            for decision in self.decisions_on(processing) {
                found.push(decision.rendered.position);
                collect!(&decision.endings);
                collect_about!(StreamType::Decision, &decision.rendered.data.decision);
            }
            for ruling in self.rulings_on(processing, Some(access_position)) {
                found.push(ruling.position);
                collect_about!(StreamType::Ruling, &ruling.data.ruling);
            }
            experiments.extend(processing.experiments.iter().map(String::as_str));
        }
        for id in experiments {
            if let Some(experiment) = self.experiment(id) {
                collect!(
                    &experiment.launches,
                    &experiment.sites,
                    &experiment.plans,
                    &experiment.expansions,
                    &experiment.evaluations,
                    &experiment.ends,
                );
            }
            collect_about!(StreamType::Experiment, id);
        }
        collect_about!(StreamType::Processing, &access.processing);
        collect_about!(StreamType::Access, &access_position.to_string());
        found.extend(self.uses_of(access_position).map(|u| u.position));
        let cited = access.basis.reference.as_deref().and_then(|id| self.reference(id));
        found.extend(cited.map(|text| text.position));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The versions of a declaration that may have been in force on `days`: the last that
    /// certainly was, and those after it that may have been. `certain` is false when it is
    /// also possible that none was.
    pub fn in_force<T>(&self, facts: &'a [Fact<T>], days: &Interval) -> InForce<'a, T> {
        in_force(self.known(facts).iter(), days)
    }
}

/// Facts that may have been in force, the latest last.
#[derive(Debug)]
pub struct InForce<'a, T> {
    pub facts: Vec<&'a Fact<T>>,
    /// At least one certainly was.
    pub certain: bool,
}

/// See [`View::in_force`].
pub fn in_force<'a, T>(
    facts: impl Iterator<Item = &'a Fact<T>>,
    days: &Interval,
) -> InForce<'a, T> {
    let mut facts: Vec<_> =
        facts.map(|f| (f.precedes(days), f)).filter(|(c, _)| *c != Certainty::No).collect();
    retain_last(&mut facts, |(precedes, f)| (f.at, *precedes, f.position));
    InForce {
        certain: facts.iter().any(|(c, _)| *c == Certainty::Yes),
        facts: facts.into_iter().map(|(_, f)| f).collect(),
    }
}

/// Of facts that replace one another, leaves those that may be the last before an access,
/// in order of validity.
///
/// `key`: the days of a fact, whether it came before the access, its position. Another fact
/// replaces one if it certainly came before the access, and certainly after that one; of
/// two said of the same days, the one recorded later is the later (ADR 0021). Where the
/// order is not known, both remain.
pub fn retain_last<F>(facts: &mut Vec<F>, key: impl Fn(&F) -> (Interval, Certainty, u64)) {
    facts.sort_by_key(|f| {
        let (days, _, position) = key(f);
        (days.latest.is_none(), days.latest, days.earliest, position)
    });
    let keys: Vec<_> = facts.iter().map(key).collect();
    let certain = || keys.iter().filter(|(_, precedes, _)| *precedes == Certainty::Yes);
    let last_start = certain().filter_map(|(days, ..)| days.earliest).max();
    let mut index = 0;
    facts.retain(|_| {
        let (days, ..) = keys[index];
        index += 1;
        let followed = matches!((days.latest, last_start), (Some(l), Some(s)) if l < s);
        // The same days stand side by side.
        let said_again = keys[index..]
            .iter()
            .take_while(|(other, ..)| *other == days)
            .any(|(_, precedes, _)| *precedes == Certainty::Yes);
        !followed && !said_again
    });
}

impl<T> InForce<'_, T> {
    /// Whether a property holds of what was in force: of all candidates, of none, or open.
    /// Nothing in force counts as not having it.
    pub fn whether(&self, property: impl Fn(&Fact<T>) -> bool) -> Certainty {
        let holding = self.facts.iter().filter(|f| property(f)).count();
        if holding == 0 {
            Certainty::No
        } else if self.certain && holding == self.facts.len() {
            Certainty::Yes
        } else {
            Certainty::Maybe
        }
    }

    pub fn positions(&self) -> Vec<u64> {
        let mut positions: Vec<u64> = self.facts.iter().map(|f| f.position).collect();
        positions.sort_unstable();
        positions
    }
}

/// What was filed about something, as known at a tree size.
#[derive(Debug, Clone, Copy)]
pub struct AboutView<'a> {
    about: Option<&'a About>,
    size: u64,
}

macro_rules! about_facts {
    ($($name:ident: $ty:ty),+ $(,)?) => {
        impl<'a> AboutView<'a> {
            $(pub fn $name(&self) -> &'a [Fact<$ty>] {
                self.about.map_or(&[], |a| known(&a.$name, self.size))
            })+
        }
    };
}

about_facts! {
    statements: RecordStatement,
    milestones: RecordMilestone,
    consultations: RecordConsultation,
    conditions_set: String,
    conditions_met: String,
    generalisations: (),
}

impl Declaration {
    pub fn declares_purpose(&self, purpose: Purpose) -> bool {
        self.purposes.iter().any(|p| p.code == purpose)
    }

    pub fn declares_category(&self, category: Category) -> bool {
        self.categories.iter().any(|c| c.code == category)
    }
}

/// First day on which a minimum duration may have run, counted from the earliest start;
/// `None` if the start has no beginning, and then any day may be.
pub fn minimum_end(start: &Interval, minimum_days: i64) -> Option<LegalDate> {
    let days = i32::try_from(minimum_days).ok()?;
    start.earliest.map(|earliest| earliest.add_days(days))
}
