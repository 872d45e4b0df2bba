//! What time it is: the only place that asks.
//!
//! Deciding is given a time; it never reads one. On a simulated ledger an entry's time is
//! its filing's `iat`, and this clock serves only what is outside the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use greffe_domain::date::Timestamp;

/// Where "now" comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands still until it is set.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that shows this time until [`Clock::set`].
    pub fn at(time: Timestamp) -> Self {
        Self::Set(Arc::new(AtomicI64::new(time.micros())))
    }

    /// UTC. The system's clock may jump backwards: whoever must not, remembers.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let micros = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
                    Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
                    Err(before) => {
                        i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m)
                    }
                };
                Timestamp::from_micros(micros)
            }
            Self::Set(micros) => Timestamp::from_micros(micros.load(Ordering::Relaxed)),
        }
    }

    /// Panics on the system's clock, which is not ours to set.
    pub fn set(&self, time: Timestamp) {
        match self {
            Self::System => panic!("the system's clock is not ours to set"),
            Self::Set(micros) => micros.store(time.micros(), Ordering::Relaxed),
        }
    }
}
