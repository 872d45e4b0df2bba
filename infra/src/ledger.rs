//! A ledger, opened: what the command line and the HTTP service talk to.
//!
//! Reads see only what is durable. Filings are read and their signatures checked here, on
//! whatever core the caller runs, before they reach the sequencer. Who may *read* what is
//! not decided here: that is `api/src/http/authz.rs`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use greffe_domain::aggregate;
use greffe_domain::body::{Access, Body};
use greffe_domain::date::Timestamp;
use greffe_domain::event::{At, ClockKind, Event, LedgerOpened};
use greffe_domain::filing::{Disclosures, Filing, MAX_FILING_BYTES, UnverifiedFiling};
use greffe_domain::identifier::{is_slug, valid_origin};
use greffe_domain::key::{PublicKey, SecretKey};
use greffe_domain::kind::{EventType, Kind, StreamType};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::Register;
use greffe_domain::rules::{self, Case, Judgement, Rulebook};
use greffe_domain::seal::{
    Head as SignedHead, Leaf, PendingEntry, Position, SealedEntry, StreamRef, TreeSize, link,
};
use greffe_domain::subject::{self, Pivot, SubjectRef};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::entropy::Nonces;
use crate::high_water::{EXPORTED_FILE, HIGH_WATER_FILE, HighWater, Loss, Marked, Sync};
use crate::keystore::{self, KeyStore, generate_key, write_key};
use crate::load::load;
use crate::published::{Published, PublishedHead};
use crate::receipt::{Receipt, receipt_of};
use crate::recent::{Readers, Recent};
use crate::running::{Inner, Mode, check_head, check_rules, loss_of};
use crate::sequencer::{Job, check_live_key};
use crate::standby;
use crate::store::{
    AppendError, Batch, DirectoryLock, EntryRow, Fault, FaultKind, Head, Lead, Location, Store,
};
use crate::submit::{SubmitError, read_only};
use crate::trust::{TRUST_FILE, Trust};

pub use crate::running::{OpenError, Purpose, Standing};

/// File of the registrar's key, written by `create` when none is given.
pub const REGISTRAR_KEY_FILE: &str = keystore::REGISTRAR_KEY;
/// A text longer than this is read on a blocking thread: it would hold a core too long.
const INLINE_BYTES: usize = 16 * 1024;

/// Who opens a ledger, and how.
pub struct Genesis {
    pub origin: String,
    pub registrar: String,
    /// `None`: drawn, and written beside the ledger (mode 0600).
    pub registrar_key: Option<SecretKey>,
    pub clock: ClockKind,
    /// `None`: now.
    pub opened_at: Option<Timestamp>,
}

/// The head as published: signed on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHead {
    pub origin: String,
    pub signed: SignedHead,
    /// Time of the last entry.
    pub time: Timestamp,
    /// Another server writes this ledger.
    pub read_only: bool,
}

/// What a ledger is opened with.
pub struct Opening {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    /// `None`: signs nothing, and does not write.
    pub key: Option<SecretKey>,
    /// `None`: gives no subject references.
    pub subject_secret: Option<[u8; 32]>,
    /// Where keys are looked for when the ledger's changes.
    pub keys: Option<KeyStore>,
    pub purpose: Purpose,
    /// How far the ledger was seen, by us and by others.
    pub marks: Vec<Arc<HighWater>>,
    /// Kept until the ledger is dropped.
    pub lock: Option<DirectoryLock>,
    /// In the order they came into force, at least one; new entries are judged under the
    /// last.
    pub rulebooks: Vec<&'static Rulebook>,
}

/// A handle; clones share the ledger.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

impl Ledger {
    /// Creates a ledger on the embedded store in `directory`: keys, position 0, `trust.json`.
    ///
    /// Errors: `AlreadyThere` when it holds one; nothing is overwritten.
    pub async fn create(directory: &Path, genesis: Genesis) -> Result<Self, OpenError> {
        Self::create_at(directory, &Location::in_directory(directory), genesis).await
    }

