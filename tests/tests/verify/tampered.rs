//! Exports changed after they were written, by somebody without the ledger's key.

use std::sync::LazyLock;

use greffe_domain::event::ClockKind;
use greffe_domain::key::SecretKey;
use greffe_domain::seal::{Head, Position, SealError, SealedEntry, SealedLine, TreeSize};
use greffe_tests::ledger::TestLedger;
use greffe_tests::sample;
use greffe_verify::{Failure, Reason, Trust, verify};
use serde_json::json;

use super::{Class, Lines, assert_broken, broken, check, sound, trust};

fn ledger() -> TestLedger {
    static LEDGER: LazyLock<TestLedger> =
        LazyLock::new(|| sample::ledger_of(500, ClockKind::Simulated));
    LEDGER.clone()
}

/// Where in a line one member's value stands.
fn member(line: &[u8], name: &str) -> std::ops::Range<usize> {
    let text = std::str::from_utf8(line).expect("an export is UTF-8");
    let key = format!("\"{name}\":\"");
    // The seal's members come after the leaf.
    let start = text.rfind(&key).expect("the member stands in the line") + key.len();
    let end = start + text[start..].find('"').expect("the value ends");
    start..end
}

/// Another byte that keeps the value's alphabet: a flip that only a check can notice.
fn other(byte: u8) -> u8 {
    match byte {
        b'a' => b'b',
        b'0' => b'1',
        b'A' => b'B',
        b'1'..=b'9' | b'b'..=b'f' => byte - 1,
        b'B'..=b'Z' | b'g'..=b'z' => byte - 1,
        _ => b'Q',
    }
}

#[test]
fn a_flipped_byte_of_any_class_is_found_where_it_is() {
    let ledger = ledger();
    let export = ledger.export();
    sound(&ledger, &export);
    let lines = Lines::of(&export);
    let classes = [
        (Class::Entry, "link"),
        (Class::Entry, "signature"),
        (Class::Entry, "key"),
        (Class::Entry, "nonce"),
        (Class::Entry, "prev"),
        (Class::Entry, "time"),
        (Class::Entry, "rulebook"),
        (Class::Filing, "filing"),
        (Class::Disclosure, "disclosure"),
        (Class::Head, "link"),
        (Class::Head, "signature"),
        (Class::Head, "key"),
    ];
    for (class, name) in classes {
        let all = lines.all(class);
        for index in [all[0], all[all.len() / 2], all[all.len() - 1]] {
            let (_, position, line) = &lines.0[index];
            let range = member(line, name);
            for at in [range.start + range.len() / 2, range.end - 1] {
                let mut flipped = Lines(lines.0.clone());
                flipped.0[index].2[at] = other(line[at]);
                let (found, reason) = broken(&ledger, &flipped.bytes());
                assert_eq!(found, *position, "{class:?} {name} byte {at}: {reason}");
            }
        }
    }
}

#[test]
fn any_bit_of_any_line_matters() {
    let ledger = sample::ledger_of(40, ClockKind::Simulated);
    let lines = Lines::of(&ledger.export());
    // Lines of each class near the middle, and the first and last of all.
    let mut picked = vec![0, lines.0.len() - 1];
    for class in [Class::Filing, Class::Entry, Class::Disclosure] {
        let all = lines.all(class);
        picked.push(all[all.len() / 2]);
    }
    for index in picked {
        let (class, position, line) = &lines.0[index];
        for at in (0..line.len()).step_by(11) {
            let bit = 1 << (at % 8);
            let mut flipped = Lines(lines.0.clone());
            flipped.0[index].2[at] ^= bit;
            let (found, reason) = broken(&ledger, &flipped.bytes());
            assert_eq!(found, *position, "{class:?} bit {bit} of byte {at}: {reason}");
        }
    }
}

#[test]
fn a_dropped_entry_is_named() {
    let ledger = ledger();
    let lines = Lines::of(&ledger.export());
    for position in [0, 1, 250, ledger.size() - 2] {
        let mut cut = Lines(lines.0.clone());
        cut.0.remove(lines.index(Class::Entry, position));
        let (found, reason) = broken(&ledger, &cut.bytes());
        assert_eq!(found, position, "{reason}");
        // The whole of it, filing and disclosures included.
        let mut cut = Lines(lines.0.clone());
        cut.0.retain(|(_, p, _)| *p != position);
        let (found, reason) = broken(&ledger, &cut.bytes());
        assert_eq!(found, position, "{reason}");
    }
    // The last entry: only the head knows.
    let mut cut = Lines(lines.0.clone());
    let last = ledger.size() - 1;
    cut.0.retain(|(_, p, _)| *p != last);
    let (found, reason) = broken(&ledger, &cut.bytes());
    assert_eq!(found, last, "{reason}");
    // The last entry may be an item of a batch: then its filing knows, too.
    assert!(matches!(reason, Reason::HeadSize { .. } | Reason::ItemsLeftOut { .. }), "{reason}");
}

