//! The writer's second half: a batch already decided is signed, appended, published, and
//! only then answered.
//!
//! The sequencer decides the next batch meanwhile, against memory that is ahead of the
//! store, and hands it over only when it knows that this one is durable. So one append at
//! most is under way, and nothing decided on what may not be recorded ever leaves memory.
//! Not here: what follows for memory when an append fails (`sequencer.rs`).

use std::collections::HashMap;
use std::sync::Arc;

use greffe_domain::body::Body;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::Event;
use greffe_domain::filing::Filing;
use greffe_domain::key::SecretKey;
use greffe_domain::seal::{Position, SealedEntry, entry_text};
use tokio::sync::oneshot;

use crate::entry::Entry;
use crate::published::Published;
use crate::receipt::{LeafText, Receipt, receipt_of};
use crate::store::{
    AppendError, Batch, DisclosureRow, EntryRow, Fault, FilingRow, Head, RecordedFiling, Store,
};
use crate::submit::{SubmitError, read_only};

/// Entries signed by one task: long enough to be worth waking a core for.
const SIGN_TOGETHER: usize = 32;

/// What a job waits for.
pub(crate) enum Awaited {
    /// Entries of this batch, from and until an index into it.
    Staged(usize, usize),
    /// Entries of the batch that was being appended when this was decided.
    Preceding(RecordedFiling),
    /// Entries recorded before.
    Recorded(RecordedFiling),
}

pub(crate) type Reply = oneshot::Sender<Result<Vec<Receipt>, SubmitError>>;

/// A job decided: what became of it, if its batch and those before become durable.
pub(crate) struct Waiting {
    pub decided: Result<Vec<Awaited>, SubmitError>,
    pub reply: Reply,
}

/// Signatures of a batch, begun on all cores while its later entries are decided.
#[derive(Default)]
pub(crate) struct Signatures {
    begun: usize,
    parts: Vec<oneshot::Receiver<Vec<[u8; 64]>>>,
}

impl Signatures {
    /// Begins to sign the entries that are not, if they are enough for a task. None of these
    /// may be undone afterwards.
    pub fn begin(&mut self, origin: &Arc<str>, key: &Arc<SecretKey>, entries: &[Entry]) {
        while let Some(part) = entries.get(self.begun..self.begun + SIGN_TOGETHER) {
            let part: Vec<(Position, Hash32)> = part.iter().map(|e| (e.position, e.link)).collect();
            let (origin, key) = (Arc::clone(origin), Arc::clone(key));
            let (done, signed) = oneshot::channel();
            rayon::spawn(move || {
                let sign = |(position, link)| sign(&origin, &key, position, &link);
                // Nobody waits for it after a batch that failed.
                let _ = done.send(part.into_iter().map(sign).collect());
            });
            self.parts.push(signed);
            self.begun += SIGN_TOGETHER;
        }
    }

    /// All signatures, in order. The few last entries are signed here.
    async fn finish(self, origin: &str, key: &SecretKey, entries: &[Entry]) -> Vec<[u8; 64]> {
        let last: Vec<[u8; 64]> =
            entries[self.begun..].iter().map(|e| sign(origin, key, e.position, &e.link)).collect();
        let mut signatures = Vec::with_capacity(entries.len());
        for part in self.parts {
            signatures.extend(part.await.expect("a signing task ends, and does not panic"));
        }
        signatures.extend(last);
        signatures
    }
}

fn sign(origin: &str, key: &SecretKey, position: Position, link: &Hash32) -> [u8; 64] {
    key.sign(entry_text(origin, position, link).as_bytes())
}

/// A batch decided, and all that recording it takes.
pub(crate) struct Decided {
    pub expected: Head,
    pub entries: Arc<Vec<Entry>>,
    /// One an entry.
    pub leaves: Vec<Vec<u8>>,
    /// In order of position.
    pub disclosures: Vec<DisclosureRow>,
    /// In order of position, which is that of their first entry.
    pub filings: Vec<(Position, Arc<Filing>)>,
    pub signatures: Signatures,
    pub key: Arc<SecretKey>,
    /// Signs what comes after this batch, if its last entry says so.
    pub next_key: Option<Arc<SecretKey>>,
    pub waiting: Vec<Waiting>,
}

/// Why a batch was not appended.
#[derive(Clone)]
pub(crate) enum Failed {
    ReadOnly,
    NotRecorded(Arc<Fault>),
    Unknown(Arc<Fault>),
}

impl Failed {
    /// What the author of something in the batch is told.
    fn of_staged(&self) -> SubmitError {
        match self {
            Failed::ReadOnly => read_only().into(),
            Failed::NotRecorded(fault) => SubmitError::NotRecorded(Arc::clone(fault)),
            Failed::Unknown(fault) => SubmitError::Unknown(Arc::clone(fault)),
        }
    }