    /// The same, with the ledger's bytes at `location` and its keys in `directory`.
    pub async fn create_at(
        directory: &Path,
        location: &Location,
        genesis: Genesis,
    ) -> Result<Self, OpenError> {
        if !valid_origin(&genesis.origin) {
            return Err(Refusal::at(
                "/origin",
                C::IdentifierInvalid,
                "origine attendue : un nom d’hôte avec un chemin facultatif, sans schéma ni barre finale, par exemple registre.example/absences",
                "expected an origin: a host-like name with an optional path, no scheme or trailing slash, e.g. registre.example/absences",
            )
            .into());
        }
        if !is_slug(&genesis.registrar) {
            return Err(Refusal::at(
                "/registrar",
                C::IdentifierInvalid,
                "identifiant attendu : minuscules, chiffres, « . », « / », « - »",
                "expected an id: lower-case letters, digits, `.`, `/`, `-`",
            )
            .into());
        }
        let lock = location.lock(directory)?;
        let store = location.create(&genesis.origin).await?;
        // Before any key is drawn: a directory beside a ledger that is there stays as it was.
        if store.head().await? != Head::empty() {
            store.resign().await;
            return Err(already_there().into());
        }
        let keys = KeyStore::new(directory);
        let key = keys.create_ledger_key()?;
        let subject_secret = keys.create_subject_secret()?;
        let registrar_key = match genesis.registrar_key {
            Some(key) => key,
            None => {
                let key = generate_key()?;
                write_key(&directory.join(REGISTRAR_KEY_FILE), &key)?;
                key
            }
        };
        let trust = Trust {
            origin: genesis.origin.clone(),
            ledger_key: key.public().clone(),
            min_size: None,
        };
        let opened = LedgerOpened {
            origin: genesis.origin,
            ledger_key: key.public().clone(),
            registrar: genesis.registrar,
            registrar_key: registrar_key.public().clone(),
            clock: genesis.clock,
            opened_at: genesis.opened_at.unwrap_or_else(|| Clock::System.now()),
        };
        open_ledger(&*store, &key, opened).await?;
        trust.write(&directory.join(TRUST_FILE))?;
        let marks = marks_of(directory, location, store.origin(), Purpose::Write)?;
        Self::open_with(Opening {
            store,
            clock: Clock::System,
            key: Some(key),
            subject_secret: Some(subject_secret),
            keys: Some(keys),
            purpose: Purpose::Write,
            marks,
            lock,
            rulebooks: rules::VERSIONS.to_vec(),
        })
        .await
    }

