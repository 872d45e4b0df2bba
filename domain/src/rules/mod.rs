//! The rules, and the judge that runs them all.
//!
//! A rule is a row (`Rule`): stable code, severity, regimes, source, one plain sentence in
//! French and English, and a pure function of the `Question`. Every rule of the regime runs;
//! the judge never stops at the first. What an answer means is in `verdict.rs`. A rule that
//! is not written yet has no row: nothing here is a placeholder.
//!
//! Source of the conclusion: `conclude`, in the order the house decided (ADR 0004).

pub mod again;
pub mod experiment;
pub mod formality;
pub mod generalise;
pub mod information;
pub mod purpose;
pub mod regime;
pub mod statistics;
pub mod time;
pub mod touch;

use std::cell::OnceCell;

use crate::body::{
    Access, Declaration, FileFormality, PurposeOutcome, RecordRuling, RecordStatement,
    RenderDecision,
};
use crate::date::{Certainty, Interval, LegalDate, Timestamp};
use crate::kind::StreamType;
use crate::register::{AboutView, Decision, Experiment, Fact, InForce, Processing, View, in_force};
use crate::verdict::{Evidence, Finding, Involved, Outcome, Severity, Verdict};
use crate::vocabulary::RuleCode;
use regime::{Regime, ToCheck};
use statistics::{Statistics, Thresholds};

/// One rule of the rulebook.
pub struct Rule {
    pub code: &'static str,
    pub group: Group,
    /// What it weighs when it fires; a rule may raise or lower it by the evidence.
    pub severity: Severity,
    /// Regimes in which it runs.
    pub regimes: &'static [Regime],
    /// Article, decision or document, as cited to a reader.
    pub source: &'static str,
    pub reason_fr: &'static str,
    pub reason_en: &'static str,
    pub judge: fn(&Question<'_>, &mut Findings),
}

impl Rule {
    /// What of it was not checked at its source, to be shown beside it.
    pub fn to_check(&self) -> Option<&'static ToCheck> {
        regime::TO_CHECK.iter().find(|row| row.rule == self.code)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Formality,
    Purpose,
    Experiment,
    Information,
    Time,
    Statistics,
}

/// Regimes in which a rule that follows from all of them runs.
pub const ALL: &[Regime] = &[Regime::Lil1978, Regime::Lil2004, Regime::Rgpd2018];
pub const SINCE_2004: &[Regime] = &[Regime::Lil2004, Regime::Rgpd2018];
pub const BEFORE_2018: &[Regime] = &[Regime::Lil1978, Regime::Lil2004];
pub const RGPD: &[Regime] = &[Regime::Rgpd2018];

/// A version of the rules. A leaf names the version that judged it, and a verifier
/// judges again under that one.
pub struct Rulebook {
    pub version: &'static str,
    pub rules: &'static [&'static [Rule]],
    /// Whether a covered verdict states its term, `Verdict::valid_until` (ADR 0024).
    pub states_term: bool,
    pub thresholds: &'static Thresholds,
}

/// The first rules: before disclosures to one employer were held against each other. Their
/// verdicts state no term: it stood in the receipt alone, where nothing signed it.
pub static FIRST: Rulebook = Rulebook {
    version: "2026-11-21",
    rules: &[formality::RULES, purpose::RULES, experiment::RULES, information::RULES, time::RULES],
    states_term: false,
    thresholds: &statistics::THRESHOLDS,
};

/// The current rules.
pub static CURRENT: Rulebook = Rulebook {
    version: "2026-11-25",
    rules: &[
        formality::RULES,
        purpose::RULES,
        experiment::RULES,
        information::RULES,
        time::RULES,
        // After `DATE-UNCERTAIN`, which reads what those before it left open.
        statistics::RULES,
    ],
    states_term: true,
    thresholds: &statistics::THRESHOLDS,
};

/// Every version this build can judge by, in the order they came into force. A ledger is
/// written under the last one, and never goes back to an earlier one (ADR 0025).
pub static VERSIONS: &[&Rulebook] = &[&FIRST, &CURRENT];

impl Rulebook {
    /// One of [`VERSIONS`].
    pub fn by_version(version: &str) -> Option<&'static Rulebook> {
        VERSIONS.iter().copied().find(|rulebook| rulebook.version == version)
    }

    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        self.rules.iter().flat_map(|group| group.iter())
    }

    pub fn rule(&self, code: &str) -> Option<&'static Rule> {
        self.rules().find(|r| r.code == code)
    }
}

/// An access to be judged, or judged again.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub access: &'a Access,
    /// Days on which it may have happened.
    pub days: Interval,
    /// Where and when it was recorded; `None` for a hypothetical one.
    pub recorded: Option<(u64, Timestamp)>,
}

