//! What every store must do, as one suite: each engine's tests call [`run`] with a way to
//! open it again.
//!
//! Leaves are made up (their shape is right, their signatures are not): a store does not
//! look into them.

use std::future::Future;

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::Hash32;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef, TreeSize};

use super::{
    AppendError, Batch, DisclosureRow, EntryRow, FilingKey, FilingRow, Head, Lead, RecordedFiling,
    Store,
};

/// The origin the suite expects.
pub const ORIGIN: &str = "contract.greffe.example/ledger";

/// Opens the store: the first time empty, afterwards with what was appended.
pub async fn run<S: Store, F: Future<Output = S>>(open: impl Fn() -> F) {
    let mut sample = Sample::default();
    let store = open().await;
    an_empty_store_has_an_empty_head(&store).await;
    an_append_is_read_back(&store, &mut sample).await;
    an_append_on_another_head_changes_nothing(&store, &sample).await;
    streams_are_read_by_version(&store, &mut sample).await;
    filings_are_found_by_author_and_jti(&store, &mut sample).await;
    erased_disclosures_go_and_the_others_stay(&store, &mut sample).await;
    disclosures_about_groups_are_found_among_accesses(&store, &mut sample).await;
    a_tail_is_what_was_appended_since(&store, &mut sample).await;
    what_nobody_waited_for_is_told_for_good_by_the_head(&store, &mut sample).await;
    times_are_found(&store, &mut sample).await;
    many_batches_keep_every_key(&store, &mut sample).await;
    drop(store);
    let store = open().await;
    a_restart_finds_everything(&store, &mut sample).await;
}

/// A ledger made up as it goes, and kept to compare.
#[derive(Debug, Default)]
pub struct Sample {
    pub entries: Vec<EntryRow>,
    pub filings: Vec<FilingRow>,
    pub disclosures: Vec<DisclosureRow>,
}

impl Sample {
    pub fn head(&self) -> Head {
        match self.entries.last() {
            Some(last) => Head { size: TreeSize(last.position.0 + 1), link: last.sealed.link },
            None => Head::empty(),
        }
    }

    /// The next batch: one filing of `items` accesses, `filings` times, each with one
    /// disclosure. A declaration comes first when the ledger is empty.
    pub fn batch(&self, filings: usize, items: u32) -> Batch {
        let expected = self.head();
        let mut batch = Batch {
            expected,
            entries: Vec::new(),
            filings: Vec::new(),
            disclosures: Vec::new(),
            erased: Vec::new(),
        };
        let mut next = expected.size.0;
        if next == 0 {
            let entry = entry(0, StreamType::Ledger, "ledger", 1, EventType::LedgerOpened, None);
            batch.entries.push(entry);
            next = 1;
        }
        for _ in 0..filings {
            let jwt = format!("header.payload-{next}.{}", "s".repeat(600));
            let digest = Hash32(*blake3::hash(jwt.as_bytes()).as_bytes());
            batch.filings.push(FilingRow {
                first_position: Position(next),
                items,
                digest,
                iss: format!("employer-{}", next % 7),
                jti: format!("jti-{next}"),
                jwt,
            });
            for item in 0..items {
                let id = next.to_string();
                let filing = Some(FilingRef { digest, item });
                batch.entries.push(entry(
                    next,
                    StreamType::Access,
                    &id,
                    1,
                    EventType::AccessRecorded,
                    filing,
                ));
                batch.disclosures.push(disclosure(next, "subject"));
                next += 1;
            }
        }
        batch
    }

    pub fn add(&mut self, batch: &Batch) {
        self.disclosures.retain(|d| !batch.erased.contains(&d.digest));
        self.entries.extend(batch.entries.iter().cloned());
        self.filings.extend(batch.filings.iter().cloned());
        self.disclosures.extend(batch.disclosures.iter().cloned());
    }
}

