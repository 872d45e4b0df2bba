//! A ledger in memory, for tests: the whole way from a signed filing to an export, on the
//! domain crate alone.
//!
//! `sign → submit (aggregates decide) → leaf → link → signature → export`. Deterministic:
//! keys, salts and nonces follow from a seed. `force` is the dishonest operator: it records
//! what it is told, with the ledger's own key. No store, no clock, no network.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

use greffe_domain::aggregate::{self, Aggregate};
use greffe_domain::body::Body;
use greffe_domain::command::{Command, Context, KnownAccess, named_accesses, stream_of};
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::event::{ClockKind, Event, LedgerOpened};
use greffe_domain::filing::{Disclosures, Filing, UnverifiedFiling};
use greffe_domain::json;
use greffe_domain::key::{PublicKey, SecretKey, enrolment_text, simulated_party_key};
use greffe_domain::kind::{EventType, Kind, StreamType};
use greffe_domain::refusal::Refusal;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT, Case, Rulebook};
use greffe_domain::sdjwt::{self, Disclosure};
use greffe_domain::seal::{
    FilingRef, Head, PendingEntry, Position, SealedEntry, StreamRef, TreeSize, link,
};
use serde_json::{Value, json};

/// The party that registers the others.
pub const REGISTRAR: &str = "greffe";

/// An entry as this ledger holds it.
#[derive(Clone)]
pub struct Recorded {
    /// Digest and signed part of the filing it cites.
    pub filing: Option<(Hash32, Arc<str>)>,
    pub sealed: SealedEntry,
    /// Digest and text of its disclosures; erased ones are removed.
    pub disclosures: Vec<(String, String)>,
}

#[derive(Clone)]
enum State {
    Party(aggregate::Party),
    Reference(aggregate::Reference),
    Processing(Box<aggregate::Processing>),
    Decision(aggregate::Decision),
    Ruling(aggregate::Ruling),
    Statement(aggregate::Statement),
    Experiment(aggregate::Experiment),
    Access(aggregate::Access),
    Subject(aggregate::Subject),
}

macro_rules! each_state {
    ($state:expr, $s:ident => $do:expr) => {
        match $state {
            State::Party($s) => $do,
            State::Reference($s) => $do,
            State::Processing($s) => $do,
            State::Decision($s) => $do,
            State::Ruling($s) => $do,
            State::Statement($s) => $do,
            State::Experiment($s) => $do,
            State::Access($s) => $do,
            State::Subject($s) => $do,
        }
    };
}

impl State {
    fn new(kind: StreamType) -> Self {
        match kind {
            StreamType::Party => Self::Party(Default::default()),
            StreamType::Reference => Self::Reference(Default::default()),
            StreamType::Processing => Self::Processing(Default::default()),
            StreamType::Decision => Self::Decision(Default::default()),
            StreamType::Ruling => Self::Ruling(Default::default()),
            StreamType::Statement => Self::Statement(Default::default()),
            StreamType::Experiment => Self::Experiment(Default::default()),
            StreamType::Access => Self::Access(Default::default()),
            StreamType::Subject => Self::Subject(Default::default()),
            StreamType::Ledger => panic!("nothing is filed on the ledger's own stream"),
        }
    }
}

/// A filing to sign: what a party says, personal values in clear.
#[derive(Clone)]
pub struct Draft<'a> {
    pub iss: &'a str,
    pub kind: Kind,
    /// EDTF.
    pub at: Option<&'a str>,
    pub evidence: &'a str,
    /// An object, or an array of objects for a batch.
    pub body: Value,
}

impl<'a> Draft<'a> {
    /// An act of no known date.
    pub fn act(iss: &'a str, kind: Kind, body: Value) -> Self {
        Self { iss, kind, at: None, evidence: "act", body }
    }

    pub fn at(self, at: &'a str) -> Self {
        Self { at: Some(at), ..self }
    }
}

/// What a dishonest operator changes when it records a filing by force.
#[derive(Default)]
pub struct Force<'a> {
    /// The items it records; `None` = all.
    pub items: Option<&'a [usize]>,
    /// Changes the leaf before it is sealed.
    pub tamper: Option<&'a dyn Fn(&mut Value)>,
}

