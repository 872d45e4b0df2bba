//! The sequencer: the one writer, and its first half.
//!
//! Takes filings already read and signature-checked, decides them one after the other
//! against state in memory, writes and links their leaves, and has them signed on all cores.
//! The second half (`commit.rs`) appends a batch in one durable transaction with the
//! expected head, publishes it, and only then answers; meanwhile the next batch is decided
//! here, on memory that is ahead of the store. It is handed over when the one before is
//! known to be durable, never earlier: nothing is visible, told or appended that rests on
//! what may not be recorded. A batch is whatever came while the one before was appended: an
//! idle writer never delays a filing to fill a batch.
//!
//! Failures: a batch that was not applied takes the one decided after it along, and memory
//! is reloaded from the store; so does an append whose outcome is unknown, and the writer
//! stops until it has read the head again and knows whether the batch landed; an append
//! that finds another head makes it read-only for good, because somebody else writes this
//! ledger.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, RwLock};

use greffe_domain::body::Body;
use greffe_domain::command::{Command, Context, KnownAccess, named_accesses, stream_of};
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::{ClockKind, Event};
use greffe_domain::filing::{Filing, check_issue_time};
use greffe_domain::key::SecretKey;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::Register;
use greffe_domain::rules::{self, Case, Rulebook};
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{FilingRef, Leaf, PendingEntry, Position, StreamRef, link};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::commit::{Awaited, Committer, Decided, Entry, Failed, Reply, Signatures, Waiting};
use crate::cqrs::{Commands, StagedEvent, Touched};
use crate::entropy::Nonces;
use crate::receipt::{LeafText, Receipt};
use crate::store::{
    DisclosureRow, EntryRow, Fault, FaultKind, FilingKey, Head, RecordedFiling, Store,
};

/// Most entries of one batch: past it, commits cost no less each and latency grows.
const MAX_BATCH_ENTRIES: usize = 1_024;
/// Fewer entries than this are not handed over while others wait to join them.
const LEAST_BATCH_ENTRIES: usize = 256;
/// Entries decided at a stretch.
const GROUP_ENTRIES: usize = 128;
/// Filings that may wait; past it the ledger says it is overloaded.
pub const QUEUE: usize = 8_192;
/// Entries read at once when state is rebuilt.
const RELOAD_ENTRIES: usize = 4_096;

/// Why a filing was not recorded, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was recorded: the same filing may be sent again.
    #[error("the filing was not recorded")]
    NotRecorded(#[source] Arc<Fault>),
    /// It may have been recorded: sending the same bytes again is safe and tells.
    #[error("it is not known whether the filing was recorded")]
    Unknown(#[source] Arc<Fault>),
}

/// What the writer is asked.
pub enum Job {
    /// Record these, all or none.
    Record { filings: Vec<Arc<Filing>>, reply: Reply },
    /// Sign with this key from the next entry on.
    Rotate { key: Box<SecretKey>, reply: Reply },
}

/// What readers see: only what is durable.
pub struct Published {
    pub register: RwLock<Register>,
    pub head: watch::Sender<PublishedHead>,
    /// `None`: this process has none, and signs nothing.
    pub key: RwLock<Option<SecretKey>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedHead {
    pub head: Head,
    /// Time of the last entry.
    pub time: Timestamp,
    /// This process does not write: another one does, or entries are missing.
    pub read_only: bool,
}

impl Published {
    /// The head and the key that signs it change together: whoever signs a head holds the
    /// key's lock while reading both.
    pub(crate) fn set_head(&self, head: Head, time: Timestamp, next_key: Option<&SecretKey>) {
        let mut key = self.key.write().expect("no writer panics with this lock");
        if let Some(next) = next_key {
            *key = Some(next.clone());
        }
        self.head.send_modify(|h| {
            h.head = head;
            h.time = time;
        });
    }

    /// Another writer writes this ledger.
    pub(crate) fn give_up(&self) {
        self.head.send_modify(|h| h.read_only = true);
    }
}

/// A filing by its name, author and `jti`.
struct Named(Arc<Filing>);

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.0.jti == other.0.jti && self.0.iss == other.0.iss
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.jti.hash(state);
        self.0.iss.hash(state);
    }
}

/// Name of a filing → its entries, from and until an index into the batch.
type Names = HashMap<Named, (usize, usize)>;