/// An entry of about 900 bytes.
pub fn entry(
    position: u64,
    stream_type: StreamType,
    stream_id: &str,
    stream_version: u64,
    event_type: EventType,
    filing: Option<FilingRef>,
) -> EntryRow {
    let event = event_type.as_str();
    let leaf = format!(
        "{{\"event\":{{\"data\":{{\"note\":\"é\\n{}\"}},\"type\":\"{event}\",\"version\":1}},\
         \"origin\":\"{ORIGIN}\",\"position\":{position},\"rulebook\":\"2026-11-21\",\
         \"stream\":{{\"id\":\"{stream_id}\",\"type\":\"{}\",\"version\":{stream_version}}},\
         \"time\":\"2026-11-21T20:14:21.123456Z\",\"v\":1}}",
        "x".repeat(250),
        stream_type.as_str(),
    );
    let link = Hash32(*blake3::hash(leaf.as_bytes()).as_bytes());
    EntryRow {
        position: Position(position),
        sealed: SealedEntry {
            leaf: leaf.into_bytes(),
            link,
            signature: [position as u8; 64],
            kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".to_owned(),
        },
        filing,
        stream: StreamRef { id: stream_id.to_owned(), kind: stream_type, version: stream_version },
        event_type,
        // Three entries a microsecond: times repeat.
        time: Timestamp::from_micros(1_000_000 + (position / 3) as i64),
    }
}

fn disclosure(position: u64, name: &str) -> DisclosureRow {
    let encoded = format!("WyJzYWx0Iiw-{name}-{position}");
    let digest = Hash32(*blake3::hash(encoded.as_bytes()).as_bytes());
    DisclosureRow { position: Position(position), digest, encoded }
}

async fn append(store: &impl Store, sample: &mut Sample, batch: Batch) {
    sample.add(&batch);
    store.append(batch).await.expect("an append on the head succeeds");
    assert_eq!(store.head().await.expect("the head is readable"), sample.head());
}