/// A case, before the register as known at a tree size: what every rule is given.
pub struct Question<'a> {
    pub access: &'a Access,
    pub days: Interval,
    pub recorded: Option<(u64, Timestamp)>,
    pub view: View<'a>,
    pub regime: Regime,
    pub processing: &'a Processing,
    /// The experiment the access belongs to, with its id.
    pub experiment: Option<(&'a str, &'a Experiment)>,
    /// The declaration that may have been in force. Where the controller filed a formal
    /// one, descriptions by others are set aside.
    pub declaration: InForce<'a, Declaration>,
    /// Formalities that came, or may have come, before the access, whoever recorded them.
    pub formalities: Vec<(Certainty, &'a Fact<FileFormality>)>,
    /// Formal decisions on the purpose of the access that may have been in force, the
    /// latest last. Those ended retroactively are left out: they never existed.
    pub decisions: Vec<InForceDecision<'a>>,
    /// The rulings that speak of this access: those that name it, and those about the
    /// processing that name no access at all. A ruling on other accesses changes nothing
    /// here.
    pub rulings: Vec<&'a Fact<RecordRuling>>,
    /// Statements about the processing, the experiment and the access itself.
    pub statements: Vec<&'a Fact<RecordStatement>>,
    /// What else was filed about the processing, and about the experiment.
    pub about_processing: AboutView<'a>,
    pub about_experiment: Option<AboutView<'a>>,
    pub thresholds: &'static Thresholds,
    statistics: OnceCell<Option<Statistics<'a>>>,
}

impl<'a> Question<'a> {
    /// `None` when the processing is not in the register at that size.
    pub fn new(rulebook: &Rulebook, case: &Case<'a>, view: View<'a>) -> Option<Self> {
        let processing = view.processing(&case.access.processing)?;
        let versions = view.known(&processing.versions);
        let formal = in_force(versions.iter().filter(|v| v.formal), &case.days);
        let declaration =
            if formal.facts.is_empty() { in_force(versions.iter(), &case.days) } else { formal };
        let experiment = match &case.access.experiment {
            Some(id) => view.experiment(id).map(|e| (id.as_str(), e)),
            // A processing that runs as a single experiment has no existence outside it.
            None => {
                let mut known = processing
                    .experiments
                    .iter()
                    .filter_map(|id| view.experiment(id).map(|e| (id.as_str(), e)));
                known.next().filter(|_| known.next().is_none())
            }
        };
        let last_day = case.days.latest.or(case.days.earliest);
        let position = case.recorded.map(|(position, _)| position);
        let about_processing = view.about(StreamType::Processing, &case.access.processing);
        let about_experiment = experiment.map(|(id, _)| view.about(StreamType::Experiment, id));
        let about_access = position.map(|p| view.about(StreamType::Access, &p.to_string()));
        let statements = [Some(about_processing), about_experiment, about_access];
        Some(Self {
            access: case.access,
            days: case.days,
            recorded: case.recorded,
            view,
            regime: last_day.map_or(Regime::Rgpd2018, Regime::on),
            processing,
            experiment,
            declaration,
            formalities: formality::before(case, view, processing),
            decisions: decisions_in_force(case, view, processing),
            rulings: rulings_on(view, processing, position),
            statements: statements.iter().flatten().flat_map(AboutView::statements).collect(),
            about_processing,
            about_experiment,
            thresholds: rulebook.thresholds,
            statistics: OnceCell::new(),
        })
    }

    /// What the disclosure of a group says of persons; `None` if it shows no cell.
    pub fn statistics(&self) -> Option<&Statistics<'a>> {
        self.statistics.get_or_init(|| Statistics::of(self, self.thresholds)).as_ref()
    }

    pub fn position(&self) -> Option<u64> {
        self.recorded.map(|(position, _)| position)
    }

    /// What rulings establish about a fact: the latest one that speaks of it.
    pub fn established(&self, code: &str) -> Option<(u64, bool)> {
        self.rulings.iter().rev().find_map(|ruling| {
            let said = ruling.data.establishes.iter().find(|e| e.fact == *code)?;
            Some((ruling.position, said.holds))
        })
    }

    /// Positions of statements that claim the fact holds (`true`) or does not.
    pub fn claims(&self, code: &str, holds: bool) -> Vec<u64> {
        let mut positions: Vec<u64> = self
            .statements
            .iter()
            .filter(|s| s.data.claims.iter().any(|c| c.fact == *code && c.holds == holds))
            .map(|s| s.position)
            .collect();
        positions.sort_unstable();
        positions
    }

    pub fn formal_declaration(&self) -> bool {
        self.declaration.facts.iter().any(|f| f.formal)
    }
}

/// See [`Question::rulings`].
fn rulings_on<'a>(
    view: View<'a>,
    processing: &'a Processing,
    position: Option<u64>,
) -> Vec<&'a Fact<RecordRuling>> {
    let mut rulings = view.rulings_on(processing, position);
    rulings.retain(|r| {
        r.data.accesses.is_empty() || position.is_some_and(|p| r.data.accesses.contains(&p))
    });
    rulings
}