/// What an export leaves out.
#[derive(Default)]
pub struct Leave<'a> {
    /// Positions whose leaf is hidden.
    pub hidden: Option<&'a dyn Fn(u64) -> bool>,
    /// Positions whose disclosures are withheld.
    pub withheld: Option<&'a dyn Fn(u64) -> bool>,
}

#[derive(Clone)]
pub struct TestLedger {
    origin: String,
    key: SecretKey,
    opening_key: SecretKey,
    now: Timestamp,
    rulebook: &'static Rulebook,
    register: Arc<Register>,
    streams: HashMap<(StreamType, String), (u64, State)>,
    own_version: u64,
    accesses: HashMap<u64, KnownAccess>,
    last_access: Option<u64>,
    entries: Vec<Recorded>,
    /// Entries written out and forgotten.
    forgotten: u64,
    last_written: Option<Hash32>,
    link: Hash32,
    drawn: u64,
}

impl TestLedger {
    /// Opens a ledger: position 0 is recorded.
    pub fn open(origin: &str, clock: ClockKind) -> Self {
        Self::open_under(&CURRENT, origin, clock)
    }

    /// The same, judging under these rules from the first entry on.
    pub fn open_under(rulebook: &'static Rulebook, origin: &str, clock: ClockKind) -> Self {
        let key = SecretKey::from_seed(&blake3::derive_key("greffe tests ledger key", b"0"));
        let mut ledger = Self {
            origin: origin.to_owned(),
            opening_key: key.clone(),
            key,
            now: Timestamp::parse("2012-01-02T09:00:00Z").expect("an instant"),
            rulebook,
            register: Arc::new(Register::new()),
            streams: HashMap::new(),
            own_version: 0,
            accesses: HashMap::new(),
            last_access: None,
            entries: Vec::new(),
            forgotten: 0,
            last_written: None,
            link: Hash32::ZERO,
            drawn: 0,
        };
        let opened = Event::LedgerOpened(Box::new(LedgerOpened {
            origin: ledger.origin.clone(),
            ledger_key: ledger.key.public().clone(),
            registrar: REGISTRAR.to_owned(),
            registrar_key: simulated_party_key(REGISTRAR).public().clone(),
            clock,
            opened_at: ledger.now,
        }));
        ledger.append_own(opened, None);
        ledger
    }

    /// The trust file of this ledger.
    pub fn trust(&self) -> Value {
        json!({"v": 1, "origin": self.origin, "ledger_key": self.opening_key.public().to_jwk()})
    }

    pub fn size(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }

    /// Judges under these rules from the next entry on.
    pub fn adopt(&mut self, rulebook: &'static Rulebook) {
        self.rulebook = rulebook;
    }

    /// Position of the last access recorded.
    pub fn last_access(&self) -> Option<u64> {
        self.last_access
    }

    pub fn register(&self) -> &Register {
        &self.register
    }

    /// Entries not written out by [`TestLedger::write_out`] yet.
    pub fn entries(&self) -> &[Recorded] {
        &self.entries
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Lets time pass, or go back.
    pub fn pass_seconds(&mut self, seconds: i64) {
        self.now = Timestamp::from_micros(self.now.micros() + seconds * 1_000_000);
    }

    /// 16 bytes that never come twice.
    fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        let hash = blake3::derive_key("greffe tests draw", &self.drawn.to_le_bytes());
        std::array::from_fn(|i| hash[i])
    }

    // Filings.

    /// Signs with the party's derived key.
    pub fn sign(&mut self, draft: &Draft<'_>) -> String {
        self.sign_with(draft, &simulated_party_key(draft.iss), |_| {})
    }

