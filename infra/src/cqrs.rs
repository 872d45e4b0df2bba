//! The domain's aggregates as cqrs-es knows them, once for all of them.
//!
//! `Adapter<A>` is a `cqrs_es::Aggregate` for any domain aggregate; `LedgerEventStore` is
//! the framework's event store, whose `commit` stages events into the batch the sequencer
//! is building. Staging is not recording: only the sequencer seals, appends and answers. The
//! same adapter loads through the repositories of postgres-es and sqlite-es from the view
//! `events`, which shows the leaves' `event` objects as payloads.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{
    AggregateContext, AggregateError, CqrsFramework, DomainEvent, EventEnvelope, EventStore,
};
use greffe_domain::aggregate::{self, Aggregate};
use greffe_domain::command::Command;
use greffe_domain::event::Event;
use greffe_domain::kind::StreamType;
use greffe_domain::refusal::{Refusal, RefusalCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an adapted aggregate must be able to do for the framework.
pub trait Adaptable:
    Aggregate + Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<A> Adaptable for A where
    A: Aggregate + Clone + fmt::Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
}

/// A domain aggregate in the framework's shape.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Adapter<A>(pub A);

/// A domain event in the framework's shape: it reads and writes a leaf's `event` object.
/// Shared, because the framework clones each event twice on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEvent(pub Arc<Event>);

impl Serialize for LedgerEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        self.0.write_canonical(&mut bytes);
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LedgerEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Event::read(&value).map(|event| Self(Arc::new(event))).map_err(serde::de::Error::custom)
    }
}

impl DomainEvent for LedgerEvent {
    fn event_type(&self) -> String {
        self.0.event_type().as_str().to_owned()
    }

    fn event_version(&self) -> String {
        self.0.event_type().version().to_string()
    }
}

impl<A: Adaptable> cqrs_es::Aggregate for Adapter<A> {
    const TYPE: &'static str = A::TYPE.as_str();
    type Command = Command;
    type Event = LedgerEvent;
    type Error = Refusal;
    /// Nothing: the context travels inside the command, so that deciding stays pure.
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Refusal> {
        for event in self.0.decide(&command)? {
            sink.write(LedgerEvent(Arc::new(event)), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: LedgerEvent) {
        self.0.evolve(&event.0);
    }
}

/// An event decided, waiting for its seal.
#[derive(Debug, Clone)]
pub struct StagedEvent {
    pub stream: StreamType,
    pub id: String,
    /// The stream's version after it, from 1.
    pub version: u64,
    pub event: Arc<Event>,
}

type StreamKey = (StreamType, String);

#[derive(Clone)]
struct Slot {
    version: u64,
    /// Batch that touched it last.
    batch: u64,
    state: Arc<dyn Any + Send + Sync>,
}

/// Accesses that a batch left in memory.
#[derive(Debug, Default)]
pub struct Touched {
    batch: u64,
    accesses: Vec<String>,
}

/// The open batch: aggregates in memory, and the events staged and not yet taken.
#[derive(Default)]
pub struct Staging {
    slots: HashMap<StreamKey, Slot>,
    staged: Vec<StagedEvent>,
    /// Streams changed since the last mark, with what they were, to undo a refused filing.
    undo: Vec<(StreamKey, Option<Slot>)>,
    /// Number of the open batch, since this memory was loaded.
    batch: u64,
    /// Accesses that the open batch touched.
    accesses: Vec<String>,
}

impl Staging {
    /// From here, `roll_back` undoes.
    pub fn mark(&mut self) {
        self.undo.clear();
    }

    /// Undoes what was staged since `mark`: one item of the filing was refused.
    pub fn roll_back(&mut self) {
        self.staged.clear();
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(slot) => self.slots.insert(key, slot),
                None => self.slots.remove(&key),
            };
        }
    }

    /// Takes the event staged last.
    pub fn take(&mut self) -> Option<StagedEvent> {
        self.staged.pop()
    }

    /// Ends the open batch and begins the next.
    pub fn close_batch(&mut self) -> Touched {
        self.undo.clear();
        let touched = Touched { batch: self.batch, accesses: std::mem::take(&mut self.accesses) };
        self.batch += 1;
        touched
    }

