//! Re-checks every stored byte, and names the first bad row, table and column.
//!
//! What it holds the store to: leaves are canonical and chained, links and signatures are
//! theirs, columns repeat their members, filings hash to what entries cite and cover them
//! exactly, disclosures are of digests that stand in their entry, and none is missing that
//! no erasure names. Whether an event is what its filing says, and whether verdicts are
//! right, is the verifier's business (`greffe-verify`).

use std::collections::{HashMap, HashSet};
use std::fmt;

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::Event;
use greffe_domain::filing::collect_digests;
use greffe_domain::key::PublicKey;
use greffe_domain::kind::StreamType;
use greffe_domain::sdjwt::{Disclosure, Jwt};
use greffe_domain::seal::{Leaf, LeafError, Position, TreeSize, entry_text, link};
use rayon::prelude::*;

use crate::store::{DisclosureRow, EntryRow, Fault, FilingRow, Store};
use crate::trust::Trust;

/// Rows read at once.
const PAGE: usize = 1_024;

/// The first thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// `entries`, `filings` or `disclosures`.
    pub table: &'static str,
    /// Its row's position (for a filing, that of its first item).
    pub position: Position,
    pub column: &'static str,
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, position, column, reason } = self;
        write!(f, "{table}, position {position}, column {column}: {reason}")
    }
}

/// What was checked, when all of it is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    pub entries: u64,
    pub filings: u64,
    pub disclosures: u64,
    /// Digests whose disclosures an erasure took away.
    pub erased: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    #[error("{0}")]
    Damaged(Damage),
    #[error("the store cannot be read")]
    Unreadable(#[source] Fault),
}

impl From<Damage> for FsckError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// `trust`: whose ledger it must be; without it, the key of position 0 is taken at its word.
/// `progress`: called with the entries checked so far and their number.
pub async fn fsck(
    store: &dyn Store,
    trust: Option<&Trust>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Checked, FsckError> {
    let head = store.head().await.map_err(FsckError::Unreadable)?;
    if let Some(min_size) = trust.and_then(|t| t.min_size)
        && head.size < min_size
    {
        let reason = format!("the ledger had {min_size} entries and has {}", head.size);
        return Err(Damage { reason, ..damage("entries", head.size.next(), "position", "") }.into());
    }
    let mut check = Check::new(store.origin(), trust, erased_digests(store).await?);
    while check.position() < head.size.next() {
        let from = check.position();
        let entries = read_page(store, from).await?;
        let last = entries.last().map(|e| e.position.tree_size().next());
        let Some(until) = last.filter(|until| *until > from) else {
            return Err(damage("entries", from, "position", "this entry is missing").into());
        };
        // A filing may have begun on the page before: it was read then.
        let filings = read_filings(store, check.filings_from, until).await?;
        let disclosures = store.disclosures(from, until).await.map_err(FsckError::Unreadable)?;
        check.page(&entries, filings, disclosures)?;
        progress(check.checked.entries, head.size.0);
    }
    check.end(store, head.size).await
}

/// A page of entries; when it cannot be read, the first row that cannot.
pub(crate) async fn read_page(
    store: &dyn Store,
    from: Position,
) -> Result<Vec<EntryRow>, FsckError> {
    let fault = match store.entries(from, PAGE).await {
        Ok(entries) => return Ok(entries),
        Err(fault) => fault,
    };
    for position in (from.0..).take(PAGE).map(Position) {
        if let Err(fault) = store.entry(position).await {
            let cause = std::error::Error::source(&fault).map(ToString::to_string);
            let reason = cause.unwrap_or_else(|| fault.to_string());
            return Err(Damage { reason, ..damage("entries", position, "(row)", "") }.into());
        }
    }
    Err(FsckError::Unreadable(fault))
}

/// Filings whose first item is in `from..until`.
pub(crate) async fn read_filings(
    store: &dyn Store,
    from: Position,
    until: Position,
) -> Result<Vec<FilingRow>, FsckError> {
    let mut filings: Vec<FilingRow> = Vec::new();
    let mut next = from;
    loop {
        let page = store.filings(next, PAGE).await.map_err(FsckError::Unreadable)?;
        let full = page.len() == PAGE;
        let before = filings.len();
        filings.extend(page.into_iter().take_while(|f| f.first_position < until));
        match filings.last() {
            Some(last) if full && filings.len() == before + PAGE => {
                next = Position(last.first_position.0 + 1);
            }
            _ => return Ok(filings),
        }
    }
}

/// Every digest that an erasure names, and the position of the first that does.
pub(crate) async fn erased_digests(
    store: &dyn Store,
) -> Result<HashMap<Hash32, Position>, FsckError> {
    let mut erased = HashMap::new();
    let mut from = Position(0);
    loop {
        let page = store
            .entries_of_types(&[StreamType::Subject], from, PAGE)
            .await
            .map_err(FsckError::Unreadable)?;
        let Some(last) = page.last() else { return Ok(erased) };
        from = last.position.tree_size().next();
        for entry in &page {
            for digest in erased_by(&entry.sealed.leaf) {
                erased.entry(digest).or_insert(entry.position);
            }
        }
    }
}

/// The digests that the leaf of an erasure lists; none if it is something else.
pub(crate) fn erased_by(leaf: &[u8]) -> Vec<Hash32> {
    let Ok(leaf) = Leaf::parse(leaf) else { return Vec::new() };
    if leaf.event["type"] != "SubjectErased" {
        return Vec::new();
    }
    let digests = leaf.event["data"]["body"]["digests"].as_array();
    digests.into_iter().flatten().filter_map(|d| digest_of(d.as_str()?)).collect()
}

/// A disclosure's digest as it stands in an entry: base64url of 32 bytes.
pub(crate) fn digest_of(text: &str) -> Option<Hash32> {
    Some(Hash32(base64url_decode(text)?.try_into().ok()?))
}

fn damage(
    table: &'static str,
    position: Position,
    column: &'static str,
    reason: impl Into<String>,
) -> Damage {
    Damage { table, position, column, reason: reason.into() }
}

pub(crate) struct Check<'a> {
    origin: &'a str,
    /// Signs the next entry.
    key: Option<PublicKey>,
    prev: Hash32,
    time: Option<Timestamp>,
    /// Version of every stream but those of one entry at their own position.
    streams: HashMap<(StreamType, String), u64>,
    erased: HashMap<Hash32, Position>,
    /// The filing that the next entry is to continue, and which item comes.
    open: Option<(FilingRow, u32)>,
    filings_from: Position,
    checked: Checked,
}

