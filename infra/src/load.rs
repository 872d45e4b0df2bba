//! A ledger's state, folded from its store: at start, for who follows, and after a failure.

use std::collections::VecDeque;

use greffe_domain::date::Timestamp;
use greffe_domain::event::Event;
use greffe_domain::kind::{EventType, StreamType};
use greffe_domain::register::Register;
use greffe_domain::seal::{Leaf, Position, TreeSize};

use crate::cqrs::Commands;
use crate::store::{EntryRow, Fault, FaultKind, Head, Store, each_with_its_own, late, readable};

/// Entries read at once.
const PAGE_ENTRIES: usize = 4_096;
/// Accesses about groups read at once: each may disclose something about a thousand members.
const PAGE_GROUPS: usize = 256;

/// State folded from a store.
pub struct Loaded {
    pub register: Register,
    pub commands: Commands,
    pub head: Head,
    pub last_time: Timestamp,
}

impl Default for Loaded {
    /// Before the first entry.
    fn default() -> Self {
        Self {
            register: Register::new(),
            commands: Commands::default(),
            head: Head::empty(),
            last_time: Timestamp::from_micros(i64::MIN),
        }
    }
}

/// What [`Loaded::advance`] read: entries that registers are folded from, in order.
pub type Folded = Vec<(Position, Timestamp, Event)>;

/// Reads a ledger's state: every entry but the accesses, and of these what was disclosed
/// about groups, which weighs on what is disclosed next.
pub async fn load(store: &dyn Store) -> Result<Loaded, Fault> {
    let mut loaded = Loaded::default();
    loaded.advance(store, |_| ()).await?;
    Ok(loaded)
}

impl Loaded {
    /// Folds what the store holds by now; `each` is given what was folded, a page at a time:
    /// all of it, and each once, whether it comes to the store's head or breaks off. The
    /// next call goes on from where this one broke off.
    pub async fn advance(
        &mut self,
        store: &dyn Store,
        mut each: impl FnMut(Folded),
    ) -> Result<(), Fault> {
        const FOLDED: [StreamType; 9] = [
            StreamType::Ledger,
            StreamType::Party,
            StreamType::Reference,
            StreamType::Processing,
            StreamType::Decision,
            StreamType::Ruling,
            StreamType::Statement,
            StreamType::Experiment,
            StreamType::Subject,
        ];
        let head = store.head().await?;
        if head.size <= self.head.size {
            return Ok(());
        }
        let last_time = {
            let last = Position(head.size.0 - 1);
            match store.entry(last).await? {
                Some(row) => row.time,
                None => return Err(late(last)),
            }
        };
        // Where an earlier attempt ended, if it broke off.
        let mut from = Position(self.register.size());
        let mut groups = GroupDisclosures::new(store, from, head.size);
        loop {
            let found = store.entries_of_types(&FOLDED, from, PAGE_ENTRIES).await?;
            let mut rows = found.or_late(head.size)?;
            // Another writer may append meanwhile.
            rows.retain(|row| row.position < head.size.next());
            let Some(last) = rows.last() else { break };
            from = last.position.tree_size().next();
            let mut events = Vec::with_capacity(rows.len());
            for row in &rows {
                events.push(read_event(store, row).await?);
            }
            let mut folded = Folded::with_capacity(rows.len());
            for (row, event) in rows.into_iter().zip(events) {
                let before = groups.fold_until(row.position, &mut self.register, &mut folded).await;
                if let Err(fault) = before {
                    each(folded);
                    return Err(fault);
                }
                self.commands.staging().restore(row.stream.kind, &row.stream.id, &event);
                self.register.apply(row.position.0, row.time, &event);
                folded.push((row.position, row.time, event));
            }
            each(folded);
        }
        let mut folded = Folded::new();
        let rest = groups.fold_until(head.size.next(), &mut self.register, &mut folded).await;
        each(folded);
        rest?;
        self.register.advance(head.size.0);
        // A number that was lost, and not erased, would let through what it should stop.
        if let Some(position) = self.register.withheld_numbers().first() {
            let why =
                "the disclosure of its number of absentees is missing, and no entry erases it";
            return Err(corrupt("read what was disclosed", Position(*position), why));
        }
        self.head = head;
        self.last_time = last_time;
        Ok(())
    }
}

pub(crate) fn read_leaf(row: &EntryRow) -> Result<Leaf, Fault> {
    Leaf::parse(&row.sealed.leaf).map_err(|e| corrupt("read a leaf", row.position, &e.to_string()))
}

/// The accesses about groups, read in order beside the rest.
struct GroupDisclosures<'a> {
    store: &'a dyn Store,
    /// Read and not folded yet.
    ahead: VecDeque<(Position, Timestamp, Event)>,
    /// Where the next page starts; `None` after the last.
    from: Option<Position>,
    /// How far the ledger goes for us.
    size: TreeSize,
}

