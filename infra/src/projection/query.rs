//! The questions: who saw what, what was found, what was recorded, how much of each.
//!
//! Every list is in order of position, oldest first, and a cursor says where the next page
//! starts: entries that arrive meanwhile come after it. A query walks the shortest list of
//! positions among the words it is asked for and tests the rows for the rest.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, RwLock};

use greffe_domain::date::{Interval, LegalDate, Timestamp};
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::rules::again::State;
use greffe_domain::seal::TreeSize;
use greffe_domain::subject::SubjectRef;
use greffe_domain::verdict::Verdict;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde::Serialize;

use super::Projections;
use super::counts;
use super::read::fold;
use super::row::{day, day_number, int, read_verdict, unlisted};
use super::subjects::{self, IDS, Keys, first_id, size, subject_key};
use super::words::Facet;
use crate::store::Fault;

/// What the public register is searched for.
const NAMED: [StreamType; 4] =
    [StreamType::Processing, StreamType::Decision, StreamType::Experiment, StreamType::Party];
/// The events that name one of them.
const NAMING: [EventType; 5] = [
    EventType::ProcessingDeclared,
    EventType::ProcessingAmended,
    EventType::DecisionRendered,
    EventType::ExperimentLaunched,
    EventType::PartyRegistered,
];

/// Most items of a page.
pub const MAX_PAGE: usize = 1_000;
/// More findings than one verdict can have: a finding's cursor is its access's position
/// times this, plus its place in the verdict.
const FINDINGS_PER_ACCESS: u64 = 1_024;

/// In which order a list is read; a cursor belongs to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

impl Order {
    fn sql(self) -> &'static str {
        match self {
            Self::OldestFirst => "ASC",
            Self::NewestFirst => "DESC",
        }
    }

    /// How positions of a page compare with its cursor.
    fn beyond(self) -> &'static str {
        match self {
            Self::OldestFirst => ">=",
            Self::NewestFirst => "<=",
        }
    }

    /// The cursor of the first page.
    fn start(self) -> u64 {
        match self {
            Self::OldestFirst => 0,
            Self::NewestFirst => u64::MAX,
        }
    }
}

/// Which accesses. `None` = any; several members must all hold.
#[derive(Debug, Clone, Default)]
pub struct AccessFilter {
    pub subject: Option<SubjectRef>,
    /// That filed, disclosed or received.
    pub party: Option<String>,
    pub recipient: Option<String>,
    /// As filed, or the controller as known then.
    pub discloser: Option<String>,
    /// A site's id, or its SIRET.
    pub site: Option<String>,
    pub processing: Option<String>,
    pub experiment: Option<String>,
    pub purpose: Option<String>,
    pub category: Option<String>,
    pub basis: Option<String>,
    /// Outcome recorded then.
    pub verdict: Option<String>,
    /// Code of a finding recorded then.
    pub finding: Option<String>,
    /// Outcome as known now.
    pub now: Option<String>,
    /// Accesses that may have happened on this day or later.
    pub from: Option<LegalDate>,
    /// … on this day or earlier.
    pub to: Option<LegalDate>,
    /// As known at this tree size.
    pub known_at: Option<TreeSize>,
    /// What this party may see: what it filed, disclosed or received.
    pub visible_to: Option<String>,
    /// Only what was shown about a group.
    pub groups_only: bool,
    pub order: Order,
    /// `next` of the page before.
    pub cursor: Option<u64>,
    /// At most `MAX_PAGE`, at least one.
    pub limit: usize,
}

/// Which of a party's own entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// That it filed.
    Filings,
    /// That it filed, disclosed or received.
    Accesses,
}

/// A page of a list, and where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None`: nothing more for now.
    pub next: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowFinding {
    pub code: String,
    pub severity: String,
    pub evidence: String,
}

/// One access, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    pub position: u64,
    /// Days on which it may have happened.
    pub days: Interval,
    pub recorded: Timestamp,
    /// `AccessGranted`, `AccessDenied` or `AccessRecorded`.
    pub event_type: String,
    pub iss: String,
    pub recipient: String,
    pub role: String,
    pub site: Option<String>,
    pub siret: Option<String>,
    /// As filed, or the controller as known then.
    pub discloser: Option<String>,
    pub processing: String,
    pub experiment: Option<String>,
    pub purpose: String,
    /// Sorted.
    pub categories: Vec<String>,
    /// Codes of the basis claimed, sorted.
    pub basis: Vec<String>,
    /// Recorded with it.
    pub verdict: String,
    pub regime: String,
    pub findings: Vec<RowFinding>,
    /// Position of the first contestation known.
    pub contested: Option<u64>,
    pub now: Now,
}

/// What stands of an access, whatever `known_at` asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    pub outcome: String,
    /// The verdict as known at `size`; `None` = the one recorded.
    pub verdict: Option<Verdict>,
    /// Position of the entry since which that is the answer: the last of `changed_by`, or
    /// the access itself.
    pub since: u64,
    /// Positions of the entries that changed the answer, ascending.
    pub changed_by: Vec<u64>,
    /// Tree size at which it is known.
    pub size: u64,
}

/// Which findings, of those recorded and of those found since.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    pub code: Option<String>,
    /// Party of the access: that filed, disclosed or received.
    pub party: Option<String>,
    pub state: Option<State>,
    /// Found, changed or closed at this time or later.
    pub since: Option<Timestamp>,
    pub visible_to: Option<String>,
    pub cursor: Option<u64>,
    pub limit: usize,
}