impl<'a> Check<'a> {
    pub(crate) fn new(
        origin: &'a str,
        trust: Option<&Trust>,
        erased: HashMap<Hash32, Position>,
    ) -> Self {
        Self {
            origin,
            key: trust.map(|t| t.ledger_key.clone()),
            prev: Hash32::ZERO,
            time: None,
            streams: HashMap::new(),
            erased,
            open: None,
            filings_from: Position(0),
            checked: Checked::default(),
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position(self.checked.entries)
    }

    pub(crate) fn page(
        &mut self,
        entries: &[EntryRow],
        filings: Vec<FilingRow>,
        disclosures: Vec<DisclosureRow>,
    ) -> Result<(), FsckError> {
        // What takes time, on all cores; what depends on the row before, afterwards.
        let leaves: Vec<Result<Leaf, Damage>> = entries.par_iter().map(read_leaf).collect();
        let digests: Vec<Option<Damage>> = filings.par_iter().map(check_filing).collect();
        let mut disclosures = disclosures.into_iter().peekable();
        let mut filings = filings.into_iter().zip(digests).peekable();
        let (mut signed, mut keys) = (Vec::with_capacity(entries.len()), Vec::new());
        for (entry, leaf) in entries.iter().zip(leaves) {
            let position = self.position();
            if entry.position != position {
                return Err(damage("entries", position, "position", "this entry is missing").into());
            }
            let leaf = leaf?;
            self.chain(entry, &leaf)?;
            let key = self.key_of(position, &leaf)?;
            if entry.sealed.kid != key.kid() {
                let reason = format!("the ledger's key here is {}", key.kid());
                return Err(damage("entries", position, "kid", reason).into());
            }
            if keys.last() != Some(&key) {
                keys.push(key);
            }
            signed.push((entry, keys.len() - 1));
            while let Some((filing, bad)) = filings.next_if(|(f, _)| f.first_position <= position) {
                if let Some(bad) = bad {
                    return Err(bad.into());
                }
                self.open_filing(filing, position)?;
            }
            self.cites(entry)?;
            let mut own = Vec::new();
            while let Some(row) = disclosures.next_if(|d| d.position <= position) {
                own.push(row);
            }
            self.disclosed(position, &leaf, &own)?;
            self.prev = entry.sealed.link;
            self.time = Some(leaf.time);
            self.checked.entries += 1;
        }
        self.filings_from = self.position();
        let unsigned = signed.par_iter().find_first(|(entry, key)| {
            let text = entry_text(self.origin, entry.position, &entry.sealed.link);
            !keys[*key].verify(text.as_bytes(), &entry.sealed.signature)
        });
        match unsigned {
            None => Ok(()),
            Some((entry, _)) => {
                let reason = "the ledger's signature does not verify";
                Err(damage("entries", entry.position, "signature", reason).into())
            }
        }
    }

    /// The members that tie a leaf to its row and to the row before.
    fn chain(&mut self, entry: &EntryRow, leaf: &Leaf) -> Result<(), Damage> {
        let position = self.position();
        let bad = |column, reason: String| Err(damage("entries", position, column, reason));
        if leaf.origin != self.origin {
            return bad("leaf", format!("its origin is `{}`", leaf.origin));
        }
        if leaf.position != position {
            return bad("leaf", format!("it is the leaf of position {}", leaf.position));
        }
        if leaf.prev != self.prev {
            return bad("leaf", "`prev` is not the link of the entry before".to_owned());
        }
        if self.time.is_some_and(|before| leaf.time < before) {
            return bad("leaf", format!("its time {} is before the last entry's", leaf.time));
        }
        let differs = [
            ("stream_type", entry.stream.kind != leaf.stream.kind),
            ("stream_id", entry.stream.id != leaf.stream.id),
            ("stream_version", entry.stream.version != leaf.stream.version),
            ("event_type", leaf.event["type"] != entry.event_type.as_str()),
            ("recorded", entry.time != leaf.time),
            ("filing", entry.filing.map(|f| f.digest) != leaf.filing.map(|f| f.digest)),
            ("item", entry.filing.map(|f| f.item) != leaf.filing.map(|f| f.item)),
        ];
        if let Some((column, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return bad(column, "it is not what the leaf says".to_owned());
        }
        let version = self.next_version(position, leaf);
        if leaf.stream.version != version {
            let found = leaf.stream.version;
            return bad("leaf", format!("its stream's version is {found}, not {version}"));
        }
        Ok(())
    }

    /// Version that an entry of this stream has next; counts it.
    ///
    /// Streams named by the position of their first entry outnumber all others and mostly
    /// have one: they are counted from their second entry on.
    fn next_version(&mut self, position: Position, leaf: &Leaf) -> u64 {
        let stream = &leaf.stream;
        let named_by_position =
            matches!(stream.kind, StreamType::Access | StreamType::Statement | StreamType::Subject);
        if named_by_position && stream.id == position.to_string() {
            return 1;
        }
        let first = u64::from(
            named_by_position && stream.id.parse().is_ok_and(|first: u64| first < position.0),
        );
        let version = self.streams.entry((stream.kind, stream.id.clone())).or_insert(first);
        *version += 1;
        *version
    }

    /// The key that signs this entry. A rotation is still signed by the key it ends.
    fn key_of(&mut self, position: Position, leaf: &Leaf) -> Result<PublicKey, Damage> {
        let named =
            matches!(leaf.event["type"].as_str(), Some("LedgerOpened" | "LedgerKeyRotated"));
        let named = if named {
            match Event::read(&leaf.event) {
                Ok(Event::LedgerOpened(opened)) => Some(opened.ledger_key),
                Ok(Event::LedgerKeyRotated { ledger_key }) => Some(ledger_key),
                Ok(Event::Filed(_)) => None,
                Err(e) => return Err(damage("entries", position, "leaf", e.to_string())),
            }
        } else {
            None
        };
        let key = match self.key.take() {
            Some(key) => key,
            // Nobody says whose ledger it is: position 0 does.
            None => named.clone().ok_or_else(|| {
                damage("entries", position, "leaf", "the ledger does not begin with its opening")
            })?,
        };
        if position == Position(0) && named.as_ref() != Some(&key) {
            let reason = "the ledger was not opened with the trusted key";
            return Err(damage("entries", position, "leaf", reason));
        }
        self.key = Some(named.unwrap_or_else(|| key.clone()));
        Ok(key)
    }

    /// A filing whose first item is this position.
    fn open_filing(&mut self, filing: FilingRow, position: Position) -> Result<(), Damage> {
        let bad =
            |column, reason: &str| Err(damage("filings", filing.first_position, column, reason));
        if filing.first_position != position {
            return bad("first_position", "an earlier filing covers it");
        }
        if filing.items == 0 {
            return bad("items", "a filing has at least one item");
        }
        if self.open.is_some() {
            return bad("first_position", "an earlier filing covers it");
        }
        self.checked.filings += 1;
        self.open = Some((filing, 0));
        Ok(())
    }

    /// The entry cites the open filing's next item, or no filing is open and it cites none.
    fn cites(&mut self, entry: &EntryRow) -> Result<(), Damage> {
        let position = entry.position;
        match (&mut self.open, entry.filing) {
            (None, None) => Ok(()),
            (None, Some(_)) => {
                Err(damage("filings", position, "first_position", "the filing cited is missing"))
            }
            (Some((filing, _)), None) => {
                Err(damage("filings", filing.first_position, "items", "it covers another entry"))
            }
            (Some((filing, next)), Some(cited)) => {
                if cited.digest != filing.digest {
                    return Err(damage(
                        "filings",
                        filing.first_position,
                        "digest",
                        format!("entry {position} cites another filing"),
                    ));
                }
                if cited.item != *next {
                    return Err(damage(
                        "entries",
                        position,
                        "item",
                        format!("item {next} comes here"),
                    ));
                }
                *next += 1;
                if *next == filing.items {
                    self.open = None;
                }
                Ok(())
            }
        }
    }

    fn disclosed(
        &mut self,
        position: Position,
        leaf: &Leaf,
        rows: &[DisclosureRow],
    ) -> Result<(), Damage> {
        let mut digests = HashSet::new();
        collect_digests(&leaf.event["data"]["body"], &mut digests);
        let mut standing: HashSet<Hash32> = digests.iter().filter_map(|d| digest_of(d)).collect();
        for row in rows {
            let bad =
                |column, reason: &str| Err(damage("disclosures", row.position, column, reason));
            if row.position != position {
                return bad("position", "there is no such entry");
            }
            let read = Disclosure::parse(&row.encoded).ok().and_then(|d| digest_of(d.digest_str()));
            if read != Some(row.digest) {
                return bad("encoded", "it does not hash to its digest");
            }
            if !standing.remove(&row.digest) {
                return bad("digest", "the entry does not hold this digest");
            }
            if self.erased.get(&row.digest).is_some_and(|by| *by > position) {
                return bad("encoded", "an erasure names it, and it is still there");
            }
            self.checked.disclosures += 1;
        }
        for digest in standing {
            if self.erased.get(&digest).is_none_or(|by| *by <= position) {
                let reason = "a value of this entry is missing, and no erasure names it";
                return Err(damage("disclosures", position, "encoded", reason));
            }
            self.checked.erased += 1;
        }
        Ok(())
    }

    pub(crate) async fn end(self, store: &dyn Store, size: TreeSize) -> Result<Checked, FsckError> {
        if let Some((filing, next)) = self.open {
            let reason = format!("its item {next} is not recorded");
            return Err(damage("filings", filing.first_position, "items", reason).into());
        }
        // Rows that no entry accounts for.
        let filings = store.filings(size.next(), 1).await.map_err(FsckError::Unreadable)?;
        if let Some(filing) = filings.first() {
            let reason = "there is no such entry";
            return Err(damage("filings", filing.first_position, "first_position", reason).into());
        }
        let end = Position(i64::MAX as u64);
        let rows = store.disclosures(size.next(), end).await.map_err(FsckError::Unreadable)?;
        if let Some(row) = rows.first() {
            let reason = "there is no such entry";
            return Err(damage("disclosures", row.position, "position", reason).into());
        }
        Ok(self.checked)
    }
}

/// What can be said of an entry alone: its form, its link.
fn read_leaf(entry: &EntryRow) -> Result<Leaf, Damage> {
    let bad = |column, reason: String| damage("entries", entry.position, column, reason);
    let leaf =
        Leaf::parse(&entry.sealed.leaf).map_err(|e: LeafError| bad("leaf", e.to_string()))?;
    if link(&entry.sealed.leaf) != entry.sealed.link {
        return Err(bad("link", "it is not the hash of the leaf".to_owned()));
    }
    Ok(leaf)
}

fn check_filing(filing: &FilingRow) -> Option<Damage> {
    let bad = |column, reason: &str| Some(damage("filings", filing.first_position, column, reason));
    if *blake3::hash(filing.jwt.as_bytes()).as_bytes() != filing.digest.0 {
        return bad("jwt", "it does not hash to its digest");
    }
    let Ok(jwt) = Jwt::parse(&filing.jwt) else { return bad("jwt", "it is not a filing") };
    if jwt.payload()["iss"] != *filing.iss {
        return bad("iss", "it is not what the filing says");
    }
    if jwt.payload()["jti"] != *filing.jti {
        return bad("jti", "it is not what the filing says");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use greffe_domain::event::{ClockKind, LedgerOpened};
    use greffe_domain::key::{SecretKey, simulated_party_key};
    use greffe_domain::kind::EventType;
    use greffe_domain::sdjwt;
    use greffe_domain::seal::{FilingRef, SealedEntry, StreamRef};
    use serde_json::json;

    use super::*;
    use crate::store::{Batch, Head, SqliteStore};

    const ORIGIN: &str = "fsck.greffe.example/ledger";

    /// A ledger of one opening, then filings of two agreements each, every entry with one
    /// disclosure, and an erasure of the first.
    struct Builder {
        key: SecretKey,
        head: Head,
        batch: Batch,
    }

    impl Builder {
        fn new() -> Self {
            let head = Head::empty();
            let batch = Batch {
                expected: head,
                entries: vec![],
                filings: vec![],
                disclosures: vec![],
                erased: vec![],
            };
            Self { key: simulated_party_key("ledger"), head, batch }
        }

        fn entry(
            &mut self,
            event: &str,
            event_type: EventType,
            stream: StreamRef,
            filing: Option<FilingRef>,
        ) {
            let position = self.head.size.next();
            let time = Timestamp::from_micros(1_700_000_000_000_000 + position.0 as i64);
            let cited = match filing {
                None => "null".to_owned(),
                Some(f) => format!("{{\"digest\":\"{}\",\"item\":{}}}", f.digest, f.item),
            };
            let leaf = format!(
                "{{\"event\":{event},\"filing\":{cited},\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA\",\
                 \"origin\":\"{ORIGIN}\",\"position\":{position},\"prev\":\"{}\",\
                 \"rulebook\":\"2026-11-21\",\"stream\":{{\"id\":\"{}\",\"type\":\"{}\",\
                 \"version\":{}}},\"time\":\"{time}\",\"v\":1}}",
                self.head.link, stream.id, stream.kind, stream.version
            )
            .into_bytes();
            let link = link(&leaf);
            let sealed = SealedEntry::sign(ORIGIN, position, leaf, link, &self.key);
            self.batch.entries.push(EntryRow {
                position,
                sealed,
                filing,
                stream,
                event_type,
                time,
            });
            self.head = Head { size: position.tree_size(), link };
        }

        fn opening(&mut self) {
            let opened = Event::LedgerOpened(Box::new(LedgerOpened {
                origin: ORIGIN.to_owned(),
                ledger_key: self.key.public().clone(),
                registrar: "greffe".to_owned(),
                registrar_key: simulated_party_key("greffe").public().clone(),
                clock: ClockKind::Simulated,
                opened_at: Timestamp::from_micros(1_700_000_000_000_000),
            }));
            let mut event = Vec::new();
            opened.write_canonical(&mut event);
            let stream =
                StreamRef { id: "ledger".to_owned(), kind: StreamType::Ledger, version: 1 };
            let event = String::from_utf8(event).expect("canonical JSON is UTF-8");
            self.entry(&event, EventType::LedgerOpened, stream, None);
        }

        fn filing(&mut self, n: u64, items: u32) -> FilingRef {
            let author = simulated_party_key("cnamts");
            let payload = json!({"iss": "cnamts", "jti": format!("jti-{n}")});
            let jwt = sdjwt::sign(&payload, sdjwt::TYP_FILING, &author);
            let digest = Hash32(*blake3::hash(jwt.as_bytes()).as_bytes());
            self.batch.filings.push(FilingRow {
                first_position: self.head.size.next(),
                items,
                digest,
                iss: "cnamts".to_owned(),
                jti: format!("jti-{n}"),
                jwt,
            });
            FilingRef { digest, item: 0 }
        }

        fn agreements(&mut self, n: u64) {
            let filing = self.filing(n, 2);
            for item in 0..2 {
                let number = n * 2 + u64::from(item);
                let salt = base64url(&u128::from(number).to_be_bytes());
                let encoded = base64url(format!("[\"{salt}\",\"subject\",\"person\"]").as_bytes());
                let disclosure = Disclosure::parse(&encoded).expect("a disclosure");
                let digest = digest_of(disclosure.digest_str()).expect("a digest");
                let event = format!(
                    "{{\"data\":{{\"body\":{{\"_sd\":[\"{}\"]}}}},\"type\":\"SubjectAgreed\",\"version\":1}}",
                    disclosure.digest_str()
                );
                let position = self.head.size.next();
                self.batch.disclosures.push(DisclosureRow { position, digest, encoded });
                let stream = StreamRef {
                    id: "anaiss".to_owned(),
                    kind: StreamType::Processing,
                    version: number + 1,
                };
                let filing = Some(FilingRef { item, ..filing });
                self.entry(&event, EventType::SubjectAgreed, stream, filing);
            }
        }

        fn erasure(&mut self, digest: Hash32) {
            let filing = self.filing(999, 1);
            let event = format!(
                "{{\"data\":{{\"body\":{{\"digests\":[\"{}\"]}}}},\"type\":\"SubjectErased\",\"version\":1}}",
                base64url(&digest.0)
            );
            let id = self.head.size.to_string();
            let stream = StreamRef { id, kind: StreamType::Subject, version: 1 };
            self.entry(&event, EventType::SubjectErased, stream, Some(filing));
        }

        fn flush(&mut self) -> Batch {
            let next = Batch {
                expected: self.head,
                entries: vec![],
                filings: vec![],
                disclosures: vec![],
                erased: vec![],
            };
            std::mem::replace(&mut self.batch, next)
        }
    }

    use greffe_domain::encoding::base64url;

    async fn ledger(directory: &Path) -> Trust {
        let store = SqliteStore::create(directory, ORIGIN).expect("a store");
        let mut builder = Builder::new();
        builder.opening();
        // More than a page, so that a filing spans two.
        for n in 0..700 {
            builder.agreements(n);
        }
        let first = builder.batch.disclosures[0].digest;
        store.append(builder.flush()).await.expect("an append");
        builder.erasure(first);
        let mut batch = builder.flush();
        batch.erased.push(first);
        store.append(batch).await.expect("an append");
        Trust {
            origin: ORIGIN.to_owned(),
            ledger_key: builder.key.public().clone(),
            min_size: Some(TreeSize(1_402)),
        }
    }

    async fn check(directory: &Path, trust: &Trust) -> Result<Checked, FsckError> {
        let store = SqliteStore::open_read_only(directory).expect("a store");
        fsck(&store, Some(trust), |_, _| {}).await
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sound_ledger_is_found_sound() {
        let directory = tempfile::tempdir().expect("a directory");
        let trust = ledger(directory.path()).await;
        let checked = check(directory.path(), &trust).await.expect("sound");
        let expected = Checked { entries: 1_402, filings: 701, disclosures: 1_399, erased: 1 };
        assert_eq!(checked, expected);
    }

    /// Each edit past the triggers is found, at its row and column.
    #[tokio::test(flavor = "multi_thread")]
    async fn every_kind_of_edit_is_named_by_row_and_column() {
        let sound = tempfile::tempdir().expect("a directory");
        let trust = ledger(sound.path()).await;
        let first = |column: &'static str, at: u64| ("entries", at, column);
        for (edit, (table, position, column)) in [
            (
                "UPDATE entries SET leaf = replace(leaf, 'AAA', 'AAB') WHERE position = 5",
                first("link", 5),
            ),
            ("UPDATE entries SET leaf = leaf || ' ' WHERE position = 5", first("leaf", 5)),
            ("UPDATE entries SET link = zeroblob(32) WHERE position = 1300", first("link", 1300)),
            ("UPDATE entries SET link = zeroblob(31) WHERE position = 1300", first("(row)", 1300)),
            (
                "UPDATE entries SET signature = zeroblob(64) WHERE position = 7",
                first("signature", 7),
            ),
            ("UPDATE entries SET kid = 'x' WHERE position = 7", first("kid", 7)),
            (
                "UPDATE entries SET stream_type = 'party' WHERE position = 7",
                first("stream_type", 7),
            ),
            ("UPDATE entries SET stream_type = 'nothing' WHERE position = 7", first("(row)", 7)),
            ("UPDATE entries SET stream_id = 'x' WHERE position = 7", first("stream_id", 7)),
            (
                "UPDATE entries SET stream_version = 9999 WHERE position = 7",
                first("stream_version", 7),
            ),
            (
                "UPDATE entries SET event_type = 'KeyRevoked' WHERE position = 7",
                first("event_type", 7),
            ),
            ("UPDATE entries SET recorded = recorded + 1 WHERE position = 7", first("recorded", 7)),
            ("UPDATE entries SET item = 0 WHERE position = 8", first("item", 8)),
            ("UPDATE entries SET filing = zeroblob(32) WHERE position = 8", first("filing", 8)),
            (
                "UPDATE entries SET filing = NULL, item = NULL WHERE position = 8",
                first("filing", 8),
            ),
            ("DELETE FROM entries WHERE position = 20", first("position", 20)),
            ("DELETE FROM entries WHERE position > 1300", first("position", 1301)),
            ("UPDATE filings SET jwt = jwt || 'A' WHERE first_position = 9", ("filings", 9, "jwt")),
            ("UPDATE filings SET iss = 'cnil' WHERE first_position = 9", ("filings", 9, "iss")),
            ("UPDATE filings SET jti = 'x' WHERE first_position = 9", ("filings", 9, "jti")),
            (
                "UPDATE filings SET items = 1 WHERE first_position = 9",
                ("filings", 10, "first_position"),
            ),
            (
                "UPDATE filings SET items = 3 WHERE first_position = 9",
                ("filings", 11, "first_position"),
            ),
            ("DELETE FROM filings WHERE first_position = 9", ("filings", 9, "first_position")),
            (
                "UPDATE filings SET first_position = 2000 WHERE first_position = 1401",
                ("filings", 1401, "first_position"),
            ),
            (
                "UPDATE disclosures SET encoded = encoded || 'A' WHERE position = 9",
                ("disclosures", 9, "encoded"),
            ),
            (
                "UPDATE disclosures SET digest = zeroblob(32) WHERE position = 9",
                ("disclosures", 9, "encoded"),
            ),
            (
                "UPDATE disclosures SET position = 10 WHERE position = 9",
                ("disclosures", 9, "encoded"),
            ),
            (
                "UPDATE disclosures SET position = 5000 WHERE position = 9",
                ("disclosures", 9, "encoded"),
            ),
            ("DELETE FROM disclosures WHERE position = 9", ("disclosures", 9, "encoded")),
        ] {
            let directory = tempfile::tempdir().expect("a directory");
            std::fs::copy(
                sound.path().join(crate::store::sqlite::LEDGER_FILE),
                directory.path().join(crate::store::sqlite::LEDGER_FILE),
            )
            .expect("a copy");
            let connection = rusqlite::Connection::open(
                directory.path().join(crate::store::sqlite::LEDGER_FILE),
            )
            .expect("the file opens");
            let triggers: Vec<String> = connection
                .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
                .expect("a statement")
                .query_map([], |row| row.get(0))
                .expect("rows")
                .collect::<Result<_, _>>()
                .expect("names");
            for name in triggers {
                connection.execute(&format!("DROP TRIGGER {name}"), []).expect("dropped");
            }
            assert!(connection.execute(edit, []).expect(edit) > 0, "{edit}");
            drop(connection);
            match check(directory.path(), &trust).await {
                Err(FsckError::Damaged(d)) => {
                    assert_eq!(
                        (d.table, d.position.0, d.column),
                        (table, position, column),
                        "{edit}: {d}"
                    );
                }
                other => panic!("{edit}: {other:?}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_key_or_a_shorter_ledger_than_trusted_is_damage() {
        let directory = tempfile::tempdir().expect("a directory");
        let trust = ledger(directory.path()).await;
        let other =
            Trust { ledger_key: simulated_party_key("x").public().clone(), ..trust.clone() };
        let longer = Trust { min_size: Some(TreeSize(1_403)), ..trust };
        for trust in [other, longer] {
            assert!(matches!(check(directory.path(), &trust).await, Err(FsckError::Damaged(_))));
        }
    }
}