    /// Signs with any key, after `change` to the payload.
    pub fn sign_with(
        &mut self,
        draft: &Draft<'_>,
        key: &SecretKey,
        change: impl Fn(&mut Value),
    ) -> String {
        let mut disclosures = Vec::new();
        let mut conceal = |ledger: &mut Self, body: &Value| {
            let is_concealed = |path: &[sdjwt::PathStep<'_>]| draft.kind.is_concealed(path);
            let mut salts = || ledger.draw();
            let (signed, found) = sdjwt::conceal(body.clone(), &is_concealed, &mut salts);
            disclosures.extend(found);
            signed
        };
        let body = match &draft.body {
            Value::Array(bodies) => bodies.iter().map(|body| conceal(self, body)).collect(),
            body => conceal(self, body),
        };
        let mut payload = json!({
            "iss": draft.iss, "aud": self.origin, "iat": self.now.unix_seconds(),
            "jti": base64url(&self.draw()), "kind": draft.kind, "evidence": draft.evidence,
            "body": body, "_sd_alg": "sha-256",
        });
        if let Some(at) = draft.at {
            payload["at"] = at.into();
        }
        change(&mut payload);
        let mut text = sdjwt::sign(&payload, sdjwt::TYP_FILING, key);
        text.push('~');
        for disclosure in &disclosures {
            text.push_str(disclosure.encoded());
            text.push('~');
        }
        text
    }

    /// Signs and submits.
    pub fn file(&mut self, draft: &Draft<'_>) -> Result<Vec<u64>, Refusal> {
        let text = self.sign(draft);
        self.submit(&text)
    }

    /// Registers a party under its derived key.
    pub fn register_party(&mut self, id: &str, roles: &[&str]) {
        let body = self.registration(id, roles, &simulated_party_key(id));
        self.file(&Draft::act(REGISTRAR, Kind::PartyRegister, body)).expect("a new party");
    }

    /// Body of `party.register`, proof of possession included.
    pub fn registration(&self, id: &str, roles: &[&str], key: &SecretKey) -> Value {
        let mut body = self.enrolment(id, key);
        body["name"] = format!("Partie {id}").into();
        body["roles"] = json!(roles);
        body
    }

    /// Body of `party.enrol-key`.
    pub fn enrolment(&self, party: &str, key: &SecretKey) -> Value {
        let text = enrolment_text(&self.origin, party, key.public().kid());
        json!({
            "party": party, "key": key.public().to_jwk(),
            "proof": base64url(&key.sign(text.as_bytes())),
        })
    }

    /// Records a filing as an honest ledger does: all its items or none.
    pub fn submit(&mut self, text: &str) -> Result<Vec<u64>, Refusal> {
        let filing = UnverifiedFiling::parse(text, Disclosures::Complete)?;
        filing.check_audience(&self.origin)?;
        let key = match self.register.key(filing.kid()) {
            Some((_, _, key)) => key.key.clone(),
            None => simulated_party_key(filing.iss()).public().clone(),
        };
        let filing = Arc::new(filing.verify(&key)?);
        let mut positions = Vec::new();
        for item in 0..filing.items.len() {
            let event = self.decide(&filing, item)?;
            positions.push(self.append(&filing, item, event, None));
        }
        Ok(positions)
    }

    fn decide(&mut self, filing: &Arc<Filing>, item: usize) -> Result<Event, Refusal> {
        let position = Position(self.size());
        let stream = stream_of(filing, item, position, &self.register)?;
        let named = named_accesses(&filing.items[item].body);
        let context = Context {
            now: self.now,
            position,
            register: Arc::clone(&self.register),
            rulebook: self.rulebook,
            accesses: named.iter().filter_map(|p| self.accesses.get(&p.0).cloned()).collect(),
        };
        let command = Command { filing: Arc::clone(filing), item, context };
        let new = State::new(stream.0);
        let state = self.streams.get(&stream).map_or(&new, |(_, state)| state);
        let mut events = each_state!(state, s => s.decide(&command))?;
        assert_eq!(events.len(), 1, "one item makes one event");
        Ok(events.remove(0))
    }

    /// Records a filing without asking anybody; no check but its author's signature.
    ///
    /// `key`: the author's.
    pub fn force(&mut self, text: &str, key: &PublicKey, force: &Force<'_>) -> Vec<u64> {
        let filing = UnverifiedFiling::parse(text, Disclosures::AsFound)
            .and_then(|filing| filing.verify(key))
            .expect("a filing signed by that key");
        let filing = Arc::new(filing);
        let all: Vec<usize> = (0..filing.items.len()).collect();
        let items = force.items.unwrap_or(&all);
        items
            .iter()
            .map(|item| {
                let event = self.undecided_event(&filing, *item);
                self.append(&filing, *item, event, force.tamper)
            })
            .collect()
    }

    fn undecided_event(&self, filing: &Filing, item: usize) -> Event {
        let position = self.size();
        let body = &filing.items[item].body;
        let Some(access) = body.access() else {
            return Event::Filed(filing.event(item, filing.kind.event(), None));
        };
        let days = filing.at.valid_days(self.now.date());
        let case = Case { access, days, recorded: Some((position, self.now)) };
        let judged = rules::judge(self.rulebook, &case, self.register.view(position));
        let verdict = judged.expect("a processing of the register").verdict;
        let event_type = match filing.kind {
            Kind::AccessReport => EventType::AccessRecorded,
            _ if verdict.verdict.is_covered() => EventType::AccessGranted,
            _ => EventType::AccessDenied,
        };
        Event::Filed(filing.event(item, event_type, Some(Arc::new(verdict))))
    }

    // Entries.

    fn append(
        &mut self,
        filing: &Filing,
        item: usize,
        event: Event,
        tamper: Option<&dyn Fn(&mut Value)>,
    ) -> u64 {
        let position = self.size();
        let stream = stream_of(filing, item, Position(position), &self.register)
            .expect("a stream the register knows");
        let (version, state) =
            self.streams.entry(stream.clone()).or_insert_with(|| (0, State::new(stream.0)));
        *version += 1;
        each_state!(state, s => s.evolve(&event));
        let stream = StreamRef { id: stream.1, kind: stream.0, version: *version };
        let cited = FilingRef { digest: filing.digest, item: item as u32 };
        let disclosures: Vec<(String, String)> = filing.items[item]
            .disclosures
            .iter()
            .map(|i| &filing.disclosures[*i])
            .map(|d: &Disclosure| (d.digest(), d.encoded().to_owned()))
            .collect();
        self.seal(&event, Some(cited), &stream, tamper);
        let jwt = match self.entries.iter().rev().nth(1) {
            Some(Recorded { filing: Some((digest, jwt)), .. }) if *digest == filing.digest => {
                Arc::clone(jwt)
            }
            _ => Arc::from(filing.jwt.as_str()),
        };
        let recorded = self.entries.last_mut().expect("`seal` pushed an entry");
        recorded.filing = Some((filing.digest, jwt));
        recorded.disclosures = disclosures;
        if let Some(access) = filing.items[item].body.access() {
            let known = KnownAccess {
                position: Position(position),
                iss: filing.iss.clone(),
                processing: access.processing.clone(),
                recipient: access.recipient.party.clone(),
                discloser: access.discloser.clone(),
            };
            self.accesses.insert(position, known);
            self.last_access = Some(position);
        }
        if let Body::EraseSubject(erasure) = &*filing.items[item].body {
            let erased: HashSet<&String> = erasure.digests.iter().collect();
            for entry in &mut self.entries {
                entry.disclosures.retain(|(digest, _)| !erased.contains(digest));
            }
        }
        position
    }

    /// Records an event of the ledger itself.
    pub fn append_own(&mut self, event: Event, tamper: Option<&dyn Fn(&mut Value)>) {
        self.own_version += 1;
        let stream =
            StreamRef { id: "ledger".into(), kind: StreamType::Ledger, version: self.own_version };
        self.seal(&event, None, &stream, tamper);
    }

    /// Hands the ledger over to a new key, from the next entry on.
    pub fn rotate_key(&mut self, seed: &str) {
        let key =
            SecretKey::from_seed(&blake3::derive_key("greffe tests ledger key", seed.as_bytes()));
        self.append_own(Event::LedgerKeyRotated { ledger_key: key.public().clone() }, None);
        self.key = key;
    }

    fn seal(
        &mut self,
        event: &Event,
        filing: Option<FilingRef>,
        stream: &StreamRef,
        tamper: Option<&dyn Fn(&mut Value)>,
    ) {
        let position = Position(self.size());
        let nonce = self.draw();
        let pending = PendingEntry {
            event,
            filing,
            nonce,
            origin: &self.origin,
            position,
            prev: self.link,
            rulebook: self.rulebook.version,
            stream,
            time: self.now,
        };
        let mut leaf = pending.write_leaf().expect("a small leaf");
        if let Some(tamper) = tamper {
            let mut value = json::parse(&leaf).expect("our own leaf");
            tamper(&mut value);
            leaf = json::canonical(&value);
        }
        self.link = link(&leaf);
        let sealed = SealedEntry::sign(&self.origin, position, leaf, self.link, &self.key);
        Arc::make_mut(&mut self.register).apply(position.0, self.now, event);
        self.entries.push(Recorded { filing: None, sealed, disclosures: Vec::new() });
    }

    /// The receipt of an entry, as the service gives it.
    pub fn receipt(&self, position: u64) -> Value {
        let entry = &self.entries[position as usize];
        let leaf = json::parse(&entry.sealed.leaf).expect("our own leaf");
        let mut receipt = json!({
            "origin": self.origin, "position": position, "link": entry.sealed.link,
            "signature": base64url(&entry.sealed.signature), "key": entry.sealed.kid,
            "time": leaf["time"], "filing": leaf["filing"]["digest"],
        });
        if let Some(verdict) = leaf["event"]["data"].get("verdict") {
            receipt["verdict"] = verdict.clone();
            if leaf["event"]["type"] == "AccessGranted" && !verdict["valid_until"].is_null() {
                receipt["valid_until"] = verdict["valid_until"].clone();
            }
        }
        receipt["leaf"] = leaf;
        receipt
    }

    // Exports.

    pub fn export(&self) -> Vec<u8> {
        self.export_without(&Leave::default())
    }

    pub fn export_without(&self, leave: &Leave<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_entries(&mut out, leave, None).expect("memory takes every write");
        self.write_head(&mut out).expect("memory takes every write");
        out
    }

    /// Writes the entries held and forgets them, for ledgers larger than memory. Nothing
    /// forgotten can be erased any more. `write_head` ends the export.
    pub fn write_out(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.write_entries(out, &Leave::default(), self.last_written)?;
        self.last_written = self.entries.last().and_then(|e| e.filing.as_ref()).map(|f| f.0);
        self.forgotten += self.entries.len() as u64;
        self.entries.clear();
        Ok(())
    }

    fn write_entries(
        &self,
        out: &mut impl Write,
        leave: &Leave<'_>,
        mut written: Option<Hash32>,
    ) -> io::Result<()> {
        for (position, entry) in (self.forgotten..).zip(&self.entries) {
            if leave.hidden.is_some_and(|hidden| hidden(position)) {
                out.write_all(&entry.sealed.hide().to_json_line())?;
                out.write_all(b"\n")?;
                continue;
            }
            if let Some((digest, jwt)) = &entry.filing
                && written != Some(*digest)
            {
                writeln!(out, "{{\"filing\":\"{jwt}\"}}")?;
                written = Some(*digest);
            }
            out.write_all(&entry.sealed.to_json_line())?;
            out.write_all(b"\n")?;
            if leave.withheld.is_some_and(|withheld| withheld(position)) {
                continue;
            }
            for (_, disclosure) in &entry.disclosures {
                writeln!(out, "{{\"position\":{position},\"disclosure\":\"{disclosure}\"}}")?;
            }
        }
        Ok(())
    }

    pub fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        let head = Head::sign(&self.origin, TreeSize(self.size()), self.link, &self.key);
        writeln!(
            out,
            "{{\"head\":{{\"size\":{},\"link\":\"{}\",\"signature\":\"{}\",\"key\":\"{}\"}}}}",
            head.size,
            head.link,
            base64url(&head.signature),
            head.kid
        )
    }
}
