//! An access judged again: as recorded, as known now, and what made the difference.
//!
//! The recorded verdict is never rewritten. What stands beside it is a fold: the same access
//! before the register as known after each later entry (`touch.rs` says after which it has
//! to be looked at), with the entries that changed the answer and, for each finding, the
//! entry since which it has stood. The one place that judges again; who stores the result is
//! not known here.

use super::{Case, Rulebook, conclude, judge};
use crate::body::Ending;
use crate::date::Certainty;
use crate::register::{Register, View};
use crate::verdict::{Evidence, Finding, Severity, Verdict};
use crate::vocabulary::RuleCode;

/// The verdict on a recorded access before the register as known at `view`.
///
/// `then`: the verdict recorded. A rule that needs a value since erased is not decided
/// again: what it found then stays. `None`: no such processing at that size.
pub fn judge_again(
    rulebook: &Rulebook,
    case: &Case<'_>,
    then: &Verdict,
    view: View<'_>,
) -> Option<Verdict> {
    let judgement = judge(rulebook, case, view)?;
    let (mut verdict, undecided) = (judgement.verdict, judgement.undecided);
    if !undecided.is_empty() {
        verdict.findings.retain(|f| !undecided.contains(&f.code));
        let kept = then.findings.iter().filter(|f| undecided.contains(&f.code)).cloned();
        verdict.findings.extend(kept);
        verdict.findings.sort_by(|a, b| (a.code, &a.positions).cmp(&(b.code, &b.positions)));
        verdict.verdict = conclude(rulebook, &verdict.findings);
        verdict.valid_until = verdict.valid_until.filter(|_| verdict.verdict.is_covered());
    }
    Some(verdict)
}

/// Whether two verdicts give a reader the same answer: the outcome, and what is found with
/// what weight. A finding that rests on other entries is the same answer.
pub fn same_answer(a: &Verdict, b: &Verdict) -> bool {
    fn said(verdict: &Verdict) -> Vec<(RuleCode, Severity, &'static str)> {
        let findings = verdict.findings.iter();
        let mut said: Vec<_> =
            findings.map(|f| (f.code, f.severity, f.evidence.as_str())).collect();
        said.sort_unstable();
        said
    }
    a.verdict == b.verdict && said(a) == said(b)
}

/// Whether two verdicts are the same in every respect but when they were given and which
/// digests they compared: a finding about one person lists those of all the others it was
/// told apart from, and an entry about another person is no reason to judge again.
pub fn is_same(a: &Verdict, b: &Verdict) -> bool {
    let alike = |(a, b): (&Finding, &Finding)| {
        let rests_on = b.rests_on.clone();
        Finding { rests_on, ..a.clone() } == *b
    };
    a.verdict == b.verdict
        && a.basis == b.basis
        && a.regime == b.regime
        && a.valid_until == b.valid_until
        && a.findings.len() == b.findings.len()
        && a.findings.iter().zip(&b.findings).all(alike)
}

/// One finding on one access, from the entry that brought it to the one that took it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    pub code: RuleCode,
    /// As it stands, or as it stood last.
    pub severity: Severity,
    pub evidence: Evidence,
    /// Entries it rests on, ascending.
    pub positions: Vec<u64>,
    /// Position of the entry since which it has stood with this weight.
    pub since: u64,
    /// Position of the entry that took it away.
    pub until: Option<u64>,
    /// Its weight in the verdict recorded; `None` if it was not found then.
    pub then: Option<(Severity, Evidence)>,
}

impl Stood {
    /// The findings of a verdict, before any later entry.
    pub fn as_recorded(position: u64, then: &Verdict) -> Vec<Self> {
        let stood = |finding: &Finding| Self {
            code: finding.code,
            severity: finding.severity,
            evidence: finding.evidence,
            positions: finding.positions.clone(),
            since: position,
            until: None,
            then: Some((finding.severity, finding.evidence)),
        };
        then.findings.iter().map(stood).collect()
    }
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Stands as it was recorded with the access.
    Open,
    /// Stands, and was not recorded so: a later entry brought it, or changed its weight.
    Changed,
    /// No longer stands.
    Closed,
}

impl State {
    pub const ALL: [State; 3] = [State::Open, State::Changed, State::Closed];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Changed => "changed",
            State::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl Stood {
    /// `access`: position of the access it is on.
    pub fn state(&self, access: u64) -> State {
        if self.until.is_some() {
            State::Closed
        } else if self.since == access && self.then == Some((self.severity, self.evidence)) {
            State::Open
        } else {
            State::Changed
        }
    }

    fn weighs(&self, finding: &Finding) -> bool {
        self.severity == finding.severity && self.evidence == finding.evidence
    }
}

/// What stands of an access, after some later entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Position of the access.
    pub position: u64,
    pub now: Verdict,
    /// Those of the recorded verdict first, in its order; then as they came.
    pub findings: Vec<Stood>,
    /// Positions of the entries that changed the answer, ascending.
    pub changed_by: Vec<u64>,
}