    /// Forgets the accesses of a batch that is durable, but those that a later one touched:
    /// there are too many to keep, and each is rarely needed again. Until then the store
    /// does not have their last events.
    pub fn forget(&mut self, touched: Touched) {
        for id in touched.accesses {
            if let Entry::Occupied(slot) = self.slots.entry((StreamType::Access, id))
                && slot.get().batch <= touched.batch
            {
                slot.remove();
            }
        }
    }

    pub fn holds(&self, stream: StreamType, id: &str) -> bool {
        self.slots.contains_key(&(stream, id.to_owned()))
    }

    /// Takes in an event that is already recorded.
    pub fn restore(&mut self, stream: StreamType, id: &str, event: &Event) {
        match stream {
            StreamType::Party => self.restore_as::<aggregate::Party>(id, event),
            StreamType::Processing => self.restore_as::<aggregate::Processing>(id, event),
            StreamType::Decision => self.restore_as::<aggregate::Decision>(id, event),
            StreamType::Experiment => self.restore_as::<aggregate::Experiment>(id, event),
            StreamType::Access => self.restore_as::<aggregate::Access>(id, event),
            StreamType::Reference => self.restore_as::<aggregate::Reference>(id, event),
            StreamType::Ruling => self.restore_as::<aggregate::Ruling>(id, event),
            StreamType::Statement => self.restore_as::<aggregate::Statement>(id, event),
            StreamType::Subject => self.restore_as::<aggregate::Subject>(id, event),
            StreamType::Ledger => self.count_ledger_event(id),
        }
    }

    fn restore_as<A: Adaptable>(&mut self, id: &str, event: &Event) {
        let batch = self.batch;
        let slot = self.slots.entry((A::TYPE, id.to_owned())).or_insert_with(|| Slot {
            version: 0,
            batch,
            state: Arc::new(A::default()),
        });
        let mut state = state_of::<A>(slot);
        state.evolve(event);
        slot.version += 1;
        slot.batch = batch;
        slot.state = Arc::new(state);
        if A::TYPE == StreamType::Access {
            self.accesses.push(id.to_owned());
        }
    }

    /// The ledger's own stream has no aggregate: nobody commands it.
    fn count_ledger_event(&mut self, id: &str) {
        self.slots
            .entry((StreamType::Ledger, id.to_owned()))
            .or_insert_with(|| Slot { version: 0, batch: 0, state: Arc::new(()) })
            .version += 1;
    }

    /// Stages an event of the ledger's own.
    pub fn stage_ledger_event(&mut self, id: &str, event: Event) {
        let key = (StreamType::Ledger, id.to_owned());
        let before = self.slots.get(&key).cloned();
        self.count_ledger_event(id);
        let version = self.slots[&key].version;
        self.undo.push((key, before));
        self.staged.push(StagedEvent {
            stream: StreamType::Ledger,
            id: id.to_owned(),
            version,
            event: Arc::new(event),
        });
    }
}

fn state_of<A: Adaptable>(slot: &Slot) -> A {
    slot.state
        .downcast_ref::<A>()
        .expect("a stream's slot holds the aggregate of the stream's type")
        .clone()
}

/// The framework's event store: the sequencer's open batch.
#[derive(Clone, Default)]
pub struct LedgerEventStore {
    staging: Arc<Mutex<Staging>>,
}

impl LedgerEventStore {
    pub fn staging(&self) -> MutexGuard<'_, Staging> {
        self.staging.lock().expect("no code panics while it holds the staging lock")
    }
}

/// An aggregate loaded, with its place in its stream.
pub struct LedgerContext<A> {
    id: String,
    version: u64,
    aggregate: Adapter<A>,
}

impl<A: Adaptable> AggregateContext<Adapter<A>> for LedgerContext<A> {
    fn aggregate(&mut self) -> &mut Adapter<A> {
        &mut self.aggregate
    }
}

impl<A: Adaptable> EventStore<Adapter<A>> for LedgerEventStore {
    type AC = LedgerContext<A>;

