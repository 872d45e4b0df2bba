//! The sequencer: the one writer.
//!
//! Takes filings already read and signature-checked, decides them one after the other
//! against state in memory, writes and links their leaves, has the entries signed on all
//! cores, appends the whole batch in one durable transaction with the expected head, and
//! only then answers. Nothing is visible before it is durable. A group is whatever waits:
//! an idle writer never delays a filing to fill a batch.
//!
//! Failures: a batch that was not applied leaves memory as the store is (it is reloaded); an
//! append whose outcome is unknown stops the writer until it has read the head again and
//! knows whether the batch landed; an append that finds another head makes it read-only for
//! good, because somebody else writes this ledger.

use std::collections::HashMap;
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
use greffe_domain::seal::{
    FilingRef, Leaf, PendingEntry, Position, SealedEntry, StreamRef, entry_text, link,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::cqrs::{Commands, StagedEvent};
use crate::entropy::Nonces;
use crate::receipt::Receipt;
use crate::store::{
    AppendError, Batch, DisclosureRow, EntryRow, Fault, FaultKind, FilingKey, FilingRow, Head,
    RecordedFiling, Store,
};

/// Most entries of one batch: past it, commits cost no less each and latency grows.
const MAX_BATCH_ENTRIES: usize = 1_024;
/// Filings that may wait; past it the ledger says it is overloaded.
pub const QUEUE: usize = 8_192;
/// Fewer entries than this are signed where they are: waking a core costs more.
const SIGN_ALONE: usize = 32;
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

type Reply = oneshot::Sender<Result<Vec<Receipt>, SubmitError>>;

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

/// An entry decided, its leaf written, not yet signed.
struct Linked {
    staged: StagedEvent,
    filing: Option<FilingRef>,
    time: Timestamp,
    position: Position,
    leaf: Vec<u8>,
    link: Hash32,
    disclosures: Vec<DisclosureRow>,
    valid_until: Option<LegalDate>,
}

/// Author and `jti` → digest of the filing, and its entries from and until an index.
type InBatch = HashMap<(String, String), (Hash32, usize, usize)>;

/// What became of a job before its batch was durable.
type Decided = Result<Vec<Awaited>, SubmitError>;

/// What a job waits for.
enum Awaited {
    /// Entries of this batch, from and until an index into it.
    Staged(usize, usize),
    /// Entries recorded before.
    Recorded(RecordedFiling),
}

impl Awaited {
    fn is_staged(&self) -> bool {
        matches!(self, Self::Staged(..))
    }
}

pub struct Sequencer {
    store: Arc<dyn Store>,
    origin: String,
    clock_kind: ClockKind,
    clock: Clock,
    key: SecretKey,
    rulebook: &'static Rulebook,
    commands: Commands,
    register: Arc<Register>,
    head: Head,
    last_time: Timestamp,
    nonces: Nonces,
    published: Arc<Published>,
    jobs: mpsc::Receiver<Job>,
    /// After a batch that was not applied, or may have been: the heads that the store may
    /// have then. Memory is reloaded before anything else. `None`: memory is the store's.
    doubt: Option<[Head; 2]>,
    /// The key that a rotation staged, or of unknown outcome, names.
    next_key: Option<SecretKey>,
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

/// Reads a ledger's state: every entry but the accesses.
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
                self.commands.staging().restore(row.stream.kind, &row.stream.id, &event);
                self.register.apply(row.position.0, row.time, &event);
                folded.push((row.position, row.time, event));
            }
            each(folded);
        }
        self.register.advance(head.size.0);
        self.head = head;
        self.last_time = last_time;
        Ok(())
    }
}

fn read_leaf(row: &EntryRow) -> Result<Leaf, Fault> {
    Leaf::parse(&row.sealed.leaf).map_err(|e| corrupt("read a leaf", row.position, &e.to_string()))
}

