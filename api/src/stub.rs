//! Stand-in for the ledger service, in memory; deleted when the real one lands.
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use async_trait::async_trait;
use greffe_domain::aggregate::{self as agg, Aggregate};
use greffe_domain::body;
use greffe_domain::command::{Command, Context, KnownAccess, named_accesses, stream_of, unknown_author};
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url, base64url_decode};
use greffe_domain::event::{At, ClockKind, Event, LedgerOpened};
use greffe_domain::filing::{Disclosures, UnverifiedFiling};
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT, Case};
use greffe_domain::seal::{FilingRef, PendingEntry, Position, SealedEntry, StreamRef, TreeSize, head_text, link};
use greffe_domain::subject::{Pivot, SubjectRef};
use greffe_domain::verdict::Verdict;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind { InUse, ReadOnly, Full, Missing, AlreadyThere, OtherOrigin, NewerSchema, Corrupt, Unavailable }

#[derive(Debug, thiserror::Error)]
#[error("could not {attempted} on {on}")]
pub struct Fault { kind: FaultKind, attempted: String, on: String, #[source] source: Option<Box<dyn std::error::Error + Send + Sync>> }
impl Fault {
    pub fn new(kind: FaultKind, attempted: impl Into<String>, on: impl Into<String>) -> Self { Self { kind, attempted: attempted.into(), on: on.into(), source: None } }
    pub fn kind(&self) -> FaultKind { self.kind }
    pub fn advice(&self) -> &'static str { "try again" }
}

#[derive(Debug, Clone)]
pub struct EntryRow { pub position: Position, pub sealed: SealedEntry, pub filing: Option<FilingRef>, pub stream: StreamRef, pub event_type: EventType, pub time: Timestamp }
impl EntryRow {
    pub fn first_position(&self) -> Option<Position> {
        let filing = self.filing?;
        Some(Position(self.position.0 - u64::from(filing.item)))
    }
}
#[derive(Debug, Clone)]
pub struct FilingRow { pub first_position: Position, pub items: u32, pub digest: Hash32, pub iss: String, pub jti: String, pub jwt: String }
#[derive(Debug, Clone)]
pub struct DisclosureRow { pub position: Position, pub digest: Hash32, pub encoded: String }
#[derive(Debug, Clone, Copy)]
pub struct Head { pub size: TreeSize, pub link: Hash32 }

#[async_trait]
pub trait Store: Send + Sync {
    fn origin(&self) -> &str;
    async fn head(&self) -> Result<Head, Fault>;
    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault>;
    async fn entry(&self, position: Position) -> Result<Option<EntryRow>, Fault>;
    async fn stream(&self, stream: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault>;
    async fn size_at(&self, time: Timestamp) -> Result<TreeSize, Fault>;
    async fn filing(&self, first_position: Position) -> Result<Option<FilingRow>, Fault>;
    async fn disclosures(&self, from: Position, until: Position) -> Result<Vec<DisclosureRow>, Fault>;
    async fn disclosures_at(&self, positions: &[Position]) -> Result<Vec<DisclosureRow>, Fault>;
}

#[derive(Default)]
struct Mem { origin: String, rows: RwLock<(Vec<EntryRow>, Vec<FilingRow>, Vec<DisclosureRow>)> }
#[async_trait]
impl Store for Mem {
    fn origin(&self) -> &str { &self.origin }
    async fn head(&self) -> Result<Head, Fault> {
        let r = self.rows.read().unwrap();
        Ok(Head { size: TreeSize(r.0.len() as u64), link: r.0.last().map_or(Hash32::ZERO, |e| e.sealed.link) })
    }
    async fn entries(&self, from: Position, limit: usize) -> Result<Vec<EntryRow>, Fault> {
        Ok(self.rows.read().unwrap().0.iter().skip(from.0 as usize).take(limit).cloned().collect())
    }
    async fn entry(&self, p: Position) -> Result<Option<EntryRow>, Fault> { Ok(self.rows.read().unwrap().0.get(p.0 as usize).cloned()) }
    async fn stream(&self, s: StreamType, id: &str) -> Result<Vec<EntryRow>, Fault> {
        Ok(self.rows.read().unwrap().0.iter().filter(|e| e.stream.kind == s && e.stream.id == id).cloned().collect())
    }
    async fn size_at(&self, t: Timestamp) -> Result<TreeSize, Fault> {
        Ok(TreeSize(self.rows.read().unwrap().0.partition_point(|e| e.time <= t) as u64))
    }
    async fn filing(&self, p: Position) -> Result<Option<FilingRow>, Fault> {
        Ok(self.rows.read().unwrap().1.iter().find(|f| f.first_position == p).cloned())
    }
    async fn disclosures(&self, from: Position, until: Position) -> Result<Vec<DisclosureRow>, Fault> {
        Ok(self.rows.read().unwrap().2.iter().filter(|d| (from..until).contains(&d.position)).cloned().collect())
    }
    async fn disclosures_at(&self, ps: &[Position]) -> Result<Vec<DisclosureRow>, Fault> {
        Ok(self.rows.read().unwrap().2.iter().filter(|d| ps.contains(&d.position)).cloned().collect())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)] Refused(Refusal),
    #[error(transparent)] Fault(Fault),
    #[error(transparent)] Unknown(Fault),
}
pub type OpenError = Fault;

#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    pub origin: String, pub position: Position, pub link: Hash32, pub signature: String, pub key: String, pub time: Timestamp,
    pub filing: Option<Hash32>, pub leaf: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")] pub verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")] pub valid_until: Option<Timestamp>,
}
#[derive(Debug, Clone, Serialize)]
pub struct SignedHead { pub origin: String, pub size: TreeSize, pub link: Hash32, pub signature: String, pub key: String, pub time: Timestamp }