    /// Opens the ledger in `directory` to write it. Errors: `Missing`, `InUse`, or what is
    /// unsound.
    pub async fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_at(directory, &Location::in_directory(directory), Purpose::Write).await
    }

    /// Opens the ledger at `location`, with the keys, marks and trust of `directory`.
    ///
    /// Errors: `Missing` (for a writer also its key), `InUse`, or what is unsound.
    pub async fn open_at(
        directory: &Path,
        location: &Location,
        purpose: Purpose,
    ) -> Result<Self, OpenError> {
        Self::open_with_keys(directory, location, purpose, KeyStore::new(directory)).await
    }

    /// The same with keys that are elsewhere.
    pub async fn open_with_keys(
        directory: &Path,
        location: &Location,
        purpose: Purpose,
        keys: KeyStore,
    ) -> Result<Self, OpenError> {
        let lock = match purpose {
            Purpose::Read => None,
            // Its projections are its own, even beside an embedded store.
            Purpose::Follow => Some(DirectoryLock::take(directory)?),
            _ => location.lock(directory)?,
        };
        let store = location.open(purpose).await?;
        let kid = current_kid(&*store).await?;
        let (key, subject_secret) = match purpose {
            Purpose::Serve | Purpose::Write => {
                (Some(keys.ledger_key(&kid)?), Some(keys.subject_secret()?))
            }
            // What it has not, it does without.
            Purpose::Follow | Purpose::Read => {
                (keys.ledger_key(&kid).ok(), keys.subject_secret().ok())
            }
        };
        let marks = marks_of(directory, location, store.origin(), purpose)?;
        Self::open_with(Opening {
            store,
            clock: Clock::System,
            key,
            subject_secret,
            keys: Some(keys),
            purpose,
            marks,
            lock,
            rulebooks: rules::VERSIONS.to_vec(),
        })
        .await
    }

    /// Opens a ledger on any store that already holds position 0, to write it.
    pub async fn start(
        store: Arc<dyn Store>,
        clock: Clock,
        key: SecretKey,
        subject_secret: [u8; 32],
        keys: Option<KeyStore>,
    ) -> Result<Self, OpenError> {
        Self::start_under(rules::VERSIONS, store, clock, key, subject_secret, keys).await
    }

    /// The same with other rulebooks than this build's.
    ///
    /// `rulebooks`: in the order they came into force, at least one; new entries are judged
    /// under the last. Errors: `NewerSchema` when the ledger's last entry names none of
    /// them, for a ledger never goes back to earlier rules (ADR 0025).
    pub async fn start_under(
        rulebooks: &[&'static Rulebook],
        store: Arc<dyn Store>,
        clock: Clock,
        key: SecretKey,
        subject_secret: [u8; 32],
        keys: Option<KeyStore>,
    ) -> Result<Self, OpenError> {
        Self::open_with(Opening {
            store,
            clock,
            key: Some(key),
            subject_secret: Some(subject_secret),
            keys,
            purpose: Purpose::Write,
            marks: Vec::new(),
            lock: None,
            rulebooks: rulebooks.to_vec(),
        })
        .await
    }

    /// Opens a ledger as told.
    pub async fn open_with(opening: Opening) -> Result<Self, OpenError> {
        let Opening { store, clock, key, subject_secret, keys, purpose, marks, lock, rulebooks } =
            opening;
        let rulebook = *rulebooks.last().expect("a ledger is opened under at least one rulebook");
        let lead = match purpose {
            Purpose::Serve | Purpose::Write => store.lead().await?,
            Purpose::Follow | Purpose::Read => Lead::Elsewhere,
        };
        if purpose == Purpose::Write && lead == Lead::Elsewhere {
            return Err(Fault::new(FaultKind::InUse, "write the ledger", "its store").into());
        }
        let loss = loss_of(&marks, &*store).await?;
        let store: Arc<dyn Store> = match (marks.first(), loss) {
            (Some(mark), None) => Arc::new(Marked::new(store, Arc::clone(mark))),
            _ => store,
        };
        let loaded = load(&*store).await?;
        let last = check_head(&*store, &loaded.register, loaded.head).await?;
        if matches!(purpose, Purpose::Serve | Purpose::Write) {
            check_rules(&rulebooks, &last)?;
        }
        if let (Some(mark), None, Purpose::Serve | Purpose::Write) = (marks.first(), loss, purpose)
        {
            mark.raise(loaded.head)?;
        }
        let origin = loaded.register.origin().to_owned();
        let published = Arc::new(Published {
            register: RwLock::new(loaded.register.clone()),
            head: watch::Sender::new(PublishedHead {
                head: loaded.head,
                time: loaded.last_time,
                read_only: true,
            }),
            key: RwLock::new(key),
            recent: Readers::default(),
        });
        let inner = Arc::new(Inner {
            clock_kind: loaded.register.clock(),
            rulebooks,
            rulebook,
            stored: AtomicU64::new(loaded.head.size.0),
            store,
            origin,
            clock,
            subject_secret,
            published,
            mode: RwLock::new(loss.map_or(Mode::Follows, Mode::Behind)),
            writer: std::sync::Mutex::new(None),
            keys,
            rotating: tokio::sync::Mutex::default(),
            purpose,
            marks,
            _lock: lock,
        });
        if loss.is_some() {
            inner.store.resign().await;
            return Ok(Self { inner });
        }
        let following = match lead {
            Lead::Held => {
                inner.write(loaded)?;
                None
            }
            Lead::Elsewhere => Some(loaded),
        };
        let follows = matches!(purpose, Purpose::Serve | Purpose::Follow);
        if follows || (inner.store.is_shared() && purpose == Purpose::Write) {
            tokio::spawn(standby::keep(Arc::downgrade(&inner), following));
        }
        Ok(Self { inner })
    }

    /// What this process does with the ledger now.
    pub fn standing(&self) -> Standing {
        self.inner.standing()
    }

    /// Entries of the store that this process had not seen when it last asked.
    pub fn lag(&self) -> u64 {
        self.inner.stored.load(Ordering::Relaxed).saturating_sub(self.size().0)
    }

    pub fn origin(&self) -> &str {
        &self.inner.origin
    }

    pub fn clock(&self) -> ClockKind {
        self.inner.clock_kind
    }

    /// The ledger's time: on a simulated ledger, that of its last entry.
    pub fn now(&self) -> Timestamp {
        match self.inner.clock_kind {
            ClockKind::Real => self.inner.clock.now(),
            ClockKind::Simulated => self.inner.published.head.borrow().time,
        }
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Changes each time the head does.
    pub fn watch_head(&self) -> watch::Receiver<PublishedHead> {
        self.inner.published.head.subscribe()
    }

    /// What this process records from now on, in memory for who follows closely.
    pub(crate) fn keep_recent(&self) -> Arc<Recent> {
        self.inner.published.recent.add()
    }

    pub fn size(&self) -> TreeSize {
        self.inner.published.head.borrow().head.size
    }

    /// The head, signed now. Refused when entries are missing, or the key is not here.
    pub fn head(&self) -> Result<PublicHead, Refusal> {
        if let Standing::Behind(loss) = self.standing() {
            return Err(behind(&loss));
        }
        // The key first: while it is held, the writer changes neither.
        let key = self.inner.published.key.read().expect("no writer panics with this lock");
        let PublishedHead { head, time, read_only } = *self.inner.published.head.borrow();
        let names = |key: &&SecretKey| {
            self.with_register(|r| r.ledger_key(head.size.0) == Some(key.public()))
        };
        let key = key.as_ref().filter(names).ok_or_else(no_key)?;
        Ok(PublicHead {
            origin: self.inner.origin.clone(),
            signed: SignedHead::sign(&self.inner.origin, head.size, head.link, key),
            time,
            read_only,
        })
    }

    /// The head as it is known here, not signed.
    pub fn known_head(&self) -> PublishedHead {
        *self.inner.published.head.borrow()
    }

    /// Reads the durable register. Keep it short: the writer waits meanwhile.
    pub fn with_register<T>(&self, read: impl FnOnce(&Register) -> T) -> T {
        read(&self.inner.published.register.read().expect("no writer panics with this lock"))
    }

    /// Tree size at a time: entries recorded at it or before.
    pub async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault> {
        self.inner.store.size_at(time).await
    }

    /// Reads one filing and checks its author's signature. No state is decided on.
    pub async fn read_filing(&self, text: &str) -> Result<Filing, Refusal> {
        self.read_filing_knowing(text, &HashMap::new()).await
    }

    async fn read_filing_knowing(
        &self,
        text: &str,
        enrolled_before: &HashMap<String, (String, PublicKey)>,
    ) -> Result<Filing, Refusal> {
        let filing = if text.len() <= INLINE_BYTES || text.len() > MAX_FILING_BYTES {
            UnverifiedFiling::parse(text, Disclosures::Complete)?
        } else {
            let text = text.to_owned();
            tokio::task::spawn_blocking(move || {
                UnverifiedFiling::parse(&text, Disclosures::Complete)
            })
            .await
            .expect("reading a filing does not panic")?
        };
        filing.check_audience(&self.inner.origin)?;
        let known = self.with_register(|register| {
            check_live_key(register, filing.iss(), filing.kid())?;
            Ok(register.key(filing.kid()).map(|(_, _, k)| k.key.clone()))
        });
        let key = match (known, enrolled_before.get(filing.kid())) {
            (Ok(Some(key)), _) => key,
            (_, Some((party, key))) if party == filing.iss() => key.clone(),
            (Err(refusal), _) => return Err(refusal),
            (Ok(None), _) => unreachable!("`check_live_key` found the key"),
        };
        if text.len() <= INLINE_BYTES {
            return filing.verify(&key);
        }
        tokio::task::spawn_blocking(move || filing.verify(&key))
            .await
            .expect("reading a filing does not panic")
    }

    /// Records one filing. Answers once it is durable.
    pub async fn submit(&self, text: &str) -> Result<Vec<Receipt>, SubmitError> {
        let filing = self.read_filing(text).await?;
        self.record(vec![Arc::new(filing)]).await
    }

    /// Records several filings, all or none, in order.
    pub async fn submit_all(&self, texts: &[String]) -> Result<Vec<Receipt>, SubmitError> {
        let lines: Vec<(usize, &str)> = (1..).zip(texts.iter().map(String::as_str)).collect();
        self.submit_lines(&lines).await
    }

    /// The same, each text with the number that a refusal calls it by.
    pub async fn submit_lines(&self, texts: &[(usize, &str)]) -> Result<Vec<Receipt>, SubmitError> {
        let mut filings = Vec::with_capacity(texts.len());
        // A later filing may be signed with a key that an earlier one of the same lot enrols.
        let mut enrolled = HashMap::new();
        for &(line, text) in texts {
            let filing =
                self.read_filing_knowing(text, &enrolled).await.map_err(|mut refusal| {
                    refusal.detail.fr = format!("ligne {line} : {}", refusal.detail.fr);
                    refusal.detail.en = format!("line {line}: {}", refusal.detail.en);
                    refusal
                })?;
            for item in &filing.items {
                let (party, jwk) = match &*item.body {
                    Body::RegisterParty(b) => (&b.party, &b.key),
                    Body::EnrolKey(b) => (&b.party, &b.key),
                    _ => continue,
                };
                if let Ok(key) = PublicKey::from_jwk(jwk) {
                    enrolled.insert(key.kid().to_owned(), (party.clone(), key));
                }
            }
            filings.push(Arc::new(filing));
        }
        self.record(filings).await
    }

    /// Records filings already read, all or none.
    pub async fn record(&self, filings: Vec<Arc<Filing>>) -> Result<Vec<Receipt>, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Record { filings, reply })?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Changes the ledger's key: the entry that names the new one is signed by the former.
    pub async fn rotate_key(&self) -> Result<Receipt, SubmitError> {
        let keys = self.inner.keys.as_ref().ok_or_else(|| {
            not_recorded(Fault::new(FaultKind::ReadOnly, "change the key", "a key kept elsewhere"))
        })?;
        if !keys.holds_ledger_key() {
            return Err(not_recorded(Fault::new(
                FaultKind::ReadOnly,
                "replace the key",
                "a key that was handed over",
            )));
        }
        // One at a time: the next key has one file.
        let _rotating = self.inner.rotating.lock().await;
        // A rotation before this one may have landed without anyone being told.
        let current = self.head()?.signed.kid;
        keys.ledger_key(&current).map_err(not_recorded)?;
        let key = keys.next_ledger_key().map_err(not_recorded)?;
        let kid = key.public().kid().to_owned();
        let (reply, answer) = oneshot::channel();
        self.send(Job::Rotate { key: Box::new(key), reply })?;
        let mut receipts = answer.await.unwrap_or_else(|_| Err(gone()))?;
        // The entry is recorded; its key's file is put in place now or at the next start.
        keys.ledger_key(&kid).map_err(|fault| SubmitError::Unknown(Arc::new(fault)))?;
        Ok(receipts.pop().expect("a rotation is one entry"))
    }

    /// The same with a key that whoever asks keeps, where no file here can be replaced.
    pub async fn rotate_key_to(&self, key: SecretKey) -> Result<Receipt, SubmitError> {
        let _rotating = self.inner.rotating.lock().await;
        let (reply, answer) = oneshot::channel();
        self.send(Job::Rotate { key: Box::new(key), reply })?;
        let mut receipts = answer.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(receipts.pop().expect("a rotation is one entry"))
    }

    fn send(&self, job: Job) -> Result<(), SubmitError> {
        let mode = self.inner.mode.read().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*mode {
            Mode::Writes(sender) => sender,
            Mode::Follows => return Err(follows().into()),
            Mode::Behind(loss) => return Err(behind(loss).into()),
            Mode::Stopped => return Err(stopped()),
        };
        sender.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded().into(),
            // It gave up, and is about to be told so.
            mpsc::error::TrySendError::Closed(_) => read_only().into(),
        })
    }

    /// Answers what recording an access now would: the event and its verdict, or the refusal.
    ///
    /// `kind`: `access.request` or `access.report`. `signed`: the body as its author would
    /// sign it, digests in place. Nothing is recorded. The day is the ledger's now.
    pub fn try_access(
        &self,
        kind: Kind,
        iss: &str,
        signed: &Value,
        access: &Access,
        at: &At,
    ) -> Result<(EventType, Judgement), Refusal> {
        let now = self.now();
        self.with_register(|register| {
            aggregate::may_record_access(kind, iss, signed, access, register)?;
            let position = register.size();
            let days = at.valid_days(now.date());
            let case = Case { access, days, recorded: Some((position, now)) };
            let view = register.view(position);
            let judgement = rules::judge(self.inner.rulebook, &case, view)
                .expect("an access to a processing the register does not hold was refused");
            Ok((aggregate::access_event(kind, &judgement.verdict), judgement))
        })
    }

    /// Judges an access as the register was known at `known_at`; nothing is recorded.
    ///
    /// Whether anybody may file it is not asked: the past is not recorded again.
    pub fn judge(
        &self,
        access: &Access,
        at: &At,
        known_at: TreeSize,
    ) -> Result<Judgement, Refusal> {
        let days = at.valid_days(self.now().date());
        self.with_register(|register| {
            let view = register.view(known_at.0);
            let case = Case { access, days, recorded: None };
            rules::judge(self.inner.rulebook, &case, view)
        })
        .ok_or_else(|| {
            Refusal::at(
                "/body/processing",
                C::IdUnknown,
                format!("« {} » n’est pas au registre", access.processing),
                format!("`{}` is not in the register", access.processing),
            )
        })
    }

    /// The receipt of an entry. `None`: there is none at that position.
    pub async fn receipt(&self, position: Position) -> Result<Option<Receipt>, Fault> {
        if position >= self.size().next() {
            return Ok(None);
        }
        match self.inner.store.entry(position).await? {
            None => Ok(None),
            Some(row) => {
                receipt_of(&*self.inner.store, &self.inner.published.register, row).await.map(Some)
            }
        }
    }

    pub fn subject_reference(&self, pivot: &Pivot) -> Result<SubjectRef, Refusal> {
        subject::reference(self.inner.subject_secret.as_ref().ok_or_else(no_key)?, pivot)
    }

    /// Takes no more filings, finishes those that wait, stops the writer, and lets another
    /// server have its place.
    pub async fn shutdown(&self) {
        self.inner.set_mode(Mode::Stopped);
        self.inner.join_writer().await;
        self.inner.store.resign().await;
    }
}

