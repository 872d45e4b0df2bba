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

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use greffe_domain::body::Body;
use greffe_domain::command::{Command, Context, KnownAccess, named_accesses, stream_of};
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::{ClockKind, Event};
use greffe_domain::filing::{Filing, check_issue_time};
use greffe_domain::key::SecretKey;
use greffe_domain::kind::StreamType;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::Register;
use greffe_domain::rules::Rulebook;
use greffe_domain::seal::{FilingRef, PendingEntry, Position, StreamRef, link};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::commit::{Awaited, Committer, Decided, Failed, Reply, Signatures, Waiting};
use crate::cqrs::{Commands, StagedEvent, Touched};
use crate::entropy::Nonces;
use crate::entry::Entry;
use crate::load::{Loaded, load, read_event};
use crate::published::Published;
use crate::receipt::valid_until;
use crate::store::{DisclosureRow, Fault, FilingKey, Head, RecordedFiling, Store};
use crate::submit::{SubmitError, read_only};

/// Most entries of one batch: past it, commits cost no less each and latency grows.
const MAX_BATCH_ENTRIES: usize = 1_024;
/// Fewer entries than this are not handed over while others wait to join them.
const LEAST_BATCH_ENTRIES: usize = 256;
/// Entries decided at a stretch.
const GROUP_ENTRIES: usize = 128;
/// How long filings gather while a batch is appended, to be decided together: one at a time,
/// each would wake this thread, and have the store asked for it alone.
const GATHER: Duration = Duration::from_millis(1);
/// Filings that may wait; past it the ledger says it is overloaded.
pub const QUEUE: usize = 8_192;

/// What the writer is asked.
pub enum Job {
    /// Record these, all or none.
    Record { filings: Vec<Arc<Filing>>, reply: Reply },
    /// Sign with this key from the next entry on.
    Rotate { key: Box<SecretKey>, reply: Reply },
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
                    () = tokio::time::sleep(GATHER), if has_room => {}
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
        let rulebook = self.rulebook.version;
        self.open.entries.push(Entry {
            event,
            stream,
            filing,
            time,
            position,
            link,
            rulebook,
            valid_until,
        });
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
