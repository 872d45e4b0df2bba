//! The serial half: lines in order against what the lines before them established.
//!
//! `line.rs` has read each line; here its place, its chain, its filing, its event and its
//! verdict are checked. An entry's disclosures come after it, so it is settled (disclosed,
//! judged, folded into the register) when the next line that is none of them arrives.
//! What is kept is the register, one filing, one entry, a bit for each access, and a buffer
//! of fixed size (`seen.rs`). Nothing here reads the export or prints.

use std::collections::HashMap;
use std::sync::Arc;

use greffe_domain::body::Body;
use greffe_domain::command::stream_of;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::{ClockKind, Event, EventError, Filed};
use greffe_domain::filing::{Filing, UnverifiedFiling, check_issue_time};
use greffe_domain::key::{PublicKey, enrolment_text};
use greffe_domain::kind::{EventType, Kind, StreamOf, StreamType};
use greffe_domain::register::Register;
use greffe_domain::rules::Rulebook;
use greffe_domain::schema;
use greffe_domain::sdjwt::{self, Disclosure};
use greffe_domain::seal::{
    Head, HiddenEntry, Leaf, Position, SealError, StreamRef, TreeSize, check_link,
};
use greffe_domain::trust::Trust;
use greffe_domain::verdict::Verdict;
use greffe_domain::vocabulary::Role;

use crate::line::{EntryLine, FilingLine, KnownKeys, Line, SignedFor};
use crate::reason::{Failure, Reason};
use crate::rejudge::{Rejudged, rejudge};
use crate::report::Report;
use crate::seen::{Clash, Met, Positions, Seen};

pub struct Ledger<'t> {
    trust: &'t Trust,
    rulebooks: &'t [&'static Rulebook],
    /// Index of the last entry's rulebook.
    rulebook: usize,
    register: Register,
    keys: KnownKeys,
    /// Place of the next entry.
    next: u64,
    /// Link of the entry before it.
    link: Hash32,
    time: Option<Timestamp>,
    streams: HashMap<(StreamType, String), u64>,
    /// Positions of accesses; those of hidden entries too, which may be some.
    accesses: Positions,
    /// What may stand only once: compared at the end, or when something else fails.
    seen: Seen,
    /// A filing whose first entry has not come yet.
    pending: Option<Filing>,
    open: Option<OpenFiling>,
    /// First position at which an item of the next filing may stand, seen or hidden.
    free_from: u64,
    unsettled: Option<Unsettled>,
    head: Option<Head>,
    report: Report,
}

/// The filing whose items the entries now record.
struct OpenFiling {
    filing: Filing,
    /// Position of its item 0.
    start: u64,
    /// Position after its last item.
    end: u64,
}

/// An entry whose disclosures may still come.
struct Unsettled {
    position: u64,
    line: u64,
    time: Timestamp,
    rulebook: &'static Rulebook,
    event: Event,
    /// How many disclosures its body asks for.
    digests: usize,
    disclosures: Vec<Disclosure>,
}

/// A failure before its place is added.
enum Fault {
    /// The line at hand, at the next entry's place.
    Here(Reason),
    /// The line at hand, at that position.
    At(u64, Reason),
    /// An entry settled only now, at its position and line.
    Before(u64, u64, Reason),
    OtherLedger(String),
    NoScratch(std::io::Error),
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::Here(reason)
    }
}

impl From<SealError> for Fault {
    fn from(error: SealError) -> Self {
        Self::Here(error.into())
    }
}

impl From<EventError> for Fault {
    fn from(error: EventError) -> Self {
        Self::Here(error.into())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::NoScratch(error)
    }
}