    /// What is told of something that never left memory, or was refused: it is certain that
    /// it was not recorded.
    fn of_unsent(&self) -> SubmitError {
        match self {
            Failed::ReadOnly => read_only().into(),
            Failed::NotRecorded(fault) | Failed::Unknown(fault) => {
                SubmitError::NotRecorded(Arc::clone(fault))
            }
        }
    }
}

/// How far a batch that is not recorded got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The store was asked to append it.
    Store,
    /// The batch before it failed.
    Memory,
}

/// An entry as its receipts show it.
struct Sealed {
    signature: [u8; 64],
    leaf: LeafText,
}

pub(crate) struct Committer {
    pub store: Arc<dyn Store>,
    pub origin: Arc<str>,
    pub published: Arc<Published>,
}

impl Committer {
    /// Records a batch, says in `outcome` whether it is durable, then answers.
    pub async fn commit(
        self: Arc<Self>,
        decided: Decided,
        outcome: oneshot::Sender<Result<(), Failed>>,
    ) {
        let Decided { expected, entries, leaves, disclosures, filings, .. } = decided;
        let Decided { signatures, key, next_key, waiting, .. } = decided;
        let signatures = signatures.finish(&self.origin, &key, &entries).await;
        let kid = key.public().kid();
        let sealed: Vec<Sealed> = signatures
            .iter()
            .zip(&leaves)
            .map(|(signature, leaf)| Sealed { signature: *signature, leaf: LeafText::of(leaf) })
            .collect();
        let bytes = leaves.iter().map(Vec::len).sum::<usize>()
            + disclosures.iter().map(|d| d.encoded.len()).sum::<usize>();
        let recorded = match entries.last() {
            None => Ok(()),
            Some(last) => {
                let rows = entries.iter().zip(leaves).zip(signatures);
                let batch = Batch {
                    expected,
                    entries: rows.map(|((e, leaf), s)| row(e, leaf, s, kid)).collect(),
                    filings: filings.iter().map(|(first, f)| filing_row(*first, f)).collect(),
                    disclosures: kept_disclosures(&entries, disclosures),
                    erased: entries.iter().flat_map(|e| erased_by(&e.event)).collect(),
                };
                let recorded = self.append(batch).await;
                match &recorded {
                    Ok(()) => {
                        let head = Head { size: last.position.tree_size(), link: last.link };
                        self.publish(&entries, bytes, head, last.time, next_key.as_deref());
                    }
                    Err(Failed::ReadOnly) => self.published.give_up(),
                    Err(_) => {}
                }
                recorded
            }
        };
        // Whoever decided the next batch hands it over now: answering takes a while.
        let _ = outcome.send(recorded.clone());
        for Waiting { decided, reply } in waiting {
            let answer = match &recorded {
                Err(failed) => self.answer_of_failed(decided, failed, Reached::Store).await,
                Ok(()) => match decided {
                    Ok(awaited) => self.receipts(awaited, &entries, &sealed, kid).await,
                    Err(error) => Err(error),
                },
            };
            // A caller who went away no longer needs the answer.
            let _ = reply.send(answer);
        }
    }

    /// Answers what was decided after a batch that failed.
    pub async fn fail(self: Arc<Self>, waiting: Vec<Waiting>, failed: Failed) {
        for Waiting { decided, reply } in waiting {
            let _ = reply.send(self.answer_of_failed(decided, &failed, Reached::Memory).await);
        }
    }

    async fn answer_of_failed(
        &self,
        decided: Result<Vec<Awaited>, SubmitError>,
        failed: &Failed,
        reached: Reached,
    ) -> Result<Vec<Receipt>, SubmitError> {
        let awaited = match decided {
            Ok(awaited) => awaited,
            // What it was refused for may not have been recorded.
            Err(SubmitError::Refused(_)) => return Err(failed.of_unsent()),
            Err(error) => return Err(error),
        };
        let waits_for = |sort: fn(&Awaited) -> bool| awaited.iter().any(sort);
        match reached {
            Reached::Store if waits_for(|a| matches!(a, Awaited::Staged(..))) => {
                Err(failed.of_staged())
            }
            Reached::Memory if waits_for(|a| matches!(a, Awaited::Preceding(_))) => {
                Err(failed.of_staged())
            }
            Reached::Memory if waits_for(|a| matches!(a, Awaited::Staged(..))) => {
                Err(failed.of_unsent())
            }
            // Recorded before, whatever became of this batch.
            Reached::Store | Reached::Memory => self.receipts(awaited, &[], &[], "").await,
        }
    }

