//! Every integration test, in one binary.

#[path = "../architecture.rs"]
mod architecture;
#[path = "../canonical.rs"]
mod canonical;
#[path = "../differencing.rs"]
mod differencing;
#[path = "../recompute.rs"]
mod recompute;
#[path = "../rules.rs"]
mod rules;
#[path = "../rules_statistics.rs"]
mod rules_statistics;
#[path = "../sd_jwt_oracle.rs"]
mod sd_jwt_oracle;
#[path = "../server/mod.rs"]
mod server;
#[path = "../vectors.rs"]
mod vectors;
#[path = "../verify/mod.rs"]
mod verify;