impl<'t> Ledger<'t> {
    pub fn new(trust: &'t Trust, rulebooks: &'t [&'static Rulebook], seen: Seen) -> Self {
        let ledger = Some(Arc::new(trust.ledger_key.clone()));
        Self {
            trust,
            rulebooks,
            rulebook: 0,
            register: Register::new(),
            keys: KnownKeys { ledger, ..KnownKeys::default() },
            next: 0,
            link: Hash32::ZERO,
            time: None,
            streams: HashMap::new(),
            accesses: Positions::default(),
            seen,
            pending: None,
            open: None,
            free_from: 0,
            unsettled: None,
            head: None,
            report: Report { origin: trust.origin.clone(), ..Report::default() },
        }
    }

    /// The keys in force after the lines taken so far.
    pub fn keys(&self) -> &KnownKeys {
        &self.keys
    }

    /// Takes the next line. `number`: from 1.
    pub fn take(&mut self, number: u64, line: Line) -> Result<(), Failure> {
        self.try_take(number, line).map_err(|fault| self.failure(number, fault))
    }

    /// A failure at the next entry's place.
    pub fn broken(&self, line: u64, reason: Reason) -> Failure {
        let position = Position(self.next);
        Failure::Broken { position, line, reason: Box::new(reason) }
    }

    fn failure(&self, line: u64, fault: Fault) -> Failure {
        let (position, line, reason) = match fault {
            Fault::Here(reason) => (self.next, line, reason),
            Fault::At(position, reason) => (position, line, reason),
            Fault::Before(position, line, reason) => (position, line, reason),
            Fault::OtherLedger(why) => return Failure::CannotJudge(why),
            Fault::NoScratch(error) => return Failure::NoScratch(error),
        };
        Failure::Broken { position: Position(position), line, reason: Box::new(reason) }
    }

    /// The first failure: `found`, unless something met before it may not stand there.
    pub fn first_failure(mut self, found: Failure) -> Failure {
        // What a lost file held may have clashed before.
        if matches!(found, Failure::NoScratch(_)) {
            return found;
        }
        match self.seen.outcome() {
            Ok(outcome) => outcome.clash.map_or(found, clash_failure),
            Err(error) => Failure::NoScratch(error),
        }
    }

    /// After the last line: the counts of a sound export, or the first failure.
    pub fn finish(mut self, lines: u64) -> Result<Report, Failure> {
        if let Err(found) = self.check_ended(lines) {
            return Err(self.first_failure(found));
        }
        let outcome = self.seen.outcome().map_err(Failure::NoScratch)?;
        if let Some(clash) = outcome.clash {
            return Err(clash_failure(clash));
        }
        self.report.erased = outcome.erased;
        Ok(self.report)
    }

    fn check_ended(&mut self, lines: u64) -> Result<(), Failure> {
        let Some(head) = &self.head else {
            if let Err(fault) = self.settle() {
                return Err(self.failure(lines, fault));
            }
            return Err(self.broken(lines + 1, Reason::NoHead));
        };
        self.report.size = head.size;
        self.report.link = head.link;
        self.report.kid.clone_from(&head.kid);
        Ok(())
    }

    fn try_take(&mut self, number: u64, line: Line) -> Result<(), Fault> {
        if self.head.is_some() {
            return Err(Reason::AfterHead.into());
        }
        match line {
            Line::Disclosure { position, disclosure } => {
                let disclosure = disclosure.map_err(Reason::Disclosure);
                return self.take_disclosure(number, position, disclosure);
            }
            Line::Unreadable { reason, disclosure } => {
                if let Some(entry) = self.unsettled.as_ref().filter(|_| disclosure) {
                    return Err(Fault::At(entry.position, reason));
                }
                self.settle()?;
                return Err(reason.into());
            }
            _ => self.settle()?,
        }
        match line {
            Line::Filing(filing) => self.take_filing(number, *filing),
            Line::Entry(entry) => self.take_entry(number, *entry),
            Line::Hidden(hidden, signed_for) => self.take_hidden(&hidden, &signed_for),
            Line::Head(head) => self.take_head(head),
            Line::Disclosure { .. } | Line::Unreadable { .. } => Ok(()),
        }
    }

    /// The key whose signature the entry at `position` bears.
    fn ledger_key(&self, position: u64) -> &PublicKey {
        self.register.ledger_key(position).unwrap_or(&self.trust.ledger_key)
    }

    // Filings.

    fn take_filing(&mut self, number: u64, line: FilingLine) -> Result<(), Fault> {
        if self.next == 0 {
            return Err(Reason::NotOpened.into());
        }
        if self.pending.is_some() {
            return Err(Reason::FilingUncited.into());
        }
        self.check_items_complete()?;
        let filing = match line {
            FilingLine::Refused(refusal) => return Err(Reason::Filing(refusal).into()),
            FilingLine::Verified(filing) => filing,
            FilingLine::Unverified(filing) => self.verify_filing(filing)?,
        };
        self.check_author(&filing.iss, &filing.kid)?;
        if filing.aud != self.trust.origin {
            return Err(Reason::Audience(filing.aud).into());
        }
        self.check_role(&filing)?;
        // The same filing again has them again.
        self.seen.note(Met::Filing, &[&filing.iss, &filing.jti], self.next, number)?;
        self.report.filings += 1;
        self.pending = Some(filing);
        Ok(())
    }

    fn verify_filing(&self, filing: UnverifiedFiling) -> Result<Filing, Fault> {
        self.check_author(filing.iss(), filing.kid())?;
        let (_, _, key) = self
            .register
            .key(filing.kid())
            .expect("`check_author` refused a key that the register does not hold");
        match FilingLine::verify(filing, &key.key) {
            FilingLine::Verified(filing) => Ok(filing),
            FilingLine::Refused(refusal) => Err(Reason::Filing(refusal).into()),
            FilingLine::Unverified(_) => unreachable!("`verify` accepts or refuses"),
        }
    }

    /// The key is enrolled to that author, and live, where the filing's first item stands.
    fn check_author(&self, iss: &str, kid: &str) -> Result<(), Fault> {
        if self.register.party(iss).is_none() {
            return Err(Reason::AuthorUnknown(iss.to_owned()).into());
        }
        match self.register.key(kid) {
            Some((owner, _, key)) if owner == iss => match key.revoked {
                Some(position) => Err(Reason::KeyRevoked(position).into()),
                None => Ok(()),
            },
            _ => Err(Reason::KeyNotEnrolled { kid: kid.to_owned(), iss: iss.to_owned() }.into()),
        }
    }

    fn check_role(&self, filing: &Filing) -> Result<(), Fault> {
        let party = self.register.party(&filing.iss);
        let has = |role: Role| party.is_some_and(|p| p.has(role));
        let roles = filing.kind.roles();
        let allowed = match filing.kind {
            Kind::PartyEnrolKey | Kind::PartyRevokeKey => {
                let own = |signed: &serde_json::Value| signed["party"] == *filing.iss;
                has(Role::Registrar) || filing.items.iter().all(|item| own(&item.signed))
            }
            _ => roles.is_empty() || roles.iter().any(|role| has(*role)),
        };
        if allowed {
            return Ok(());
        }
        Err(Reason::Role { iss: filing.iss.clone(), kind: filing.kind }.into())
    }

    /// Nothing else may stand at the next place if the open filing has items left.
    fn check_items_complete(&self) -> Result<(), Fault> {
        match &self.open {
            Some(open) if self.next < open.end => {
                Err(Reason::ItemsLeftOut { from: item_number(self.next - open.start) }.into())
            }
            _ => Ok(()),
        }
    }

    /// Finds the filing an entry cites, and that the item stands in its place.
    fn cite(&mut self, digest: Hash32, item: u32) -> Result<(), Fault> {
        let position = self.next;
        if let Some(open) = self.open.as_ref().filter(|o| o.filing.digest == digest) {
            let expected = item_number(position - open.start);
            if position >= open.end {
                return Err(Reason::FilingUsedTwice.into());
            }
            if item != expected {
                return Err(Reason::ItemOrder { found: item, expected }.into());
            }
            return match self.pending {
                Some(_) => Err(Reason::FilingUncited.into()),
                None => Ok(()),
            };
        }
        self.check_items_complete()?;
        let filing = match self.pending.take() {
            Some(filing) if filing.digest == digest => filing,
            Some(_) => return Err(Reason::FilingUncited.into()),
            None => return Err(Reason::FilingMissing.into()),
        };
        let items = filing.items.len() as u64;
        if u64::from(item) >= items {
            return Err(Reason::NoItem(item).into());
        }
        // Its first items may stand only where entries are hidden.
        let Some(start) = position.checked_sub(item.into()).filter(|s| *s >= self.free_from) else {
            let expected = item_number(position - self.free_from);
            return Err(Reason::ItemOrder { found: item, expected }.into());
        };
        self.open = Some(OpenFiling { filing, start, end: start + items });
        Ok(())
    }

    // Entries.

    fn take_hidden(&mut self, hidden: &HiddenEntry, signed_for: &SignedFor) -> Result<(), Fault> {
        let position = self.next;
        if position == 0 {
            return Err(Reason::NotOpened.into());
        }
        self.check_signature(&hidden.link, &hidden.signature, &hidden.kid, signed_for)?;
        self.accesses.insert(position);
        self.link = hidden.link;
        self.next += 1;
        self.report.hidden += 1;
        Ok(())
    }

    fn check_signature(
        &self,
        link: &Hash32,
        signature: &[u8; 64],
        kid: &str,
        signed_for: &SignedFor,
    ) -> Result<(), SealError> {
        let position = Position(self.next);
        let key = self.ledger_key(self.next);
        if signed_for.covers(position, key) {
            return Ok(());
        }
        check_link(&self.trust.origin, position, link, signature, kid, key)
    }

    fn take_entry(&mut self, number: u64, entry: EntryLine) -> Result<(), Fault> {
        let position = self.next;
        let EntryLine { sealed, leaf, digests, signed_for } = entry;
        let leaf = leaf?;
        if position == 0 {
            self.check_same_ledger(&leaf, &sealed.link, &sealed.signature, &sealed.kid)?;
        }
        if leaf.origin != self.trust.origin {
            return Err(SealError::Origin(leaf.origin).into());
        }
        if leaf.position != Position(position) {
            let expected = Position(position);
            return Err(SealError::Position { expected, found: leaf.position }.into());
        }
        if leaf.prev != self.link {
            return Err(SealError::Prev.into());
        }
        self.check_signature(&sealed.link, &sealed.signature, &sealed.kid, &signed_for)?;
        if let Some(before) = self.time.filter(|before| *before > leaf.time) {
            return Err(Reason::TimeWentBack { before, time: leaf.time }.into());
        }
        let rulebook = self.follow_rulebook(&leaf.rulebook)?;
        let event = match leaf.filing {
            None => self.own_event(&leaf, &sealed.leaf)?,
            Some(cited) => {
                self.cite(cited.digest, cited.item)?;
                Event::Filed(self.filed_event(&leaf, &sealed.leaf, cited.item)?)
            }
        };
        self.time = Some(leaf.time);
        self.link = sealed.link;
        self.next += 1;
        self.free_from = match &self.open {
            Some(open) => open.end.max(self.next),
            None => self.next,
        };
        self.report.entries += 1;
        self.unsettled = Some(Unsettled {
            position,
            line: number,
            time: leaf.time,
            rulebook,
            event,
            digests,
            disclosures: Vec::new(),
        });
        Ok(())
    }

    /// The rulebook of that version, which is not older than that of the entry before.
    fn follow_rulebook(&mut self, version: &str) -> Result<&'static Rulebook, Reason> {
        let found = self.rulebooks.iter().position(|known| known.version == version);
        let found = found.ok_or_else(|| Reason::Rulebook(version.to_owned()))?;
        if found < self.rulebook {
            let before = self.rulebooks[self.rulebook].version;
            return Err(Reason::RulebookWentBack { before, found: version.to_owned() });
        }
        self.rulebook = found;
        let rulebook = self.rulebooks[found];
        match self.report.rulebooks.last_mut() {
            Some((last, entries)) if last == version => *entries += 1,
            _ => self.report.rulebooks.push((version.to_owned(), 1)),
        }
        Ok(rulebook)
    }

