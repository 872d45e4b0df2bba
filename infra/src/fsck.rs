//! Re-checks every stored byte, and names the first bad row, table and column.
//!
//! What it holds the store to: leaves are canonical and chained, links and signatures are
//! theirs, columns repeat their members, filings hash to what entries cite, cover them exactly
//! and have a name of their own, disclosures are of digests that stand in their entry, and
//! none is missing that no erasure names. What a store keeps of its own, by which filings and
//! values are found again, it checks itself ([`Store::own_damage`]). Whether an event is what
//! its filing says, and whether verdicts are right, is the verifier's business
//! (`greffe-verify`).
//!
//! Everything is stored at least twice, in a leaf, a hash or a signature: where these tell
//! which of two is wrong, that column is named. A ledger may grow meanwhile; what is checked
//! is what it held at the start.

use std::collections::{HashMap, HashSet};

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::Event;
use greffe_domain::filing::collect_digests;
use greffe_domain::key::PublicKey;
use greffe_domain::kind::StreamType;
use greffe_domain::sdjwt::{Disclosure, Jwt};
use greffe_domain::seal::{Leaf, LeafError, Position, TreeSize, entry_text, link};
use rayon::prelude::*;

use crate::store::damage::UnreadableCell;
pub use crate::store::{Damage, Row};
use crate::store::{DisclosureRow, EntryRow, Fault, FilingKey, FilingRow, Head, Store};
use crate::trust::Trust;

/// Rows read at once.
const PAGE: usize = 1_024;

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

impl From<Fault> for FsckError {
    fn from(fault: Fault) -> Self {
        match UnreadableCell::behind(&fault) {
            Some(cell) => Self::Damaged(cell.damage()),
            None => Self::Unreadable(fault),
        }
    }
}