#[test]
fn a_dropped_filing_is_named() {
    let ledger = ledger();
    let mut lines = Lines::of(&ledger.export());
    let index = lines.all(Class::Filing)[300];
    let position = lines.0.remove(index).1;
    assert_broken!(&ledger, &lines.bytes(), position, Reason::FilingMissing);
}

#[test]
fn a_duplicated_line_is_named() {
    let ledger = ledger();
    let lines = Lines::of(&ledger.export());
    let twice = |index: usize| {
        let mut lines = Lines(lines.0.clone());
        lines.0.insert(index, lines.0[index].clone());
        lines.bytes()
    };
    let entry = twice(lines.index(Class::Entry, 300));
    let (found, reason) = broken(&ledger, &entry);
    assert!((300..=301).contains(&found), "{found} {reason}");
    let disclosed = lines.all(Class::Disclosure)[100];
    let position = lines.0[disclosed].1;
    assert_broken!(&ledger, &twice(disclosed), position, Reason::DisclosureTwice);
    let filed = lines.all(Class::Filing)[200];
    let position = lines.0[filed].1;
    assert_broken!(&ledger, &twice(filed), position, Reason::FilingUncited);
    let size = ledger.size();
    assert_broken!(&ledger, &twice(lines.0.len() - 1), size, Reason::AfterHead);
}

#[test]
fn swapped_entries_are_named() {
    let ledger = ledger();
    let lines = Lines::of(&ledger.export());
    for position in [1, 100, ledger.size() - 2] {
        let (a, b) = (lines.index(Class::Entry, position), lines.index(Class::Entry, position + 1));
        let mut swapped = Lines(lines.0.clone());
        let (line_a, line_b) = (lines.0[a].2.clone(), lines.0[b].2.clone());
        (swapped.0[a].2, swapped.0[b].2) = (line_b, line_a);
        assert_broken!(
            &ledger,
            &swapped.bytes(),
            position,
            Reason::Seal(SealError::Position { .. })
        );
    }
}

#[test]
fn a_disclosure_of_another_entry_is_named() {
    let ledger = ledger();
    let mut lines = Lines::of(&ledger.export());
    let disclosed = lines.all(Class::Disclosure);
    // Its text moved under another entry's name: no digest asks for it.
    let (a, b) = (disclosed[100], disclosed[101]);
    let (first, second) = (lines.0[a].1, lines.0[b].1);
    let text = String::from_utf8(lines.0[b].2.clone()).expect("UTF-8");
    let moved = text.replace(&format!(":{second},"), &format!(":{first},"));
    let kept = lines.0[a].2.clone();
    lines.0[a].2 = moved.into_bytes();
    assert_broken!(&ledger, &lines.bytes(), first, Reason::Disclosure(_));
    // The line itself moved after another entry.
    lines.0[a].2 = kept;
    let line = lines.0.remove(a);
    lines.0.push(line);
    let last = lines.0.len() - 1;
    lines.0.swap(last, last - 1);
    let (_, reason) = broken(&ledger, &lines.bytes());
    assert!(matches!(reason, Reason::DisclosureMisplaced(p) if p == first), "{reason}");
}

#[test]
fn an_export_cut_short_is_broken_wherever_it_is_cut() {
    let ledger = ledger();
    let export = ledger.export();
    let lines = Lines::of(&export);
    let mut ends = Vec::new();
    let mut at = 0;
    for (_, _, line) in &lines.0 {
        at += line.len() + 1;
        ends.push(at);
    }
    // After a line: the head is missing. The filing and disclosures of the next entry may
    // be there already.
    for &end in ends.iter().rev().skip(1).step_by(97) {
        let cut = &export[..end];
        let entries = Lines::of(cut).all(Class::Entry).len() as u64;
        assert_broken!(&ledger, cut, entries, Reason::NoHead);
    }
    // Inside a line.
    for &end in ends.iter().skip(3).step_by(97) {
        let (_, reason) = broken(&ledger, &export[..end - 20]);
        let unreadable = matches!(reason, Reason::NotALine(_) | Reason::Seal(SealError::Line(_)));
        assert!(unreadable, "{reason}");
    }
    // The line end after the head alone is no loss.
    sound(&ledger, &export[..export.len() - 1]);
}