/// The batch being decided.
#[derive(Default)]
struct Open {
    entries: Vec<Entry>,
    leaves: Vec<Vec<u8>>,
    disclosures: Vec<DisclosureRow>,
    names: Names,
    filings: Vec<(Position, Arc<Filing>)>,
    signatures: Signatures,
    waiting: Vec<Waiting>,
    /// The key that a rotation staged names. It signs only what comes after its entry, so
    /// that the rotation ends the batch.
    next_key: Option<Arc<SecretKey>>,
}

impl Open {
    fn has_room(&self) -> bool {
        self.entries.len() < MAX_BATCH_ENTRIES
            && self.waiting.len() < MAX_BATCH_ENTRIES
            && self.next_key.is_none()
    }
}

/// The batch being appended, as far as deciding the next one needs it.
struct Flight {
    entries: Arc<Vec<Entry>>,
    names: Names,
    touched: Touched,
    next_key: Option<Arc<SecretKey>>,
    /// The heads before and after it.
    heads: [Head; 2],
    outcome: oneshot::Receiver<Result<(), Failed>>,
}

pub struct Sequencer {
    committer: Arc<Committer>,
    clock_kind: ClockKind,
    clock: Clock,
    /// Signs what is decided now, unless the batch in flight changes it.
    key: Arc<SecretKey>,
    rulebook: &'static Rulebook,
    commands: Commands,
    register: Arc<Register>,
    head: Head,
    last_time: Timestamp,
    nonces: Nonces,
    jobs: mpsc::Receiver<Job>,
    open: Open,
    flight: Option<Flight>,
    /// Second halves of batches, at work: appending, or answering.
    commits: JoinSet<()>,
    /// After a batch that was not applied, or may have been: the heads that the store may
    /// have then. Memory is reloaded before anything else. `None`: memory is the store's.
    doubt: Option<[Head; 2]>,
    /// The key that a rotation of unknown outcome names.
    next_key: Option<Arc<SecretKey>>,
    read_only: bool,
}

/// State folded from a store.
pub struct Loaded {
    pub register: Register,
    pub commands: Commands,
    pub head: Head,
    pub last_time: Timestamp,
}

impl Default for Loaded {
    /// Before the first entry.
    fn default() -> Self {
        Self {
            register: Register::new(),
            commands: Commands::default(),
            head: Head::empty(),
            last_time: Timestamp::from_micros(i64::MIN),
        }
    }
}

/// What [`Loaded::advance`] read: entries that registers are folded from, in order.
pub type Folded = Vec<(Position, Timestamp, Event)>;

/// Reads a ledger's state: every entry but the accesses, and of these what was disclosed
/// about groups, which weighs on what is disclosed next.
pub async fn load(store: &dyn Store) -> Result<Loaded, Fault> {
    let mut loaded = Loaded::default();
    loaded.advance(store, |_| ()).await?;
    Ok(loaded)
}

impl Loaded {
    /// Folds what the store holds by now; `each` is given what was read, a page at a time.
    /// State moves to the store's head, or nowhere when it fails before the first page.
    pub async fn advance(
        &mut self,
        store: &dyn Store,
        mut each: impl FnMut(Folded),
    ) -> Result<(), Fault> {
        const FOLDED: [StreamType; 9] = [
            StreamType::Ledger,
            StreamType::Party,
            StreamType::Reference,
            StreamType::Processing,
            StreamType::Decision,
            StreamType::Ruling,
            StreamType::Statement,
            StreamType::Experiment,
            StreamType::Subject,
        ];
        let head = store.head().await?;
        if head.size <= self.head.size {
            return Ok(());
        }
        let last_time = {
            let last = Position(head.size.0 - 1);
            match store.entry(last).await? {
                Some(row) => row.time,
                None => return Err(corrupt("read the last entry", last, "it is missing")),
            }
        };
        // Where an earlier attempt ended, if it broke off.
        let mut from = Position(self.register.size());
        let mut groups = GroupDisclosures::new(store, from);
        loop {
            let mut rows = store.entries_of_types(&FOLDED, from, RELOAD_ENTRIES).await?;
            // Another writer may append meanwhile.
            rows.retain(|row| row.position < head.size.next());
            let Some(last) = rows.last() else { break };
            from = last.position.tree_size().next();
            let mut events = Vec::with_capacity(rows.len());
            for row in &rows {
                events.push(read_event(store, row).await?);
            }
            let mut folded = Folded::with_capacity(rows.len());
            for (row, event) in rows.into_iter().zip(events) {
                groups.fold_until(row.position, &mut self.register, &mut folded).await?;
                self.commands.staging().restore(row.stream.kind, &row.stream.id, &event);
                self.register.apply(row.position.0, row.time, &event);
                folded.push((row.position, row.time, event));
            }
            each(folded);
        }
        let mut folded = Folded::new();
        groups.fold_until(head.size.next(), &mut self.register, &mut folded).await?;
        each(folded);
        self.register.advance(head.size.0);
        // A number that was lost, and not erased, would let through what it should stop.
        if let Some(position) = self.register.withheld_numbers().first() {
            let why =
                "the disclosure of its number of absentees is missing, and no entry erases it";
            return Err(corrupt("read what was disclosed", Position(*position), why));
        }
        self.head = head;
        self.last_time = last_time;
        Ok(())
    }
}