impl Standing {
    /// Before any later entry.
    pub fn as_recorded(position: u64, then: &Verdict) -> Self {
        Self {
            position,
            now: then.clone(),
            findings: Stood::as_recorded(position, then),
            changed_by: Vec::new(),
        }
    }

    /// Takes note of the verdict after the entry at `by`. The access's own position stands
    /// for a change of rules, which is nobody's entry. Answers whether anything differs.
    pub fn follow(&mut self, by: u64, after: Verdict) -> bool {
        if is_same(&self.now, &after) {
            return false;
        }
        if by != self.position && !same_answer(&self.now, &after) {
            self.changed_by.push(by);
        }
        self.match_findings(by, &after.findings);
        self.now = after;
        true
    }

    /// Each new finding continues the one most like it that stands: of the same code and
    /// entries, else of the same code and weight, else of the same code with another weight.
    fn match_findings(&mut self, by: u64, after: &[Finding]) {
        type Alike = fn(&Stood, &Finding) -> bool;
        let passes: [Alike; 3] =
            [|s, f| s.weighs(f) && s.positions == f.positions, |s, f| s.weighs(f), |_, _| true];
        let mut standing: Vec<usize> =
            (0..self.findings.len()).filter(|i| self.findings[*i].until.is_none()).collect();
        let mut left: Vec<&Finding> = after.iter().collect();
        for alike in passes {
            left.retain(|finding| {
                let found = standing.iter().position(|i| {
                    let stood = &self.findings[*i];
                    stood.code == finding.code && alike(stood, finding)
                });
                let Some(found) = found else { return true };
                let stood = &mut self.findings[standing.remove(found)];
                if !stood.weighs(finding) {
                    (stood.severity, stood.evidence) = (finding.severity, finding.evidence);
                    stood.since = by;
                }
                stood.positions.clone_from(&finding.positions);
                false
            });
        }
        for gone in standing {
            self.findings[gone].until = Some(by);
        }
        self.findings.extend(left.into_iter().map(|finding| Stood {
            code: finding.code,
            severity: finding.severity,
            evidence: finding.evidence,
            positions: finding.positions.clone(),
            since: by,
            until: None,
            then: None,
        }));
    }
}

/// What stands of an access as known at `size`, worked out from its recording on.
///
/// `None`: no such processing, or `case` is hypothetical. Cost: one judgement for each later
/// entry about the same things.
pub fn stand(
    rulebook: &Rulebook,
    case: &Case<'_>,
    then: &Verdict,
    register: &Register,
    size: u64,
) -> Option<Standing> {
    let (position, _) = case.recorded?;
    let mut standing = Standing::as_recorded(position, then);
    // From what today's rules say of that day: a change of rules is nobody's entry.
    standing.follow(position, judge_again(rulebook, case, then, register.view(position))?);
    for by in register.view(size).touching(case.access, position) {
        if by > position {
            standing.follow(by, judge_again(rulebook, case, then, register.view(by + 1))?);
        }
    }
    standing.now.judged_at = size;
    Some(standing)
}

/// Whether the access was covered when it was recorded and lost its cover to a decision
/// annulled or withdrawn as if it had never been, by an act that did not come before it:
/// whoever relied on the decision could not know.
///
/// `changed_by`: the entries that changed the answer.
pub fn is_good_faith(
    case: &Case<'_>,
    then: &Verdict,
    now: &Verdict,
    changed_by: &[u64],
    view: View<'_>,
) -> bool {
    let lost = then.verdict.is_covered() && !now.verdict.is_covered();
    let Some(processing) = view.processing(&case.access.processing).filter(|_| lost) else {
        return false;
    };
    view.decisions_on(processing).flat_map(|d| view.known(&d.endings)).any(|ending| {
        ending.data.how.is_retroactive()
            && changed_by.contains(&ending.position)
            && ending.precedes(&case.days) != Certainty::Yes
    })
}

/// What a reader should know of an entry that bears on an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub position: u64,
    /// `LATE-RECORDED`, or how a decision ended (`ANNULLED-DEFERRED`, …).
    pub note: &'static str,
}

/// Notes on the decisions for this purpose that ended after the access was recorded, whether
/// or not that changed anything, and on the entries that changed the answer long after what
/// they record had happened.
pub fn notes(case: &Case<'_>, changed_by: &[u64], view: View<'_>) -> Vec<Note> {
    let Some((position, _)) = case.recorded else { return Vec::new() };
    let Some(processing) = view.processing(&case.access.processing) else { return Vec::new() };
    let mut notes = Vec::new();
    for decision in view.decisions_on(processing) {
        let outcomes = &decision.rendered.data.outcomes;
        if !outcomes.iter().any(|o| o.purpose == case.access.purpose) {
            continue;
        }
        for ending in view.known(&decision.endings).iter().filter(|e| e.position > position) {
            let purposes = &ending.data.purposes;
            if ending.formal && purposes.as_ref().is_none_or(|p| p.contains(&case.access.purpose)) {
                notes.push(Note { position: ending.position, note: how(ending.data.how) });
            }
        }
    }
    let late = |fact: &crate::register::Fact<_>| {
        let last = fact.at.latest?;
        let limit = last.add_days(super::regime::RECORDING_IN_TIME.days);
        (changed_by.contains(&fact.position) && fact.recorded.date() > limit)
            .then_some(Note { position: fact.position, note: "LATE-RECORDED" })
    };
    notes.extend(view.known(&processing.information).iter().filter_map(late));
    notes.sort_by_key(|n| (n.position, n.note));
    notes
}