struct State { register: Arc<Register>, streams: HashMap<(StreamType, String), Vec<Event>>, jtis: HashMap<(String, String), (Hash32, Vec<Receipt>)>, last: Timestamp, prev: Hash32, accesses: HashMap<u64, KnownAccess> }
struct Inner { origin: String, clock: ClockKind, key: SecretKey, mem: Mem, state: Mutex<State> }
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

impl Ledger {
    pub async fn create(dir: &Path, origin: &str, registrar: &str, clock: ClockKind) -> Result<Self, OpenError> {
        std::fs::create_dir_all(dir).ok();
        let key = simulated_party_key("the ledger itself");
        let rk = simulated_party_key(registrar);
        let opened_at = Timestamp::parse("1900-01-01T00:00:00Z").unwrap();
        let ledger = Self(Arc::new(Inner {
            origin: origin.into(), clock, key: key.clone(),
            mem: Mem { origin: origin.into(), ..Default::default() },
            state: Mutex::new(State { register: Arc::new(Register::new()), streams: HashMap::new(), jtis: HashMap::new(), last: opened_at, prev: Hash32::ZERO, accesses: HashMap::new() }),
        }));
        let e = Event::LedgerOpened(LedgerOpened { origin: origin.into(), ledger_key: key.public().clone(), registrar: registrar.into(), registrar_key: rk.public().clone(), clock, opened_at });
        ledger.put(&mut ledger.0.state.lock().unwrap(), e, None, (StreamType::Ledger, origin.into()), opened_at).unwrap();
        Ok(ledger)
    }
    pub async fn open(_: &Path) -> Result<Self, OpenError> { Err(Fault::new(FaultKind::Missing, "open the ledger", "the stub")) }
    pub fn origin(&self) -> &str { &self.0.origin }
    pub fn clock(&self) -> ClockKind { self.0.clock }
    pub fn now(&self) -> Timestamp { self.0.state.lock().unwrap().last }
    pub fn registrar_key(_: &Path) -> Result<SecretKey, Fault> { Ok(simulated_party_key("greffe")) }
    fn put(&self, s: &mut State, event: Event, filing: Option<FilingRef>, stream: (StreamType, String), time: Timestamp) -> Result<Receipt, Refusal> {
        let events = s.streams.entry(stream.clone()).or_default();
        let position = Position(s.register.size());
        let sr = StreamRef { id: stream.1, kind: stream.0, version: events.len() as u64 + 1 };
        let leaf = PendingEntry { event: &event, filing, nonce: [7; 16], origin: &self.0.origin, position, prev: s.prev, rulebook: CURRENT.version, stream: &sr, time }.write_leaf()?;
        let l = link(&leaf);
        let sealed = SealedEntry::sign(&self.0.origin, position, leaf.clone(), l, &self.0.key);
        let verdict = event.filed().and_then(|f| f.verdict.as_deref().cloned());
        if let Some(f) = event.filed() && let Some(a) = f.body.access() {
            s.accesses.insert(position.0, KnownAccess { position, iss: f.iss.clone(), processing: a.processing.clone(), recipient: a.recipient.party.clone(), discloser: a.discloser.clone() });
        }
        Arc::make_mut(&mut s.register).apply(position.0, time, &event);
        s.streams.get_mut(&(sr.kind, sr.id.clone())).unwrap().push(event.clone());
        s.prev = l;
        s.last = time;
        let receipt = Receipt { origin: self.0.origin.clone(), position, link: l, signature: base64url(&sealed.signature), key: sealed.kid.clone(), time, filing: filing.map(|f| f.digest), leaf: serde_json::from_slice(&leaf).unwrap(), verdict, valid_until: None };
        self.0.mem.rows.write().unwrap().0.push(EntryRow { position, sealed, filing, stream: sr, event_type: event.event_type(), time });
        Ok(receipt)
    }
    pub async fn submit(&self, text: &str) -> Result<Vec<Receipt>, SubmitError> {
        self.submit_sync(text).map_err(SubmitError::Refused)
    }
    fn submit_sync(&self, text: &str) -> Result<Vec<Receipt>, Refusal> {
        let u = UnverifiedFiling::parse(text, Disclosures::Complete)?;
        u.check_audience(&self.0.origin)?;
        let mut s = self.0.state.lock().unwrap();
        let key = match s.register.key(u.kid()) {
            Some((owner, _, k)) if owner == u.iss() => k.key.clone(),
            _ => return Err(unknown_author(u.iss())),
        };
        let filing = Arc::new(u.verify(&key)?);
        if let Some((digest, receipts)) = s.jtis.get(&(filing.iss.clone(), filing.jti.clone())) {
            if *digest == filing.digest { return Ok(receipts.clone()); }
            return Err(Refusal::new(C::JtiReused, "jti", "jti"));
        }
        let time = Timestamp::from_unix_seconds(filing.iat);
        if time < s.last { return Err(Refusal::new(C::TimeWentBack, "l’heure recule", "time went back")); }
        let mut receipts = Vec::new();
        let first = s.register.size();
        for item in 0..filing.items.len() {
            let position = Position(s.register.size());
            let (st, id) = stream_of(&filing, item, position, &s.register)?;
            let accesses = named_accesses(&filing.items[item].body).iter().filter_map(|p| s.accesses.get(&p.0).cloned()).collect();
            let command = Command { filing: Arc::clone(&filing), item, context: Context { now: time, position, register: Arc::clone(&s.register), rulebook: &CURRENT, accesses } };
            let events = s.streams.get(&(st, id.clone())).cloned().unwrap_or_default();
            macro_rules! decide { ($t:ty) => {{ let mut a = <$t>::default(); events.iter().for_each(|e| a.evolve(e)); a.decide(&command)? }} }
            let out = match st {
                StreamType::Party => decide!(agg::Party), StreamType::Reference => decide!(agg::Reference), StreamType::Processing => decide!(agg::Processing),
                StreamType::Decision => decide!(agg::Decision), StreamType::Ruling => decide!(agg::Ruling), StreamType::Statement => decide!(agg::Statement),
                StreamType::Experiment => decide!(agg::Experiment), StreamType::Access => decide!(agg::Access), StreamType::Subject => decide!(agg::Subject),
                StreamType::Ledger => unreachable!(),
            };
            drop(command);
            for e in out {
                receipts.push(self.put(&mut s, e, Some(FilingRef { digest: filing.digest, item: item as u32 }), (st, id.clone()), time)?);
            }
            let mut rows = self.0.mem.rows.write().unwrap();
            for d in &filing.items[item].disclosures {
                let d = &filing.disclosures[*d];
                rows.2.push(DisclosureRow { position, digest: Hash32(base64url_decode(d.digest_str()).unwrap().try_into().unwrap()), encoded: d.encoded().to_owned() });
            }
        }
        self.0.mem.rows.write().unwrap().1.push(FilingRow { first_position: Position(first), items: filing.items.len() as u32, digest: filing.digest, iss: filing.iss.clone(), jti: filing.jti.clone(), jwt: filing.jwt.clone() });
        s.jtis.insert((filing.iss.clone(), filing.jti.clone()), (filing.digest, receipts.clone()));
        Ok(receipts)
    }
    pub async fn submit_all(&self, texts: Vec<String>) -> Result<Vec<Receipt>, SubmitError> {
        let mut out = Vec::new();
        for t in texts { out.extend(self.submit(&t).await?); }
        Ok(out)
    }
    pub fn judge(&self, access: &body::Access, at: &At, known_at: Option<u64>) -> Result<Verdict, Refusal> {
        let s = self.0.state.lock().unwrap();
        let size = known_at.unwrap_or(s.register.size());
        let case = Case { access, days: at.valid_days(s.last.date()), recorded: None };
        rules::judge(&CURRENT, &case, s.register.view(size)).map(|j| j.verdict).ok_or_else(|| Refusal::at("/body/processing", C::IdUnknown, "traitement inconnu", "unknown processing"))
    }
    pub fn head(&self) -> SignedHead {
        let s = self.0.state.lock().unwrap();
        let size = TreeSize(s.register.size());
        SignedHead { origin: self.0.origin.clone(), size, link: s.prev, signature: base64url(&self.0.key.sign(head_text(&self.0.origin, size, &s.prev).as_bytes())), key: self.0.key.public().kid().into(), time: s.last }
    }
    pub fn with_register<T>(&self, f: impl FnOnce(&Register) -> T) -> T { f(&self.0.state.lock().unwrap().register) }
    pub async fn size_at(&self, time: Timestamp) -> Result<u64, Fault> { Ok(self.0.mem.size_at(time).await?.0) }
    pub fn store(&self) -> &dyn Store { &self.0.mem }
    pub fn subject_reference(&self, pivot: &Pivot) -> Result<SubjectRef, Refusal> { greffe_domain::subject::reference(&[9; 32], pivot) }
    pub async fn rotate_key(&self) -> Result<Receipt, SubmitError> { Err(SubmitError::Fault(Fault::new(FaultKind::Unavailable, "rotate", "stub"))) }
    pub async fn shutdown(self) {}
}
