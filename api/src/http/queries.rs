//! Searches over entries: accesses, findings, audit, counts. The one file that knows how
//! they are found: positions come from the projections, what is shown from the entries.
//!
//! An access keeps the verdict it was recorded with (`then`). `now` judges it again before
//! the register as known at a tree size, and `changed_by` names the entries after which the
//! answer changed. Values that were erased stay erased: a rule that needs one keeps what it
//! found at the time.

use std::time::Duration;

use crate::words::Lang;
use greffe_domain::body::Access;
use greffe_domain::date::Timestamp;
use greffe_domain::event::{Event, Filed};
use greffe_domain::register::{Register, View};
use greffe_domain::rules::{self, CURRENT, Case, Rulebook};
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{Leaf, Position};
use greffe_domain::verdict::{Evidence, Severity, Verdict};
use greffe_domain::vocabulary::RuleCode;
use greffe_infra::projection::{AccessFilter, AuditFilter, FindingFilter, FindingRow, Page, Stats};
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
        verdict.valid_until = verdict.valid_until.filter(|_| verdict.verdict.is_covered());
    }
    verdict
}

/// What makes two answers the same to a reader.
fn gist(verdict: &Verdict) -> (&'static str, Vec<(RuleCode, Severity, Evidence)>) {
    let findings = verdict.findings.iter().map(|f| (f.code, f.severity, f.evidence)).collect();
    (verdict.verdict.as_str(), findings)
}

/// The answer at `size`, and the entries after which the answer changed since the recording.
///
/// Starts from what today's rules say of that day: a change of rules is nobody's entry.
pub fn now_and_changes(
    recorded: &Recorded<'_>,
    register: &Register,
    size: u64,
) -> (Verdict, Vec<u64>) {
    let view = register.view(size);
    let now = judge_again(recorded, view);
    let mut changed_by = Vec::new();
    let mut before = gist(&judge_again(recorded, register.view(recorded.position)));
    for position in view.touching(recorded.access, recorded.position) {
        if position <= recorded.position {
            continue;
        }
        let after = gist(&judge_again(recorded, register.view(position + 1)));
        if after != before {
            changed_by.push(position);
            before = after;
        }
    }
    (now, changed_by)
}

/// How long a reader waits for the projections to hold what is recorded.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Lets a filer read what it filed. Past the wait the lists are late, which `/readyz` says.
async fn caught_up(app: &App) {
    let _ = tokio::time::timeout(CATCH_UP, app.projections.wait_for(app.ledger.size())).await;
}

/// A page of entries, read, and the cursor of the next page.
type Found = (Vec<Read>, Option<u64>);

pub async fn accesses(app: &App, filter: AccessFilter) -> Result<Found, Fault> {
    caught_up(app).await;
    let page = app.projections.accesses(filter).await?;
    let positions: Vec<u64> = page.items.iter().map(|row| row.position).collect();
    Ok((read_all(app, &positions).await?, page.next))
}

pub async fn findings(app: &App, filter: FindingFilter) -> Result<Page<FindingRow>, Fault> {
    caught_up(app).await;
    app.projections.findings(filter).await
}

pub async fn audit(app: &App, filter: AuditFilter) -> Result<Found, Fault> {
    caught_up(app).await;
    let page = app.projections.audit(filter).await?;
    let positions: Vec<u64> = page.items.iter().map(|row| row.position).collect();
    Ok((read_all(app, &positions).await?, page.next))
}

pub async fn stats(app: &App) -> Result<Stats, Fault> {
    caught_up(app).await;
    app.projections.stats().await
}

async fn read_all(app: &App, positions: &[u64]) -> Result<Vec<Read>, Fault> {
    let mut read = Vec::with_capacity(positions.len());
    for position in positions {
        read.extend(entry(app, *position).await?);
    }
    Ok(read)
}

/// The sentence of a rule, for a reader, with what of it remains to be checked. `None`: no
/// rule has that code.
pub fn reason(code: &str, rulebook: &Rulebook, lang: Lang) -> Option<String> {
    let Some(rule) = rulebook.rule(code) else {
        let requirement = rules::generalise::REQUIREMENTS.iter().find(|r| r.code == code)?;
        return Some(lang.pick(requirement.reason_fr, requirement.reason_en).to_owned());
    };
    let words = lang.pick(rule.reason_fr, rule.reason_en);
    Some(match rule.to_check() {
        None => words.to_owned(),
        Some(open) => {
            let mark = lang.pick("à vérifier :", "to be checked:");
            format!("{words} ({mark} {})", lang.pick(open.fr, open.en))
        }
    })
}