/// A place in the ledger, and when that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moment {
    pub position: u64,
    pub time: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingRow {
    /// Of the access.
    pub position: u64,
    /// Its place among the findings of the access, from 0.
    pub ordinal: u64,
    pub code: String,
    /// As it stands, or as it stood last.
    pub severity: String,
    pub evidence: String,
    /// Entries it rests on, ascending.
    pub positions: Vec<u64>,
    pub state: State,
    /// The entry since which it has stood so.
    pub since: Moment,
    /// The entry that took it away.
    pub until: Option<Moment>,
    /// The entry that made its state what it is; `None`: the rules changed, no entry did.
    pub cause: Option<u64>,
    /// Severity and evidence as recorded; `None` if it was not found then.
    pub then: Option<(String, String)>,
    pub recipient: String,
    pub discloser: Option<String>,
    pub processing: String,
    pub recorded: Timestamp,
}

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub event_type: Option<String>,
    /// Party that filed.
    pub by: Option<String>,
    /// `type`, or `type/id`.
    pub stream: Option<String>,
    /// Recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded at this time or earlier.
    pub to: Option<Timestamp>,
    /// Part of the author, the stream's id, the event's type or a clear title, name or
    /// number, in any case.
    pub q: Option<String>,
    pub visible_to: Option<String>,
    pub order: Order,
    pub cursor: Option<u64>,
    pub limit: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    pub position: u64,
    pub event_type: String,
    /// `None` for the ledger's own events.
    pub iss: Option<String>,
    pub stream_type: String,
    pub stream_id: String,
    pub time: Timestamp,
}

/// How much of each. Verdicts, regimes and findings are those recorded; a finding counts
/// once for each access that has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    pub entries: u64,
    pub parties: u64,
    pub events: BTreeMap<String, u64>,
    pub verdicts: BTreeMap<String, u64>,
    pub regimes: BTreeMap<String, u64>,
    pub findings: BTreeMap<String, u64>,
}

/// Most changes counted one by one.
pub const MAX_COUNTED: u64 = 1_000;

/// How many accesses of one month, basis and pair of verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessCount {
    /// Year and month of the last day; `None` if no day is known.
    pub month: Option<(i32, u32)>,
    /// `None` counts each access once, whatever its bases.
    pub basis: Option<String>,
    pub then: String,
    pub now: String,
    pub accesses: u64,
}

/// How many accesses a party filed, received or disclosed, by pair of verdicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyCount {
    pub then: String,
    pub now: String,
    pub accesses: u64,
}

/// How many findings of one rule and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingCount {
    /// Who disclosed; `None` counts each finding once.
    pub party: Option<String>,
    pub code: String,
    pub state: State,
    pub findings: u64,
}

/// What entries recorded from a time on changed. Neither number goes beyond `MAX_COUNTED` + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Accesses recorded before them, whose answer is another one now.
    pub accesses: u64,
    /// Findings they brought, weighed otherwise or took away.
    pub findings: u64,
}

impl Projections {
    /// Accesses, oldest first unless the filter says otherwise.
    pub async fn accesses(
        self: &Arc<Self>,
        filter: AccessFilter,
    ) -> Result<Page<AccessRow>, Fault> {
        let this = Arc::clone(self);
        self.query("list accesses", move |c| accesses(c, &this.keys, &filter)).await
    }

    /// One access. `None`: none at that position, or not applied yet.
    pub async fn access(self: &Arc<Self>, position: u64) -> Result<Option<AccessRow>, Fault> {
        let filter = AccessFilter { cursor: Some(position), limit: 1, ..AccessFilter::default() };
        let page = self.accesses(filter).await?;
        Ok(page.items.into_iter().find(|row| row.position == position))
    }

    /// Findings, those of the oldest access first.
    pub async fn findings(
        self: &Arc<Self>,
        filter: FindingFilter,
    ) -> Result<Page<FindingRow>, Fault> {
        self.query("list findings", move |c| findings(c, &filter)).await
    }

    /// Entries of every kind, oldest first.
    pub async fn audit(self: &Arc<Self>, filter: AuditFilter) -> Result<Page<AuditRow>, Fault> {
        self.query("list entries", move |c| audit(c, &filter)).await
    }

    /// Positions of what a party filed, or of the accesses it filed, disclosed or received:
    /// the newest first, from a cursor down.
    pub async fn newest_of(
        self: &Arc<Self>,
        party: String,
        own: Own,
        cursor: Option<u64>,
        limit: usize,
    ) -> Result<Page<u64>, Fault> {
        self.query("list a party's entries", move |c| newest_of(c, &party, own, cursor, limit))
            .await
    }

    /// Processings, decisions, experiments and parties by their names, titles, numbers and ids,
    /// without case or accents; all words must be there. The last recorded first.
    pub async fn named(
        self: &Arc<Self>,
        words: String,
        limit: usize,
    ) -> Result<Vec<(StreamType, String)>, Fault> {
        self.query("search the register", move |c| named(c, &words, limit)).await
    }

    pub async fn stats(self: &Arc<Self>) -> Result<Stats, Fault> {
        self.query("count entries", stats).await
    }

    /// Accesses by month, basis and verdicts, in order of month.
    pub async fn access_counts(self: &Arc<Self>) -> Result<Vec<AccessCount>, Fault> {
        self.query("count accesses", access_counts).await
    }

    /// A party's accesses by verdicts.
    pub async fn party_counts(self: &Arc<Self>, party: String) -> Result<Vec<PartyCount>, Fault> {
        self.query("count a party's accesses", move |c| party_counts(c, &party)).await
    }

