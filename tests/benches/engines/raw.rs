//! What engines do with rows of the same size when nobody decides, hashes or signs.

use std::time::Instant;

use rusqlite::Connection;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::measure::{Latencies, Pass, Passes};

const TABLE: &str = "CREATE TABLE raw (position BIGINT PRIMARY KEY, stream TEXT NOT NULL UNIQUE, \
    link BYTEA NOT NULL, signature BYTEA NOT NULL, leaf TEXT NOT NULL)";

fn pass(rows: u64, started: Instant, mut latencies: Latencies) -> Pass {
    let rate = rows as f64 / started.elapsed().as_secs_f64();
    latencies.sort();
    Pass { rate, latencies, processor: [0.0; 3] }
}

/// Multi-row inserts, write-ahead log, synchronous=FULL. `bytes`: of the long column.
pub fn sqlite(passes: usize, per_batch: usize, rows: u64, bytes: usize) -> Passes {
    /// Rows of one statement.
    const ROWS: usize = 16;
    let directory = tempfile::tempdir().expect("a directory");
    let mut db = Connection::open(directory.path().join("raw.db")).expect("a database");
    for (name, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        db.pragma_update(None, name, value).expect("a setting");
    }
    db.pragma_update(None, "cache_size", -64 * 1024).expect("a setting");
    db.pragma_update(None, "wal_autocheckpoint", 16_000).expect("a setting");
    db.execute_batch(TABLE).expect("a table");
    let statement = format!("INSERT INTO raw VALUES {}", ["(?,?,?,?,?)"; ROWS].join(","));
    let leaf = "x".repeat(bytes);
    let mut position = 0_i64;
    let mut one = || {
        let (started, mut done, mut latencies) = (Instant::now(), 0, Latencies::default());
        while done < rows {
            let began = Instant::now();
            let transaction = db.transaction().expect("a transaction");
            {
                let mut insert = transaction.prepare_cached(&statement).expect("a statement");
                for _ in 0..per_batch / ROWS {
                    for row in 0..ROWS {
                        insert.raw_bind_parameter(row * 5 + 1, position).expect("bound");
                        insert
                            .raw_bind_parameter(row * 5 + 2, position.to_string())
                            .expect("bound");
                        insert.raw_bind_parameter(row * 5 + 3, [7_u8; 32]).expect("bound");
                        insert.raw_bind_parameter(row * 5 + 4, [7_u8; 64]).expect("bound");
                        insert.raw_bind_parameter(row * 5 + 5, &leaf).expect("bound");
                        position += 1;
                    }
                    insert.raw_execute().expect("rows are inserted");
                }
            }
            transaction.commit().expect("committed");
            latencies.0.push(began.elapsed());
            done += per_batch as u64;
        }
        pass(done, started, latencies)
    };
    Passes::new((0..passes).map(|_| one()).collect())
}

/// How rows reach PostgreSQL.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Unnest,
    Copy,
}

/// One connection, one transaction a batch.
pub async fn postgres(
    client: &mut tokio_postgres::Client,
    way: Way,
    (passes, per_batch, rows, bytes): (usize, usize, u64, usize),
) -> Passes {
    client.batch_execute(&format!("DROP TABLE IF EXISTS raw; {TABLE}")).await.expect("a table");
    let insert = "INSERT INTO raw SELECT * FROM \
        UNNEST($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::text[])";
    let insert = client.prepare(insert).await.expect("a statement");
    let leaf = "x".repeat(bytes);
    let (link, signature) = (&[7_u8; 32][..], &[7_u8; 64][..]);
    let mut position = 0_i64;
    let mut all = Vec::new();
    for _ in 0..passes {
        let (started, mut done, mut latencies) = (Instant::now(), 0, Latencies::default());
        while done < rows {
            let began = Instant::now();
            let positions: Vec<i64> = (position..position + per_batch as i64).collect();
            let streams: Vec<String> = positions.iter().map(i64::to_string).collect();
            let transaction = client.transaction().await.expect("a transaction");
            if way == Way::Unnest {
                let (links, signatures) = (vec![link; per_batch], vec![signature; per_batch]);
                let leaves = vec![leaf.as_str(); per_batch];
                transaction
                    .execute(&insert, &[&positions, &streams, &links, &signatures, &leaves])
                    .await
                    .expect("rows are inserted");
            } else {
                let sink = transaction.copy_in("COPY raw FROM STDIN BINARY").await.expect("COPY");
                let types = [Type::INT8, Type::TEXT, Type::BYTEA, Type::BYTEA, Type::TEXT];
                let writer = BinaryCopyInWriter::new(sink, &types);
                tokio::pin!(writer);
                for (position, stream) in positions.iter().zip(&streams) {
                    let row = writer.as_mut();
                    row.write(&[position, stream, &link, &signature, &leaf]).await.expect("a row");
                }
                writer.finish().await.expect("rows are copied");
            }
            transaction.commit().await.expect("committed");
            latencies.0.push(began.elapsed());
            position += per_batch as i64;
            done += per_batch as u64;
        }
        all.push(pass(done, started, latencies));
    }
    Passes::new(all)
}
