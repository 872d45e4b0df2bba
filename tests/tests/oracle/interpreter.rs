//! The rules read again, slowly: a second interpreter that shares nothing with the judge
//! but the parsed entries.
//!
//! Written from the law as the project states it (RULES.md, the code lists, `docs/adr/`),
//! rule by rule in the words of their table. Each question scans the list of entries from
//! its beginning; nothing is indexed, cached or ordered beforehand. The statistics of
//! cells are not here: they have an oracle of their own.

use greffe_domain::body::*;
use greffe_domain::date::{Interval, LegalDate, Timestamp};
use greffe_domain::event::Filed;
use greffe_domain::kind::StreamType;
use greffe_domain::verdict::{Evidence, Outcome, Severity};
use greffe_domain::vocabulary::Role;

use super::days::{Day, Open, Span, day};

/// One entry as parsed, where it stands and when the ledger took it.
#[derive(Clone)]
pub struct Entry {
    pub position: u64,
    pub time: Timestamp,
    pub filed: Filed,
}

/// An access to judge, with the entries the judge may see: the first `size` positions.
pub struct Question<'a> {
    pub entries: &'a [Entry],
    pub size: u64,
    pub access: &'a Access,
    pub days: Interval,
    pub recorded: Option<(u64, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub code: &'static str,
    pub severity: Severity,
    pub evidence: &'static str,
    pub positions: Vec<u64>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Opinion {
    pub outcome: Outcome,
    pub findings: Vec<Found>,
    pub regime: &'static str,
}

pub const CONTRADICTED: &str = "CONTRADICTED";
pub const NOT_EVIDENCED: &str = "NOT-EVIDENCED";
pub const UNCERTAIN: &str = "UNCERTAIN";

pub fn word(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Contradicted => CONTRADICTED,
        Evidence::NotEvidenced => NOT_EVIDENCED,
        Evidence::Uncertain => UNCERTAIN,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    Of1978,
    Of2004,
    Of2018,
}

impl Law {
    pub fn name(self) -> &'static str {
        match self {
            Law::Of1978 => "LIL-1978",
            Law::Of2004 => "LIL-2004",
            Law::Of2018 => "RGPD-2018",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Law::Of1978, Law::Of2004, Law::Of2018].into_iter().find(|l| l.name() == name)
    }

    pub fn on(on: Day) -> Self {
        if on >= day(2018, 5, 25) {
            Law::Of2018
        } else if on >= day(2004, 8, 7) {
            Law::Of2004
        } else {
            Law::Of1978
        }
    }

    /// Its last day.
    pub fn end(self) -> Day {
        match self {
            Law::Of1978 => day(2004, 8, 6),
            Law::Of2004 => day(2018, 5, 24),
            Law::Of2018 => Day::MAX,
        }
    }
}