/// The marks of a data directory: our own first, then that of its last export.
fn marks_of(
    directory: &Path,
    location: &Location,
    origin: &str,
    purpose: Purpose,
) -> Result<Vec<Arc<HighWater>>, Fault> {
    let own = directory.join(HIGH_WATER_FILE);
    let exported = directory.join(EXPORTED_FILE);
    let sync = if location.is_embedded_in(directory) { Sync::Never } else { Sync::Always };
    let mut marks = Vec::new();
    // Whoever follows may look at a replica, which is late and has lost nothing; whoever
    // reads once leaves no mark.
    let looks = purpose != Purpose::Follow;
    let marks_itself = matches!(purpose, Purpose::Serve | Purpose::Write);
    if marks_itself || (looks && own.exists()) {
        marks.push(Arc::new(HighWater::open(&own, origin, sync)?));
    }
    if looks && exported.exists() {
        marks.push(Arc::new(HighWater::open(&exported, origin, Sync::Always)?));
    }
    Ok(marks)
}

/// Appends position 0.
pub async fn open_ledger(
    store: &dyn Store,
    key: &SecretKey,
    opened: LedgerOpened,
) -> Result<(), OpenError> {
    let (origin, time) = (opened.origin.clone(), opened.opened_at);
    let event = Event::LedgerOpened(Box::new(opened));
    let stream = StreamRef { id: "ledger".to_owned(), kind: StreamType::Ledger, version: 1 };
    let leaf = PendingEntry {
        event: &event,
        filing: None,
        nonce: Nonces::default().draw()?,
        origin: &origin,
        position: Position(0),
        prev: greffe_domain::encoding::Hash32::ZERO,
        rulebook: rules::CURRENT.version,
        stream: &stream,
        time,
    }
    .write_leaf()?;
    let link = link(&leaf);
    let row = EntryRow {
        position: Position(0),
        sealed: SealedEntry::sign(&origin, Position(0), leaf, link, key),
        filing: None,
        stream,
        event_type: EventType::LedgerOpened,
        time,
    };
    let batch = Batch {
        expected: Head::empty(),
        entries: vec![row],
        filings: Vec::new(),
        disclosures: Vec::new(),
        erased: Vec::new(),
    };
    store.append(batch).await.map_err(|error| match error {
        AppendError::NotApplied(fault) | AppendError::Unknown(fault) => OpenError::Fault(fault),
        AppendError::Conflict { .. } => OpenError::Fault(already_there()),
    })
}