/// Everything the store answers is what was appended.
pub async fn compare(store: &impl Store, sample: &Sample) {
    const PAGE: usize = 1_000;
    let mut read = Vec::new();
    loop {
        let page = store.entries(Position(read.len() as u64), PAGE).await.expect("entries");
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert!(read == sample.entries, "every entry is read back byte for byte");
    let mut filings: Vec<FilingRow> = Vec::new();
    loop {
        let from = filings.last().map_or(0, |f| f.first_position.0 + 1);
        let page = store.filings(Position(from), PAGE).await.expect("filings");
        if page.is_empty() {
            break;
        }
        filings.extend(page);
    }
    assert!(filings == sample.filings, "every filing is read back byte for byte");
    let size = Position(sample.entries.len() as u64);
    let kept = store.disclosures(Position(0), size).await.expect("disclosures");
    let mut expected = sample.disclosures.clone();
    expected.sort_by_key(|d| (d.position, d.digest));
    assert!(kept == expected, "every disclosure not erased is read back");
    with_their_disclosures(store, sample).await;
}

/// Pages, and scattered entries, each with the disclosures that are theirs and no other.
async fn with_their_disclosures(store: &impl Store, sample: &Sample) {
    let of = |positions: &[u64]| {
        let wanted = |p: Position| positions.contains(&p.0);
        let mut kept: Vec<DisclosureRow> =
            sample.disclosures.iter().filter(|d| wanted(d.position)).cloned().collect();
        kept.sort_by_key(|d| (d.position, d.digest));
        let entries = sample.entries.iter().filter(|e| wanted(e.position)).cloned();
        (entries.collect::<Vec<_>>(), kept)
    };
    let size = sample.entries.len() as u64;
    for from in [0, size / 3, size / 2 + 1, size.saturating_sub(3), size + 2] {
        let page: Vec<u64> = (from..size.min(from + 5)).collect();
        let read = store.disclosed(Position(from), 5).await.expect("entries");
        assert!(read == of(&page), "entries from {from} on with their disclosures");
        let until = Position(from + 5);
        let disclosures = store.disclosures(Position(from), until).await.expect("disclosures");
        assert!(disclosures == of(&page).1, "disclosures of a range");
    }
    let scattered: Vec<u64> = (0..size + 3).step_by(3 + sample.entries.len() / 20).collect();
    let positions: Vec<Position> = scattered.iter().map(|p| Position(*p)).collect();
    let read = store.disclosed_at(&positions).await.expect("entries");
    assert!(read == of(&scattered), "scattered entries with their disclosures");
}

async fn an_empty_store_has_an_empty_head(store: &impl Store) {
    assert_eq!(store.origin(), ORIGIN);
    assert_eq!(store.head().await.expect("the head is readable"), Head::empty());
    assert_eq!(store.entries(Position(0), 10).await.expect("entries"), []);
    assert_eq!(store.entry(Position(0)).await.expect("entry"), None);
    assert_eq!(store.filing(Position(0)).await.expect("filing"), None);
    assert_eq!(store.size_at(Timestamp::from_micros(i64::MAX)).await.expect("size"), TreeSize(0));
    let unknown = FilingKey { iss: "nobody", jti: "nothing" };
    assert_eq!(store.filings_by_key(&[unknown]).await.expect("filings"), [None]);
}

async fn an_append_is_read_back(store: &impl Store, sample: &mut Sample) {
    let batch = sample.batch(20, 1);
    append(store, sample, batch).await;
    compare(store, sample).await;
    let middle = store.entries(Position(5), 3).await.expect("entries");
    assert_eq!(middle, sample.entries[5..8], "a page starts where it was asked and is limited");
    let sixth = store.entry(Position(6)).await.expect("entry");
    assert_eq!(sixth.as_ref(), Some(&sample.entries[6]));
    assert_eq!(store.entry(Position(21)).await.expect("entry"), None);
    let some = store.entries_at(&[Position(6), Position(21), Position(2)]).await.expect("entries");
    let positions: Vec<u64> = some.iter().map(|row| row.position.0).collect();
    assert_eq!(positions, [6, 2], "in the order asked, without what is not there");
    assert_eq!(some.first(), sixth.as_ref());
    let first = sample.entries[6].first_position().expect("an access comes from a filing");
    let filing = store.filing(first).await.expect("filing").expect("the filing is there");
    assert_eq!(Some(filing.digest), sample.entries[6].filing.map(|f| f.digest));
}

async fn an_append_on_another_head_changes_nothing(store: &impl Store, sample: &Sample) {
    let head = sample.head();
    let stale = Batch { ..Sample::default().batch(3, 1) };
    let mut forked = sample.batch(3, 1);
    forked.expected.link = Hash32([7; 32]);
    for batch in [stale, forked] {
        match store.append(batch).await {
            Err(AppendError::Conflict { actual }) => assert_eq!(actual, head),
            other => panic!("an append on another head is a conflict, not {other:?}"),
        }
    }
    assert_eq!(store.head().await.expect("the head is readable"), head);
    compare(store, sample).await;
}

async fn a_tail_is_what_was_appended_since(store: &impl Store, sample: &mut Sample) {
    assert_eq!(store.lead().await.expect("an answer"), Lead::Held, "it was opened to append");
    for filings in [1, 3] {
        let from = sample.head().size.next();
        assert_eq!(store.entries(from, 100).await.expect("entries"), [], "nothing yet");
        let batch = sample.batch(filings, 2);
        append(store, sample, batch).await;
        let tail = store.entries(from, 100).await.expect("entries");
        let first = usize::try_from(from.0).expect("few");
        assert!(tail == sample.entries[first..], "the entries appended since, and no others");
        assert_eq!(store.lead().await.expect("an answer"), Lead::Held);
    }
}

/// An append whose answer is lost, after more or less of it was done: its outcome is unknown
/// to whoever asked, until the head is asked for; after that it is settled.
async fn what_nobody_waited_for_is_told_for_good_by_the_head(
    store: &impl Store,
    sample: &mut Sample,
) {
    let (mut landed, mut lost) = (0, 0);
    for turns in (0..200).chain([u32::MAX]) {
        let batch = sample.batch(1, 2);
        let answered = {
            let append = store.append(batch.clone());
            tokio::pin!(append);
            tokio::select! {
                biased;
                answer = &mut append => Some(answer),
                () = give_way(turns) => None,
            }
        };
        if let Some(answer) = answered {
            answer.expect("an append on the head succeeds");
            sample.add(&batch);
            landed += 1;
            continue;
        }
        let told = store.head().await.expect("the head is readable");
        assert!(
            told == batch.head_after() || told == batch.expected,
            "all of it or none: {told:?}"
        );
        if told == batch.head_after() {
            // Sent again, as whoever does not know would: it is not written twice.
            match store.append(batch.clone()).await {
                Err(AppendError::Conflict { actual }) => assert_eq!(actual, told),
                other => panic!("it landed before: {other:?}"),
            }
            sample.add(&batch);
            landed += 1;
        } else {
            // What did not land by now never will.
            assert_eq!(store.head().await.expect("the head is readable"), batch.expected);
            append(store, sample, batch).await;
            lost += 1;
        }
    }
    assert!(landed > 0, "one that is waited for lands: {landed} landed, {lost} were lost");
    compare(store, sample).await;
}

/// Lets others run that many times.
async fn give_way(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

async fn streams_are_read_by_version(store: &impl Store, sample: &mut Sample) {
    let first = sample.entries.len() as u64;
    let mut batch = sample.batch(0, 0);
    for (i, id) in ["anaiss", "siam", "anaiss", "anaiss/2"].into_iter().enumerate() {
        let version = if i == 2 { 2 } else { 1 };
        batch.entries.push(entry(
            first + i as u64,
            StreamType::Processing,
            id,
            version,
            EventType::ProcessingDeclared,
            None,
        ));
    }
    append(store, sample, batch).await;
    let stream = store.stream(StreamType::Processing, "anaiss").await.expect("stream");
    let at: Vec<u64> = stream.iter().map(|e| e.position.0).collect();
    assert_eq!(at, [first, first + 2]);
    assert!(store.stream(StreamType::Party, "anaiss").await.expect("stream").is_empty());

    let of = |types: &'static [StreamType]| async move {
        store.entries_of_types(types, Position(0), 100).await.expect("entries")
    };
    let size = sample.head().size;
    let register = of(&[StreamType::Ledger, StreamType::Party, StreamType::Processing]).await;
    let at: Vec<u64> = register.entries.iter().map(|e| e.position.0).collect();
    assert_eq!(at, [0, first, first + 1, first + 2, first + 3]);
    assert_eq!(register.size, size);
    assert_eq!(of(&[StreamType::Access, StreamType::Processing]).await.entries.len(), 24);
    let none = of(&[StreamType::Party]).await;
    assert_eq!((none.entries, none.size), (Vec::new(), size), "none up to there");
}

async fn disclosures_about_groups_are_found_among_accesses(
    store: &impl Store,
    sample: &mut Sample,
) {
    const NONE: &str = "\"note\":";
    let first = sample.entries.len() as u64;
    let mut batch = sample.batch(0, 0);
    let about_group = [
        (EventType::AccessGranted, "\"cohort\":{},\"note\":"),
        (EventType::AccessDenied, "\"cohort\":{},\"note\":"),
        (EventType::AccessRecorded, "\"cohort\":{},\"note\":"),
        // A value that looks like the member is no member.
        (EventType::AccessRecorded, "\"note\":\"\\\"cohort\\\":{\",\"other\":"),
        (EventType::AccessGranted, NONE),
    ];
    for (position, (event_type, members)) in (first..).zip(about_group) {
        let id = position.to_string();
        let mut row = entry(position, StreamType::Access, &id, 1, event_type, None);
        let leaf = String::from_utf8(row.sealed.leaf).expect("UTF-8").replacen(NONE, members, 1);
        row.sealed.link = Hash32(*blake3::hash(leaf.as_bytes()).as_bytes());
        row.sealed.leaf = leaf.into_bytes();
        batch.entries.push(row);
    }
    append(store, sample, batch).await;
    let size = sample.head().size;
    let at = |from: u64, limit: usize| async move {
        let found = store.group_disclosures(Position(from), limit).await.expect("entries");
        assert_eq!(found.size, size, "however few it finds");
        found.entries.iter().map(|e| e.position.0).collect::<Vec<_>>()
    };
    assert_eq!(at(0, 100).await, [first, first + 2]);
    assert_eq!(at(first + 1, 100).await, [first + 2]);
    assert_eq!(at(0, 1).await, [first], "a page is limited");
    assert!(at(first + 3, 100).await.is_empty());
    let found = store.group_disclosures(Position(0), 100).await.expect("entries");
    assert!(found.entries[0] == sample.entries[usize::try_from(first).expect("a small position")]);
}

async fn filings_are_found_by_author_and_jti(store: &impl Store, sample: &mut Sample) {
    let batch = sample.batch(2, 30);
    append(store, sample, batch).await;
    all_filings_are_found(store, sample, 1).await;
    let filing = &sample.filings[3];
    let others = [
        FilingKey { iss: "someone-else", jti: &filing.jti },
        FilingKey { iss: &filing.iss, jti: "another" },
    ];
    assert_eq!(store.filings_by_key(&others).await.expect("filings"), [None, None]);
}

async fn all_filings_are_found(store: &impl Store, sample: &Sample, step: usize) {
    let some: Vec<&FilingRow> = sample.filings.iter().step_by(step).collect();
    let keys: Vec<FilingKey<'_>> =
        some.iter().map(|f| FilingKey { iss: &f.iss, jti: &f.jti }).collect();
    let found = store.filings_by_key(&keys).await.expect("filings");
    let expected: Vec<Option<RecordedFiling>> = some
        .iter()
        .map(|f| {
            Some(RecordedFiling {
                digest: f.digest,
                first_position: f.first_position,
                items: f.items,
            })
        })
        .collect();
    assert!(found == expected, "every filing is found by its author and jti");
}

async fn erased_disclosures_go_and_the_others_stay(store: &impl Store, sample: &mut Sample) {
    let gone = [sample.disclosures[1].digest, sample.disclosures[40].digest];
    let kept = sample.disclosures[2].clone();
    let at = sample.disclosures[1].position;
    let of = store.disclosure_positions(&[gone[0], kept.digest]).await.expect("positions");
    assert_eq!(of, [vec![at], vec![kept.position]]);

    let mut batch = sample.batch(1, 1);
    let own = batch.disclosures[0].digest;
    batch.erased = vec![gone[0], gone[1], Hash32([9; 32])];
    append(store, sample, batch).await;
    compare(store, sample).await;
    let of = store.disclosure_positions(&[gone[0], gone[1], kept.digest, own]).await;
    let size = sample.entries.len() as u64;
    assert_eq!(
        of.expect("positions"),
        [vec![], vec![], vec![kept.position], vec![Position(size - 1)]]
    );
    let read = store.disclosures_at(&[kept.position, at, kept.position]).await;
    assert_eq!(read.expect("disclosures"), [kept]);

    // A batch that is refused erases nothing.
    let mut stale = Sample::default().batch(1, 1);
    stale.erased = sample.disclosures.iter().map(|d| d.digest).collect();
    assert!(matches!(store.append(stale).await, Err(AppendError::Conflict { .. })));
    compare(store, sample).await;
}

async fn times_are_found(store: &impl Store, sample: &mut Sample) {
    for micros in [0, 999_999, 1_000_000, 1_000_004, 1_000_006, i64::MAX] {
        let time = Timestamp::from_micros(micros);
        let expected = sample.entries.iter().filter(|e| e.time <= time).count();
        let size = store.size_at(time).await.expect("size");
        assert_eq!(size, TreeSize(expected as u64), "entries recorded by {micros}");
    }
}

/// Enough that an index which writes late has been round more than once.
async fn many_batches_keep_every_key(store: &impl Store, sample: &mut Sample) {
    for round in 0..60 {
        let batch = sample.batch(1_500, 1);
        append(store, sample, batch).await;
        if round % 13 == 0 {
            all_filings_are_found(store, sample, 17).await;
        }
    }
    all_filings_are_found(store, sample, 3).await;
}

async fn a_restart_finds_everything(store: &impl Store, sample: &mut Sample) {
    assert_eq!(store.origin(), ORIGIN);
    assert_eq!(store.head().await.expect("the head is readable"), sample.head());
    compare(store, sample).await;
    all_filings_are_found(store, sample, 1).await;
    let digests: Vec<Hash32> = sample.disclosures.iter().map(|d| d.digest).collect();
    let positions = store.disclosure_positions(&digests).await.expect("positions");
    let expected: Vec<Vec<Position>> =
        sample.disclosures.iter().map(|d| vec![d.position]).collect();
    assert!(positions == expected, "every disclosure is found by its digest");
    let batch = sample.batch(3, 2);
    append(store, sample, batch).await;
}
