//! Searches over entries: accesses, findings, audit. The one file that knows how they are
//! found; here by reading the entries in order, so that a projection can take its place.
//!
//! An access keeps the verdict it was recorded with (`then`). `now` judges it again before
//! the register as known at a tree size, and `changed_by` names the entries after which the
//! answer changed. Values that were erased stay erased: a rule that needs one keeps what it
//! found at the time.

use std::collections::BTreeSet;

use greffe_domain::body::Access;
use greffe_domain::date::Timestamp;
use greffe_domain::event::{Event, Filed};
use greffe_domain::kind::StreamType;
use greffe_domain::register::{Register, View};
use greffe_domain::rules::{self, CURRENT, Case, Rulebook};
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{Leaf, Position};
use greffe_domain::verdict::{Evidence, Severity, Verdict};
use greffe_domain::vocabulary::RuleCode;
use greffe_infra::store::{EntryRow, Fault, FaultKind};

use super::App;

/// Entries read at once.
const CHUNK: usize = 1_024;

/// An entry, read.
pub struct Read {
    pub row: EntryRow,
    pub leaf: Leaf,
    pub event: Event,
}

impl Read {
    pub fn filed(&self) -> Option<&Filed> {
        self.event.filed()
    }

    /// As an access with its verdict, if it is one.
    pub fn recorded(&self) -> Option<Recorded<'_>> {
        let filed = self.event.filed()?;
        let (access, then) = (filed.body.access()?, filed.verdict.as_deref()?);
        Some(Recorded { position: self.row.position.0, time: self.row.time, filed, access, then })
    }
}

/// An access in the ledger.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    pub position: u64,
    pub time: Timestamp,
    pub filed: &'a Filed,
    pub access: &'a Access,
    /// The verdict recorded with it.
    pub then: &'a Verdict,
}

fn corrupt(row: &EntryRow, why: impl std::fmt::Display) -> Fault {
    let on = format!("the entry at position {}", row.position);
    Fault::new(FaultKind::Corrupt, "read an entry", on).because(why.to_string())
}

fn read_row(row: EntryRow, disclosures: &[Disclosure]) -> Result<Read, Fault> {
    let leaf = Leaf::parse(&row.sealed.leaf).map_err(|e| corrupt(&row, e))?;
    let event = Event::read_disclosed(&leaf.event, disclosures).map_err(|e| corrupt(&row, e))?;
    Ok(Read { row, leaf, event })
}

/// One entry with the disclosures still kept. `None`: there is none at that position.
pub async fn entry(app: &App, position: u64) -> Result<Option<Read>, Fault> {
    let store = app.ledger.store();
    let Some(row) = store.entry(Position(position)).await? else { return Ok(None) };
    let kept = store.disclosures_at(&[row.position]).await?;
    let disclosures: Vec<Disclosure> =
        kept.iter().filter_map(|d| Disclosure::parse(&d.encoded).ok()).collect();
    read_row(row, &disclosures).map(Some)
}

/// Entries from a position on, in order, until `each` has enough (answers `false`) or the
/// ledger, as known at `size`, ends. Answers the position to go on from, if any is left.
pub async fn scan(
    app: &App,
    from: u64,
    size: u64,
    wanted: impl Fn(&EntryRow) -> bool,
    mut each: impl FnMut(Read) -> bool,
) -> Result<Option<u64>, Fault> {
    let store = app.ledger.store();
    let mut next = from;
    while next < size {
        let limit = CHUNK.min(usize::try_from(size - next).unwrap_or(CHUNK));
        let rows = store.entries(Position(next), limit).await?;
        let Some(last) = rows.last().map(|r| r.position.0) else { break };
        let kept = store.disclosures(Position(next), Position(last + 1)).await?;
        let mut kept = kept.iter().peekable();
        for row in rows {
            let mut disclosures = Vec::new();
            while kept.peek().is_some_and(|d| d.position < row.position) {
                kept.next();
            }
            while kept.peek().is_some_and(|d| d.position == row.position) {
                let kept = kept.next().expect("just peeked");
                disclosures.extend(Disclosure::parse(&kept.encoded).ok());
            }
            next = row.position.0 + 1;
            if wanted(&row) && !each(read_row(row, &disclosures)?) {
                return Ok((next < size).then_some(next));
            }
        }
    }
    Ok(None)
}

