//! Stand-in for the ledger service, in memory; deleted when the real one lands.
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

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

pub use greffe_infra::store::{Store, MemoryStore, EntryRow, FilingRow, DisclosureRow, Head, Batch, Fault, FaultKind};

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)] Refused(Refusal),
    #[error("the filing was not recorded")] NotRecorded(#[source] Arc<Fault>),
    #[error("it is not known whether the filing was recorded")] Unknown(#[source] Arc<Fault>),
}
pub type OpenError = Fault;

#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    pub origin: String, pub position: Position, pub link: Hash32, pub signature: String, pub key: String, pub time: Timestamp,
    pub filing: Option<Hash32>, pub leaf: Box<serde_json::value::RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")] pub verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")] pub valid_until: Option<Timestamp>,
}
#[derive(Debug, Clone, Serialize)]
pub struct SignedHead { pub origin: String, pub size: TreeSize, pub link: Hash32, pub signature: String, pub key: String, pub time: Timestamp }

struct State { register: Arc<Register>, streams: HashMap<(StreamType, String), Vec<Event>>, jtis: HashMap<(String, String), (Hash32, Vec<Receipt>)>, last: Timestamp, prev: Hash32, accesses: HashMap<u64, KnownAccess> }
struct Inner { origin: String, clock: ClockKind, key: SecretKey, mem: MemoryStore, state: Mutex<State> }
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
            mem: MemoryStore::new(origin),
            state: Mutex::new(State { register: Arc::new(Register::new()), streams: HashMap::new(), jtis: HashMap::new(), last: opened_at, prev: Hash32::ZERO, accesses: HashMap::new() }),
        }));
        let e = Event::LedgerOpened(LedgerOpened { origin: origin.into(), ledger_key: key.public().clone(), registrar: registrar.into(), registrar_key: rk.public().clone(), clock, opened_at });
        { let mut s = ledger.0.state.lock().unwrap(); let (row, _) = ledger.put(&mut s, e, None, (StreamType::Ledger, origin.into()), opened_at).unwrap(); ledger.append(Head { size: TreeSize(0), link: Hash32::ZERO }, vec![row], vec![], vec![]); }
        Ok(ledger)
    }
    pub async fn open(_: &Path) -> Result<Self, OpenError> { Err(Fault::new(FaultKind::Missing, "open the ledger", "the stub")) }
    pub fn origin(&self) -> &str { &self.0.origin }
    pub fn clock(&self) -> ClockKind { self.0.clock }
    pub fn now(&self) -> Timestamp { self.0.state.lock().unwrap().last }
    pub fn registrar_key(_: &Path) -> Result<SecretKey, Fault> { Ok(simulated_party_key("greffe")) }
    fn put(&self, s: &mut State, event: Event, filing: Option<FilingRef>, stream: (StreamType, String), time: Timestamp) -> Result<(EntryRow, Receipt), Refusal> {
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
        Ok((EntryRow { position, sealed, filing, stream: sr, event_type: event.event_type(), time }, receipt))
    }
    fn append(&self, expected: Head, entries: Vec<EntryRow>, filings: Vec<FilingRow>, disclosures: Vec<DisclosureRow>) {
        use futures_util::FutureExt;
        self.0.mem.append(Batch { expected, entries, filings, disclosures, erased: vec![] }).now_or_never().expect("memory").expect("append");
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
        let (mut rows, mut disclosures) = (Vec::new(), Vec::new());
        let expected = Head { size: TreeSize(s.register.size()), link: s.prev };
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
                let (row, receipt) = self.put(&mut s, e, Some(FilingRef { digest: filing.digest, item: item as u32 }), (st, id.clone()), time)?;
                rows.push(row);
                receipts.push(receipt);
            }
            for d in &filing.items[item].disclosures {
                let d = &filing.disclosures[*d];
                disclosures.push(DisclosureRow { position, digest: Hash32(base64url_decode(d.digest_str()).unwrap().try_into().unwrap()), encoded: d.encoded().to_owned() });
            }
        }
        let filings = vec![FilingRow { first_position: Position(first), items: filing.items.len() as u32, digest: filing.digest, iss: filing.iss.clone(), jti: filing.jti.clone(), jwt: filing.jwt.clone() }];
        self.append(expected, rows, filings, disclosures);
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
    pub async fn rotate_key(&self) -> Result<Receipt, SubmitError> { Err(SubmitError::NotRecorded(Arc::new(Fault::new(FaultKind::Unavailable, "rotate", "stub")))) }
    pub async fn shutdown(self) {}
}