    /// Events staged and not yet taken; recorded ones are read from the store.
    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Adapter<A>>>, AggregateError<Refusal>> {
        Ok(self
            .staging()
            .staged
            .iter()
            .filter(|s| s.stream == A::TYPE && s.id == aggregate_id)
            .map(|s| envelope(s, HashMap::new()))
            .collect())
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<LedgerContext<A>, AggregateError<Refusal>> {
        let staging = self.staging();
        let slot = staging.slots.get(&(A::TYPE, aggregate_id.to_owned()));
        Ok(LedgerContext {
            id: aggregate_id.to_owned(),
            version: slot.map_or(0, |s| s.version),
            aggregate: Adapter(slot.map_or_else(A::default, state_of::<A>)),
        })
    }

    async fn commit(
        &self,
        events: Vec<LedgerEvent>,
        context: LedgerContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Adapter<A>>>, AggregateError<Refusal>> {
        let mut staging = self.staging();
        let LedgerContext { id, version, aggregate } = context;
        let mut committed = Vec::with_capacity(events.len());
        let mut last = version;
        for LedgerEvent(event) in events {
            last += 1;
            let staged = StagedEvent { stream: A::TYPE, id: id.clone(), version: last, event };
            committed.push(envelope(&staged, metadata.clone()));
            staging.staged.push(staged);
        }
        let slot = Slot { version: last, batch: staging.batch, state: Arc::new(aggregate.0) };
        if A::TYPE == StreamType::Access {
            staging.accesses.push(id.clone());
        }
        let key = (A::TYPE, id);
        let before = staging.slots.insert(key.clone(), slot);
        staging.undo.push((key, before));
        Ok(committed)
    }
}

fn envelope<A: Adaptable>(
    staged: &StagedEvent,
    metadata: HashMap<String, String>,
) -> EventEnvelope<Adapter<A>> {
    EventEnvelope {
        aggregate_id: staged.id.clone(),
        sequence: usize::try_from(staged.version).unwrap_or(usize::MAX),
        payload: LedgerEvent(Arc::clone(&staged.event)),
        metadata,
    }
}

type Framework<A> = CqrsFramework<Adapter<A>, LedgerEventStore>;

/// One framework an aggregate, all on the same open batch.
pub struct Commands {
    store: LedgerEventStore,
    party: Framework<aggregate::Party>,
    processing: Framework<aggregate::Processing>,
    decision: Framework<aggregate::Decision>,
    experiment: Framework<aggregate::Experiment>,
    access: Framework<aggregate::Access>,
    reference: Framework<aggregate::Reference>,
    ruling: Framework<aggregate::Ruling>,
    statement: Framework<aggregate::Statement>,
    subject: Framework<aggregate::Subject>,
}

impl Default for Commands {
    fn default() -> Self {
        let store = LedgerEventStore::default();
        fn framework<A: Adaptable>(store: &LedgerEventStore) -> Framework<A> {
            CqrsFramework::new(store.clone(), Vec::new(), ())
        }
        Self {
            party: framework(&store),
            processing: framework(&store),
            decision: framework(&store),
            experiment: framework(&store),
            access: framework(&store),
            reference: framework(&store),
            ruling: framework(&store),
            statement: framework(&store),
            subject: framework(&store),
            store,
        }
    }
}

impl Commands {
    pub fn staging(&self) -> MutexGuard<'_, Staging> {
        self.store.staging()
    }

    /// Runs a command on its stream; its events, if any, are staged.
    pub async fn execute(
        &self,
        stream: StreamType,
        id: &str,
        command: Command,
    ) -> Result<(), Refusal> {
        let outcome = match stream {
            StreamType::Party => self.party.execute(id, command).await,
            StreamType::Processing => self.processing.execute(id, command).await,
            StreamType::Decision => self.decision.execute(id, command).await,
            StreamType::Experiment => self.experiment.execute(id, command).await,
            StreamType::Access => self.access.execute(id, command).await,
            StreamType::Reference => self.reference.execute(id, command).await,
            StreamType::Ruling => self.ruling.execute(id, command).await,
            StreamType::Statement => self.statement.execute(id, command).await,
            StreamType::Subject => self.subject.execute(id, command).await,
            StreamType::Ledger => {
                return Err(Refusal::new(
                    RefusalCode::RoleNotAllowed,
                    "rien ne se dépose sur le registre lui-même",
                    "nothing is filed on the ledger itself",
                ));
            }
        };
        outcome.map_err(|error| match error {
            AggregateError::UserError(refusal) => refusal,
            // Our event store neither conflicts nor touches a database: it stages.
            other => unreachable!("staging in memory cannot fail: {other}"),
        })
    }
}