    /// Tells another ledger, sound in itself, from this one tampered with.
    fn check_same_ledger(
        &self,
        leaf: &Leaf,
        link: &Hash32,
        signature: &[u8; 64],
        kid: &str,
    ) -> Result<(), Fault> {
        let Ok(Event::LedgerOpened(opened)) = Event::read(&leaf.event) else { return Ok(()) };
        let trusted =
            opened.origin == self.trust.origin && opened.ledger_key == self.trust.ledger_key;
        let (origin, key) = (&opened.origin, &opened.ledger_key);
        let stands = leaf.origin == *origin
            && check_link(origin, leaf.position, link, signature, kid, key).is_ok();
        if trusted || !stands {
            return Ok(());
        }
        Err(Fault::OtherLedger(format!(
            "the export is of the ledger `{origin}` opened with key {}, and the trust file names `{}` and key {}",
            key.kid(),
            self.trust.origin,
            self.trust.ledger_key.kid()
        )))
    }

    /// An event of the ledger itself: no filing, written as we write it.
    fn own_event(&mut self, leaf: &Leaf, bytes: &[u8]) -> Result<Event, Fault> {
        self.check_items_complete()?;
        if self.pending.is_some() {
            return Err(Reason::FilingUncited.into());
        }
        let name = leaf.event["type"].as_str().and_then(EventType::parse);
        if !matches!(name, Some(EventType::LedgerOpened | EventType::LedgerKeyRotated)) {
            let reason = if self.next == 0 { Reason::NotOpened } else { Reason::NoFiling };
            return Err(reason.into());
        }
        let event = Event::read(&leaf.event)?;
        match (&event, self.next) {
            (Event::LedgerOpened(opened), 0) => {
                let named = opened.origin == self.trust.origin;
                if !named || opened.ledger_key != self.trust.ledger_key {
                    return Err(Reason::NotOpened.into());
                }
            }
            (Event::LedgerOpened(_), _) => return Err(Reason::OpenedTwice.into()),
            (_, 0) => return Err(Reason::NotOpened.into()),
            _ => {}
        }
        if !records(bytes, &event) {
            return Err(Reason::OwnEvent.into());
        }
        // The ledger has one stream, named at position 0.
        let known = self.streams.keys().find(|(kind, _)| *kind == StreamType::Ledger);
        let id = known.map_or_else(|| leaf.stream.id.clone(), |(_, id)| id.clone());
        self.check_stream(&leaf.stream, StreamType::Ledger, id, false)?;
        Ok(event)
    }