    /// Findings by rule and state: all of them, or those on what a party disclosed.
    pub async fn finding_counts(
        self: &Arc<Self>,
        party: Option<String>,
    ) -> Result<Vec<FindingCount>, Fault> {
        self.query("count findings", move |c| finding_counts(c, party.as_deref())).await
    }

    /// Findings that stand by who disclosed, those with most first.
    pub async fn findings_by_party(
        self: &Arc<Self>,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, Fault> {
        self.query("count findings by party", move |c| findings_by_party(c, limit)).await
    }

    /// What was changed by entries recorded at a time or later.
    pub async fn changed_since(self: &Arc<Self>, since: Timestamp) -> Result<Changed, Fault> {
        self.query("count changes", move |c| changed_since(c, since)).await
    }
}

/// A word that entries are asked to have.
struct Asked {
    id: i64,
    entries: i64,
}

/// A query being written: where positions come from, and what rows must satisfy.
#[derive(Default, Clone)]
struct Query {
    /// Id and length of the shortest list.
    shortest: Option<(i64, i64)>,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Query {
    /// A condition on `texts.folded`: that a folded text is part of it. The index of its
    /// groups of three characters finds those that may; `instr` tells which do.
    fn within(&mut self, text: &str) -> String {
        // What stands for any text in a pattern stands for one character here.
        let pattern: String = text.chars().map(|c| if c == '%' { '_' } else { c }).collect();
        let (pattern, text) = (self.bind(format!("%{pattern}%")), self.bind(text.to_owned()));
        format!("folded LIKE {pattern} AND instr(folded, {text}) > 0")
    }

    /// Binds a value; answers how the text refers to it.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// Rows that satisfy `condition`, in which `#` stands for the value.
    fn such_that(&mut self, condition: &str, value: impl Into<Value>) {
        let bound = self.bind(value);
        self.conditions.push(condition.replace('#', &bound));
    }

    /// Entries listed under a word; `condition` says the same of a row.
    fn listed(&mut self, word: &Asked, condition: &str) {
        if self.shortest.is_none_or(|(_, entries)| word.entries < entries) {
            self.shortest = Some((word.id, word.entries));
        }
        self.such_that(condition, word.id);
    }

    /// A source of positions from `cursor` on: the shortest list, or nothing.
    fn positions(&mut self, cursor: u64, order: Order) -> Option<String> {
        let (word, _) = self.shortest?;
        let (word, from) = (self.bind(word), self.bind(int(cursor)));
        let (compare, order) = (order.beyond(), order.sql());
        Some(format!(
            "(SELECT position FROM postings WHERE word = {word} AND position {compare} {from} \
             ORDER BY position {order})"
        ))
    }

    fn conditions(&self) -> String {
        if self.conditions.is_empty() { "TRUE".to_owned() } else { self.conditions.join(" AND ") }
    }
}

fn word(c: &Connection, facet: Facet, text: &str) -> rusqlite::Result<Option<Asked>> {
    c.prepare_cached("SELECT id, entries FROM words WHERE facet = ?1 AND text = ?2")?
        .query_row(params![facet as i64, text], |row| {
            Ok(Asked { id: row.get(0)?, entries: row.get(1)? })
        })
        .optional()
}

/// Texts of words, each read once.
struct Texts<'c> {
    connection: &'c Connection,
    known: HashMap<i64, String>,
}

impl<'c> Texts<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self { connection, known: HashMap::new() }
    }

    fn text(&mut self, id: i64) -> rusqlite::Result<String> {
        if let Some(text) = self.known.get(&id) {
            return Ok(text.clone());
        }
        let text: String = self
            .connection
            .prepare_cached("SELECT text FROM words WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        self.known.insert(id, text.clone());
        Ok(text)
    }

    fn column(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
        self.text(row.get(column)?)
    }

    fn optional(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
        row.get::<_, Option<i64>>(column)?.map(|id| self.text(id)).transpose()
    }

    /// The words of `,3,17,`, sorted by text.
    fn list(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
        let ids: String = row.get(column)?;
        let mut texts = Vec::new();
        for id in ids.split(',').filter(|id| !id.is_empty()) {
            let id = id.parse().map_err(|e| {
                rusqlite::Error::FromSqlConversionFailure(
                    column,
                    rusqlite::types::Type::Text,
                    Box::new(e),
                )
            })?;
            texts.push(self.text(id)?);
        }
        texts.sort();
        Ok(texts)
    }
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn limit_of(limit: usize) -> usize {
    limit.clamp(1, MAX_PAGE)
}

/// Cuts the one item too many that was asked for, and says where it stands.
fn page<T>(mut items: Vec<T>, limit: usize, cursor_of: impl Fn(&T) -> u64) -> Page<T> {
    let next = items.get(limit).map(cursor_of);
    items.truncate(limit);
    Page { items, next }
}

fn none<T>() -> Page<T> {
    Page { items: Vec::new(), next: None }
}

/// An access row's parties: that filed, received or disclosed.
const PARTY_OF_ACCESS: &str = "# IN (a.iss, a.recipient, ifnull(a.discloser, 0))";

const ACCESS_COLUMNS: &str = "a.position, a.earliest, a.latest, a.recorded, a.event_type, a.iss, \
     a.recipient, a.role, a.site, a.siret, a.discloser, a.processing, a.experiment, a.purpose, \
     a.categories, a.bases, a.outcome, a.regime, a.contested, a.now_outcome, a.now_since, \
     a.now_verdict, a.changed_by";

/// Nothing must have been read of the snapshot before.
pub(super) fn accesses(
    c: &Connection,
    keys: &RwLock<Keys>,
    filter: &AccessFilter,
) -> rusqlite::Result<Page<AccessRow>> {
    let named = filter.subject.as_ref();
    let waiting = named.map(|s| subjects::waiting(c, keys, &s.0)).transpose()?.unwrap_or_default();
    let mut query = Query::default();
    for (text, facet, condition) in [
        (&filter.party, Facet::Party, PARTY_OF_ACCESS),
        (&filter.visible_to, Facet::Party, PARTY_OF_ACCESS),
        (&filter.recipient, Facet::Party, "a.recipient = #"),
        (&filter.discloser, Facet::Party, "a.discloser = #"),
        (&filter.site, Facet::Site, "# IN (ifnull(a.site, 0), ifnull(a.siret, 0))"),
        (&filter.processing, Facet::Processing, "a.processing = #"),
        (&filter.purpose, Facet::Purpose, "a.purpose = #"),
        (&filter.verdict, Facet::Outcome, "a.outcome = #"),
        (
            &filter.finding,
            Facet::Finding,
            "EXISTS (SELECT 1 FROM findings f WHERE f.position = a.position AND f.code = # \
             AND f.then_severity IS NOT NULL)",
        ),
    ] {
        let Some(text) = text else { continue };
        let Some(asked) = word(c, facet, text)? else { return Ok(none()) };
        query.listed(&asked, condition);
    }
    for (text, facet, condition) in [
        (&filter.category, Facet::Category, "instr(a.categories, ',' || # || ',') > 0"),
        (&filter.basis, Facet::Basis, "instr(a.bases, ',' || # || ',') > 0"),
    ] {
        let Some(text) = text else { continue };
        let Some(asked) = word(c, facet, text)? else { return Ok(none()) };
        query.such_that(condition, asked.id);
    }
    if let Some(from) = filter.from {
        query.such_that("(a.latest IS NULL OR a.latest >= #)", day_number(from));
    }
    if let Some(to) = filter.to {
        query.such_that("(a.earliest IS NULL OR a.earliest <= #)", day_number(to));
    }
    if let Some(size) = filter.known_at {
        query.such_that("a.position < #", int(size.0));
    }
    if filter.groups_only {
        query.such_that("a.cohort = #", 1);
    }
    let order = filter.order;
    let (compare, direction) = (order.beyond(), order.sql());
    let cursor = filter.cursor.unwrap_or(order.start());
    query.such_that(&format!("a.position {compare} #"), int(cursor));
    let experiment = match &filter.experiment {
        None => None,
        Some(id) => {
            let Some(asked) = word(c, Facet::Experiment, id)? else { return Ok(none()) };
            query.such_that("a.experiment = #", asked.id);
            Some(asked.id)
        }
    };
    let now = match &filter.now {
        None => None,
        Some(outcome) => {
            let Some(asked) = word(c, Facet::Outcome, outcome)? else { return Ok(none()) };
            query.such_that("a.now_outcome = #", asked.id);
            Some(asked.id)
        }
    };
    // Where positions come from, in order; what waits is few, and put between them here.
    let sources: Vec<String> = match &filter.subject {
        Some(SubjectRef(reference)) => {
            let key = query.bind(subject_key(reference));
            let listed = query.bind(serde_json::to_string(&waiting).expect("numbers are JSON"));
            // Bound after what only one of the two asks with: both bind as many.
            let reference = query.bind(reference.to_vec());
            let from = query.bind(match order {
                Order::OldestFirst => first_id(cursor),
                Order::NewestFirst => first_id(cursor.saturating_add(1)) - 1,
            });
            let mut keys = vec![format!("(SELECT id FROM subject_keys WHERE key = {key})")];
            if !waiting.is_empty() {
                keys.push(format!("(SELECT value AS id FROM json_each({listed}))"));
            }
            // An access may name somebody twice. `DISTINCT` would have SQLite sort all of the
            // accesses again, instead of reading as many as a page holds.
            let source = |keys: String| {
                format!(
                    "(SELECT k.id AS place, k.id / {IDS} AS position FROM {keys} k \
                     CROSS JOIN subjects s ON s.id = k.id \
                     WHERE k.id {compare} {from} AND s.reference = {reference} \
                     AND NOT EXISTS (SELECT 1 FROM subjects first WHERE first.id < s.id \
                     AND first.id >= s.id / {IDS} * {IDS} AND first.reference = s.reference) \
                     ORDER BY k.id {direction})"
                )
            };
            keys.into_iter().map(source).collect()
        }
        None => {
            // An experiment has an index of its own, and so has what stands now.
            let of = |column: &str, id: i64, query: &mut Query| {
                let (id, from) = (query.bind(id), query.bind(int(cursor)));
                format!(
                    "(SELECT position FROM accesses WHERE {column} = {id} \
                     AND position {compare} {from} ORDER BY position {direction})"
                )
            };
            let source = match (experiment, query.positions(cursor, order), now) {
                (Some(id), ..) => Some(of("experiment", id, &mut query)),
                (None, Some(positions), _) => Some(positions),
                (None, None, Some(id)) => Some(of("now_outcome", id, &mut query)),
                (None, None, None) => None,
            };
            vec![source.unwrap_or_default()]
        }
    };
    let limit = limit_of(filter.limit);
    let mut texts = Texts::new(c);
    let size = size(c)?;
    let mut items = Vec::new();
    for source in &sources {
        let (source, by) = match (source.is_empty(), filter.subject.is_some()) {
            (true, _) => ("accesses a".to_owned(), "a.position"),
            (_, of_somebody) => (
                format!("{source} p CROSS JOIN accesses a ON a.position = p.position"),
                if of_somebody { "p.place" } else { "p.position" },
            ),
        };
        let sql = format!(
            "SELECT {ACCESS_COLUMNS} FROM {source} WHERE {} ORDER BY {by} {direction} LIMIT {}",
            query.conditions(),
            limit + 1
        );
        let mut statement = c.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(&query.values))?;
        while let Some(row) = rows.next()? {
            items.push(access_row(row, &mut texts, filter.known_at, size)?);
        }
    }
    if sources.len() > 1 {
        items.sort_by_key(|row| row.position);
        // In the table and in memory, after a restart.
        items.dedup_by_key(|row| row.position);
        if order == Order::NewestFirst {
            items.reverse();
        }
    }
    let mut page = page(items, limit, |row| row.position);
    for item in &mut page.items {
        item.findings = findings_of(c, &mut texts, item.position)?;
    }
    Ok(page)
}

