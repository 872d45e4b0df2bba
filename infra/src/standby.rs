//! Standing by: keeps the right to write while this process has it; without it, follows the
//! store and takes over when nobody else writes.
//!
//! One task a ledger. It polls: a question for the last entry costs less than a millisecond,
//! works on a replica, and tells at once whether the store is there
//! (`docs/adr/0029-followers.md`). What must hold: nothing is published that the store did
//! not hold, and nobody writes on a store that lost what was acknowledged.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::high_water::{Loss, LossKind};
use crate::load::{Loaded, load};
use crate::running::{Inner, Mode, Purpose, Standing, check_head, check_rules, loss_of};
use crate::store::{Fault, Lead, Store};

/// How often a follower looks for new entries.
const LOOK: Duration = Duration::from_millis(250);
/// How often a writer renews its lease, and a follower asks for it.
const RENEW: Duration = Duration::from_secs(1);

/// Runs until the ledger is dropped or told to stop.
///
/// `following`: state up to the published head; `None` while this process writes.
pub(crate) async fn keep(ledger: Weak<Inner>, mut following: Option<Loaded>) {
    let mut until_lead = Duration::ZERO;
    loop {
        let pause = if following.is_some() { LOOK } else { RENEW };
        tokio::time::sleep(pause).await;
        let Some(inner) = ledger.upgrade() else { return };
        match inner.standing() {
            Standing::Stopped | Standing::Behind(_) => return,
            Standing::Writes | Standing::Follows => {}
        }
        let Some(loaded) = &mut following else {
            following = inner.keep_lead().await;
            until_lead = RENEW;
            continue;
        };
        // A store that does not answer is asked again; `/readyz` says so meanwhile.
        let Ok(()) = inner.follow(loaded).await else { continue };
        until_lead = until_lead.saturating_sub(pause);
        if inner.purpose != Purpose::Follow && until_lead.is_zero() {
            until_lead = RENEW;
            if matches!(inner.store.lead().await, Ok(Lead::Held)) {
                following = inner.take_over(following.take()).await;
            }
        }
    }
}

impl Inner {
    /// Renews the lease. Answers state to follow with once it is lost.
    async fn keep_lead(&self) -> Option<Loaded> {
        let lost = matches!(self.store.lead().await, Ok(Lead::Elsewhere));
        let gave_up = self.published.head.borrow().read_only;
        if !lost && !gave_up {
            let size = self.published.head.borrow().head.size.0;
            self.stored.store(size, Ordering::Relaxed);
            return None;
        }
        self.set_mode(Mode::Follows);
        self.published.head.send_modify(|h| h.read_only = true);
        // What it had begun, it ends: refused, under an epoch that has passed.
        self.join_writer().await;
        loop {
            let loaded = match self.sound_or_behind().await {
                Ok(true) => load(&*self.store).await,
                Ok(false) => return Some(Loaded::default()),
                Err(fault) => Err(fault),
            };
            match loaded {
                Ok(loaded) => {
                    self.publish_all(&loaded);
                    return Some(loaded);
                }
                Err(_) => tokio::time::sleep(RENEW).await,
            }
        }
    }

    /// Publishes what the store has got since.
    async fn follow(&self, loaded: &mut Loaded) -> Result<(), Fault> {
        let before = loaded.head;
        let stored = self.store.head().await?;
        self.stored.store(stored.size.0, Ordering::Relaxed);
        if self.purpose != Purpose::Follow && stored.size < before.size {
            // Not a replica that is late: this is where entries are appended.
            self.lose(Loss { stored, mark: before, kind: LossKind::Missing }).await;
            return Ok(());
        }
        if stored.size <= before.size {
            return Ok(());
        }
        if let Some(last) = before.size.0.checked_sub(1)
            && let Some(row) = self.store.entry(greffe_domain::seal::Position(last)).await?
            && row.sealed.link != before.link
        {
            self.lose(Loss { stored, mark: before, kind: LossKind::Replaced }).await;
            return Ok(());
        }
        let mut read = Vec::new();
        let advanced = loaded.advance(&*self.store, |folded| read.extend(folded)).await;
        {
            // What was read before it broke off is not read again.
            let mut register =
                self.published.register.write().expect("no writer panics with this lock");
            for (position, time, event) in &read {
                register.apply(position.0, *time, event);
            }
        }
        advanced?;
        if let (Some(mark), Purpose::Serve | Purpose::Write) = (self.marks.first(), self.purpose) {
            mark.raise(loaded.head)?;
        }
        let mut register =
            self.published.register.write().expect("no writer panics with this lock");
        register.advance(loaded.head.size.0);
        drop(register);
        self.publish_head(loaded);
        Ok(())
    }

    /// Becomes the writer, having the lease. Answers state to follow with if it cannot.
    async fn take_over(&self, following: Option<Loaded>) -> Option<Loaded> {
        let mut loaded = following?;
        // Nobody else appends from here on: what the store holds is what there is.
        let ready = async {
            if !self.sound_or_behind().await? {
                return Ok(false);
            }
            self.follow(&mut loaded).await?;
            Ok::<_, Fault>(self.standing() == Standing::Follows)
        };
        let ready = ready.await.unwrap_or(false)
            && check_head(&*self.store, &loaded.register, loaded.head)
                .await
                .is_ok_and(|last| check_rules(&self.rulebooks, &last).is_ok())
            && self.holds_key(&loaded);
        if !ready {
            self.store.resign().await;
            return Some(loaded);
        }
        match self.write(loaded) {
            Ok(()) => None,
            // Without a thread to write on, somebody else should.
            Err(_) => {
                self.store.resign().await;
                Some(Loaded::default())
            }
        }
    }

    /// Whether the key that the ledger names is here.
    fn holds_key(&self, loaded: &Loaded) -> bool {
        let key = self.published.key.read().expect("no writer panics with this lock");
        let named = loaded.register.ledger_key(loaded.head.size.0);
        key.as_ref().is_some_and(|key| named == Some(key.public()))
    }

    /// Whether the store holds what was acknowledged; if not, says so from now on.
    async fn sound_or_behind(&self) -> Result<bool, Fault> {
        match loss_of(&self.marks, &*self.store).await? {
            None => Ok(true),
            Some(loss) => {
                self.lose(loss).await;
                Ok(false)
            }
        }
    }

    async fn lose(&self, loss: Loss) {
        self.set_mode(Mode::Behind(loss));
        self.published.head.send_modify(|h| h.read_only = true);
        self.store.resign().await;
    }

    fn publish_all(&self, loaded: &Loaded) {
        *self.published.register.write().expect("no writer panics with this lock") =
            loaded.register.clone();
        self.publish_head(loaded);
    }

    fn publish_head(&self, loaded: &Loaded) {
        let mut key = self.published.key.write().expect("no writer panics with this lock");
        let named = loaded.register.ledger_key(loaded.head.size.0);
        if key.as_ref().map(|key| key.public()) != named
            && let (Some(keys), Some(named)) = (&self.keys, named)
            && let Ok(new) = keys.ledger_key(named.kid())
        {
            // Another server changed it; whoever runs this one brought it here.
            *key = Some(new);
        }
        let (head, time) = (loaded.head, loaded.last_time);
        self.published.head.send_modify(|h| {
            h.head = head;
            h.time = time;
        });
    }
}