    /// The event that the filing's item makes, which must be the one recorded.
    fn filed_event(&mut self, leaf: &Leaf, bytes: &[u8], item: u32) -> Result<Filed, Fault> {
        if self.next == 0 {
            return Err(Reason::NotOpened.into());
        }
        let name = leaf.event["type"].as_str().and_then(EventType::parse);
        if matches!(name, Some(EventType::LedgerOpened | EventType::LedgerKeyRotated)) {
            return Err(Reason::OwnEventFiled.into());
        }
        let filing = &self.open.as_ref().expect("`cite` opened the filing").filing;
        self.check_issue_time(filing.iat, leaf.time)?;
        let index = item as usize;
        let (event_type, verdict) = match filing.kind {
            Kind::AccessRequest | Kind::AccessReport => {
                let verdict = recorded_verdict(leaf).ok_or(Reason::NoVerdict)?;
                let event_type = match filing.kind {
                    Kind::AccessReport => EventType::AccessRecorded,
                    _ if verdict.verdict.is_covered() => EventType::AccessGranted,
                    _ => EventType::AccessDenied,
                };
                (event_type, Some(Arc::new(verdict)))
            }
            kind => (kind.event(), None),
        };
        let filed = filing.event(index, event_type, verdict);
        let event = Event::Filed(filed);
        if !records(bytes, &event) {
            return Err(Reason::NotItsFiling.into());
        }
        let (kind, id) = stream_of(filing, index, Position(self.next), &self.register)
            .map_err(Reason::Filing)?;
        let is_new = matches!(filing.kind.stream(), StreamOf::OwnPosition(_));
        self.check_stream(&leaf.stream, kind, id, is_new)?;
        let Event::Filed(filed) = event else { unreachable!("built as a filed event") };
        self.check_enrolment(&filed)?;
        Ok(filed)
    }