fn access_row(
    row: &Row<'_>,
    texts: &mut Texts<'_>,
    known_at: Option<TreeSize>,
    size: u64,
) -> rusqlite::Result<AccessRow> {
    let contested: Option<i64> = row.get(18)?;
    Ok(AccessRow {
        position: unsigned(row, 0)?,
        days: Interval { earliest: day(row, 1)?, latest: day(row, 2)? },
        recorded: Timestamp::from_micros(row.get(3)?),
        event_type: texts.column(row, 4)?,
        iss: texts.column(row, 5)?,
        recipient: texts.column(row, 6)?,
        role: texts.column(row, 7)?,
        site: texts.optional(row, 8)?,
        siret: texts.optional(row, 9)?,
        discloser: texts.optional(row, 10)?,
        processing: texts.column(row, 11)?,
        experiment: texts.optional(row, 12)?,
        purpose: texts.column(row, 13)?,
        categories: texts.list(row, 14)?,
        basis: texts.list(row, 15)?,
        verdict: texts.column(row, 16)?,
        regime: texts.column(row, 17)?,
        findings: Vec::new(),
        contested: contested
            .and_then(|p| u64::try_from(p).ok())
            .filter(|p| known_at.is_none_or(|size| *p < size.0)),
        now: Now {
            outcome: texts.column(row, 19)?,
            since: unsigned(row, 20)?,
            verdict: row
                .get_ref(21)?
                .as_str_or_null()?
                .map(read_verdict)
                .transpose()?
                .map(|verdict| Verdict { judged_at: size, ..verdict }),
            changed_by: row.get_ref(22)?.as_str_or_null()?.map(unlisted).unwrap_or_default(),
            size,
        },
    })
}