/// The event of a row, with the disclosures that rules look at.
async fn read_event(store: &dyn Store, row: &EntryRow) -> Result<Event, Fault> {
    let leaf = read_leaf(row)?;
    let disclosures = match row.event_type {
        EventType::SubjectAgreed | EventType::SubjectObjected => store
            .disclosures_at(&[row.position])
            .await?
            .iter()
            .filter_map(|d| greffe_domain::sdjwt::Disclosure::parse(&d.encoded).ok())
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
        Self {
            origin: loaded.register.origin().to_owned(),
            clock_kind: loaded.register.clock(),
            store,
            clock,
            key,
            rulebook,
            commands: loaded.commands,
            register: Arc::new(loaded.register),
            head: loaded.head,
            last_time: loaded.last_time,
            nonces: Nonces::default(),
            published,
            jobs,
            doubt: None,
            next_key: None,
            read_only: false,
        }
    }

    /// Serves until every sender is gone, and what waits is done.
    pub async fn run(mut self) {
        while let Some(first) = self.jobs.recv().await {
            let mut entries = weight(&first);
            let mut group = vec![first];
            // A new key signs only what comes after its entry: a rotation ends its group.
            while entries < MAX_BATCH_ENTRIES && !matches!(group.last(), Some(Job::Rotate { .. })) {
                let Ok(job) = self.jobs.try_recv() else { break };
                entries += weight(&job);
                group.push(job);
            }
            self.serve(group).await;
        }
    }

    async fn serve(&mut self, group: Vec<Job>) {
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
        let recorded = match self.already_recorded(&group).await {
            Ok(recorded) => recorded,
            Err(fault) => return refuse_all(group, &Arc::new(fault)),
        };
        let mut batch: Vec<Linked> = Vec::new();
        let mut filings: Vec<Arc<Filing>> = Vec::new();
        let mut in_batch: InBatch = HashMap::new();
        let mut waiting: Vec<(Decided, Reply)> = Vec::new();
        for job in group {
            let (staged_before, filings_before) = (batch.len(), filings.len());
            let before = (self.head, self.last_time);
            self.commands.staging().mark();
            let (outcome, reply) = match job {
                Job::Rotate { key, reply } => {
                    let outcome = self.stage_rotation(&key, &mut batch);
                    self.next_key = outcome.is_ok().then_some(*key);
                    (outcome.map(|()| vec![Awaited::Staged(staged_before, batch.len())]), reply)
                }
                Job::Record { filings: job, reply } => {
                    let outcome =
                        self.stage(&job, &recorded, &mut batch, &mut filings, &mut in_batch).await;
                    (outcome, reply)
                }
            };
            if outcome.is_err() {
                self.undo(before, staged_before, &mut batch);
                filings.truncate(filings_before);
                in_batch.retain(|_, (_, from, _)| *from < staged_before);
            }
            // A refusal may rest on entries of this batch: it is not told before they are
            // durable.
            waiting.push((outcome, reply));
        }
        self.commit(batch, filings, waiting).await;
    }

    /// Filings of this group that the store already holds, by name.
    async fn already_recorded(
        &self,
        group: &[Job],
    ) -> Result<HashMap<(String, String), RecordedFiling>, Fault> {
        let filings: Vec<&Arc<Filing>> = group
            .iter()
            .flat_map(|job| match job {
                Job::Record { filings, .. } => filings.as_slice(),
                Job::Rotate { .. } => &[],
            })
            .collect();
        let keys: Vec<FilingKey<'_>> =
            filings.iter().map(|f| FilingKey { iss: &f.iss, jti: &f.jti }).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.store.filings_by_key(&keys).await?;
        Ok(filings
            .iter()
            .zip(found)
            .filter_map(|(f, found)| Some(((f.iss.clone(), f.jti.clone()), found?)))
            .collect())
    }

    /// Decides a job's filings, in order, each item seeing those before it.
    async fn stage(
        &mut self,
        job: &[Arc<Filing>],
        recorded: &HashMap<(String, String), RecordedFiling>,
        batch: &mut Vec<Linked>,
        filings: &mut Vec<Arc<Filing>>,
        in_batch: &mut InBatch,
    ) -> Decided {
        let mut awaited = Vec::with_capacity(job.len());
        for filing in job {
            let name = (filing.iss.clone(), filing.jti.clone());
            if let Some(earlier) = recorded.get(&name) {
                if earlier.digest != filing.digest {
                    return Err(jti_reused(earlier.first_position).into());
                }
                awaited.push(Awaited::Recorded(*earlier));
                continue;
            }
            if let Some(&(digest, from, until)) = in_batch.get(&name) {
                if digest != filing.digest {
                    return Err(jti_reused(batch[from].position).into());
                }
                awaited.push(Awaited::Staged(from, until));
                continue;
            }
            let from = batch.len();
            let time = self.time_of(filing)?;
            for item in 0..filing.items.len() {
                // An item may revoke the key that signs the items after it.
                self.check_key(filing)?;
                self.stage_item(filing, item, time, batch).await?;
            }
            in_batch.insert(name, (filing.digest, from, batch.len()));
            filings.push(Arc::clone(filing));
            awaited.push(Awaited::Staged(from, batch.len()));
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
        batch: &mut Vec<Linked>,
    ) -> Result<(), SubmitError> {
        let position = self.head.size.next();
        let (stream, id) = stream_of(filing, item, position, &self.register)?;
        let body = Arc::clone(&filing.items[item].body);
        let accesses = self.known_accesses(&body, batch).await.map_err(not_recorded)?;
        if stream == StreamType::Access && id != position.to_string() {
            self.bring_in_access(&id, batch).await.map_err(not_recorded)?;
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
        let staged = self.commands.staging().last().cloned();
        let staged = staged.expect("a command that is not refused stages its event");
        let disclosures = filing.items[item]
            .disclosures
            .iter()
            .map(|&index| {
                let disclosure = &filing.disclosures[index];
                let digest = base64url_decode(disclosure.digest_str())
                    .and_then(|bytes| bytes.try_into().ok())
                    .expect("a disclosure's digest is 32 bytes of base64url: we computed it");
                DisclosureRow {
                    position,
                    digest: Hash32(digest),
                    encoded: disclosure.encoded().to_owned(),
                }
            })
            .collect();
        let index = u32::try_from(item).expect("a filing has at most 1,000 items");
        let reference = FilingRef { digest: filing.digest, item: index };
        let version = self.rulebook.version;
        let valid_until = valid_until(&staged.event, version, position, time, &self.register);
        let mut linked = self.link_entry(staged, Some(reference), time)?;
        linked.disclosures = disclosures;
        linked.valid_until = valid_until;
        batch.push(linked);
        Ok(())
    }

    /// Writes the leaf of the next entry and moves memory past it.
    fn link_entry(
        &mut self,
        staged: StagedEvent,
        filing: Option<FilingRef>,
        time: Timestamp,
    ) -> Result<Linked, SubmitError> {
        let position = self.head.size.next();
        let stream =
            StreamRef { id: staged.id.clone(), kind: staged.stream, version: staged.version };
        let leaf = PendingEntry {
            event: &staged.event,
            filing,
            nonce: self.nonces.draw().map_err(not_recorded)?,
            origin: &self.origin,
            position,
            prev: self.head.link,
            rulebook: self.rulebook.version,
            stream: &stream,
            time,
        }
        .write_leaf()?;
        let link = link(&leaf);
        Arc::make_mut(&mut self.register).apply(position.0, time, &staged.event);
        self.head = Head { size: position.tree_size(), link };
        self.last_time = time;
        Ok(Linked {
            staged,
            filing,
            time,
            position,
            leaf,
            link,
            disclosures: Vec::new(),
            valid_until: None,
        })
    }

    fn stage_rotation(
        &mut self,
        key: &SecretKey,
        batch: &mut Vec<Linked>,
    ) -> Result<(), SubmitError> {
        let event = Event::LedgerKeyRotated { ledger_key: key.public().clone() };
        let staged = {
            let mut staging = self.commands.staging();
            staging.stage_ledger_event("ledger", event);
            staging.last().cloned().expect("just staged")
        };
        let time = match self.clock_kind {
            ClockKind::Real => self.clock.now().max(self.last_time),
            ClockKind::Simulated => self.last_time,
        };
        batch.push(self.link_entry(staged, None, time)?);
        Ok(())
    }

    /// The accesses a body names, from this batch or the store.
    async fn known_accesses(
        &self,
        body: &Body,
        batch: &[Linked],
    ) -> Result<Vec<KnownAccess>, Fault> {
        let mut known = Vec::new();
        let durable = batch.first().map_or(self.head.size.next(), |first| first.position);
        for position in named_accesses(body) {
            if position >= self.head.size.next() {
                continue;
            }
            let staged = position.0.checked_sub(durable.0).and_then(|i| usize::try_from(i).ok());
            let event = match staged {
                Some(index) => Some(batch[index].staged.event.clone()),
                None => match self.store.entry(position).await? {
                    Some(row) if row.stream.kind == StreamType::Access => {
                        Some(read_event(&*self.store, &row).await?)
                    }
                    _ => None,
                },
            };
            let filed = event.as_ref().and_then(Event::filed);
            if let Some((filed, access)) = filed.and_then(|f| Some((f, f.body.access()?))) {
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
    async fn bring_in_access(&self, id: &str, batch: &[Linked]) -> Result<(), Fault> {
        if self.commands.staging().holds(StreamType::Access, id) {
            return Ok(());
        }
        let rows = self.store.stream(StreamType::Access, id).await?;
        // All of it or nothing: half a stream in memory would give its next entry the wrong
        // version.
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.push(read_event(&*self.store, row).await?);
        }
        for event in events {
            self.commands.staging().restore(StreamType::Access, id, &event);
        }
        debug_assert!(
            batch.iter().all(|l| l.staged.stream != StreamType::Access || l.staged.id != id),
            "an access staged in this batch is still in memory"
        );
        Ok(())
    }

    /// Puts memory back to where it was before a job that was refused.
    fn undo(&mut self, before: (Head, Timestamp), staged: usize, batch: &mut Vec<Linked>) {
        self.commands.staging().roll_back(staged);
        if self.head == before.0 {
            return;
        }
        (self.head, self.last_time) = before;
        batch.truncate(staged);
        // Facts cannot be taken out of a register: start again from the durable one.
        let durable = self.published.register.read().expect("no writer panics with this lock");
        let mut register = durable.clone();
        drop(durable);
        for linked in batch.iter() {
            register.apply(linked.position.0, linked.time, &linked.staged.event);
        }
        self.register = Arc::new(register);
    }

    /// Signs, appends, publishes, answers.
    async fn commit(
        &mut self,
        batch: Vec<Linked>,
        filings: Vec<Arc<Filing>>,
        waiting: Vec<(Decided, Reply)>,
    ) {
        let staged = self.commands.staging().take();
        debug_assert_eq!(staged.len(), batch.len(), "each staged event has its leaf");
        let mut entries = Vec::new();
        let mut failed = None;
        if !batch.is_empty() {
            entries = self.sign(&batch);
            match self.append(&batch, &filings, &entries).await {
                Ok(()) => self.publish(&batch),
                Err(error) => failed = Some(error),
            }
        }
        for (decided, reply) in waiting {
            let answer = match (decided, &failed) {
                (Ok(awaited), None) => self.receipts(awaited, &batch, &entries).await,
                // Recorded before this batch, whatever became of it.
                (Ok(awaited), Some(_)) if !awaited.iter().any(Awaited::is_staged) => {
                    self.receipts(awaited, &batch, &entries).await
                }
                (Ok(_), Some(failed)) => Err(failed.of_staged()),
                // What it was refused for may not have been recorded.
                (Err(SubmitError::Refused(_)), Some(failed)) => Err(failed.of_refused()),
                (Err(error), _) => Err(error),
            };
            // A caller who went away no longer needs the answer.
            let _ = reply.send(answer);
        }
    }

    /// Signatures of a batch, on all cores.
    fn sign(&self, batch: &[Linked]) -> Vec<SealedEntry> {
        let kid = self.key.public().kid();
        let sign = |linked: &Linked| {
            let text = entry_text(&self.origin, linked.position, &linked.link);
            SealedEntry {
                leaf: linked.leaf.clone(),
                link: linked.link,
                signature: self.key.sign(text.as_bytes()),
                kid: kid.to_owned(),
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if batch.len() < SIGN_ALONE || cores == 1 {
            return batch.iter().map(sign).collect();
        }
        std::thread::scope(|scope| {
            let parts: Vec<_> = batch
                .chunks(batch.len().div_ceil(cores))
                .map(|part| scope.spawn(|| part.iter().map(sign).collect::<Vec<_>>()))
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().expect("signing does not panic"))
                .collect()
        })
    }

    async fn append(
        &mut self,
        batch: &[Linked],
        filings: &[Arc<Filing>],
        entries: &[SealedEntry],
    ) -> Result<(), Failed> {
        let expected = {
            let first = batch[0].position;
            let published = self.published.head.borrow().head;
            debug_assert_eq!(published.size.next(), first, "a batch follows what is published");
            published
        };
        let rows: Vec<EntryRow> = batch
            .iter()
            .zip(entries)
            .map(|(linked, sealed)| EntryRow {
                position: linked.position,
                sealed: sealed.clone(),
                filing: linked.filing,
                stream: StreamRef {
                    id: linked.staged.id.clone(),
                    kind: linked.staged.stream,
                    version: linked.staged.version,
                },
                event_type: linked.staged.event.event_type(),
                time: linked.time,
            })
            .collect();
        let mut first_of: HashMap<Hash32, Position> = HashMap::new();
        for linked in batch {
            if let Some(filing) = linked.filing {
                first_of.entry(filing.digest).or_insert(linked.position);
            }
        }
        let filings = filings
            .iter()
            .map(|filing| FilingRow {
                first_position: first_of[&filing.digest],
                items: u32::try_from(filing.items.len()).expect("at most 1,000 items"),
                digest: filing.digest,
                iss: filing.iss.clone(),
                jti: filing.jti.clone(),
                jwt: filing.jwt.clone(),
            })
            .collect();
        let erased = batch.iter().flat_map(|l| erased_by(&l.staged.event)).collect();
        let disclosures = kept_disclosures(batch);
        let batch = Batch { expected, entries: rows, filings, disclosures, erased };
        let wanted = batch.head_after();
        let fault = match self.store.append(batch).await {
            Ok(()) => return Ok(()),
            Err(AppendError::Conflict { .. }) => {
                self.give_up();
                return Err(Failed::ReadOnly);
            }
            Err(AppendError::NotApplied(fault)) => {
                self.doubt = Some([expected; 2]);
                return Err(Failed::NotRecorded(Arc::new(fault)));
            }
            Err(AppendError::Unknown(fault)) => Arc::new(fault),
        };
        // Did it land? Only the store knows.
        match self.store.head().await {
            Ok(head) if head == wanted => Ok(()),
            Ok(head) if head == expected => {
                self.doubt = Some([expected; 2]);
                Err(Failed::NotRecorded(fault))
            }
            Ok(_) => {
                self.give_up();
                Err(Failed::ReadOnly)
            }
            Err(_) => {
                self.doubt = Some([expected, wanted]);
                Err(Failed::Unknown(fault))
            }
        }
    }

    fn give_up(&mut self) {
        self.read_only = true;
        self.published.head.send_modify(|h| h.read_only = true);
    }

    /// Makes a durable batch visible.
    fn publish(&mut self, batch: &[Linked]) {
        {
            let mut register =
                self.published.register.write().expect("no writer panics with this lock");
            for linked in batch {
                register.apply(linked.position.0, linked.time, &linked.staged.event);
            }
        }
        if let Some(key) = self.next_key.take() {
            self.key = key;
        }
        self.publish_head();
    }

    /// The head and the key that signs it change together: whoever signs a head holds the
    /// key's lock while reading both.
    fn publish_head(&self) {
        let mut key = self.published.key.write().expect("no writer panics with this lock");
        if key.as_ref().map(SecretKey::public) != Some(self.key.public()) {
            *key = Some(self.key.clone());
        }
        let (head, time) = (self.head, self.last_time);
        self.published.head.send_modify(|h| {
            h.head = head;
            h.time = time;
        });
    }

    /// Receipts of what is durable. Errors: `Unknown`; asking again tells.
    async fn receipts(
        &self,
        awaited: Vec<Awaited>,
        batch: &[Linked],
        entries: &[SealedEntry],
    ) -> Result<Vec<Receipt>, SubmitError> {
        let unknown = |fault| SubmitError::Unknown(Arc::new(fault));
        let mut receipts = Vec::new();
        for awaited in awaited {
            match awaited {
                Awaited::Staged(from, until) => {
                    receipts.extend((from..until).map(|i| self.receipt(&batch[i], &entries[i])));
                }
                Awaited::Recorded(filing) => {
                    let rows = self.store.entries(filing.first_position, filing.items as usize);
                    for row in rows.await.map_err(unknown)? {
                        let receipt = receipt_of(&*self.store, &self.published.register, row);
                        receipts.push(receipt.await.map_err(unknown)?);
                    }
                }
            }
        }
        Ok(receipts)
    }

    fn receipt(&self, linked: &Linked, sealed: &SealedEntry) -> Receipt {
        let verdict = linked.staged.event.filed().and_then(|f| f.verdict.as_deref().cloned());
        Receipt {
            origin: self.origin.clone(),
            position: linked.position,
            link: sealed.link,
            signature: sealed.signature,
            key: sealed.kid.clone(),
            time: linked.time,
            filing: linked.filing.map(|f| f.digest),
            leaf: raw_leaf(sealed.leaf.clone()),
            verdict,
            valid_until: linked.valid_until,
        }
    }

    /// Rebuilds memory from the store, after a batch that did not get there, or may have.
    async fn reload(&mut self) -> Result<(), Fault> {
        let loaded = load(&*self.store).await?;
        if self.doubt.is_some_and(|possible| !possible.contains(&loaded.head)) {
            self.give_up();
            return Ok(());
        }
        // A rotation of unknown outcome has landed if the ledger now names its key.
        if let Some(key) = self.next_key.take()
            && loaded.register.ledger_key(loaded.head.size.0) == Some(key.public())
        {
            self.key = key;
        }
        self.head = loaded.head;
        self.last_time = loaded.last_time;
        self.commands = loaded.commands;
        *self.published.register.write().expect("no writer panics with this lock") =
            loaded.register.clone();
        self.register = Arc::new(loaded.register);
        self.publish_head();
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
        leaf: raw_leaf(row.sealed.leaf),
        verdict: event.filed().and_then(|f| f.verdict.as_deref().cloned()),
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

fn raw_leaf(leaf: Vec<u8>) -> Box<serde_json::value::RawValue> {
    let text = String::from_utf8(leaf).expect("a leaf is UTF-8: we wrote it");
    serde_json::value::RawValue::from_string(text).expect("a leaf is JSON: we wrote it")
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

/// Disclosures of a batch, but those that a later entry of the same batch erases.
fn kept_disclosures(batch: &[Linked]) -> Vec<DisclosureRow> {
    let mut erased_at: HashMap<Hash32, Position> = HashMap::new();
    for linked in batch {
        for digest in erased_by(&linked.staged.event) {
            erased_at.insert(digest, linked.position);
        }
    }
    batch
        .iter()
        .flat_map(|l| &l.disclosures)
        .filter(|d| erased_at.get(&d.digest).is_none_or(|erased| *erased < d.position))
        .cloned()
        .collect()
}

/// Digests whose values an event has erased.
pub(crate) fn erased_by(event: &Event) -> Vec<Hash32> {
    let Some(Body::EraseSubject(erased)) = event.filed().map(|f| &*f.body) else {
        return Vec::new();
    };
    erased.digests.iter().filter_map(|d| base64url_decode(d)?.try_into().ok().map(Hash32)).collect()
}

/// Why a batch was not appended.
enum Failed {
    ReadOnly,
    NotRecorded(Arc<Fault>),
    Unknown(Arc<Fault>),
}

impl Failed {
    /// What the author of something staged is told.
    fn of_staged(&self) -> SubmitError {
        match self {
            Failed::ReadOnly => read_only().into(),
            Failed::NotRecorded(fault) => SubmitError::NotRecorded(Arc::clone(fault)),
            Failed::Unknown(fault) => SubmitError::Unknown(Arc::clone(fault)),
        }
    }

    /// What the author of something refused is told: it is certain that it was not recorded.
    fn of_refused(&self) -> SubmitError {
        match self {
            Failed::ReadOnly => read_only().into(),
            Failed::NotRecorded(fault) | Failed::Unknown(fault) => {
                SubmitError::NotRecorded(Arc::clone(fault))
            }
        }
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