    fn check_issue_time(&self, iat: i64, time: Timestamp) -> Result<(), Reason> {
        let agree = match self.register.clock() {
            ClockKind::Simulated => Timestamp::from_unix_seconds(iat) == time,
            ClockKind::Real => check_issue_time(iat, time).is_ok(),
        };
        if agree {
            return Ok(());
        }
        Err(Reason::IssueTime { iat: Timestamp::from_unix_seconds(iat), time })
    }

    /// The stream is the item's, and its version the next one.
    ///
    /// `is_new`: the stream is named after this very position. Such streams are kept only
    /// once a second entry joins them: accesses outnumber everything else.
    fn check_stream(
        &mut self,
        found: &StreamRef,
        kind: StreamType,
        id: String,
        is_new: bool,
    ) -> Result<(), Fault> {
        if found.kind != kind || found.id != id {
            return Err(Reason::Stream { found: found.clone(), kind, id }.into());
        }
        let wrong = |expected| Reason::StreamVersion { stream: found.clone(), expected };
        if is_new {
            if found.version != 1 {
                return Err(wrong(1).into());
            }
            if kind == StreamType::Access {
                self.accesses.insert(self.next);
            }
            return Ok(());
        }
        let stream = (kind, id);
        let expected = match self.streams.get(&stream) {
            Some(version) => version + 1,
            None if kind == StreamType::Access => {
                let access = stream.1.parse().ok();
                if !access.is_some_and(|position| self.accesses.contains(position)) {
                    return Err(Reason::NoAccess(stream.1).into());
                }
                2
            }
            None => 1,
        };
        // Hidden entries may have joined an access's stream, and no other.
        let most = match kind {
            StreamType::Access => expected.saturating_add(self.report.hidden),
            _ => expected,
        };
        if !(expected..=most).contains(&found.version) {
            return Err(wrong(expected).into());
        }
        self.streams.insert(stream, found.version);
        Ok(())
    }