fn findings_of(
    c: &Connection,
    texts: &mut Texts<'_>,
    position: u64,
) -> rusqlite::Result<Vec<RowFinding>> {
    let mut statement = c.prepare_cached(
        "SELECT code, then_severity, then_evidence FROM findings \
         WHERE position = ?1 AND then_severity IS NOT NULL ORDER BY ordinal",
    )?;
    let mut rows = statement.query([int(position)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(RowFinding {
            code: texts.column(row, 0)?,
            severity: texts.column(row, 1)?,
            evidence: texts.column(row, 2)?,
        });
    }
    Ok(found)
}

fn findings(c: &Connection, filter: &FindingFilter) -> rusqlite::Result<Page<FindingRow>> {
    let mut query = Query::default();
    for (text, facet, condition) in [
        (&filter.code, Facet::Finding, "f.code = #"),
        (&filter.party, Facet::Party, PARTY_OF_ACCESS),
        (&filter.visible_to, Facet::Party, PARTY_OF_ACCESS),
    ] {
        let Some(text) = text else { continue };
        let Some(asked) = word(c, facet, text)? else { return Ok(none()) };
        query.listed(&asked, condition);
    }
    if let Some(state) = filter.state {
        const AS_RECORDED: &str = "f.since = f.position AND f.then_severity IS f.severity \
             AND f.then_evidence IS f.evidence";
        query.conditions.push(match state {
            State::Open => format!("f.until IS NULL AND {AS_RECORDED}"),
            State::Changed => format!("f.until IS NULL AND NOT ({AS_RECORDED})"),
            State::Closed => "f.until IS NOT NULL".to_owned(),
        });
    }
    let limit = limit_of(filter.limit);
    let cursor = filter.cursor.unwrap_or(0);
    let mut items = Vec::new();
    let mut from = cursor;
    if let Some(since) = filter.since {
        // Of accesses recorded before, those that an entry changed since. They are few, and
        // come first: their positions are lower.
        let first = first_recorded_from(c, since)?;
        let changed = int(first);
        if cursor / FINDINGS_PER_ACCESS < first {
            items = findings_from(c, query.clone(), cursor, limit, Some(changed))?;
            from = first * FINDINGS_PER_ACCESS;
        }
    }
    if items.len() <= limit {
        let more = limit - items.len();
        items.extend(findings_from(c, query, from, more, None)?);
    }
    Ok(page(items, limit, |row| row.position * FINDINGS_PER_ACCESS + row.ordinal))
}

/// One finding more than `limit` from a cursor on. `changed`: only those on accesses before
/// that position which an entry from it on brought, changed or closed.
fn findings_from(
    c: &Connection,
    mut query: Query,
    cursor: u64,
    limit: usize,
    changed: Option<i64>,
) -> rusqlite::Result<Vec<FindingRow>> {
    let (from, ordinal) = (cursor / FINDINGS_PER_ACCESS, cursor % FINDINGS_PER_ACCESS);
    query.such_that("f.position >= #", int(from));
    if ordinal > 0 {
        let at = query.bind(int(from));
        query.such_that(&format!("(f.position > {at} OR f.ordinal >= #)"), int(ordinal));
    }
    let source = match changed {
        Some(first) => {
            query.such_that("ifnull(f.until, f.since) >= #", first);
            let first = query.bind(first);
            Some(format!(
                "(SELECT DISTINCT position FROM findings INDEXED BY findings_changed \
                 WHERE ifnull(until, since) > position AND ifnull(until, since) >= {first} \
                 AND position < {first} ORDER BY position)"
            ))
        }
        None => query.positions(from, Order::OldestFirst),
    };
    let (source, order) = match source {
        Some(positions) => (
            format!("{positions} p CROSS JOIN findings f ON f.position = p.position"),
            "p.position, f.ordinal",
        ),
        None => ("findings f".to_owned(), "f.position, f.ordinal"),
    };
    let sql = format!(
        "SELECT f.position, f.ordinal, f.code, f.severity, f.evidence, a.recipient, a.discloser, \
         a.processing, a.recorded, f.positions, f.since, f.until, f.then_severity, \
         f.then_evidence, (SELECT recorded FROM entries WHERE position = f.since), \
         (SELECT recorded FROM entries WHERE position = f.until) \
         FROM {source} CROSS JOIN accesses a ON a.position = f.position \
         WHERE {} ORDER BY {order} LIMIT {}",
        query.conditions(),
        limit + 1
    );
    let mut texts = Texts::new(c);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(finding_row(row, &mut texts)?);
    }
    Ok(items)
}