    async fn append(&self, batch: Batch) -> Result<(), Failed> {
        let expected = batch.expected;
        let wanted = batch.head_after();
        let fault = match self.store.append(batch).await {
            Ok(()) => return Ok(()),
            Err(AppendError::Conflict { .. }) => return Err(Failed::ReadOnly),
            Err(AppendError::NotApplied(fault)) => {
                return Err(Failed::NotRecorded(Arc::new(fault)));
            }
            Err(AppendError::Unknown(fault)) => Arc::new(fault),
        };
        // Did it land? Only the store knows.
        match self.store.head().await {
            Ok(head) if head == wanted => Ok(()),
            Ok(head) if head == expected => Err(Failed::NotRecorded(fault)),
            Ok(_) => Err(Failed::ReadOnly),
            Err(_) => Err(Failed::Unknown(fault)),
        }
    }

    /// Makes a durable batch visible. `bytes`: of its leaves and disclosures.
    fn publish(
        &self,
        entries: &Arc<Vec<Entry>>,
        bytes: usize,
        head: Head,
        time: Timestamp,
        next_key: Option<&SecretKey>,
    ) {
        {
            let mut register =
                self.published.register.write().expect("no writer panics with this lock");
            for entry in entries.iter() {
                register.apply(entry.position.0, entry.time, &entry.event);
            }
        }
        self.published.recent.push(entries, bytes);
        self.published.set_head(head, time, next_key);
    }

    /// Receipts of what is durable. Errors: `Unknown`; asking again tells.
    async fn receipts(
        &self,
        awaited: Vec<Awaited>,
        entries: &[Entry],
        sealed: &[Sealed],
        kid: &str,
    ) -> Result<Vec<Receipt>, SubmitError> {
        let unknown = |fault| SubmitError::Unknown(Arc::new(fault));
        let mut receipts = Vec::new();
        for awaited in awaited {
            match awaited {
                Awaited::Staged(from, until) => {
                    let both = entries[from..until].iter().zip(&sealed[from..until]);
                    receipts.extend(both.map(|(entry, sealed)| self.receipt(entry, sealed, kid)));
                }
                Awaited::Preceding(filing) | Awaited::Recorded(filing) => {
                    let rows = self.store.entries(filing.first_position, filing.items as usize);
                    for row in rows.await.map_err(unknown)? {
                        let receipt = receipt_of(&*self.store, &self.published.register, row);
                        receipts.push(receipt.await.map_err(unknown)?);
                    }
                }
            }
        }
        Ok(receipts)
    }

    fn receipt(&self, entry: &Entry, sealed: &Sealed, kid: &str) -> Receipt {
        Receipt {
            origin: self.origin.to_string(),
            position: entry.position,
            link: entry.link,
            signature: sealed.signature,
            key: kid.to_owned(),
            time: entry.time,
            filing: entry.filing.map(|f| f.digest),
            leaf: sealed.leaf.clone(),
            verdict: entry.event.filed().and_then(|f| f.verdict.clone()),
            valid_until: entry.valid_until,
        }
    }
}

fn row(entry: &Entry, leaf: Vec<u8>, signature: [u8; 64], kid: &str) -> EntryRow {
    EntryRow {
        position: entry.position,
        sealed: SealedEntry { leaf, link: entry.link, signature, kid: kid.to_owned() },
        filing: entry.filing,
        stream: entry.stream.clone(),
        event_type: entry.event.event_type(),
        time: entry.time,
    }
}

fn filing_row(first_position: Position, filing: &Filing) -> FilingRow {
    FilingRow {
        first_position,
        items: u32::try_from(filing.items.len()).expect("at most 1,000 items"),
        digest: filing.digest,
        iss: filing.iss.clone(),
        jti: filing.jti.clone(),
        jwt: filing.jwt.clone(),
    }
}

/// Disclosures of a batch, but those that a later entry of the same batch erases.
fn kept_disclosures(entries: &[Entry], mut disclosures: Vec<DisclosureRow>) -> Vec<DisclosureRow> {
    let mut erased_at: HashMap<Hash32, Position> = HashMap::new();
    for entry in entries {
        for digest in erased_by(&entry.event) {
            erased_at.insert(digest, entry.position);
        }
    }
    disclosures.retain(|d| erased_at.get(&d.digest).is_none_or(|erased| *erased < d.position));
    disclosures
}

/// Digests whose values an event has erased.
pub(crate) fn erased_by(event: &Event) -> Vec<Hash32> {
    let Some(Body::EraseSubject(erased)) = event.filed().map(|f| &*f.body) else {
        return Vec::new();
    };
    erased.digests.iter().filter_map(|d| base64url_decode(d)?.try_into().ok().map(Hash32)).collect()
}