fn already_there() -> Fault {
    Fault::new(FaultKind::AlreadyThere, "open a new ledger", "a store that holds one")
}

/// Thumbprint of the key the ledger names last.
pub(crate) async fn current_kid(store: &dyn Store) -> Result<String, OpenError> {
    let missing = || Fault::new(FaultKind::Missing, "find the ledger's key", "position 0");
    let found = store.entries_of_types(&[StreamType::Ledger], Position(0), 10_000).await?;
    let last = found.entries.last().ok_or_else(missing)?;
    let leaf = Leaf::parse(&last.sealed.leaf)
        .map_err(|e| OpenError::Unsound { position: last.position, reason: e.into() })?;
    let kid = match Event::read(&leaf.event) {
        Ok(Event::LedgerOpened(opened)) => opened.ledger_key.kid().to_owned(),
        Ok(Event::LedgerKeyRotated { ledger_key }) => ledger_key.kid().to_owned(),
        _ => return Err(missing().into()),
    };
    Ok(kid)
}

fn follows() -> Refusal {
    Refusal::new(
        C::ReadOnly,
        "ce serveur suit le registre sans y écrire ; déposer auprès de celui qui l’écrit, ou réessayer dans quelques secondes",
        "this server follows the ledger and does not write it; file with the one that does, or try again in a few seconds",
    )
}