fn finding_row(row: &Row<'_>, texts: &mut Texts<'_>) -> rusqlite::Result<FindingRow> {
    let position = unsigned(row, 0)?;
    let (severity, evidence) = (texts.column(row, 3)?, texts.column(row, 4)?);
    let then = texts.optional(row, 12)?.zip(texts.optional(row, 13)?);
    let moment = |position, time| Moment { position, time: Timestamp::from_micros(time) };
    let since = moment(unsigned(row, 10)?, row.get(14)?);
    let until = match row.get::<_, Option<i64>>(11)? {
        None => None,
        Some(_) => Some(moment(unsigned(row, 11)?, row.get(15)?)),
    };
    let as_recorded = since.position == position
        && then.as_ref().is_some_and(|(s, e)| *s == severity && *e == evidence);
    let state = match until {
        Some(_) => State::Closed,
        None if as_recorded => State::Open,
        None => State::Changed,
    };
    let by = until.unwrap_or(since).position;
    Ok(FindingRow {
        position,
        ordinal: unsigned(row, 1)?,
        code: texts.column(row, 2)?,
        severity,
        evidence,
        positions: unlisted(row.get_ref(9)?.as_str()?),
        state,
        since,
        until,
        cause: (by != position || state == State::Open).then_some(by),
        then,
        recipient: texts.column(row, 5)?,
        discloser: texts.optional(row, 6)?,
        processing: texts.column(row, 7)?,
        recorded: Timestamp::from_micros(row.get(8)?),
    })
}

/// Position of the first entry recorded at a time or later; how many there are if none is.
///
/// Positions have no gaps and times never decrease: halving finds it without an index.
fn first_recorded_from(c: &Connection, time: Timestamp) -> rusqlite::Result<u64> {
    let mut statement = c.prepare_cached("SELECT recorded FROM entries WHERE position = ?1")?;
    let (mut low, mut high) = (0, size(c)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let recorded: i64 = statement.query_row([int(middle)], |row| row.get(0))?;
        if recorded < time.micros() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn newest_of(
    c: &Connection,
    party: &str,
    own: Own,
    cursor: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Page<u64>> {
    let Some(asked) = word(c, Facet::Party, party)? else { return Ok(none()) };
    let limit = limit_of(limit);
    let joined = match own {
        Own::Filings => "CROSS JOIN entries e ON e.position = p.position AND e.iss = p.word",
        Own::Accesses => "CROSS JOIN accesses e ON e.position = p.position",
    };
    let sql = format!(
        "SELECT p.position FROM postings p {joined} WHERE p.word = ?1 AND p.position <= ?2 \
         ORDER BY p.position DESC LIMIT {}",
        limit + 1
    );
    let from = cursor.map_or(i64::MAX, int);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params![asked.id, from])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(unsigned(row, 0)?);
    }
    Ok(page(items, limit, |position| *position))
}

fn audit(c: &Connection, filter: &AuditFilter) -> rusqlite::Result<Page<AuditRow>> {
    let mut query = Query::default();
    // What a party filed, disclosed or received is what is listed under it.
    const SEEN: &str =
        "EXISTS (SELECT 1 FROM postings s WHERE s.word = # AND s.position = e.position)";
    for (text, facet, condition) in [
        (&filter.event_type, Facet::EventType, "e.event_type = #"),
        (&filter.by, Facet::Party, "e.iss = #"),
        (&filter.visible_to, Facet::Party, SEEN),
    ] {
        let Some(text) = text else { continue };
        let Some(asked) = word(c, facet, text)? else { return Ok(none()) };
        query.listed(&asked, condition);
    }
    let (order, direction) = (filter.order, filter.order.sql());
    let compare = order.beyond();
    let mut from = filter.cursor.unwrap_or(order.start());
    if let Some(time) = filter.from {
        let first = first_recorded_from(c, time)?;
        match order {
            Order::OldestFirst => from = from.max(first),
            Order::NewestFirst => query.such_that("e.position >= #", int(first)),
        }
    }
    if let Some(time) = filter.to {
        let after = Timestamp::from_micros(time.micros().saturating_add(1));
        query.such_that("e.position < #", int(first_recorded_from(c, after)?));
    }
    let mut source = None;
    if let Some(q) = filter.q.as_deref().filter(|q| !q.is_empty()) {
        source = search(c, &mut query, &fold(q), from, order)?;
    }
    query.such_that(&format!("e.position {compare} #"), int(from));
    if let Some(stream) = &filter.stream {
        let (kind, id) = match stream.split_once('/') {
            Some((kind, id)) => (kind, Some(id)),
            None => (stream.as_str(), None),
        };
        let Some(kind) = word(c, Facet::StreamType, kind)? else { return Ok(none()) };
        query.such_that("e.stream_type = #", kind.id);
        if let Some(id) = id {
            // The entries listed under it, and the one that is its own stream's first.
            let listed = word(c, Facet::Stream, stream)?.map_or(0, |w| w.id);
            let own = id.parse::<u64>().ok().filter(|p| p.to_string() == id);
            let (listed, from) = (query.bind(listed), query.bind(int(from)));
            let own = query.bind(own.map_or(Value::Null, |p| Value::Integer(int(p))));
            source = Some(format!(
                "(SELECT position FROM postings WHERE word = {listed} \
                 AND position {compare} {from} \
                 UNION SELECT position FROM entries WHERE position = {own} AND stream_id IS NULL \
                 ORDER BY position {direction})"
            ));
        }
    }
    let (source, by) = match source.or_else(|| query.positions(from, order)) {
        Some(positions) => {
            (format!("{positions} p CROSS JOIN entries e ON e.position = p.position"), "p.position")
        }
        None => ("entries e".to_owned(), "e.position"),
    };
    let limit = limit_of(filter.limit);
    let sql = format!(
        "SELECT e.position, e.event_type, e.iss, e.stream_type, e.stream_id, e.recorded \
         FROM {source} WHERE {} ORDER BY {by} {direction} LIMIT {}",
        query.conditions(),
        limit + 1
    );
    let mut texts = Texts::new(c);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let position = unsigned(row, 0)?;
        let stream_type = texts.column(row, 3)?;
        // Listed as `type/id`.
        let stream_id = match texts.optional(row, 4)? {
            Some(stream) => stream[stream_type.len() + 1..].to_owned(),
            None => position.to_string(),
        };
        items.push(AuditRow {
            position,
            event_type: texts.column(row, 1)?,
            iss: texts.optional(row, 2)?,
            stream_type,
            stream_id,
            time: Timestamp::from_micros(row.get(5)?),
        });
    }
    Ok(page(items, limit, |row| row.position))
}