fn how(ending: Ending) -> &'static str {
    match ending {
        Ending::AnnulledExTunc => "ANNULLED-EX-TUNC",
        Ending::AnnulledDeferred => "ANNULLED-DEFERRED",
        Ending::WithdrawnExTunc => "WITHDRAWN-EX-TUNC",
        Ending::RepealedExNunc => "REPEALED-EX-NUNC",
        Ending::Suspended => "SUSPENDED",
        Ending::Expired => "EXPIRED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Outcome;

    fn finding(code: &str, severity: Severity, positions: &[u64]) -> Finding {
        Finding {
            code: RuleCode::parse(code).expect("a rule"),
            severity,
            evidence: Evidence::NotEvidenced,
            positions: positions.to_vec(),
            rests_on: Vec::new(),
            cells: Vec::new(),
            source: String::new(),
        }
    }

    fn verdict(findings: Vec<Finding>) -> Verdict {
        Verdict {
            verdict: Outcome::Undetermined,
            findings,
            basis: Vec::new(),
            regime: "RGPD-2018".to_owned(),
            judged_at: 0,
            valid_until: None,
        }
    }

    const TOLD: &str = "SUBJECTS-NOT-INFORMED";
    const UNMET: &str = "CONDITION-NOT-MET";

    fn lives(standing: &Standing) -> Vec<(&'static str, State, u64, Option<u64>)> {
        let findings = standing.findings.iter();
        findings.map(|f| (f.code.as_str(), f.state(10), f.since, f.until)).collect()
    }

    #[test]
    fn a_finding_whose_weight_changes_is_one_finding_and_not_closed() {
        let then = verdict(vec![finding(TOLD, Severity::Major, &[])]);
        let mut standing = Standing::as_recorded(10, &then);
        assert!(standing.follow(12, verdict(vec![finding(TOLD, Severity::Blocking, &[12])])));
        assert_eq!(lives(&standing), [(TOLD, State::Changed, 12, None)]);
        assert_eq!(standing.findings[0].then, Some((Severity::Major, Evidence::NotEvidenced)));
        assert_eq!(standing.changed_by, [12]);
        assert_eq!(then, verdict(vec![finding(TOLD, Severity::Major, &[])]));
    }

    #[test]
    fn a_finding_that_comes_to_rest_on_other_entries_stands_as_it_did() {
        let then = verdict(vec![finding(TOLD, Severity::Major, &[1])]);
        let mut standing = Standing::as_recorded(10, &then);
        assert!(standing.follow(12, verdict(vec![finding(TOLD, Severity::Major, &[1, 12])])));
        assert_eq!(lives(&standing), [(TOLD, State::Open, 10, None)]);
        assert_eq!(standing.findings[0].positions, [1, 12]);
        assert!(standing.changed_by.is_empty());
    }

    #[test]
    fn of_two_findings_of_one_rule_the_one_that_goes_is_the_one_closed() {
        let both = vec![
            finding(UNMET, Severity::Blocking, &[1]),
            finding(UNMET, Severity::Blocking, &[2]),
        ];
        let mut standing = Standing::as_recorded(10, &verdict(both));
        standing.follow(13, verdict(vec![finding(UNMET, Severity::Blocking, &[2])]));
        assert_eq!(
            lives(&standing),
            [(UNMET, State::Closed, 10, Some(13)), (UNMET, State::Open, 10, None)]
        );
    }

    #[test]
    fn a_finding_closed_and_found_again_is_another_one() {
        let then = verdict(vec![finding(TOLD, Severity::Major, &[])]);
        let mut standing = Standing::as_recorded(10, &then);
        standing.follow(12, verdict(Vec::new()));
        standing.follow(15, then.clone());
        assert_eq!(
            lives(&standing),
            [(TOLD, State::Closed, 10, Some(12)), (TOLD, State::Changed, 15, None)]
        );
        assert_eq!(standing.changed_by, [12, 15]);
    }

    #[test]
    fn a_change_of_rules_is_nobodys_entry() {
        let mut standing = Standing::as_recorded(10, &verdict(Vec::new()));
        standing.follow(10, verdict(vec![finding(TOLD, Severity::Major, &[])]));
        assert_eq!(lives(&standing), [(TOLD, State::Changed, 10, None)]);
        assert!(standing.changed_by.is_empty());
    }
}