    /// A key belongs to one party for ever; its holder has proved to hold it; the
    /// registrar keeps a live one.
    fn check_enrolment(&self, filed: &Filed) -> Result<(), Fault> {
        let refuse = |why| Err(Reason::Enrolment(why).into());
        let (party, jwk, proof) = match &*filed.body {
            Body::RegisterParty(body) => {
                if self.register.party(&body.party).is_some() {
                    return refuse("the party is already registered");
                }
                (&body.party, &body.key, &body.proof)
            }
            Body::EnrolKey(body) => (&body.party, &body.key, &body.proof),
            Body::RevokeKey(body) => {
                let registrar =
                    self.register.party(&body.party).is_some_and(|p| p.has(Role::Registrar));
                return match self.register.key(&body.kid) {
                    Some((owner, _, key)) if owner == body.party && key.revoked.is_none() => {
                        if registrar && self.register.live_registrar_keys() <= 1 {
                            return refuse("the registrar's last live key is revoked");
                        }
                        Ok(())
                    }
                    _ => refuse("the key revoked is not a live key of that party"),
                };
            }
            _ => return Ok(()),
        };
        let Ok(key) = PublicKey::from_jwk(jwk) else {
            return refuse("it is not an Ed25519 key of full order");
        };
        if self.register.key(key.kid()).is_some() {
            return refuse("the key is already enrolled");
        }
        let text = enrolment_text(&self.trust.origin, party, key.kid());
        let proved = base64url_decode(proof)
            .and_then(|bytes| bytes.try_into().ok())
            .is_some_and(|signature: [u8; 64]| key.verify(text.as_bytes(), &signature));
        if proved { Ok(()) } else { refuse("the proof of possession does not match") }
    }

    // Disclosures.

    fn take_disclosure(
        &mut self,
        number: u64,
        position: u64,
        disclosure: Result<Disclosure, Reason>,
    ) -> Result<(), Fault> {
        let next = self.next;
        let Some(entry) = &mut self.unsettled else {
            return Err(Reason::DisclosureMisplaced(position).into());
        };
        let here = entry.position;
        if position != here {
            let at = if position == next { next } else { here };
            return Err(Fault::At(at, Reason::DisclosureMisplaced(position)));
        }
        let disclosure = disclosure.map_err(|reason| Fault::At(here, reason))?;
        let digest = disclosure.digest_str();
        self.seen.note(Met::Disclosed, &[digest], here, number)?;
        if entry.disclosures.iter().any(|d| d.digest_str() == digest) {
            return Err(Fault::At(here, Reason::DisclosureTwice));
        }
        if entry.disclosures.len() == entry.digests {
            let why = "more disclosures than digests".to_owned();
            return Err(Fault::At(here, Reason::DisclosureShape(why)));
        }
        entry.disclosures.push(disclosure);
        Ok(())
    }

    /// Discloses, judges and folds the entry before, if that is still to be done.
    fn settle(&mut self) -> Result<(), Fault> {
        let Some(mut entry) = self.unsettled.take() else { return Ok(()) };
        self.settle_entry(&mut entry).map_err(|fault| match fault {
            Fault::Here(reason) => Fault::Before(entry.position, entry.line, reason),
            other => other,
        })
    }

    fn settle_entry(&mut self, entry: &mut Unsettled) -> Result<(), Fault> {
        self.report.disclosures += entry.disclosures.len() as u64;
        self.report.undisclosed += (entry.digests - entry.disclosures.len()) as u64;
        if let Event::Filed(filed) = &mut entry.event {
            if !entry.disclosures.is_empty() {
                filed.body = Arc::new(disclosed_body(filed, &entry.disclosures)?);
            }
            self.judge_again(entry.position, entry.time, entry.rulebook, filed)?;
            if let Body::EraseSubject(erasure) = &*filed.body {
                for digest in &erasure.digests {
                    self.seen.note(Met::Erased, &[digest], entry.position, entry.line)?;
                }
            }
        }
        self.register.apply(entry.position, entry.time, &entry.event);
        self.learn_keys(&entry.event);
        Ok(())
    }