/// Processings, decisions, experiments and parties of whose recorded words each of `words`
/// is part: those recorded last first, each once.
fn named(c: &Connection, words: &str, limit: usize) -> rusqlite::Result<Vec<(StreamType, String)>> {
    let mut query = Query::default();
    let mut within = Vec::new();
    for word in fold(words).split_whitespace() {
        within.push(query.within(word));
    }
    if within.is_empty() {
        return Ok(Vec::new());
    }
    let types: Vec<&str> = NAMING.iter().map(|t| t.as_str()).collect();
    let types = query.bind(serde_json::json!(types).to_string());
    let facet = Facet::EventType as i64;
    let sql = format!(
        "SELECT s.text FROM texts t CROSS JOIN entries e ON e.position = t.rowid \
         JOIN words s ON s.id = e.stream_id \
         WHERE {} AND e.event_type IN (SELECT id FROM words WHERE facet = {facet} \
         AND text IN (SELECT value FROM json_each({types}))) ORDER BY t.rowid DESC",
        within.join(" AND ")
    );
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&query.values))?;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let stream: String = row.get(0)?;
        let named = stream.split_once('/').and_then(|(kind, id)| {
            let kind = NAMED.into_iter().find(|named| named.as_str() == kind)?;
            Some((kind, id.to_owned()))
        });
        if let Some(named) = named.filter(|named| seen.insert(named.clone())) {
            found.push(named);
            if found.len() == limit {
                break;
            }
        }
    }
    Ok(found)
}

/// Entries of which `q`, folded, is part: of their texts, of their kind's name or of their
/// author's id; and the entry that has it for its position. Words are few: they are looked
/// through here.
///
/// Answers where positions come from, from `from` on; `None`: so many words have it that one
/// entry in a few is wanted, and they are read one after the other.
fn search(
    c: &Connection,
    query: &mut Query,
    q: &str,
    from: u64,
    order: Order,
) -> rusqlite::Result<Option<String>> {
    const LISTS: usize = 16;
    let mut statement = c.prepare_cached("SELECT id, text FROM words WHERE facet = ?1")?;
    let mut ids_of = |facet: Facet| -> rusqlite::Result<Vec<i64>> {
        let mut ids = Vec::new();
        let mut rows = statement.query([facet as i64])?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            if fold(&text).contains(q) {
                ids.push(row.get(0)?);
            }
        }
        Ok(ids)
    };
    let (types, parties) = (ids_of(Facet::EventType)?, ids_of(Facet::Party)?);
    let list = |ids: &[i64]| serde_json::json!(ids).to_string();
    let (in_types, in_parties) = (query.bind(list(&types)), query.bind(list(&parties)));
    let own = q.parse::<u64>().ok().filter(|position| position.to_string() == q);
    let itself = query.bind(own.map(int));
    let text = query.bind(q.to_owned());
    query.conditions.push(format!(
        "(e.event_type IN (SELECT value FROM json_each({in_types})) \
         OR e.iss IN (SELECT value FROM json_each({in_parties})) \
         OR e.stream_id IS NULL AND e.position = {itself} \
         OR EXISTS (SELECT 1 FROM texts t \
         WHERE t.rowid = e.position AND instr(t.folded, {text}) > 0))"
    ));
    if types.len() + parties.len() > LISTS {
        return Ok(None);
    }
    let (compare, direction) = (order.beyond(), order.sql());
    let within = query.within(q);
    let from = query.bind(int(from));
    let mut lists = vec![format!(
        "SELECT rowid AS position FROM texts WHERE {within} AND rowid {compare} {from}"
    )];
    if own.is_some() {
        let own = query.bind(own.map(int));
        lists.push(format!("SELECT position FROM entries WHERE position = {own}"));
    }
    for word in types.iter().chain(&parties) {
        let word = query.bind(*word);
        lists.push(format!(
            "SELECT position FROM postings WHERE word = {word} AND position {compare} {from}"
        ));
    }
    Ok(Some(format!("({} ORDER BY position {direction})", lists.join(" UNION "))))
}