/// See [`Question::decisions`].
fn decisions_in_force<'a>(
    case: &Case<'a>,
    view: View<'a>,
    processing: &'a Processing,
) -> Vec<InForceDecision<'a>> {
    let purpose = case.access.purpose;
    let mut found: Vec<InForceDecision<'a>> = view
        .decisions_on(processing)
        .filter(|d| d.rendered.formal)
        .filter_map(|decision| {
            let rendered = &decision.rendered;
            let outcome = rendered.data.outcomes.iter().find(|o| o.purpose == purpose)?;
            let voided = view.known(&decision.endings).iter().any(|e| {
                e.formal
                    && e.data.how.is_retroactive()
                    && e.data.purposes.as_ref().is_none_or(|p| p.contains(&purpose))
            });
            if voided {
                return None;
            }
            let from = rendered.data.effective_from.as_ref();
            let starts = from.map_or(rendered.at, |e| e.interval());
            let precedes = starts.strictly_before(&case.days);
            (precedes != Certainty::No).then_some(InForceDecision {
                decision,
                rendered,
                outcome,
                starts,
                precedes,
            })
        })
        .collect();
    found.sort_by_key(|d| (d.starts.latest, d.starts.earliest, d.rendered.position));
    // The last that certainly was in force, and those that may have replaced it.
    let from = found.iter().rposition(|d| d.precedes == Certainty::Yes).unwrap_or(0);
    found.split_off(from)
}

/// A decision on the purpose of an access, that may have been in force.
pub struct InForceDecision<'a> {
    pub decision: &'a Decision,
    pub rendered: &'a Fact<RenderDecision>,
    pub outcome: &'a PurposeOutcome,
    pub starts: Interval,
    pub precedes: Certainty,
}

impl InForceDecision<'_> {
    pub fn accepts(&self) -> bool {
        matches!(
            self.outcome.outcome.as_str(),
            "ACCEPTED"
                | "ACCEPTED-CONDITIONS"
                | "OPINION-FAVOURABLE"
                | "TACIT-FAVOURABLE"
                | "TACIT-ACCEPTED"
        )
    }

    pub fn refuses(&self) -> bool {
        matches!(
            self.outcome.outcome.as_str(),
            "REFUSED" | "REFUSED-AS-SUBMITTED" | "TACIT-REJECTED"
        )
    }
}

/// What the rules found so far.
#[derive(Default)]
pub struct Findings {
    found: Vec<(Finding, bool)>,
    /// Rules that could not be decided for want of a disclosure.
    undecided: Vec<RuleCode>,
    current: Option<&'static Rule>,
}

/// Why a finding's evidence is what it is.
pub struct Fired {
    evidence: Evidence,
    positions: Vec<u64>,
    rests_on: Vec<String>,
    cells: Vec<Involved>,
    severity: Option<Severity>,
    dated: bool,
}

impl Fired {
    fn new(evidence: Evidence, mut positions: Vec<u64>) -> Self {
        positions.sort_unstable();
        positions.dedup();
        Self {
            evidence,
            positions,
            rests_on: Vec::new(),
            cells: Vec::new(),
            severity: None,
            dated: false,
        }
    }

    pub fn contradicted(positions: Vec<u64>) -> Self {
        Self::new(Evidence::Contradicted, positions)
    }

    pub fn not_evidenced(positions: Vec<u64>) -> Self {
        Self::new(Evidence::NotEvidenced, positions)
    }

    pub fn uncertain(positions: Vec<u64>) -> Self {
        Self::new(Evidence::Uncertain, positions)
    }

    /// Open only because dates overlap.
    pub fn dates_overlap(positions: Vec<u64>) -> Self {
        Self { dated: true, ..Self::uncertain(positions) }
    }

    /// A fact of this weight instead of the rule's own.
    pub fn weighing(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Digests of concealed values it rests on.
    pub fn resting_on(mut self, mut digests: Vec<String>) -> Self {
        digests.sort();
        digests.dedup();
        self.rests_on = digests;
        self
    }

    /// Cells, published or derived, that it is about.
    pub fn involving(mut self, cells: Vec<Involved>) -> Self {
        self.cells = cells;
        self
    }
}

impl Findings {
    /// The rule being run fires.
    pub fn fire(&mut self, fired: Fired) {
        let rule = self.current.expect("rules run inside `judge`, which sets the current rule");
        let code = RuleCode::parse(rule.code).expect("every rule's code is in the code lists");
        self.found.push((
            Finding {
                code,
                severity: fired.severity.unwrap_or(rule.severity),
                evidence: fired.evidence,
                positions: fired.positions,
                rests_on: fired.rests_on,
                cells: fired.cells,
                source: rule.source.to_owned(),
            },
            fired.dated,
        ));
    }