impl<'a> GroupDisclosures<'a> {
    fn new(store: &'a dyn Store, from: Position, size: TreeSize) -> Self {
        Self { store, ahead: VecDeque::new(), from: Some(from), size }
    }

    /// Folds those before a position.
    async fn fold_until(
        &mut self,
        until: Position,
        into: &mut Register,
        folded: &mut Folded,
    ) -> Result<(), Fault> {
        loop {
            if self.ahead.is_empty() {
                self.read_page().await?;
            }
            match self.ahead.pop_front() {
                Some((position, time, event)) if position < until => {
                    into.apply(position.0, time, &event);
                    folded.push((position, time, event));
                }
                Some(later) => {
                    self.ahead.push_front(later);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    async fn read_page(&mut self) -> Result<(), Fault> {
        let Some(from) = self.from else { return Ok(()) };
        let found = self.store.group_disclosures(from, PAGE_GROUPS).await?;
        let entries = found.or_late(self.size)?;
        self.from = entries.last().map(|last| last.position.tree_size().next());
        let positions: Vec<Position> = entries.iter().map(|row| row.position).collect();
        // Again, with what they disclose of the same moment.
        let (rows, kept) = self.store.disclosed_at(&positions).await?;
        if rows.len() < positions.len() {
            return Err(late(positions[rows.len()]));
        }
        for (row, own) in each_with_its_own((rows, kept)) {
            let leaf = read_leaf(&row)?;
            let event = Event::read_disclosed(&leaf.event, &readable(&own))
                .map_err(|e| corrupt("read an event", row.position, &e.to_string()))?;
            self.ahead.push_back((row.position, row.time, event));
        }
        Ok(())
    }
}

/// The event of a row, with the disclosures that rules look at.
pub(crate) async fn read_event(store: &dyn Store, row: &EntryRow) -> Result<Event, Fault> {
    let leaf = read_leaf(row)?;
    let disclosures = match row.event_type {
        EventType::SubjectAgreed | EventType::SubjectObjected => {
            let (rows, disclosures) = store.disclosed_at(&[row.position]).await?;
            if rows.is_empty() {
                return Err(late(row.position));
            }
            readable(&disclosures)
        }
        _ => Vec::new(),
    };
    Event::read_disclosed(&leaf.event, &disclosures)
        .map_err(|e| corrupt("read an event", row.position, &e.to_string()))
}

fn corrupt(attempted: &str, position: Position, why: &str) -> Fault {
    Fault::new(FaultKind::Corrupt, attempted, format!("the entry at position {position}"))
        .because(why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::store::MemoryStore;
    use crate::store::faulty::FaultyStore;
    use crate::testing::{self, ORIGIN};

    /// The head comes from a server that is ahead, pages from one that ends anywhere before.
    #[tokio::test]
    async fn what_a_late_server_does_not_find_is_not_taken_for_absent() {
        let store = Arc::new(FaultyStore::new(MemoryStore::new(ORIGIN)));
        let ledger = testing::open(Arc::clone(&store) as _).await.expect("a ledger");
        testing::settle(&ledger).await;
        let group = json!({"units": ["u"], "absentees": 40, "cells": [
            {"units": ["u"], "categories": ["ABS-RATE"], "unit": "days", "value": 900,
             "suppressed": false},
        ]});
        for n in 0..5 {
            let mut body = testing::access_body("suivi", n);
            if n % 2 == 1 {
                let members = body.as_object_mut().expect("an object");
                members.remove("subjects");
                members.insert("categories".to_owned(), json!(["ABS-RATE"]));
                members.insert("period".to_owned(), json!("2019-01/2019-12"));
                members.insert("cohort".to_owned(), group.clone());
            }
            let filing = json!({"iss": "cnamts", "kind": "access.report", "body": body});
            ledger.submit(&testing::sign(filing)).await.expect("recorded");
            // Something of the register between them, so that a page breaks off in the middle.
            let other = testing::declaration("cnamts", &format!("autre-{n}"));
            ledger.submit(&testing::sign(other)).await.expect("recorded");
        }
        let mut whole = Folded::new();
        Loaded::default().advance(&*store, |more| whole.extend(more)).await.expect("not late");
        let positions = |folded: &Folded| folded.iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!(whole.len() as u64, ledger.size().0 - 3, "all but the accesses to individuals");
        for end in 0..ledger.size().0 {
            let (mut loaded, mut folded) = (Loaded::default(), Folded::new());
            store.end_at(Position(end));
            let late = loaded.advance(&*store, |more| folded.extend(more)).await;
            assert_eq!(late.expect_err("it is late").kind(), FaultKind::Unavailable);
            assert!(loaded.head.size < ledger.size());
            store.end_at(Position(u64::MAX));
            loaded.advance(&*store, |more| folded.extend(more)).await.expect("not late");
            assert_eq!(positions(&folded), positions(&whole), "late from {end} on");
            assert_eq!(loaded.head.size, ledger.size());
        }
    }
}