/// Severity of each rule, its group being formality or not, by the table of RULES.md.
const TABLE: &[(&str, char, bool)] = &[
    ("NO-DECLARATION", 'B', true),
    ("REGISTER-ENTRY-MISSING", 'B', true),
    ("WRONG-FORMALITY", 'B', true),
    ("FORMALITY-REFERENCE-MISSING", 'M', true),
    ("FORMALITY-PENDING", 'B', true),
    ("FORMALITY-UNKNOWN", 'M', true),
    ("SILENCE-REJECTED", 'B', true),
    ("AUTHORISATION-NOT-SOUGHT", 'i', true),
    ("RECEIPT-NOT-APPROVAL", 'i', true),
    ("DPIA-MISSING", 'M', true),
    ("PRIOR-CONSULTATION-MISSING", 'B', true),
    ("NIR-NOT-AUTHORISED", 'B', true),
    ("PURPOSE-NOT-DECLARED", 'B', false),
    ("PURPOSE-PENDING", 'B', false),
    ("PURPOSE-REFUSED", 'B', false),
    ("PURPOSE-INCOMPATIBLE", 'B', false),
    ("CONDITION-NOT-MET", 'B', false),
    ("LEGAL-BASIS-UNSTATED", 'M', false),
    ("ART9-BASIS-MISSING", 'B', false),
    ("BASIS-EXPIRED", 'B', false),
    ("BASIS-ANNULLED", 'B', false),
    ("BASIS-REPEALED", 'B', false),
    ("BASIS-SUSPENDED", 'B', false),
    ("CATEGORY-NOT-DECLARED", 'B', false),
    ("CATEGORY-OUTSIDE-SCOPE", 'B', false),
    ("CATEGORY-INFERRED", 'M', false),
    ("RECIPIENT-NOT-AUTHORISED", 'B', false),
    ("SUBJECT-AGREEMENT-MISSING", 'B', false),
    ("SUBJECT-OBJECTED", 'B', false),
    ("OUTSIDE-EXPERIMENT-SCOPE", 'B', false),
    ("HEADCOUNT-BELOW-THRESHOLD", 'B', false),
    ("HEADCOUNT-STALE", 'm', false),
    ("HEADCOUNT-UNIT-AMBIGUOUS", 'm', false),
    ("EXPERIMENT-EXPANSION-UNRECORDED", 'B', false),
    ("EXPERIMENT-EXPIRED", 'B', false),
    ("EVALUATION-MISSING", 'M', false),
    ("GENERALISATION-WITHOUT-EVALUATION", 'B', false),
    ("GENERALISATION-CONDITION-UNMET", 'B', false),
    ("NO-LEGAL-EFFECT", 'B', false),
    // Blocking once contradicted; see `severity`.
    ("SUBJECTS-NOT-INFORMED", 'M', false),
    ("CALLERS-NOT-INFORMED", 'M', false),
    ("WORKS-COUNCIL-NOT-CONSULTED", 'M', false),
    ("WORKS-COUNCIL-OBJECTED", 'M', false),
    ("CONCERTATION-MISSING", 'M', false),
    ("RETENTION-EXCEEDED", 'B', false),
    ("DATE-UNCERTAIN", 'i', false),
    ("LATE-RECORDED", 'm', false),
    ("EVIDENCE-EXCLUDED", 'M', false),
    ("RULING-SUBJECT-TO-APPEAL", 'i', false),
    ("CONFLICTING-STATEMENTS", 'i', false),
    ("FORMALITY-ABSENT-THEN-REGULARISED", 'M', false),
];

/// The rules the oracle speaks of.
pub fn codes() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(code, ..)| *code)
}

fn severity(code: &str, evidence: &str) -> Severity {
    let (_, letter, _) = TABLE.iter().find(|(c, ..)| *c == code).expect("a rule of the table");
    match letter {
        'B' => Severity::Blocking,
        'M' if evidence == CONTRADICTED
            && matches!(code, "SUBJECTS-NOT-INFORMED" | "WORKS-COUNCIL-NOT-CONSULTED") =>
        {
            Severity::Blocking
        }
        'M' => Severity::Major,
        'm' => Severity::Minor,
        _ => Severity::Info,
    }
}

/// ADR 0004, clause by clause.
fn conclude(findings: &[Found]) -> Outcome {
    let is_formality =
        |f: &Found| TABLE.iter().any(|(code, _, formality)| *code == f.code && *formality);
    let blocking = || findings.iter().filter(|f| f.severity == Severity::Blocking);
    if blocking()
        .any(|f| f.evidence == CONTRADICTED || (f.evidence == NOT_EVIDENCED && is_formality(f)))
    {
        Outcome::NotCovered
    } else if blocking().next().is_some() {
        Outcome::Undetermined
    } else if findings.iter().any(|f| matches!(f.severity, Severity::Major | Severity::Minor)) {
        Outcome::CoveredWithReservations
    } else {
        Outcome::Covered
    }
}

/// Everything one question needs: the entries it may see and what it asks about.
pub struct Case<'a> {
    pub entries: Vec<&'a Entry>,
    pub access: &'a Access,
    pub days: Span,
    pub recorded: Option<(u64, Timestamp)>,
    /// The last day the access may have been on, if it is bounded.
    pub latest: Option<LegalDate>,
    pub law: Law,
    pub found: Vec<Found>,
    /// Positions of what a date leaves open.
    pub open_by_date: Vec<Vec<u64>>,
}

pub fn judge(question: &Question<'_>) -> Opinion {
    let days = Span::of(question.days);
    let mut case = Case {
        entries: question.entries.iter().filter(|e| e.position < question.size).collect(),
        access: question.access,
        days,
        recorded: question.recorded,
        latest: question.days.latest,
        law: match (question.days.earliest, question.days.latest) {
            (Some(_), None) => Law::on(days.first),
            _ => Law::on(days.last),
        },
        found: Vec::new(),
        open_by_date: Vec::new(),
    };
    case.formalities();
    case.purposes();
    case.categories_and_recipients();
    case.persons();
    case.experiments();
    case.information();
    case.time();
    case.found.sort();
    Opinion { outcome: conclude(&case.found), regime: case.law.name(), findings: case.found }
}

