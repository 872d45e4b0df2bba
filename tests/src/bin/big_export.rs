//! Writes the export of a large invented ledger, to measure the verifier on.
//!
//! `big_export ENTRIES EXPORT TRUST`, then
//! `/usr/bin/time -v greffe-verify EXPORT --trust TRUST`. Entries are not kept in memory.

use std::fs::File;
use std::io::{BufWriter, Write};

use greffe_domain::event::ClockKind;
use greffe_tests::sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [entries, export, trust] = arguments.as_slice() else {
        return Err("usage: big_export ENTRIES EXPORT TRUST".into());
    };
    let entries: u64 = entries.parse()?;
    let mut ledger = sample::opened(ClockKind::Simulated);
    std::fs::write(trust, ledger.trust().to_string())?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(export)?);
    let mut n = 0;
    while ledger.size() < entries {
        sample::access_only(&mut ledger, n);
        n += 1;
        if n % 1_000 == 0 {
            ledger.write_out(&mut out)?;
        }
    }
    ledger.write_out(&mut out)?;
    ledger.write_head(&mut out)?;
    out.flush()?;
    Ok(())
}
