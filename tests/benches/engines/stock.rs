//! The same event through cqrs-es and postgres-es as they come: no signature, no chain, no
//! position common to all.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::measure::{Latencies, Pass, Passes, processor_time};

const TABLE: &str = "CREATE TABLE events (aggregate_type text NOT NULL, aggregate_id text NOT NULL, \
    sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, \
    event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL, \
    PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

/// An access, as an application of the framework would record it.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Access {
    recorded: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Recorded(Value);

impl DomainEvent for Recorded {
    fn event_type(&self) -> String {
        "AccessRecorded".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Access {
    const TYPE: &'static str = "access";
    type Command = Value;
    type Event = Recorded;
    type Error = Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        event: Value,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Infallible> {
        sink.write(Recorded(event), self).await;
        Ok(())
    }

    fn apply(&mut self, _event: Recorded) {
        self.recorded = true;
    }
}

/// `clients` at once, each command an aggregate of its own: what the framework does best.
pub async fn run(
    options: sqlx::postgres::PgConnectOptions,
    event: &Value,
    (passes, clients, commands): (usize, u32, u64),
    database: &dyn Fn() -> std::time::Duration,
) -> Passes {
    let pool = sqlx::postgres::PgPoolOptions::new()
        .min_connections(clients)
        .max_connections(clients)
        .connect_with(options)
        .await
        .expect("a pool");
    sqlx::raw_sql(&format!("DROP TABLE IF EXISTS events; {TABLE}"))
        .execute(&pool)
        .await
        .expect("a table");
    let repository = PostgresEventRepository::new(pool.clone());
    let store = PersistedEventStore::<_, Access>::new_event_store(repository);
    let framework = Arc::new(CqrsFramework::new(store, Vec::new(), ()));
    let numbers = Arc::new(AtomicU64::new(0));
    let mut all = Vec::new();
    for pass in 1..=passes as u64 {
        let until = pass * commands;
        let (started, ours, theirs) = (Instant::now(), processor_time("self"), database());
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                let (framework, numbers) = (Arc::clone(&framework), Arc::clone(&numbers));
                let event = event.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    loop {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        if number >= until {
                            return latencies;
                        }
                        let sent = Instant::now();
                        let id = number.to_string();
                        framework.execute(&id, event.clone()).await.expect("recorded");
                        latencies.push(sent.elapsed());
                    }
                })
            })
            .collect();
        let mut latencies = Latencies::default();
        for client in clients {
            latencies.0.extend(client.await.expect("a client ends"));
        }
        let us = |spent: std::time::Duration| spent.as_secs_f64() * 1e6 / commands as f64;
        let rate = commands as f64 / started.elapsed().as_secs_f64();
        latencies.sort();
        let processor = [us(processor_time("self") - ours), 0.0, us(database() - theirs)];
        all.push(Pass { rate, latencies, processor });
        numbers.store(until, Ordering::Relaxed);
    }
    pool.close().await;
    Passes::new(all)
}