fn behind(loss: &Loss) -> Refusal {
    let (first, last) = loss.positions();
    Refusal::new(
        C::ReadOnly,
        format!(
            "les entrées {first} à {last}, pourtant inscrites, manquent ou diffèrent dans ce registre : rien n’y est signé ni inscrit avant qu’il soit rétabli"
        ),
        format!(
            "entries {first} to {last} were recorded and are missing from this ledger, or differ: nothing is signed or recorded until it is restored"
        ),
    )
}

fn no_key() -> Refusal {
    Refusal::new(
        C::ReadOnly,
        "ce serveur n’a pas la clé du registre : il ne signe rien ; demander à celui qui l’écrit",
        "this server does not hold the ledger's key and signs nothing; ask the one that writes it",
    )
}

fn stopped() -> SubmitError {
    SubmitError::NotRecorded(Arc::new(Fault::new(
        FaultKind::Unavailable,
        "record the filing",
        "a ledger that is shutting down",
    )))
}

/// The writer stopped while it had the filing: it may have recorded it.
fn gone() -> SubmitError {
    SubmitError::Unknown(Arc::new(Fault::new(
        FaultKind::Unavailable,
        "record the filing",
        "a ledger whose writer stopped",
    )))
}

fn not_recorded(fault: Fault) -> SubmitError {
    SubmitError::NotRecorded(Arc::new(fault))
}

fn overloaded() -> Refusal {
    Refusal::new(
        C::Overloaded,
        "trop de dépôts attendent ; réessayer dans quelques secondes",
        "too many filings are waiting; try again in a few seconds",
    )
}