/// A fact with its place.
pub struct Told<'a, T> {
    pub entry: &'a Entry,
    pub said: &'a T,
}

impl<T> Clone for Told<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Told<'_, T> {}

impl<T> Told<'_, T> {
    pub fn position(&self) -> u64 {
        self.entry.position
    }

    /// ADR 0003: no date is any day up to the recording.
    pub fn days(&self) -> Span {
        match self.entry.filed.at.text {
            Some(_) => Span::of(self.entry.filed.at.interval),
            None => Span::up_to(self.entry.time.date()),
        }
    }
}

macro_rules! told {
    ($($name:ident: $variant:ident => $type:ty),* $(,)?) => {
        impl<'a> Case<'a> {
            $(
                pub fn $name(&self) -> Vec<Told<'a, $type>> {
                    self.entries
                        .iter()
                        .filter_map(|entry| match &*entry.filed.body {
                            Body::$variant(said) => Some(Told { entry, said }),
                            _ => None,
                        })
                        .collect()
                }
            )*
        }
    };
}

told! {
    parties: RegisterParty => RegisterParty,
    references: PublishReference => PublishReference,
    declared: Declare => Declaration,
    amended: Amend => Declaration,
    filed: FileFormality => FileFormality,
    receipts: AcknowledgeFormality => AcknowledgeFormality,
    informed: RecordInformation => RecordInformation,
    opined: WorksCouncilOpine => WorksCouncilOpine,
    consulted: RecordConsultation => RecordConsultation,
    assessed: FileAssessment => FileAssessment,
    agreed: RecordAgreement => RecordAgreement,
    objected: RecordObjection => RecordAgreement,
    rendered: RenderDecision => RenderDecision,
    ended: EndDecision => EndDecision,
    ruled: RecordRuling => RecordRuling,
    stated: RecordStatement => RecordStatement,
    milestones: RecordMilestone => RecordMilestone,
    launched: LaunchExperiment => LaunchExperiment,
    enrolled: EnrolSite => EnrolSite,
    plans: PlanExpansion => PlanExpansion,
    expanded: ExpandExperiment => ExpandExperiment,
    evaluated: EvaluateExperiment => EvaluateExperiment,
    experiment_ends: EndExperiment => EndExperiment,
    conditions_set: SetCondition => SetCondition,
    conditions_met: MeetCondition => MeetCondition,
    uses: RecordUse => RecordUse,
}

impl<'a> Case<'a> {
    pub fn fire(&mut self, code: &'static str, evidence: &'static str, positions: Vec<u64>) {
        let mut positions = positions;
        positions.sort_unstable();
        positions.dedup();
        let severity = severity(code, evidence);
        self.found.push(Found { code, severity, evidence, positions });
    }

    /// What hangs on the order of days.
    pub fn leave_open(&mut self, code: &'static str, positions: Vec<u64>) {
        self.open_by_date.push(positions.clone());
        self.fire(code, UNCERTAIN, positions);
    }

    /// Fires unless something is certainly so; `evidence` is what its certain absence is.
    pub fn require(
        &mut self,
        code: &'static str,
        met: Open,
        evidence: &'static str,
        positions: Vec<u64>,
    ) {
        if met.is_open() {
            self.leave_open(code, positions);
        } else if met.is_excluded() {
            self.fire(code, evidence, positions);
        }
    }

    /// Fires if something is so.
    pub fn forbid(&mut self, code: &'static str, so: Open, positions: Vec<u64>) {
        self.require(code, so.not(), CONTRADICTED, positions);
    }

    /// FILINGS.md: filed by the competent role with an act, a receipt or a judgment. An
    /// observer describes.
    pub fn is_formal(&self, entry: &Entry) -> bool {
        let filed = &entry.filed;
        let competent = filed.kind.roles();
        matches!(filed.evidence.as_str(), "act" | "receipt" | "judgment")
            && self.parties().iter().any(|party| {
                party.said.party == filed.iss
                    && party.said.roles.iter().any(|role| {
                        // A ruling is the court's own.
                        let competent: &[Role] = match &*filed.body {
                            Body::RecordRuling(_) => &[Role::Court],
                            _ => competent,
                        };
                        *role != Role::Observer
                            && (competent.is_empty() || competent.contains(role))
                    })
            })
    }