/// `trust`: whose ledger it must be; without it, the key of position 0 is taken at its word.
/// `progress`: called with the entries checked so far and their number.
pub async fn fsck(
    store: &dyn Store,
    trust: Option<&Trust>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Checked, FsckError> {
    let head = store.head().await?;
    if let Some(min_size) = trust.and_then(|t| t.min_size)
        && head.size < min_size
    {
        let reason = format!("the ledger had {min_size} entries and has {}", head.size);
        return Err(damage("entries", head.size.next(), "position", reason).into());
    }
    let mut check = Check::new(store.origin(), trust, head, Erased::default());
    let mut repeated = None;
    while check.position() < head.size.next() {
        let from = check.position();
        let entries = read_page(store, from).await?;
        let last = entries.last().map(|e| e.position.tree_size().next());
        let Some(until) = last.filter(|until| *until > from) else {
            return Err(damage("entries", from, "position", "this entry is missing").into());
        };
        // A filing may have begun on the page before: it was read then.
        let filings = read_filings(store, check.filings_from, until).await?;
        let disclosures = store.disclosures(from, until).await?;
        // After them: what is gone from them is erased by what is read now.
        check.erased.read_on(store, head.size).await?;
        if repeated.is_none() {
            repeated = recorded_before(store, &filings).await?;
        }
        if let Err(damage) = check.page(&entries, filings, disclosures) {
            return Err(match check.missing.take() {
                Some(digest) => whereabouts(store, damage, digest).await?,
                None => damage,
            }
            .into());
        }
        progress(check.checked.entries.min(head.size.0), head.size.0);
    }
    let checked = check.end(store).await?;
    if let Some(trust) = trust
        && trust.origin != store.origin()
    {
        let reason = format!("the trust file names `{}`", trust.origin);
        return Err(origin_damage(reason).into());
    }
    match store.own_damage().await?.or(repeated) {
        Some(damage) => Err(damage.into()),
        None => Ok(checked),
    }
}

/// The first filing whose author and jti lead to another one.
///
/// Where they lead to none is the store's to find ([`Store::own_damage`]): opened for
/// reading, it may not know yet by name what was recorded a moment ago.
async fn recorded_before(
    store: &dyn Store,
    filings: &[FilingRow],
) -> Result<Option<Damage>, FsckError> {
    let names: Vec<FilingKey<'_>> =
        filings.iter().map(|f| FilingKey { iss: &f.iss, jti: &f.jti }).collect();
    let found = store.filings_by_key(&names).await?;
    Ok(filings.iter().zip(found).find_map(|(filing, found)| {
        let at = found?.first_position;
        let reason = format!("the filing at position {at} has the same author and jti");
        (at != filing.first_position)
            .then(|| damage("filings", filing.first_position, "jti", reason))
    }))
}

/// Whether a value that is missing from its entry stands elsewhere.
async fn whereabouts(
    store: &dyn Store,
    missing: Damage,
    digest: Hash32,
) -> Result<Damage, FsckError> {
    if let Some(damage) = store.own_damage().await?
        && damage.table == missing.table
    {
        return Ok(damage);
    }
    let size = store.head().await?.size.0;
    let mut from = 0;
    while from < u64::MAX {
        let until = if from < size { from + PAGE as u64 } else { i64::MAX as u64 };
        let rows = store.disclosures(Position(from), Position(until)).await?;
        if let Some(row) = rows.iter().find(|row| row.digest == digest) {
            let reason = format!("the row of this entry stands at position {}", row.position);
            return Ok(Damage { column: "position", reason, ..missing });
        }
        from = if from < size { until } else { u64::MAX };
    }
    Ok(missing)
}

fn origin_damage(reason: String) -> Damage {
    Damage { table: "ledger", row: Row::Named("id = 1".to_owned()), column: "origin", reason }
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
    if UnreadableCell::behind(&fault).is_some() {
        return Err(fault.into());
    }
    for position in (from.0..).take(PAGE).map(Position) {
        if let Err(fault) = store.entry(position).await {
            let cause = std::error::Error::source(&fault).map(ToString::to_string);
            let reason = cause.unwrap_or_else(|| fault.to_string());
            return Err(damage("entries", position, "(row)", reason).into());
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
        let page = store.filings(next, PAGE).await?;
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

/// The digests that erasures name, and the position of the first that does.
#[derive(Default)]
pub(crate) struct Erased {
    by: HashMap<Hash32, Position>,
    read_until: Position,
}

impl Erased {
    /// Reads the erasures that came since, those below `size` at least.
    pub(crate) async fn read_on(
        &mut self,
        store: &dyn Store,
        size: TreeSize,
    ) -> Result<(), FsckError> {
        loop {
            let found =
                store.entries_of_types(&[StreamType::Subject], self.read_until, PAGE).await?;
            let page = found.or_late(size)?;
            let Some(last) = page.last() else { return Ok(()) };
            self.read_until = last.position.tree_size().next();
            for entry in &page {
                for digest in erased_by(&entry.sealed.leaf) {
                    self.by.entry(digest).or_insert(entry.position);
                }
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
    Damage::at(table, position, column, reason)
}

pub(crate) struct Check<'a> {
    origin: &'a str,
    /// Signs the next entry.
    key: Option<PublicKey>,
    prev: Hash32,
    time: Option<Timestamp>,
    /// Version of every stream but those of one entry at their own position.
    streams: HashMap<(StreamType, String), u64>,
    /// What the ledger held when the check began.
    head: Head,
    pub(crate) erased: Erased,
    /// The filing that the next entry is to continue, and which item comes.
    open: Option<(FilingRow, u32)>,
    /// The filing that ended last: its digest, where it began, and how many items it has.
    ended: Option<(Hash32, Position, u32)>,
    filings_from: Position,
    /// The value whose absence was found last.
    missing: Option<Hash32>,
    checked: Checked,
}

impl<'a> Check<'a> {
    pub(crate) fn new(origin: &'a str, trust: Option<&Trust>, head: Head, erased: Erased) -> Self {
        Self {
            origin,
            key: trust.map(|t| t.ledger_key.clone()),
            prev: Hash32::ZERO,
            time: None,
            streams: HashMap::new(),
            head,
            erased,
            open: None,
            ended: None,
            filings_from: Position(0),
            missing: None,
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
    ) -> Result<(), Damage> {
        // What takes time, on all cores; what depends on the row before, afterwards.
        let leaves: Vec<(Result<Leaf, String>, Hash32)> = entries
            .par_iter()
            .map(|e| {
                let leaf = Leaf::parse(&e.sealed.leaf).map_err(|e: LeafError| e.to_string());
                (leaf, link(&e.sealed.leaf))
            })
            .collect();
        let texts: Vec<Result<Jwt, String>> = filings.par_iter().map(read_filing).collect();
        let mut disclosures = disclosures.into_iter().peekable();
        let mut filings = filings.into_iter().zip(texts).peekable();
        let (mut signed, mut keys) = (Vec::with_capacity(entries.len()), Vec::new());
        for (entry, (leaf, linked)) in entries.iter().zip(leaves) {
            let position = self.position();
            if entry.position != position {
                let reason = "this entry is missing";
                return Err(damage("entries", position, "position", reason));
            }
            let leaf = leaf.map_err(|reason| damage("entries", position, "leaf", reason))?;
            self.linked(entry, &leaf, linked)?;
            self.chain(entry, &leaf)?;
            let key = self.key_of(position, &leaf)?;
            if entry.sealed.kid != key.kid() {
                let reason = format!("the ledger's key here is {}", key.kid());
                return Err(damage("entries", position, "kid", reason));
            }
            if keys.last() != Some(&key) {
                keys.push(key);
            }
            signed.push((entry, keys.len() - 1));
            while let Some((filing, text)) = filings.next_if(|(f, _)| f.first_position <= position)
            {
                self.open_filing(filing, text, entry)?;
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
                Err(damage("entries", entry.position, "signature", reason))
            }
        }
    }

    /// Whether the ledger's key signed this link here, as far as a key is known.
    fn is_signed(&self, entry: &EntryRow, leaf: &Leaf, origin: &str, link: &Hash32) -> bool {
        let opening = || match Event::read(&leaf.event) {
            Ok(Event::LedgerOpened(opened)) => Some(opened.ledger_key),
            _ => None,
        };
        let text = entry_text(origin, entry.position, link);
        let key = self.key.clone().or_else(opening);
        key.is_some_and(|key| key.verify(text.as_bytes(), &entry.sealed.signature))
    }

    /// The link is that of the leaf. If not, the signature tells which of the two it is of.
    fn linked(&self, entry: &EntryRow, leaf: &Leaf, linked: Hash32) -> Result<(), Damage> {
        if entry.sealed.link == linked {
            return Ok(());
        }
        let bad = |column, reason| Err(damage("entries", entry.position, column, reason));
        if self.is_signed(entry, leaf, self.origin, &entry.sealed.link) {
            bad("leaf", "it does not hash to its link, which is signed")
        } else {
            bad("link", "it is not the hash of the leaf")
        }
    }

    /// The members that tie a leaf to its row and to the row before.
    fn chain(&mut self, entry: &EntryRow, leaf: &Leaf) -> Result<(), Damage> {
        let position = self.position();
        let bad = |column, reason: String| Err(damage("entries", position, column, reason));
        if leaf.origin != self.origin {
            if self.is_signed(entry, leaf, &leaf.origin, &entry.sealed.link) {
                let reason = format!("the entries are signed for `{}`", leaf.origin);
                return Err(origin_damage(reason));
            }
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

    /// A filing whose first item is this entry's.
    fn open_filing(
        &mut self,
        filing: FilingRow,
        text: Result<Jwt, String>,
        entry: &EntryRow,
    ) -> Result<(), Damage> {
        let bad =
            |column, reason: &str| Err(damage("filings", filing.first_position, column, reason));
        if filing.first_position != entry.position {
            return bad("first_position", "an earlier filing covers it");
        }
        let cited = entry.filing.map(|f| f.digest);
        let hash = Hash32(*blake3::hash(filing.jwt.as_bytes()).as_bytes());
        if let Some((open, next)) = &self.open {
            // The entry's leaf is sound: what it cites is the filing that is here.
            if cited == Some(hash) || cited == Some(filing.digest) {
                let reason = format!("its item {next} is not recorded");
                return Err(damage("filings", open.first_position, "items", reason));
            }
            return bad("first_position", "an earlier filing covers it");
        }
        if hash != filing.digest {
            // The leaf repeats the digest.
            return if cited == Some(hash) {
                bad("digest", "it is not the hash of the filing, which its entry cites")
            } else {
                bad("jwt", "it does not hash to its digest")
            };
        }
        let jwt = match text {
            Ok(jwt) => jwt,
            Err(reason) => return bad("jwt", &reason),
        };
        if jwt.payload()["iss"] != *filing.iss {
            return bad("iss", "it is not what the filing says");
        }
        if jwt.payload()["jti"] != *filing.jti {
            return bad("jti", "it is not what the filing says");
        }
        if filing.items == 0 {
            return bad("items", "a filing has at least one item");
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
            (None, Some(cited)) => Err(match self.ended {
                Some((digest, first, items)) if digest == cited.digest && cited.item == items => {
                    let reason = format!("entry {position} is of its item {items}");
                    damage("filings", first, "items", reason)
                }
                _ => damage("filings", position, "first_position", "the filing cited is missing"),
            }),
            (Some((filing, next)), None) => {
                let reason = format!("its item {next} is not recorded");
                Err(damage("filings", filing.first_position, "items", reason))
            }
            (Some((filing, next)), Some(cited)) => {
                if cited.digest != filing.digest {
                    // At its first item it is not the filing that belongs there; at a later
                    // one, another filing has begun, whose row is missing.
                    return Err(match *next {
                        0 => damage(
                            "filings",
                            filing.first_position,
                            "first_position",
                            format!("entry {position} cites another filing"),
                        ),
                        _ if cited.item == 0 => {
                            let reason = "the filing cited is missing";
                            damage("filings", position, "first_position", reason)
                        }
                        _ => damage(
                            "filings",
                            filing.first_position,
                            "items",
                            format!("entry {position} cites another filing"),
                        ),
                    });
                }
                if cited.item != *next {
                    let reason = format!("item {next} comes here");
                    return Err(damage("entries", position, "item", reason));
                }
                *next += 1;
                if *next == filing.items {
                    self.ended = Some((filing.digest, filing.first_position, filing.items));
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
            match read {
                Some(read) if read == row.digest => {
                    if !standing.remove(&row.digest) {
                        return bad("position", "this entry does not hold its digest");
                    }
                }
                // The leaf repeats the digest.
                Some(read) if standing.contains(&read) => {
                    return bad("digest", "it is not that of the value, which stands in the entry");
                }
                _ => return bad("encoded", "it does not hash to its digest"),
            }
            match self.erased.by.get(&row.digest) {
                Some(by) if *by < position => {
                    let reason = format!("entry {by} erased this value before: it is back");
                    return Err(damage("disclosures", position, "encoded", reason));
                }
                // An erasure since the check began may have found it just after it was read.
                Some(by) if *by > position && *by < self.head.size.next() => {
                    return bad("encoded", "an erasure names it, and it is still there");
                }
                _ => {}
            }
            self.checked.disclosures += 1;
        }
        for digest in standing {
            if self.erased.by.get(&digest).is_none_or(|by| *by <= position) {
                self.missing = Some(digest);
                let reason = "a value of this entry is missing, and no erasure names it";
                return Err(damage("disclosures", position, "encoded", reason));
            }
            self.checked.erased += 1;
        }
        Ok(())
    }

    /// Nothing is left over: no item to come, no row that no entry accounts for.
    pub(crate) async fn end(self, store: &dyn Store) -> Result<Checked, FsckError> {
        // The last filing may end among entries that were appended since.
        if let Some((filing, next)) = &self.open
            && self.position() == self.head.size.next()
        {
            let reason = format!("its item {next} is not recorded");
            return Err(damage("filings", filing.first_position, "items", reason).into());
        }
        let mut size = self.position();
        let (filing, row) = loop {
            let filing = store.filings(size, 1).await?.into_iter().next();
            let end = Position(i64::MAX as u64);
            let row = store.disclosures(size, end).await?.into_iter().next();
            // Appended since, with the entries that account for them.
            let now = store.head().await?.size.next();
            if now == size {
                break (filing, row);
            }
            size = now;
        };
        if let Some(filing) = filing {
            let reason = "there is no such entry";
            return Err(damage("filings", filing.first_position, "first_position", reason).into());
        }
        if let Some(row) = row {
            let reason = "there is no such entry";
            return Err(damage("disclosures", row.position, "position", reason).into());
        }
        Ok(self.checked)
    }
}

fn read_filing(filing: &FilingRow) -> Result<Jwt, String> {
    Jwt::parse(&filing.jwt).map_err(|_| "it is not a filing".to_owned())
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
    use crate::store::sqlite::LEDGER_FILE;
    use crate::store::{Batch, FaultKind, SqliteStore};

    const ORIGIN: &str = "fsck.greffe.example/ledger";

    /// A ledger of one opening, then filings of two agreements each, every entry with one
    /// disclosure, and an erasure of the first.
    struct Builder {
        key: SecretKey,
        head: Head,
        batch: Batch,
        agreements: u64,
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
            Self { key: simulated_party_key("ledger"), head, batch, agreements: 0 }
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
            self.agreements_of(n, n);
        }

        /// `name`: of the filing; `values`: what it is about.
        fn agreements_of(&mut self, name: u64, values: u64) {
            let filing = self.filing(name, 2);
            for item in 0..2 {
                let number = values * 2 + u64::from(item);
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
                    version: self.agreements + 1,
                };
                self.agreements += 1;
                let filing = Some(FilingRef { item, ..filing });
                self.entry(&event, EventType::SubjectAgreed, stream, filing);
            }
        }

        fn erasure(&mut self, digest: Hash32) {
            let filing = self.filing(10_000 + self.head.size.0, 1);
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
        grown(directory).await.0
    }

    async fn grown(directory: &Path) -> (Trust, Builder) {
        let store = SqliteStore::create(directory, ORIGIN).expect("a store");
        let mut builder = Builder::new();
        builder.opening();
        // More than a page, so that a filing spans two.
        for n in 0..700 {
            builder.agreements(n);
        }
        let first = builder.batch.disclosures[0].digest;
        store.append(builder.flush()).await.expect("an append");
        // Before the erasure, which leaves a key that leads to no value any more.
        sweep(directory, 1_000);
        builder.erasure(first);
        let mut batch = builder.flush();
        batch.erased.push(first);
        store.append(batch).await.expect("an append");
        let trust = Trust {
            origin: ORIGIN.to_owned(),
            ledger_key: builder.key.public().clone(),
            min_size: Some(TreeSize(1_402)),
        };
        (trust, builder)
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

    /// Opens the file to edit it past the triggers, which are there again afterwards.
    fn edit(directory: &Path, edits: &[&str]) {
        let connection =
            rusqlite::Connection::open(directory.join(LEDGER_FILE)).expect("the file opens");
        let triggers: Vec<(String, String)> = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
            .expect("a statement")
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("names");
        for (name, _) in &triggers {
            connection.execute(&format!("DROP TRIGGER {name}"), []).expect("dropped");
        }
        connection.pragma_update(None, "ignore_check_constraints", true).expect("set");
        for edit in edits {
            assert!(connection.execute(edit, []).expect(edit) > 0, "{edit}");
        }
        for (_, sql) in &triggers {
            connection.execute_batch(sql).expect("made again");
        }
    }

    fn copy_of(sound: &Path) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::copy(sound.join(LEDGER_FILE), directory.path().join(LEDGER_FILE)).expect("a copy");
        directory
    }

    /// Puts every key of a row before this position in its table, as sweeps do.
    fn sweep(directory: &Path, below: i64) {
        use crate::store::sqlite::keys_of_rows;
        let file = directory.join(LEDGER_FILE);
        let connection = rusqlite::Connection::open(file).expect("the file opens");
        for (table, keys) in keys_of_rows(&connection).expect("rows") {
            for (hash, position) in keys.into_iter().filter(|(_, position)| *position < below) {
                let sql = format!("INSERT INTO {table} VALUES (?1, ?2)");
                connection.execute(&sql, [hash, position]).expect("a key");
            }
            connection
                .execute(
                    "UPDATE late_indexes SET complete_below = ?1 WHERE name = ?2",
                    (below, table),
                )
                .expect("a claim");
        }
    }

    fn named(name: &str) -> Row {
        Row::Named(name.to_owned())
    }

    /// One edit of a column, and where it is found. Edits of keys name their row by position:
    /// its hash is the ledger's.
    type Edit = (&'static str, &'static str, &'static str, Row);

    /// Each column of each table is edited at least once: the table, the row and the column
    /// that were edited are named, not what they disagree with.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_edit_of_any_column_of_any_table_is_named_by_table_row_and_column() {
        let sound = tempfile::tempdir().expect("a directory");
        let trust = ledger(sound.path()).await;
        let checked = check(sound.path(), &trust).await.expect("sound");
        assert_eq!((checked.entries, checked.erased), (1_402, 1));

        let p = Row::Position;
        let key = |position| Row::Key { hash: 0, position };
        let edits: &[Edit] = &[
            ("ledger", "id", "UPDATE ledger SET id = 2", named("id = 2")),
            ("ledger", "origin", "UPDATE ledger SET origin = 'x.example'", named("id = 1")),
            ("ledger", "settled", "UPDATE ledger SET settled = -1", named("id = 1")),
            ("ledger", "settled", "UPDATE ledger SET settled = 1 << 62", named("id = 1")),
            // A row that was moved is named by where it belongs.
            ("entries", "position", "UPDATE entries SET position = 5000 WHERE position = 7", p(7)),
            ("entries", "position", "UPDATE entries SET position = -1 WHERE position = 7", p(7)),
            (
                "entries",
                "position",
                "UPDATE entries SET position = 1500 WHERE position = 1401",
                p(1_401),
            ),
            ("entries", "position", "DELETE FROM entries WHERE position = 20", p(20)),
            ("entries", "position", "DELETE FROM entries WHERE position > 1300", p(1_301)),
            (
                "entries",
                "stream_type",
                "UPDATE entries SET stream_type = 'party' WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "stream_type",
                "UPDATE entries SET stream_type = 'nothing' WHERE position = 1300",
                p(1_300),
            ),
            ("entries", "stream_id", "UPDATE entries SET stream_id = 'x' WHERE position = 7", p(7)),
            (
                "entries",
                "stream_version",
                "UPDATE entries SET stream_version = 9999 WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "stream_version",
                "UPDATE entries SET stream_version = -1 WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "event_type",
                "UPDATE entries SET event_type = 'KeyRevoked' WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "event_type",
                "UPDATE entries SET event_type = 'Nothing' WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "recorded",
                "UPDATE entries SET recorded = recorded + 1 WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "filing",
                "UPDATE entries SET filing = zeroblob(32) WHERE position = 8",
                p(8),
            ),
            (
                "entries",
                "filing",
                "UPDATE entries SET filing = zeroblob(31) WHERE position = 8",
                p(8),
            ),
            ("entries", "filing", "UPDATE entries SET filing = NULL WHERE position = 8", p(8)),
            (
                "entries",
                "filing",
                "UPDATE entries SET filing = NULL, item = NULL WHERE position = 8",
                p(8),
            ),
            (
                "entries",
                "filing",
                "UPDATE entries SET filing = zeroblob(32) WHERE position = 0",
                p(0),
            ),
            ("entries", "item", "UPDATE entries SET item = 0 WHERE position = 8", p(8)),
            ("entries", "item", "UPDATE entries SET item = -1 WHERE position = 8", p(8)),
            ("entries", "item", "UPDATE entries SET item = NULL WHERE position = 8", p(8)),
            ("entries", "item", "UPDATE entries SET item = 0 WHERE position = 0", p(0)),
            ("entries", "kid", "UPDATE entries SET kid = 'x' WHERE position = 7", p(7)),
            (
                "entries",
                "link",
                "UPDATE entries SET link = zeroblob(32) WHERE position = 1300",
                p(1_300),
            ),
            (
                "entries",
                "link",
                "UPDATE entries SET link = zeroblob(31) WHERE position = 1300",
                p(1_300),
            ),
            (
                "entries",
                "signature",
                "UPDATE entries SET signature = zeroblob(64) WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "signature",
                "UPDATE entries SET signature = zeroblob(63) WHERE position = 7",
                p(7),
            ),
            (
                "entries",
                "leaf",
                "UPDATE entries SET leaf = replace(leaf, 'AAA', 'AAB') WHERE position = 5",
                p(5),
            ),
            (
                "entries",
                "leaf",
                "UPDATE entries SET leaf = replace(leaf, 'AAA', 'AAB') WHERE position = 0",
                p(0),
            ),
            ("entries", "leaf", "UPDATE entries SET leaf = leaf || ' ' WHERE position = 5", p(5)),
            (
                "filings",
                "first_position",
                "UPDATE filings SET first_position = 2000 WHERE first_position = 1401",
                p(1_401),
            ),
            (
                "filings",
                "first_position",
                "UPDATE filings SET first_position = -1 WHERE first_position = 9",
                p(9),
            ),
            (
                "filings",
                "first_position",
                "UPDATE filings SET first_position = 10 WHERE first_position = 9",
                p(9),
            ),
            // Now in the middle of another one.
            (
                "filings",
                "first_position",
                "UPDATE filings SET first_position = 8 WHERE first_position = 9",
                p(8),
            ),
            ("filings", "first_position", "DELETE FROM filings WHERE first_position = 9", p(9)),
            ("filings", "items", "UPDATE filings SET items = 0 WHERE first_position = 9", p(9)),
            ("filings", "items", "UPDATE filings SET items = 1 WHERE first_position = 9", p(9)),
            ("filings", "items", "UPDATE filings SET items = 3 WHERE first_position = 9", p(9)),
            ("filings", "items", "UPDATE filings SET items = -1 WHERE first_position = 9", p(9)),
            (
                "filings",
                "items",
                "UPDATE filings SET items = 2 WHERE first_position = 1401",
                p(1_401),
            ),
            (
                "filings",
                "digest",
                "UPDATE filings SET digest = zeroblob(32) WHERE first_position = 9",
                p(9),
            ),
            (
                "filings",
                "digest",
                "UPDATE filings SET digest = zeroblob(31) WHERE first_position = 9",
                p(9),
            ),
            ("filings", "iss", "UPDATE filings SET iss = 'cnil' WHERE first_position = 9", p(9)),
            ("filings", "jti", "UPDATE filings SET jti = 'x' WHERE first_position = 9", p(9)),
            (
                "filings",
                "jti",
                "UPDATE filings SET jti = CAST(x'ff' AS TEXT) WHERE first_position = 9",
                p(9),
            ),
            (
                "filings",
                "jwt",
                "UPDATE filings SET jwt = jwt || 'A' WHERE first_position = 9",
                p(9),
            ),
            (
                "disclosures",
                "position",
                "UPDATE disclosures SET position = 10 WHERE position = 9",
                p(9),
            ),
            (
                "disclosures",
                "position",
                "UPDATE disclosures SET position = 5000 WHERE position = 9",
                p(9),
            ),
            // Before its own entry, where it is met first, or no entry could be.
            (
                "disclosures",
                "position",
                "UPDATE disclosures SET position = 8 WHERE position = 9",
                p(8),
            ),
            (
                "disclosures",
                "position",
                "UPDATE disclosures SET position = -1 WHERE position = 9",
                p(-1),
            ),
            (
                "disclosures",
                "digest",
                "UPDATE disclosures SET digest = zeroblob(32) WHERE position = 9",
                p(9),
            ),
            (
                "disclosures",
                "digest",
                "UPDATE disclosures SET digest = zeroblob(31) WHERE position = 9",
                p(9),
            ),
            (
                "disclosures",
                "encoded",
                "UPDATE disclosures SET encoded = encoded || 'A' WHERE position = 9",
                p(9),
            ),
            ("disclosures", "encoded", "DELETE FROM disclosures WHERE position = 9", p(9)),
            (
                "filing_keys",
                "hash",
                "UPDATE filing_keys SET hash = hash + 1 WHERE position = 9",
                key(9),
            ),
            (
                "filing_keys",
                "position",
                "UPDATE filing_keys SET position = 11 WHERE position = 9",
                key(11),
            ),
            ("filing_keys", "(row)", "DELETE FROM filing_keys WHERE position = 9", key(9)),
            ("filing_keys", "(row)", "INSERT INTO filing_keys VALUES (5, 10)", key(10)),
            (
                "disclosure_keys",
                "hash",
                "UPDATE disclosure_keys SET hash = hash + 1 WHERE position = 9",
                key(9),
            ),
            (
                "disclosure_keys",
                "position",
                "UPDATE disclosure_keys SET position = 11 WHERE position = 9",
                key(11),
            ),
            ("disclosure_keys", "(row)", "DELETE FROM disclosure_keys WHERE position = 9", key(9)),
            (
                "disclosure_keys",
                "(row)",
                "INSERT INTO disclosure_keys VALUES (5, 5000)",
                key(5_000),
            ),
            (
                "late_indexes",
                "name",
                "UPDATE late_indexes SET name = 'x' WHERE name = 'filing_keys'",
                named("name = x"),
            ),
            ("late_indexes", "name", "INSERT INTO late_indexes VALUES ('y', 0)", named("name = y")),
            (
                "late_indexes",
                "(row)",
                "DELETE FROM late_indexes WHERE name = 'filing_keys'",
                named("name = filing_keys"),
            ),
            // Beyond the ledger, below nothing, and where no keys are yet. (Lowered, it only
            // makes a start read more.)
            (
                "late_indexes",
                "complete_below",
                "UPDATE late_indexes SET complete_below = 1403 WHERE name = 'filing_keys'",
                named("name = filing_keys"),
            ),
            (
                "late_indexes",
                "complete_below",
                "UPDATE late_indexes SET complete_below = -1 WHERE name = 'disclosure_keys'",
                named("name = disclosure_keys"),
            ),
            (
                "late_indexes",
                "complete_below",
                "UPDATE late_indexes SET complete_below = 1300 WHERE name = 'filing_keys'",
                named("name = filing_keys"),
            ),
            (
                "late_indexes",
                "complete_below",
                "UPDATE late_indexes SET complete_below = 1300 WHERE name = 'disclosure_keys'",
                named("name = disclosure_keys"),
            ),
        ];
        for (table, column, sql, row) in edits {
            let directory = copy_of(sound.path());
            edit(directory.path(), &[sql]);
            match check(directory.path(), &trust).await {
                Err(FsckError::Damaged(d)) => {
                    let found = match d.row.clone() {
                        Row::Key { position, .. } => Row::Key { hash: 0, position },
                        row => row,
                    };
                    assert_eq!((d.table, d.column, &found), (*table, *column, row), "{sql}: {d}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }

        // What the file has, so that a new column without an edit fails here.
        let file = rusqlite::Connection::open(sound.path().join(LEDGER_FILE)).expect("it opens");
        let columns: Vec<(String, String)> = file
            .prepare(
                "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c \
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
            )
            .expect("a statement")
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("names");
        assert_eq!(columns.len(), 30);
        for (table, column) in &columns {
            let edited = edits.iter().any(|(t, c, ..)| t == table && c == column);
            assert!(edited, "no edit of {table}.{column}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_trigger_that_was_removed_or_added_is_named() {
        let sound = tempfile::tempdir().expect("a directory");
        let trust = ledger(sound.path()).await;
        for (sql, object) in [
            ("DROP TRIGGER filings_are_never_removed", "trigger filings_are_never_removed"),
            ("DROP INDEX entries_by_stream", "index entries_by_stream"),
            (
                "CREATE TRIGGER x AFTER INSERT ON filings BEGIN DELETE FROM filing_keys; END",
                "trigger x",
            ),
        ] {
            let directory = copy_of(sound.path());
            let file = directory.path().join(LEDGER_FILE);
            let connection = rusqlite::Connection::open(file).expect("the file opens");
            connection.execute_batch(sql).expect(sql);
            drop(connection);
            match check(directory.path(), &trust).await {
                Err(FsckError::Damaged(d)) => {
                    assert_eq!((d.table, d.row), ("sqlite_schema", named(object)), "{sql}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    /// With a claim that its keys are elsewhere, a used filing would be taken for a new one.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_claim_about_keys_beyond_the_ledger_is_refused_at_opening() {
        let sound = tempfile::tempdir().expect("a directory");
        ledger(sound.path()).await;
        for (sql, index) in [
            (
                "UPDATE late_indexes SET complete_below = 1403 WHERE name = 'filing_keys'",
                "filing_keys",
            ),
            (
                "UPDATE late_indexes SET complete_below = -7 WHERE name = 'disclosure_keys'",
                "disclosure_keys",
            ),
        ] {
            let directory = copy_of(sound.path());
            edit(directory.path(), &[sql]);
            let fault = SqliteStore::open(directory.path()).err().expect("refused");
            assert_eq!(fault.kind(), FaultKind::Corrupt);
            let cause = std::error::Error::source(&fault).expect("a cause").to_string();
            assert!(cause.contains(index) && cause.contains("1402 entries"), "{cause}");
            // A reader needs no such claim: it finds what is there.
            let reader = SqliteStore::open_read_only(directory.path()).expect("a reader");
            let name = FilingKey { iss: "cnamts", jti: "jti-4" };
            let found = reader.filings_by_key(&[name]).await.expect("an answer");
            assert_eq!(found[0].map(|f| f.first_position), Some(Position(9)));
        }
    }

    /// Sealed, chained and signed: only the names tell.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_filing_recorded_twice_and_a_value_back_after_its_erasure_are_damage() {
        let sound = tempfile::tempdir().expect("a directory");
        let (trust, builder) = grown(sound.path()).await;
        for (name, values, row, column, earlier) in [
            (4, 2_000, ("filings", 1_402), "jti", 9),
            (3_000, 0, ("disclosures", 1_402), "encoded", 1_401),
        ] {
            let directory = copy_of(sound.path());
            let mut again = Builder { head: builder.head, agreements: 1_400, ..Builder::new() };
            again.batch.expected = builder.head;
            again.agreements_of(name, values);
            let store = SqliteStore::open(directory.path()).expect("a store");
            store.append(again.flush()).await.expect("an append");
            drop(store);
            match check(directory.path(), &trust).await {
                Err(FsckError::Damaged(d)) => {
                    let found = (d.table, &d.row, d.column);
                    assert_eq!(found, (row.0, &Row::Position(row.1), column), "{d}");
                    assert!(d.reason.contains(&earlier.to_string()), "{d}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Erasures and appends while it runs are no damage.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_ledger_that_grows_and_erases_while_it_is_checked_is_sound() {
        let directory = tempfile::tempdir().expect("a directory");
        let (trust, mut builder) = grown(directory.path()).await;
        let writer = SqliteStore::open(directory.path()).expect("a store");
        let reader = SqliteStore::open_read_only(directory.path()).expect("a store");
        // Of an entry of the second page.
        let rows = reader.disclosures(Position(1_300), Position(1_301)).await.expect("a row");
        let digest = rows[0].digest;
        let mut appended = false;
        let checked = fsck(&reader, Some(&trust), |_, _| {
            if std::mem::replace(&mut appended, true) {
                return;
            }
            builder.erasure(digest);
            builder.agreements(800);
            let mut batch = builder.flush();
            batch.erased.push(digest);
            tokio::task::block_in_place(|| {
                let appending = writer.append(batch);
                tokio::runtime::Handle::current().block_on(appending).expect("an append");
            });
        })
        .await
        .expect("sound");
        assert_eq!(checked.erased, 2);
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
