//! Searches over entries: accesses, findings, audit, counts. The one file that knows how
//! they are found: positions come from the projections, what is shown from the entries.
//!
//! An access keeps the verdict it was recorded with (`then`). What stands of it now is kept
//! by the projections; as known at another size it is worked out here, by the same function
//! of the domain (`rules::again`).

use std::collections::HashMap;
use std::time::Duration;

use crate::words::Lang;
use greffe_domain::body::Access;
use greffe_domain::date::Timestamp;
use greffe_domain::event::{Event, Filed};
use greffe_domain::kind::StreamType;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT, Case, Rulebook, again};
use greffe_domain::seal::{Leaf, Position};
use greffe_domain::verdict::Verdict;
use greffe_infra::projection::{
    AccessFilter, AccessRow, AuditFilter, FindingFilter, FindingRow, Now, Own, Page, Stats,
};
use greffe_infra::store::{
    DisclosureRow, EntryRow, Fault, FaultKind, each_with_its_own, late, readable,
};

use super::App;
use super::problem::Problem;

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

impl<'a> Recorded<'a> {
    pub fn case(&self) -> Case<'a> {
        Case {
            access: self.access,
            days: self.filed.at.valid_days(self.time.date()),
            recorded: Some((self.position, self.time)),
        }
    }
}

fn corrupt(row: &EntryRow, why: impl std::fmt::Display) -> Fault {
    let on = format!("the entry at position {}", row.position);
    Fault::new(FaultKind::Corrupt, "read an entry", on).because(why.to_string())
}

fn read_row((row, own): (EntryRow, Vec<DisclosureRow>)) -> Result<Read, Fault> {
    let leaf = Leaf::parse(&row.sealed.leaf).map_err(|e| corrupt(&row, e))?;
    let disclosures = readable(&own);
    let event = Event::read_disclosed(&leaf.event, &disclosures).map_err(|e| corrupt(&row, e))?;
    Ok(Read { row, leaf, event })
}

/// One entry with the disclosures still kept. `None`: the ledger does not go so far.
pub async fn entry(app: &App, position: u64) -> Result<Option<Read>, Fault> {
    Ok(read_all(app, &[position]).await?.pop())
}

/// Entries from a position on, in order, until `each` has enough (answers `false`) or those
/// below `size` end, which the ledger has. Answers the position to go on from, if any is left.
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
        let read = each_with_its_own(store.disclosed(Position(next), limit).await?);
        if read.len() == 0 {
            return Err(late(Position(next)));
        }
        for (row, own) in read {
            next = row.position.0 + 1;
            if wanted(&row) && !each(read_row((row, own))?) {
                return Ok((next < size).then_some(next));
            }
        }
    }
    Ok(None)
}

/// The answer as known at `size`, and the entries that changed it since the recording,
/// worked out.
pub fn now_and_changes(
    recorded: &Recorded<'_>,
    register: &Register,
    size: u64,
) -> (Verdict, Vec<u64>) {
    match again::stand(&CURRENT, &recorded.case(), recorded.then, register, size) {
        Some(standing) => (standing.now, standing.changed_by),
        None => (recorded.then.clone(), Vec::new()),
    }
}

/// The answer as the projections keep it.
pub fn stored(recorded: &Recorded<'_>, now: Now) -> (Verdict, Vec<u64>) {
    let as_recorded = || Verdict { judged_at: now.size, ..recorded.then.clone() };
    (now.verdict.unwrap_or_else(as_recorded), now.changed_by)
}

/// How long a reader waits for the projections to hold what is recorded.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Lets a filer read what it filed. Past the wait the lists are late, which `/readyz` says.
/// Whether they are up to date.
pub async fn caught_up(app: &App) -> bool {
    let waited = app.projections.wait_for(app.ledger.size());
    tokio::time::timeout(CATCH_UP, waited).await.is_ok()
}

/// The same for whom a late list would deceive: a person who is told that nobody saw their
/// data. Errors: `unavailable`, to be asked again.
pub async fn up_to_date(app: &App) -> Result<(), Problem> {
    if caught_up(app).await { Ok(()) } else { Err(Problem::late()) }
}

/// A page of entries, read, and the cursor of the next page.
type Found<T = Read> = (Vec<T>, Option<u64>);

/// Accesses, each with what the lists say of it: what stands, and whether it was contested.
pub async fn accesses(app: &App, filter: AccessFilter) -> Result<Found<(Read, AccessRow)>, Fault> {
    caught_up(app).await;
    let page = app.projections.accesses(filter).await?;
    let positions: Vec<u64> = page.items.iter().map(|row| row.position).collect();
    let mut rows: HashMap<u64, AccessRow> =
        page.items.into_iter().map(|row| (row.position, row)).collect();
    let read = read_all(app, &positions).await?;
    let found =
        read.into_iter().filter_map(|read| Some((rows.remove(&read.row.position.0)?, read)));
    Ok((found.map(|(row, read)| (read, row)).collect(), page.next))
}

/// What stands of one access. `None`: none at that position, or not applied yet.
pub async fn standing(app: &App, position: u64) -> Result<Option<Now>, Fault> {
    caught_up(app).await;
    Ok(app.projections.access(position).await?.map(|row| row.now))
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

/// A party's own entries, the newest first.
pub async fn newest_of(
    app: &App,
    party: String,
    own: Own,
    cursor: Option<u64>,
    limit: usize,
) -> Result<Found, Fault> {
    caught_up(app).await;
    let page = app.projections.newest_of(party, own, cursor, limit).await?;
    Ok((read_all(app, &page.items).await?, page.next))
}

/// What the public register holds by names, titles, numbers and ids: kind and id.
pub async fn named(
    app: &App,
    words: &str,
    limit: usize,
) -> Result<Vec<(StreamType, String)>, Fault> {
    caught_up(app).await;
    app.projections.named(words.to_owned(), limit).await
}

pub async fn stats(app: &App) -> Result<Stats, Fault> {
    caught_up(app).await;
    app.projections.stats().await
}

/// Entries at these positions, in that order, with the disclosures still kept; without those
/// that the ledger does not have yet. Errors: `Unavailable` for one that it has, and the
/// server that was asked has not.
async fn read_all(app: &App, positions: &[u64]) -> Result<Vec<Read>, Fault> {
    let asked: Vec<Position> = positions.iter().copied().map(Position).collect();
    let disclosed = app.ledger.store().disclosed_at(&asked).await?;
    let mut found: HashMap<Position, Read> = HashMap::new();
    for one in each_with_its_own(disclosed) {
        found.insert(one.0.position, read_row(one)?);
    }
    let size = app.ledger.size();
    let read = asked.iter().filter_map(|position| match found.remove(position) {
        None if *position < size.next() => Some(Err(late(*position))),
        read => read.map(Ok),
    });
    read.collect()
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
            let mark = lang.pick("À vérifier :", "To be checked:");
            format!("{words} {mark} {}.", lang.pick(open.fr, open.en))
        }
    })
}
