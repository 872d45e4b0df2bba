//! The store on PostgreSQL, against a real server that each test starts and removes.

use std::sync::Arc;

use greffe_infra::store::{PostgresStore, contract};
use greffe_infra::testing::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_postgresql_keeps_the_contract() {
    let cluster = Cluster::start(&[]);
    let url = Arc::new(cluster.database("ledger"));
    contract::run(|| {
        let url = Arc::clone(&url);
        async move { PostgresStore::create(&url, contract::ORIGIN, None).await.expect("it opens") }
    })
    .await;
}