/// The answer for a recorded access before the register as known at `view`.
pub fn judge_again(recorded: &Recorded<'_>, view: View<'_>) -> Verdict {
    let case = Case {
        access: recorded.access,
        days: recorded.filed.at.valid_days(recorded.time.date()),
        recorded: Some((recorded.position, recorded.time)),
    };
    let Some(judgement) = rules::judge(&CURRENT, &case, view) else {
        return recorded.then.clone();
    };
    let mut verdict = judgement.verdict;
    let kept: Vec<_> = recorded
        .then
        .findings
        .iter()
        .filter(|f| !f.rests_on.is_empty() && judgement.undecided.contains(&f.code))
        .filter(|f| verdict.finding(f.code).is_none())
        .cloned()
        .collect();
    if !kept.is_empty() {
        verdict.findings.extend(kept);
        verdict.findings.sort_by(|a, b| (a.code, &a.positions).cmp(&(b.code, &b.positions)));
        verdict.verdict = rules::conclude(&CURRENT, &verdict.findings);
    }
    verdict
}

/// What makes two answers the same to a reader.
fn gist(verdict: &Verdict) -> (&'static str, Vec<(RuleCode, Severity, Evidence)>) {
    let findings = verdict.findings.iter().map(|f| (f.code, f.severity, f.evidence)).collect();
    (verdict.verdict.as_str(), findings)
}

/// The answer at `size`, and the entries after which the answer changed since the recording.
pub fn now_and_changes(
    recorded: &Recorded<'_>,
    register: &Register,
    size: u64,
) -> (Verdict, Vec<u64>) {
    let mut changed_by = Vec::new();
    let mut before = gist(recorded.then);
    let mut now = None;
    for position in touching(recorded, register, size) {
        let after = judge_again(recorded, register.view(position + 1));
        let summary = gist(&after);
        if summary != before {
            changed_by.push(position);
            before = summary;
        }
        now = Some(after);
    }
    let mut now = now.unwrap_or_else(|| judge_again(recorded, register.view(size)));
    now.judged_at = size;
    (now, changed_by)
}

/// Positions after the access's own, below `size`, of the entries that rules may look at
/// when they judge it.
fn touching(recorded: &Recorded<'_>, register: &Register, size: u64) -> BTreeSet<u64> {
    let view = register.view(size);
    let mut positions = BTreeSet::new();
    let Some(processing) = view.processing(&recorded.access.processing) else {
        return positions;
    };
    macro_rules! facts {
        ($($list:expr),+ $(,)?) => { $(positions.extend($list.iter().map(|f| f.position));)+ };
    }
    facts!(
        processing.versions,
        processing.deployments,
        processing.withdrawals,
        processing.formalities,
        processing.receipts,
        processing.information,
        processing.opinions,
        processing.assessments,
        processing.agreements,
        processing.objections,
        processing.uses,
    );
    for decision in view.decisions_on(processing) {
        positions.insert(decision.rendered.position);
        facts!(decision.endings);
    }
    positions
        .extend(view.rulings_on(processing, Some(recorded.position)).iter().map(|r| r.position));
    positions.extend(view.uses_of(recorded.position).map(|u| u.position));
    positions.extend(register.references().map(|(_, r)| r.position));
    let mut about = vec![
        (StreamType::Processing, recorded.access.processing.clone()),
        (StreamType::Access, recorded.position.to_string()),
    ];
    let named = recorded.access.experiment.iter();
    for id in processing.experiments.iter().chain(named) {
        about.push((StreamType::Experiment, id.clone()));
        let Some(experiment) = view.experiment(id) else { continue };
        facts!(
            experiment.launches,
            experiment.sites,
            experiment.plans,
            experiment.expansions,
            experiment.evaluations,
            experiment.ends,
        );
    }
    for decision in view.decisions_on(processing) {
        about.push((StreamType::Decision, decision.rendered.data.decision.clone()));
    }
    for (kind, id) in about {
        let about = view.about(kind, &id);
        facts!(
            about.statements(),
            about.milestones(),
            about.consultations(),
            about.conditions_set(),
            about.conditions_met(),
            about.generalisations(),
        );
    }
    positions.retain(|p| *p > recorded.position && *p < size);
    positions
}

/// The sentence of a rule, for a reader.
pub fn reason(code: &str, rulebook: &Rulebook) -> Option<(&'static str, &'static str)> {
    let judged = rulebook.rule(code).map(|r| (r.reason_fr, r.reason_en));
    judged.or_else(|| {
        let requirement = rules::generalise::REQUIREMENTS.iter().find(|r| r.code == code)?;
        Some((requirement.reason_fr, requirement.reason_en))
    })
}