    pub fn formal<T: 'a>(&self, all: Vec<Told<'a, T>>) -> Vec<Told<'a, T>> {
        all.into_iter().filter(|told| self.is_formal(told.entry)).collect()
    }

    /// Is this about the processing, the experiment or the access in question?
    pub fn concerns(&self, about: &About) -> bool {
        match about.kind {
            StreamType::Processing => about.id == self.access.processing,
            StreamType::Experiment => {
                self.experiment().is_some_and(|launch| launch.said.experiment == about.id)
            }
            StreamType::Access => {
                self.recorded.is_some_and(|(position, _)| about.id == position.to_string())
            }
            _ => false,
        }
    }

    /// Claims that the fact a rule states holds, or that it does not.
    pub fn claims(&self, code: &str, holds: bool) -> Vec<u64> {
        let mut positions = Vec::new();
        for statement in self.stated() {
            if self.concerns(&statement.said.about)
                && statement.said.claims.iter().any(|c| c.fact == *code && c.holds == holds)
            {
                positions.push(statement.position());
            }
        }
        positions
    }

    /// Rulings that bear on this access: they name it, or name its processing and no access.
    pub fn rulings(&self) -> Vec<Told<'a, RecordRuling>> {
        let on_this = |ruling: &RecordRuling| {
            if ruling.accesses.is_empty() {
                ruling.processing.as_deref() == Some(self.access.processing.as_str())
            } else {
                self.recorded.is_some_and(|(position, _)| ruling.accesses.contains(&position))
            }
        };
        self.formal(self.ruled()).into_iter().filter(|r| on_this(r.said)).collect()
    }

    /// What the last ruling that speaks of it established about a fact.
    pub fn established(&self, code: &str) -> Option<(u64, bool)> {
        let mut last = None;
        for ruling in self.rulings() {
            for established in &ruling.said.establishes {
                if established.fact == *code {
                    last = Some((ruling.position(), established.holds));
                }
            }
        }
        last
    }

    /// Of facts that replace one another, those that some world has in force on the days of
    /// the access, and whether some world has none.
    pub fn in_force<T>(&self, all: Vec<Told<'a, T>>) -> (Vec<Told<'a, T>>, bool) {
        let none = !all.iter().any(|told| told.days().before(self.days).is_certain());
        let may_be_last = |told: &Told<'a, T>| {
            told.days().before(self.days).can
                && !all.iter().any(|other| {
                    other.days().before(self.days).is_certain()
                        && (told.days().before(other.days()).is_certain()
                            || (told.days() == other.days() && told.position() < other.position()))
                })
        };
        let kept = all.iter().filter(|told| may_be_last(told));
        (kept.copied().collect(), none)
    }

    /// The declarations some world has in force. What was only described counts where
    /// nothing formal does.
    pub fn declarations(&self) -> (Vec<Told<'a, Declaration>>, bool) {
        let mut all = self.declared();
        all.extend(self.amended());
        all.retain(|told| told.said.processing == self.access.processing);
        all.sort_by_key(Told::position);
        let (formal, described): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|told| self.is_formal(told.entry));
        // Where the controller may have declared, what others described is set aside.
        let (kept, none) = self.in_force(formal);
        if kept.is_empty() { self.in_force(described) } else { (kept, none) }
    }

    /// Requires of the declaration in force that it says something.
    pub fn require_declared(&mut self, code: &'static str, says: impl Fn(&Declaration) -> bool) {
        let (versions, none) = self.declarations();
        let silent: Vec<_> = versions.iter().filter(|v| !says(v.said)).collect();
        let good = versions.len() > silent.len();
        if !none && silent.is_empty() {
            return;
        }
        let positions = versions.iter().map(Told::position).collect();
        if good {
            self.leave_open(code, positions);
        } else if !none && silent.iter().all(|v| self.is_formal(v.entry)) {
            self.fire(code, CONTRADICTED, positions);
        } else {
            self.fire(code, NOT_EVIDENCED, positions);
        }
    }

    pub fn regime_of(kind: &str) -> Option<Law> {
        let code = greffe_domain::vocabulary::FormalityKind::parse(kind)?;
        Law::named(code.term().regime.as_deref()?)
    }
}

pub fn positions<T>(all: &[Told<'_, T>]) -> Vec<u64> {
    all.iter().map(Told::position).collect()
}
