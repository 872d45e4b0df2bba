//! Every integration test, in one binary.

#[path = "../architecture.rs"]
mod architecture;
#[path = "../browser/mod.rs"]
mod browser;
#[path = "../canonical.rs"]
mod canonical;
#[path = "../dry_run.rs"]
mod dry_run;
#[path = "../eventstore/mod.rs"]
mod eventstore;
#[path = "../oracle/mod.rs"]
mod oracle;
#[path = "../receipts.rs"]
mod receipts;
#[path = "../recompute.rs"]
mod recompute;
mod rule_table;
#[path = "../rules.rs"]
mod rules;
#[path = "../sd_jwt_oracle.rs"]
mod sd_jwt_oracle;
#[path = "../server/mod.rs"]
mod server;
#[path = "../statistics/mod.rs"]
mod statistics;
#[path = "../vectors.rs"]
mod vectors;
#[path = "../verify/mod.rs"]
mod verify;