#[test]
fn a_smaller_head_than_one_seen_before_is_broken() {
    let ledger = ledger();
    let mut seen = trust(&ledger);
    seen.min_size = Some(TreeSize(ledger.size()));
    assert!(verify(ledger.export().as_slice(), &seen).is_ok());
    seen.min_size = Some(TreeSize(ledger.size() + 1));
    let failure = verify(ledger.export().as_slice(), &seen).expect_err("entries are missing");
    assert!(matches!(failure, Failure::Broken { position, .. } if position.0 == ledger.size()));
}

/// The export with entries from `from` on, and the head, signed by another key.
fn signed_again(ledger: &TestLedger, from: u64, key: &SecretKey) -> Vec<u8> {
    let mut lines = Lines::of(&ledger.export());
    let mut last = None;
    for (class, position, line) in &mut lines.0 {
        if *class != Class::Entry {
            continue;
        }
        let text = std::str::from_utf8(line).expect("UTF-8");
        let Ok(SealedLine::Entry(entry)) = SealedLine::parse(text) else { panic!("an entry") };
        last = Some(entry.link);
        if *position >= from {
            let SealedEntry { leaf, link, .. } = entry;
            let signed = SealedEntry::sign(sample::ORIGIN, Position(*position), leaf, link, key);
            *line = signed.to_json_line();
        }
    }
    let size = TreeSize(ledger.size());
    let head = Head::sign(sample::ORIGIN, size, last.expect("entries"), key);
    let signature = greffe_domain::encoding::base64url(&head.signature);
    let head = json!({"head": {"size": size, "link": head.link, "signature": signature,
        "key": head.kid}});
    lines.0.last_mut().expect("a head").2 = head.to_string().into_bytes();
    lines.bytes()
}

#[test]
fn entries_signed_again_with_another_key_are_named() {
    let ledger = ledger();
    let key = SecretKey::from_seed(&[9; 32]);
    for from in [0, 1, 333] {
        let export = signed_again(&ledger, from, &key);
        assert_broken!(&ledger, &export, from, Reason::Seal(SealError::Key(_)));
    }
    let size = ledger.size();
    assert_broken!(&ledger, &signed_again(&ledger, size, &key), size, Reason::HeadKey);
}

#[test]
fn another_ledger_cannot_be_judged() {
    let ledger = ledger();
    let mut other = ledger.trust();
    other["origin"] = json!("registre.example/autre");
    let other = Trust::parse(other.to_string().as_bytes()).expect("a trust file");
    let failure = verify(ledger.export().as_slice(), &other).expect_err("another origin");
    assert!(matches!(failure, Failure::CannotJudge(_)), "{failure}");

    let mut other = ledger.trust();
    other["ledger_key"] = SecretKey::from_seed(&[9; 32]).public().to_jwk();
    let other = Trust::parse(other.to_string().as_bytes()).expect("a trust file");
    let failure = verify(ledger.export().as_slice(), &other).expect_err("another key");
    assert!(matches!(failure, Failure::CannotJudge(_)), "{failure}");
}

#[test]
fn garbage_cannot_be_judged() {
    let ledger = sample::opened(ClockKind::Real);
    let noise: Vec<u8> = (0..100_000u32).flat_map(blake3_of).collect();
    for garbage in [
        &b""[..],
        b"\n\n\n",
        b"not an export\n",
        b"{\"v\":1}\n{\"v\":2}\n",
        b"[1,2,3]",
        b"PK\x03\x04 an archive",
        &noise,
        &vec![b'x'; 5 * 1024 * 1024],
    ] {
        let failure = check(&ledger, garbage).expect_err("garbage");
        assert!(matches!(failure, Failure::CannotJudge(_)), "{failure}");
    }
}

fn blake3_of(n: u32) -> [u8; 4] {
    let hash = blake3::hash(&n.to_le_bytes());
    std::array::from_fn(|i| hash.as_bytes()[i])
}