    fn judge_again(
        &mut self,
        position: u64,
        time: Timestamp,
        rulebook: &Rulebook,
        filed: &Filed,
    ) -> Result<(), Reason> {
        let (Some(access), Some(verdict)) = (filed.body.access(), &filed.verdict) else {
            return Ok(());
        };
        let days = filed.at.valid_days(time.date());
        self.report.accesses += 1;
        match rejudge(rulebook, &self.register, access, days, (position, time), verdict)? {
            Rejudged::Wholly => self.report.rejudged += 1,
            Rejudged::InPart => self.report.not_rejudged += 1,
        }
        Ok(())
    }

    /// Lets the lines to come be checked against keys that this entry brought in.
    fn learn_keys(&mut self, event: &Event) {
        let jwk = match event {
            Event::LedgerOpened(opened) => {
                let key = opened.registrar_key.clone();
                Arc::make_mut(&mut self.keys.parties).insert(key.kid().to_owned(), key);
                return;
            }
            Event::LedgerKeyRotated { ledger_key } => {
                self.keys.ledger = Some(Arc::new(ledger_key.clone()));
                self.report.key_rotations += 1;
                return;
            }
            Event::Filed(filed) => match &*filed.body {
                Body::RegisterParty(body) => &body.key,
                Body::EnrolKey(body) => &body.key,
                _ => return,
            },
        };
        if let Ok(key) = PublicKey::from_jwk(jwk) {
            Arc::make_mut(&mut self.keys.parties).insert(key.kid().to_owned(), key);
        }
    }

    // The head.

    fn take_head(&mut self, head: Head) -> Result<(), Fault> {
        if self.next == 0 {
            return Err(Reason::NotOpened.into());
        }
        self.check_items_complete()?;
        if self.pending.is_some() {
            return Err(Reason::FilingUncited.into());
        }
        let found = TreeSize(self.next);
        if head.size != found {
            return Err(Reason::HeadSize { head: head.size, found }.into());
        }
        if head.link != self.link {
            return Err(Reason::HeadLink.into());
        }
        let key = self.ledger_key(self.next);
        if head.kid != key.kid() {
            return Err(Reason::HeadKey.into());
        }
        if !head.verify(&self.trust.origin, key) {
            return Err(Reason::HeadSignature.into());
        }
        if let Some(least) = self.trust.min_size.filter(|least| head.size < *least) {
            return Err(Reason::HeadTooSmall { head: head.size, least }.into());
        }
        self.head = Some(head);
        Ok(())
    }
}

fn clash_failure(clash: Clash) -> Failure {
    let reason = match clash.met {
        Met::Filing => Reason::FilingUsedTwice,
        Met::Disclosed => Reason::DisclosureErased,
        Met::Erased => Reason::ErasedStillDisclosed,
    };
    let (position, line) = (Position(clash.position), clash.line);
    Failure::Broken { position, line, reason: Box::new(reason) }
}

/// Whether the leaf's `event` is this event, byte for byte. It is the leaf's first member.
fn records(leaf: &[u8], event: &Event) -> bool {
    let mut expected = b"{\"event\":".to_vec();
    event.write_canonical(&mut expected);
    expected.extend_from_slice(b",\"filing\":");
    leaf.starts_with(&expected)
}

fn recorded_verdict(leaf: &Leaf) -> Option<Verdict> {
    serde::Deserialize::deserialize(leaf.event["data"].get("verdict")?).ok()
}

/// The body with its concealed values, every one at a place where one may be concealed.
fn disclosed_body(filed: &Filed, disclosures: &[Disclosure]) -> Result<Body, Reason> {
    let revealed = sdjwt::reveal(&filed.signed, disclosures).map_err(Reason::Disclosure)?;
    let mut errors = Vec::new();
    schema::check(filed.kind, &filed.signed, &revealed, "/body", &mut errors);
    if let Some(error) = errors.first() {
        return Err(Reason::DisclosureShape(format!("{}: {}", error.pointer, error.detail.en)));
    }
    Body::read(filed.kind, revealed).map_err(|e| Reason::DisclosureShape(e.to_string()))
}

/// An item's number. A filing holds at most 1,000.
fn item_number(offset: u64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