    /// A requirement that had to be met before the access: fires unless `met` is `Yes`.
    /// Nothing recorded: NOT-EVIDENCED; dates overlap: UNCERTAIN.
    pub fn require(&mut self, met: Certainty, positions: Vec<u64>) {
        match met {
            Certainty::Yes => {}
            Certainty::Maybe => self.fire(Fired::dates_overlap(positions)),
            Certainty::No => self.fire(Fired::not_evidenced(positions)),
        }
    }

    /// The rule being run cannot be decided without a disclosure.
    pub fn undecided(&mut self) {
        let rule = self.current.expect("rules run inside `judge`, which sets the current rule");
        self.undecided.extend(RuleCode::parse(rule.code));
    }

    /// Whether a missing disclosure left a rule undecided so far.
    pub fn any_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// Whether dates left something open that weighs on the verdict.
    pub fn open_by_date(&self) -> Vec<u64> {
        let mut positions: Vec<u64> = self
            .found
            .iter()
            .filter(|(f, dated)| *dated && f.severity >= Severity::Major)
            .flat_map(|(f, _)| f.positions.iter().copied())
            .collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// A verdict, and the rules that a missing disclosure left undecided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    pub undecided: Vec<RuleCode>,
}

/// Judges an access before the register as known at `view`. `None`: no such processing.
pub fn judge(rulebook: &Rulebook, case: &Case<'_>, view: View<'_>) -> Option<Judgement> {
    let question = Question::new(rulebook, case, view)?;
    let mut findings = Findings::default();
    for rule in rulebook.rules().filter(|r| r.regimes.contains(&question.regime)) {
        findings.current = Some(rule);
        (rule.judge)(&question, &mut findings);
    }
    let mut undecided = findings.undecided;
    undecided.sort_unstable();
    undecided.dedup();
    let mut found: Vec<Finding> = findings.found.into_iter().map(|(f, _)| f).collect();
    found.sort_by(|a, b| (a.code, &a.positions).cmp(&(b.code, &b.positions)));
    let verdict = conclude(rulebook, &found);
    let states_term = rulebook.states_term && verdict.is_covered();
    Some(Judgement {
        verdict: Verdict {
            verdict,
            findings: found,
            basis: basis(&question),
            regime: question.regime.as_str().to_owned(),
            judged_at: view.size(),
            valid_until: if states_term { term(&question) } else { None },
        },
        undecided,
    })
}

/// What findings amount to.
pub fn conclude(rulebook: &Rulebook, findings: &[Finding]) -> Outcome {
    let is_formality =
        |f: &Finding| rulebook.rule(f.code.as_str()).is_some_and(|r| r.group == Group::Formality);
    let blocking = || findings.iter().filter(|f| f.severity == Severity::Blocking);
    let refuses = |f: &Finding| match f.evidence {
        Evidence::Contradicted => true,
        Evidence::NotEvidenced => is_formality(f),
        Evidence::Uncertain => false,
    };
    if blocking().any(refuses) {
        Outcome::NotCovered
    } else if blocking().next().is_some() {
        Outcome::Undetermined
    } else if findings.iter().any(|f| f.severity >= Severity::Minor) {
        Outcome::CoveredWithReservations
    } else {
        Outcome::Covered
    }
}

/// Last day on which a covered access may still be served. `None`: it has no term.
///
/// For entries whose rulebook states no term; later ones have it in their verdict.
pub fn valid_until(case: &Case<'_>, view: View<'_>) -> Option<LegalDate> {
    term(&Question::new(&CURRENT, case, view)?)
}

/// The earliest term of the decision and of the experiment that an access rests on.
fn term(question: &Question<'_>) -> Option<LegalDate> {
    let view = question.view;
    let decided =
        question.decisions.last().and_then(|d| d.rendered.data.until.as_ref()?.interval().latest);
    let experiment = question.experiment.and_then(|(_, experiment)| {
        let extended =
            view.known(&experiment.expansions).iter().rev().find_map(|e| e.data.end.as_ref());
        let launched = view.known(&experiment.launches).last().and_then(|l| l.data.end.as_ref());
        extended.or(launched)?.interval().latest
    });
    decided.into_iter().chain(experiment).min()
}

/// Positions of the formal entries in force that the access rests on.
fn basis(question: &Question<'_>) -> Vec<u64> {
    let declared = question.declaration.facts.iter().filter(|f| f.formal).map(|f| f.position);
    let filed = formality::covering(question).filter(|(_, f)| f.formal).map(|(_, f)| f.position);
    let decided = question.decisions.iter().filter(|d| d.accepts()).map(|d| d.rendered.position);
    let mut positions: Vec<u64> = declared.chain(filed).chain(decided).collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}