fn stats(c: &Connection) -> rusqlite::Result<Stats> {
    let mut stats = Stats { entries: size(c)?, ..Stats::default() };
    let mut statement =
        c.prepare_cached("SELECT text, entries FROM words WHERE facet = ?1 AND entries > 0")?;
    for (facet, counts) in [
        (Facet::EventType, &mut stats.events),
        (Facet::Outcome, &mut stats.verdicts),
        (Facet::Regime, &mut stats.regimes),
        (Facet::Finding, &mut stats.findings),
    ] {
        let mut rows = statement.query([facet as i64])?;
        while let Some(row) = rows.next()? {
            counts.insert(row.get(0)?, unsigned(row, 1)?);
        }
    }
    // The registrar is enrolled by the entry that opens the ledger.
    let enrolled = ["LedgerOpened", "PartyRegistered"];
    stats.parties = enrolled.iter().filter_map(|e| stats.events.get(*e)).sum();
    Ok(stats)
}

fn access_counts(c: &Connection) -> rusqlite::Result<Vec<AccessCount>> {
    let mut statement = c.prepare_cached(
        "SELECT month, basis, then_outcome, now_outcome, n FROM access_counts ORDER BY month",
    )?;
    let mut texts = Texts::new(c);
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let (month, basis): (i64, i64) = (row.get(0)?, row.get(1)?);
        counts.push(AccessCount {
            month: match month {
                0.. => i32::try_from(month / 12).ok().zip(u32::try_from(month % 12 + 1).ok()),
                _ => None,
            },
            basis: (basis != counts::ALL).then(|| texts.text(basis)).transpose()?,
            then: texts.column(row, 2)?,
            now: texts.column(row, 3)?,
            accesses: unsigned(row, 4)?,
        });
    }
    Ok(counts)
}

fn party_counts(c: &Connection, party: &str) -> rusqlite::Result<Vec<PartyCount>> {
    let Some(asked) = word(c, Facet::Party, party)? else { return Ok(Vec::new()) };
    let mut statement =
        c.prepare_cached("SELECT then_outcome, now_outcome, n FROM party_counts WHERE party = ?1")?;
    let mut texts = Texts::new(c);
    let mut rows = statement.query([asked.id])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push(PartyCount {
            then: texts.column(row, 0)?,
            now: texts.column(row, 1)?,
            accesses: unsigned(row, 2)?,
        });
    }
    Ok(counts)
}

fn finding_counts(c: &Connection, party: Option<&str>) -> rusqlite::Result<Vec<FindingCount>> {
    let asked = match party {
        None => counts::ALL,
        Some(party) => match word(c, Facet::Party, party)? {
            None => return Ok(Vec::new()),
            Some(asked) => asked.id,
        },
    };
    let mut statement = c.prepare_cached(
        "SELECT code, state, n FROM finding_counts WHERE party = ?1 ORDER BY code, state",
    )?;
    let mut texts = Texts::new(c);
    let mut rows = statement.query([asked])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let state: i64 = row.get(1)?;
        counts.push(FindingCount {
            party: party.map(str::to_owned),
            code: texts.column(row, 0)?,
            state: counts::state(state)
                .ok_or(rusqlite::Error::IntegralValueOutOfRange(1, state))?,
            findings: unsigned(row, 2)?,
        });
    }
    Ok(counts)
}

fn findings_by_party(c: &Connection, limit: usize) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut statement = c.prepare_cached(
        "SELECT w.text, sum(f.n) AS standing FROM finding_counts f \
         JOIN words w ON w.id = f.party WHERE f.state < 2 \
         GROUP BY f.party ORDER BY standing DESC, w.text LIMIT ?1",
    )?;
    let mut rows = statement.query([limit_of(limit) as i64])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push((row.get(0)?, unsigned(row, 1)?));
    }
    Ok(counts)
}

fn changed_since(c: &Connection, since: Timestamp) -> rusqlite::Result<Changed> {
    let first = int(first_recorded_from(c, since)?);
    let count = |sql: &str| -> rusqlite::Result<u64> {
        c.prepare_cached(sql)?
            .query_row(params![first, int(MAX_COUNTED + 1)], |row| unsigned(row, 0))
    };
    Ok(Changed {
        accesses: count(
            "SELECT count(*) FROM (SELECT 1 FROM accesses INDEXED BY accesses_changed \
             WHERE now_since > position AND now_since >= ?1 LIMIT ?2)",
        )?,
        findings: count(
            "SELECT count(*) FROM (SELECT 1 FROM findings INDEXED BY findings_changed \
             WHERE ifnull(until, since) > position AND ifnull(until, since) >= ?1 LIMIT ?2)",
        )?,
    })
}
