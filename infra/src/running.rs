//! A ledger that runs in this process: what its handles (`ledger.rs`) and the task that keeps
//! or takes the right to write (`standby.rs`) have in common.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use greffe_domain::encoding::Hash32;
use greffe_domain::event::ClockKind;
use greffe_domain::refusal::Refusal;
use greffe_domain::register::Register;
use greffe_domain::rules::Rulebook;
use greffe_domain::seal::{Leaf, Position, SealError, check_entry};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::high_water::{HighWater, Loss};
use crate::keystore::KeyStore;
use crate::load::Loaded;
use crate::published::Published;
use crate::sequencer::{Job, QUEUE, Sequencer};
use crate::store::{DirectoryLock, Fault, FaultKind, Head, Store};

/// Why a ledger was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The last entry, or the first, is not what its seal says.
    #[error("the entry at position {position} is not sound: {reason}")]
    Unsound { position: Position, reason: SealError },
}

/// What a process opens a ledger for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To serve it: writes, or follows the server that does and takes its place when it ends.
    Serve,
    /// To serve what another one writes; never writes itself.
    Follow,
    /// To write now, or not at all.
    Write,
    /// To read it once, beside whoever serves it.
    Read,
}

/// What this process does with the ledger now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the one that writes.
    Writes,
    /// Another one writes, or may.
    Follows,
    /// Entries that were acknowledged are not in the store: nothing is signed.
    Behind(Loss),
    /// It was told to stop.
    Stopped,
}

/// The way to the writer, where there is one.
pub(crate) enum Mode {
    Writes(mpsc::Sender<Job>),
    Follows,
    Behind(Loss),
    Stopped,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) origin: String,
    pub(crate) clock_kind: ClockKind,
    pub(crate) clock: Clock,
    /// The rules that this build knows, in the order they came into force.
    pub(crate) rulebooks: Vec<&'static Rulebook>,
    pub(crate) rulebook: &'static Rulebook,
    pub(crate) subject_secret: Option<[u8; 32]>,
    pub(crate) published: Arc<Published>,
    pub(crate) mode: RwLock<Mode>,
    pub(crate) writer: std::sync::Mutex<Option<std::thread::JoinHandle<()>>>,
    pub(crate) keys: Option<KeyStore>,
    pub(crate) rotating: tokio::sync::Mutex<()>,
    pub(crate) purpose: Purpose,
    pub(crate) marks: Vec<Arc<HighWater>>,
    /// Size of the store when it was last asked.
    pub(crate) stored: AtomicU64,
    pub(crate) _lock: Option<DirectoryLock>,
}

impl Inner {
    pub(crate) fn standing(&self) -> Standing {
        match &*self.mode.read().unwrap_or_else(PoisonError::into_inner) {
            Mode::Writes(_) => Standing::Writes,
            Mode::Follows => Standing::Follows,
            Mode::Behind(loss) => Standing::Behind(*loss),
            Mode::Stopped => Standing::Stopped,
        }
    }

    /// Leaving `Writes` lets the writer end once it has done what waits.
    pub(crate) fn set_mode(&self, mode: Mode) {
        let mut held = self.mode.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever was told to stop stays stopped.
        if !matches!(&*held, Mode::Stopped) {
            *held = mode;
        }
    }

    pub(crate) async fn join_writer(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }

    /// Starts the writer, on state that is the store's.
    ///
    /// Errors: `Missing` when the key that the ledger names is not here.
    pub(crate) fn write(&self, loaded: Loaded) -> Result<(), Fault> {
        let named = loaded.register.ledger_key(loaded.head.size.0);
        let key = {
            let key = self.published.key.read().expect("no writer panics with this lock");
            key.as_ref().filter(|key| named == Some(key.public())).cloned()
        };
        let Some(key) = key else {
            let named = named.map_or("none", |k| k.kid());
            return Err(Fault::new(FaultKind::Missing, "sign for the ledger", "its key")
                .because(format!("the ledger names {named}, which is not here")));
        };
        let (sender, jobs) = mpsc::channel(QUEUE);
        let sequencer = Sequencer::new(
            Arc::clone(&self.store),
            self.clock.clone(),
            key,
            self.rulebook,
            loaded,
            Arc::clone(&self.published),
            jobs,
        );
        // A thread of its own: deciding and hashing must not wait for other tasks' turns. One
        // batch is appended, and another answered, beside it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("committer")
            .enable_all()
            .build()
            .map_err(|e| Fault::io(e, "start the sequencer", "its threads"))?;
        let writer = std::thread::Builder::new()
            .name("sequencer".to_owned())
            .spawn(move || {
                runtime.block_on(sequencer.run());
            })
            .map_err(|e| Fault::io(e, "start the sequencer", "a thread"))?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        self.published.head.send_modify(|h| h.read_only = false);
        self.set_mode(Mode::Writes(sender));
        Ok(())
    }
}

/// What any of these marks has and the store has not.
pub(crate) async fn loss_of(
    marks: &[Arc<HighWater>],
    store: &dyn Store,
) -> Result<Option<Loss>, Fault> {
    for mark in marks {
        if let Some(loss) = mark.loss(store).await? {
            return Ok(Some(loss));
        }
    }
    Ok(None)
}

/// A ledger never goes back to earlier rules (ADR 0025): those of its last entry are ours.
pub(crate) fn check_rules(rulebooks: &[&'static Rulebook], last: &Leaf) -> Result<(), Fault> {
    if rulebooks.iter().any(|known| known.version == last.rulebook) {
        return Ok(());
    }
    let on = format!("the entry at position {}", last.position);
    Err(Fault::new(FaultKind::NewerSchema, "go on with the ledger", on)
        .because(format!("its rules are those of {}", last.rulebook)))
}

/// The last entry must be sound before anything is signed after it.
pub(crate) async fn check_head(
    store: &dyn Store,
    register: &Register,
    head: Head,
) -> Result<Leaf, OpenError> {
    let Some(last) = head.size.0.checked_sub(1).map(Position) else {
        return Err(Fault::new(FaultKind::Missing, "open the ledger", "position 0").into());
    };
    let from = Position(last.0.saturating_sub(1));
    let rows = store.entries(from, 2).await?;
    let prev = match rows.as_slice() {
        [_] => Hash32::ZERO,
        [before, _] => before.sealed.link,
        _ => {
            return Err(Fault::new(FaultKind::Corrupt, "read the last entries", "the store").into());
        }
    };
    let row = rows.last().expect("one or two rows");
    let unsound = |reason| OpenError::Unsound { position: last, reason };
    let key = register.ledger_key(last.0).ok_or_else(|| unsound(SealError::Member("key")))?;
    check_entry(register.origin(), last, &prev, &row.sealed, key).map_err(unsound)
}