fn read_leaf(row: &EntryRow) -> Result<Leaf, Fault> {
    Leaf::parse(&row.sealed.leaf).map_err(|e| corrupt("read a leaf", row.position, &e.to_string()))
}

/// The accesses about groups, read in order beside the rest.
struct GroupDisclosures<'a> {
    store: &'a dyn Store,
    /// Read and not folded yet.
    ahead: VecDeque<(Position, Timestamp, Event)>,
    /// Where the next page starts; `None` after the last.
    from: Option<Position>,
}

impl<'a> GroupDisclosures<'a> {
    fn new(store: &'a dyn Store, from: Position) -> Self {
        Self { store, ahead: VecDeque::new(), from: Some(from) }
    }

    /// Folds those before a position.
    async fn fold_until(
        &mut self,
        until: Position,
        into: &mut Register,
        folded: &mut Folded,
    ) -> Result<(), Fault> {
        loop {
            if self.ahead.is_empty() {
                self.read_page().await?;
            }
            match self.ahead.pop_front() {
                Some((position, time, event)) if position < until => {
                    into.apply(position.0, time, &event);
                    folded.push((position, time, event));
                }
                Some(later) => {
                    self.ahead.push_front(later);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    async fn read_page(&mut self) -> Result<(), Fault> {
        let Some(from) = self.from else { return Ok(()) };
        let rows = self.store.group_disclosures(from, RELOAD_ENTRIES).await?;
        self.from = rows.last().map(|last| last.position.tree_size().next());
        let positions: Vec<Position> = rows.iter().map(|row| row.position).collect();
        let kept = self.store.disclosures_at(&positions).await?;
        let mut kept = kept.iter().peekable();
        for row in rows {
            let mut disclosures = Vec::new();
            while let Some(disclosure) = kept.next_if(|d| d.position <= row.position) {
                disclosures.extend(Disclosure::parse(&disclosure.encoded).ok());
            }
            let leaf = read_leaf(&row)?;
            let event = Event::read_disclosed(&leaf.event, &disclosures)
                .map_err(|e| corrupt("read an event", row.position, &e.to_string()))?;
            self.ahead.push_back((row.position, row.time, event));
        }
        Ok(())
    }
}

/// The event of a row, with the disclosures that rules look at.
async fn read_event(store: &dyn Store, row: &EntryRow) -> Result<Event, Fault> {
    let leaf = read_leaf(row)?;
    let disclosures = match row.event_type {
        EventType::SubjectAgreed | EventType::SubjectObjected => store
            .disclosures_at(&[row.position])
            .await?
            .iter()
            .filter_map(|d| Disclosure::parse(&d.encoded).ok())
            .collect(),
        _ => Vec::new(),
    };
    Event::read_disclosed(&leaf.event, &disclosures)
        .map_err(|e| corrupt("read an event", row.position, &e.to_string()))
}

fn corrupt(attempted: &str, position: Position, why: &str) -> Fault {
    Fault::new(FaultKind::Corrupt, attempted, format!("the entry at position {position}"))
        .because(why.to_owned())
}

impl Sequencer {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        key: SecretKey,
        rulebook: &'static Rulebook,
        loaded: Loaded,
        published: Arc<Published>,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        let origin = Arc::from(loaded.register.origin());
        Self {
            clock_kind: loaded.register.clock(),
            committer: Arc::new(Committer { store, origin, published }),
            clock,
            key: Arc::new(key),
            rulebook,
            commands: loaded.commands,
            register: Arc::new(loaded.register),
            head: loaded.head,
            last_time: loaded.last_time,
            nonces: Nonces::default(),
            jobs,
            open: Open::default(),
            flight: None,
            commits: JoinSet::new(),
            doubt: None,
            next_key: None,
            read_only: false,
        }
    }

    /// Serves until every sender is gone, and what waits is done.
    pub async fn run(mut self) {
        loop {
            self.look_at_flight();
            if self.flight.is_none() && !self.open.waiting.is_empty() && !self.worth_filling() {
                self.hand_over();
            }
            let waiting = self.take_waiting();
            if !waiting.is_empty() {
                self.decide(waiting).await;
                continue;
            }
            let has_room = self.open.has_room();
            match &mut self.flight {
                Some(flight) => tokio::select! {
                    biased;
                    outcome = &mut flight.outcome => self.land(
                        outcome.expect("the second half of a batch does not panic"),
                    ),
                    Some(job) = self.jobs.recv(), if has_room => self.decide(vec![job]).await,
                },
                None if self.open.waiting.is_empty() => match self.jobs.recv().await {
                    Some(job) => {
                        let mut group = vec![job];
                        if !matches!(group[0], Job::Rotate { .. }) {
                            group.extend(self.take_waiting());
                        }
                        self.decide(group).await;
                    }
                    None => break,
                },
                None => self.hand_over(),
            }
        }
        while let Some(commit) = self.commits.join_next().await {
            commit.expect("the second half of a batch does not panic");
        }
    }

    /// Whether more should join the open batch although it could be appended now: while
    /// filings wait, a batch of a few would spend more on its commit than on itself.
    fn worth_filling(&self) -> bool {
        self.open.entries.len() < LEAST_BATCH_ENTRIES
            && self.open.has_room()
            && !self.jobs.is_empty()
    }

    /// Jobs that wait, as far as the open batch has room, few enough that the outcome of the
    /// batch in flight is soon looked at.
    fn take_waiting(&mut self) -> Vec<Job> {
        let mut group = Vec::new();
        let mut room = MAX_BATCH_ENTRIES
            .saturating_sub(self.open.entries.len().max(self.open.waiting.len()))
            .min(GROUP_ENTRIES);
        if self.open.next_key.is_some() {
            room = 0;
        }
        while room > 0 && !matches!(group.last(), Some(Job::Rotate { .. })) {
            let Ok(job) = self.jobs.try_recv() else { break };
            room = room.saturating_sub(weight(&job));
            group.push(job);
        }
        group
    }

    fn look_at_flight(&mut self) {
        if let Some(flight) = &mut self.flight
            && let Ok(outcome) = flight.outcome.try_recv()
        {
            self.land(outcome);
        }
    }

    /// Decides jobs into the open batch.
    async fn decide(&mut self, group: Vec<Job>) {
        // Whoever was told of a failure and asks again must find memory as the store is.
        self.look_at_flight();
        if !self.read_only
            && self.doubt.is_some()
            && let Err(fault) = self.reload().await
        {
            return refuse_all(group, &Arc::new(fault));
        }
        if self.read_only {
            for job in group {
                let _ = reply_of(job).send(Err(read_only().into()));
            }
            return;
        }
        let mut recorded = match self.already_recorded(&group).await {
            Ok(recorded) => recorded.into_iter(),
            Err(fault) => return refuse_all(group, &Arc::new(fault)),
        };
        for job in group {
            let before = (self.head, self.last_time);
            let (entries, disclosures) = (self.open.entries.len(), self.open.disclosures.len());
            let filings = self.open.filings.len();
            self.commands.staging().mark();
            let (decided, reply) = match job {
                Job::Rotate { key, reply } => {
                    let decided = self.stage_rotation(&key);
                    if decided.is_ok() {
                        self.open.next_key = Some(Arc::from(key));
                    }
                    let until = self.open.entries.len();
                    (decided.map(|()| vec![Awaited::Staged(entries, until)]), reply)
                }
                Job::Record { filings, reply } => {
                    let recorded = recorded.by_ref().take(filings.len()).collect();
                    (self.stage(&filings, recorded).await, reply)
                }
            };
            if decided.is_err() {
                self.open.disclosures.truncate(disclosures);
                self.open.filings.truncate(filings);
                self.open.names.retain(|_, (from, _)| *from < entries);
                self.undo(before, entries);
            } else {
                let key = self.signing_key();
                self.open.signatures.begin(&self.committer.origin, &key, &self.open.entries);
            }
            // A refusal may rest on entries of this batch: it is not told before they are
            // durable.
            self.open.waiting.push(Waiting { decided, reply });
        }
    }

    /// Signs the open batch: what comes after the batch in flight.
    fn signing_key(&self) -> Arc<SecretKey> {
        let next = self.flight.as_ref().and_then(|f| f.next_key.as_ref());
        Arc::clone(next.unwrap_or(&self.key))
    }

    /// Has the open batch recorded. The one before is durable.
    fn hand_over(&mut self) {
        let open = std::mem::take(&mut self.open);
        let entries = Arc::new(open.entries);
        let expected = self.committer.published.head.borrow().head;
        debug_assert!(
            entries.first().is_none_or(|e| e.position == expected.size.next()),
            "a batch follows what is published"
        );
        let (done, outcome) = oneshot::channel();
        self.flight = Some(Flight {
            entries: Arc::clone(&entries),
            names: open.names,
            touched: self.commands.staging().close_batch(),
            next_key: open.next_key.clone(),
            heads: [expected, self.head],
            outcome,
        });
        let decided = Decided {
            expected,
            entries,
            leaves: open.leaves,
            disclosures: open.disclosures,
            filings: open.filings,
            signatures: open.signatures,
            key: Arc::clone(&self.key),
            next_key: open.next_key,
            waiting: open.waiting,
        };
        while self.commits.try_join_next().is_some() {}
        self.commits.spawn(Arc::clone(&self.committer).commit(decided, done));
    }

    /// Takes note of what became of the batch in flight.
    fn land(&mut self, outcome: Result<(), Failed>) {
        let flight = self.flight.take().expect("only a batch in flight lands");
        let failed = match outcome {
            Ok(()) => {
                if let Some(key) = flight.next_key {
                    self.key = key;
                }
                self.commands.staging().forget(flight.touched);
                return;
            }
            Err(failed) => failed,
        };
        match failed {
            Failed::ReadOnly => self.give_up(),
            Failed::NotRecorded(_) => self.doubt = Some([flight.heads[0]; 2]),
            Failed::Unknown(_) => self.doubt = Some(flight.heads),
        }
        self.next_key = flight.next_key;
        // What was decided on it falls with it.
        let open = std::mem::take(&mut self.open);
        self.commits.spawn(Arc::clone(&self.committer).fail(open.waiting, failed));
    }

    /// Which filings of these jobs the store already holds; one answer a filing, in order.
    async fn already_recorded(&self, group: &[Job]) -> Result<Vec<Option<RecordedFiling>>, Fault> {
        let filings = group.iter().flat_map(|job| match job {
            Job::Record { filings, .. } => filings.as_slice(),
            Job::Rotate { .. } => &[],
        });
        let keys: Vec<FilingKey<'_>> =
            filings.map(|f| FilingKey { iss: &f.iss, jti: &f.jti }).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.committer.store.filings_by_key(&keys).await
    }

    /// Decides a job's filings, in order, each item seeing those before it.
    async fn stage(
        &mut self,
        job: &[Arc<Filing>],
        recorded: Vec<Option<RecordedFiling>>,
    ) -> Result<Vec<Awaited>, SubmitError> {
        let mut awaited = Vec::with_capacity(job.len());
        for (filing, recorded) in job.iter().zip(recorded) {
            let name = Named(Arc::clone(filing));
            // Asked for before the batch in flight became durable, the store may not know
            // of its filings.
            let preceding = self.flight.as_ref().and_then(|flight| {
                let (named, (from, until)) = flight.names.get_key_value(&name)?;
                Some(RecordedFiling {
                    digest: named.0.digest,
                    first_position: flight.entries[*from].position,
                    items: u32::try_from(until - from).expect("at most 1,000 items"),
                })
            });
            if let Some(earlier) = recorded.or(preceding) {
                if earlier.digest != filing.digest {
                    return Err(jti_reused(earlier.first_position).into());
                }
                awaited.push(match recorded {
                    Some(earlier) => Awaited::Recorded(earlier),
                    None => Awaited::Preceding(earlier),
                });
                continue;
            }
            if let Some((named, &(from, until))) = self.open.names.get_key_value(&name) {
                if named.0.digest != filing.digest {
                    return Err(jti_reused(self.open.entries[from].position).into());
                }
                awaited.push(Awaited::Staged(from, until));
                continue;
            }
            let (from, first) = (self.open.entries.len(), self.head.size.next());
            let time = self.time_of(filing)?;
            for item in 0..filing.items.len() {
                // An item may revoke the key that signs the items after it.
                self.check_key(filing)?;
                self.stage_item(filing, item, time).await?;
            }
            let until = self.open.entries.len();
            self.open.names.insert(name, (from, until));
            self.open.filings.push((first, Arc::clone(filing)));
            awaited.push(Awaited::Staged(from, until));
        }
        Ok(awaited)
    }

    /// The ledger's time for a filing: never before the last entry's.
    fn time_of(&self, filing: &Filing) -> Result<Timestamp, Refusal> {
        match self.clock_kind {
            ClockKind::Real => {
                let now = self.clock.now();
                check_issue_time(filing.iat, now)?;
                Ok(now.max(self.last_time))
            }
            ClockKind::Simulated => {
                let time = Timestamp::from_unix_seconds(filing.iat);
                if time >= self.last_time {
                    return Ok(time);
                }
                let last = self.head.size.0.saturating_sub(1);
                Err(Refusal::forbidden_by(
                    last,
                    C::TimeWentBack,
                    format!(
                        "l’horloge simulée en est déjà à {} (entrée {last}) : `iat` ne recule jamais",
                        self.last_time
                    ),
                    format!(
                        "the simulated clock already shows {} (entry {last}): `iat` never goes back",
                        self.last_time
                    ),
                ))
            }
        }
    }

    /// The author's key must be live at this position; whether it signed was checked before.
    fn check_key(&self, filing: &Filing) -> Result<(), Refusal> {
        check_live_key(&self.register, &filing.iss, &filing.kid)
    }

    async fn stage_item(
        &mut self,
        filing: &Arc<Filing>,
        item: usize,
        time: Timestamp,
    ) -> Result<(), SubmitError> {
        let position = self.head.size.next();
        let (stream, id) = stream_of(filing, item, position, &self.register)?;
        let body = Arc::clone(&filing.items[item].body);
        let accesses = self.known_accesses(&body).await.map_err(not_recorded)?;
        if stream == StreamType::Access && id != position.to_string() {
            self.bring_in_access(&id).await.map_err(not_recorded)?;
        }
        let command = Command {
            filing: Arc::clone(filing),
            item,
            context: Context {
                now: time,
                position,
                register: Arc::clone(&self.register),
                rulebook: self.rulebook,
                accesses,
            },
        };
        self.commands.execute(stream, &id, command).await?;
        let staged = self.commands.staging().take();
        let staged = staged.expect("a command that is not refused stages its event");
        for &index in &filing.items[item].disclosures {
            let disclosure = &filing.disclosures[index];
            let digest = base64url_decode(disclosure.digest_str())
                .and_then(|bytes| bytes.try_into().ok())
                .expect("a disclosure's digest is 32 bytes of base64url: we computed it");
            self.open.disclosures.push(DisclosureRow {
                position,
                digest: Hash32(digest),
                encoded: disclosure.encoded().to_owned(),
            });
        }
        let index = u32::try_from(item).expect("a filing has at most 1,000 items");
        let reference = FilingRef { digest: filing.digest, item: index };
        let version = self.rulebook.version;
        let valid_until = valid_until(&staged.event, version, position, time, &self.register);
        self.link_entry(staged, Some(reference), time, valid_until)
    }

    /// Writes the leaf of the next entry and moves memory past it.
    fn link_entry(
        &mut self,
        staged: StagedEvent,
        filing: Option<FilingRef>,
        time: Timestamp,
        valid_until: Option<LegalDate>,
    ) -> Result<(), SubmitError> {
        let position = self.head.size.next();
        let StagedEvent { stream, id, version, event } = staged;
        let stream = StreamRef { id, kind: stream, version };
        let leaf = PendingEntry {
            event: &event,
            filing,
            nonce: self.nonces.draw().map_err(not_recorded)?,
            origin: &self.committer.origin,
            position,
            prev: self.head.link,
            rulebook: self.rulebook.version,
            stream: &stream,
            time,
        }
        .write_leaf()?;
        let link = link(&leaf);
        // The command that held the register too is gone: nothing is copied.
        Arc::make_mut(&mut self.register).apply(position.0, time, &event);
        self.head = Head { size: position.tree_size(), link };
        self.last_time = time;
        self.open.leaves.push(leaf);
        self.open.entries.push(Entry { event, stream, filing, time, position, link, valid_until });
        Ok(())
    }

    fn stage_rotation(&mut self, key: &SecretKey) -> Result<(), SubmitError> {
        let event = Event::LedgerKeyRotated { ledger_key: key.public().clone() };
        let staged = {
            let mut staging = self.commands.staging();
            staging.stage_ledger_event("ledger", event);
            staging.take().expect("just staged")
        };
        let time = match self.clock_kind {
            ClockKind::Real => self.clock.now().max(self.last_time),
            ClockKind::Simulated => self.last_time,
        };
        self.link_entry(staged, None, time, None)
    }

    /// The event decided at a position and not known to be durable, if there is one.
    fn ahead(&self, position: Position) -> Option<&Event> {
        let flight = self.flight.iter().flat_map(|f| [&*f.entries]);
        flight.chain([&self.open.entries]).find_map(|entries| {
            let first = entries.first()?.position;
            let index = usize::try_from(position.0.checked_sub(first.0)?).ok()?;
            entries.get(index).map(|e| &*e.event)
        })
    }

    /// The accesses a body names, from memory or the store.
    async fn known_accesses(&self, body: &Body) -> Result<Vec<KnownAccess>, Fault> {
        let mut known = Vec::new();
        for position in named_accesses(body) {
            if position >= self.head.size.next() {
                continue;
            }
            let recorded;
            let event = match self.ahead(position) {
                Some(event) => event,
                None => match self.committer.store.entry(position).await? {
                    Some(row) if row.stream.kind == StreamType::Access => {
                        recorded = read_event(&*self.committer.store, &row).await?;
                        &recorded
                    }
                    _ => continue,
                },
            };
            if let Some((filed, access)) = event.filed().and_then(|f| Some((f, f.body.access()?))) {
                known.push(KnownAccess {
                    position,
                    iss: filed.iss.clone(),
                    processing: access.processing.clone(),
                    recipient: access.recipient.party.clone(),
                    discloser: access.discloser.clone(),
                });
            }
        }
        Ok(known)
    }

    /// Loads an access's stream into memory: accesses are not kept there.
    async fn bring_in_access(&self, id: &str) -> Result<(), Fault> {
        // One that the batch in flight touched is kept until that is durable: what is not in
        // memory is whole in the store.
        if self.commands.staging().holds(StreamType::Access, id) {
            return Ok(());
        }
        let store = &*self.committer.store;
        let rows = store.stream(StreamType::Access, id).await?;
        // All of it or nothing: half a stream in memory would give its next entry the wrong
        // version.
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(read_event(store, row).await?);
        }
        for event in events {
            self.commands.staging().restore(StreamType::Access, id, &event);
        }
        Ok(())
    }

    /// Puts memory back to where it was before a job that was refused. `entries`: how many
    /// the open batch had.
    fn undo(&mut self, before: (Head, Timestamp), entries: usize) {
        self.commands.staging().roll_back();
        if self.head == before.0 {
            return;
        }
        (self.head, self.last_time) = before;
        self.open.entries.truncate(entries);
        self.open.leaves.truncate(entries);
        // Facts cannot be taken out of a register: start again from the durable one, which
        // the batch in flight may have joined by now.
        let published = &self.committer.published;
        let mut register =
            published.register.read().expect("no writer panics with this lock").clone();
        let flight = self.flight.iter().flat_map(|f| f.entries.iter());
        for entry in flight.chain(&self.open.entries) {
            if entry.position.0 >= register.size() {
                register.apply(entry.position.0, entry.time, &entry.event);
            }
        }
        self.register = Arc::new(register);
    }

    fn give_up(&mut self) {
        self.read_only = true;
        self.committer.published.give_up();
    }

    /// Rebuilds memory from the store, after a batch that did not get there, or may have.
    async fn reload(&mut self) -> Result<(), Fault> {
        let loaded = load(&*self.committer.store).await?;
        if self.doubt.is_some_and(|possible| !possible.contains(&loaded.head)) {
            self.give_up();
            return Ok(());
        }
        // A rotation of unknown outcome has landed if the ledger now names its key.
        let landed_key = self
            .next_key
            .take()
            .filter(|k| loaded.register.ledger_key(loaded.head.size.0) == Some(k.public()));
        if let Some(key) = &landed_key {
            self.key = Arc::clone(key);
        }
        self.head = loaded.head;
        self.last_time = loaded.last_time;
        self.commands = loaded.commands;
        let published = &self.committer.published;
        *published.register.write().expect("no writer panics with this lock") =
            loaded.register.clone();
        self.register = Arc::new(loaded.register);
        published.set_head(self.head, self.last_time, landed_key.as_deref());
        self.doubt = None;
        Ok(())
    }
}

/// The receipt of an entry recorded earlier: the same that was given then.
pub async fn receipt_of(
    store: &dyn Store,
    register: &RwLock<Register>,
    row: EntryRow,
) -> Result<Receipt, Fault> {
    let event = read_event(store, &row).await?;
    let rulebook = read_leaf(&row)?.rulebook;
    let register = register.read().expect("no writer panics with this lock");
    let valid_until = valid_until(&event, &rulebook, row.position, row.time, &register);
    Ok(Receipt {
        origin: register.origin().to_owned(),
        position: row.position,
        link: row.sealed.link,
        signature: row.sealed.signature,
        key: row.sealed.kid,
        time: row.time,
        filing: row.filing.map(|f| f.digest),
        leaf: LeafText::of(&row.sealed.leaf),
        verdict: event.filed().and_then(|f| f.verdict.clone()),
        valid_until,
    })
}

/// Last day on which an access may be served, if it was granted with a term.
fn valid_until(
    event: &Event,
    rulebook: &str,
    position: Position,
    time: Timestamp,
    register: &Register,
) -> Option<LegalDate> {
    let filed = event.filed().filter(|filed| filed.event_type == EventType::AccessGranted)?;
    if Rulebook::by_version(rulebook).is_none_or(|rulebook| rulebook.states_term) {
        return filed.verdict.as_ref()?.valid_until;
    }
    let Body::RequestAccess(access) = &*filed.body else { return None };
    let days = filed.at.valid_days(time.date());
    let case = Case { access, days, recorded: Some((position.0, time)) };
    rules::valid_until(&case, register.view(position.0))
}

/// The author's key as enrolled. Errors: `key-unknown`, `key-revoked`.
pub fn check_live_key(register: &Register, iss: &str, kid: &str) -> Result<(), Refusal> {
    match register.key(kid) {
        Some((owner, _, key)) if owner == iss => match key.revoked {
            None => Ok(()),
            Some(position) => Err(Refusal::forbidden_by(
                position,
                C::KeyRevoked,
                format!(
                    "cette clé est révoquée depuis l’entrée {position} ; signer avec une autre"
                ),
                format!("this key has been revoked since entry {position}; sign with another"),
            )),
        },
        _ => Err(Refusal::new(
            C::KeyUnknown,
            format!(
                "cette clé n’est pas inscrite pour « {iss} » ; demander son inscription au greffe"
            ),
            format!("this key is not enrolled for `{iss}`; ask the registrar to enrol it"),
        )),
    }
}

fn not_recorded(fault: Fault) -> SubmitError {
    SubmitError::NotRecorded(Arc::new(fault))
}

pub fn read_only() -> Refusal {
    Refusal::new(
        C::ReadOnly,
        "ce registre est ouvert en lecture seule : un autre serveur y écrit",
        "this ledger is open read-only: another server writes it",
    )
}

fn jti_reused(position: Position) -> Refusal {
    Refusal::forbidden_by(
        position.0,
        C::JtiReused,
        format!("ce `jti` a servi à un autre dépôt (entrée {position}) ; en choisir un autre"),
        format!("this `jti` was used for another filing (entry {position}); choose another"),
    )
}

fn weight(job: &Job) -> usize {
    match job {
        Job::Record { filings, .. } => filings.iter().map(|f| f.items.len()).sum(),
        Job::Rotate { .. } => 1,
    }
}

fn reply_of(job: Job) -> Reply {
    match job {
        Job::Record { reply, .. } | Job::Rotate { reply, .. } => reply,
    }
}

/// The store could not be asked: these filings may be among those it holds already.
fn refuse_all(group: Vec<Job>, fault: &Arc<Fault>) {
    for job in group {
        let _ = reply_of(job).send(Err(SubmitError::Unknown(Arc::clone(fault))));
    }
}
