//! The worked examples of `docs/format.md` and `docs/receipts.md`, computed again by scripts
//! in another language that know the page alone; and the same on a page with one byte changed.

use std::path::{Path, PathBuf};
use std::process::Output;

use greffe_tests::node;
use greffe_tests::vectors::path;

fn page() -> String {
    std::fs::read_to_string(path("../docs/format.md")).expect("docs/format.md is there")
}

fn copy_with(page: &str, name: &str) -> PathBuf {
    copy_of("recompute.mjs", "format.md", page, name)
}

/// A directory in which a script of `vectors` finds that page and the modules.
///
/// Under the target directory, one for each name: tests run side by side.
fn copy_of(script: &str, page_name: &str, page: &str, name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recompute").join(name);
    for directory in ["docs", "tests/vectors"] {
        std::fs::create_dir_all(root.join(directory)).expect("a directory of our own");
    }
    std::fs::write(root.join("docs").join(page_name), page).expect("a file of our own");
    std::fs::write(root.join("tests/package.json"), r#"{"type":"module"}"#).expect("the same");
    let copy = root.join("tests/vectors").join(script);
    std::fs::copy(path("vectors").join(script), &copy).expect("the same");
    let modules = root.join("tests/node_modules");
    if !modules.exists() {
        let installed = path("node_modules");
        std::os::unix::fs::symlink(&installed, &modules).expect("a link of our own");
    }
    copy
}

#[track_caller]
fn fails_only(output: &Output, checks: &[&str]) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(i32::from(!checks.is_empty())), "{said}{errors}");
    for check in ["kid", "link", "signed", "signature", "digest"] {
        let holds = !checks.contains(&check);
        assert!(said.contains(&format!("{check}: {holds}")), "{check} is not {holds}: {said}");
    }
}

#[test]
fn the_worked_example_is_recomputed_from_the_page_alone() {
    fails_only(&node::run(Path::new("vectors/recompute.mjs"), &[]), &[]);
}

#[test]
fn one_changed_byte_of_the_leaf_is_noticed() {
    let page = page();
    let changed = page.replacen("visite de l’employeur", "visite de l’employeuR", 1);
    assert_ne!(page, changed);
    let output = node::run(&copy_with(&changed, "leaf"), &[]);
    // The link is of other bytes; the text signed no longer names it.
    fails_only(&output, &["link", "signed"]);
}

#[test]
fn an_unchanged_copy_is_confirmed_so_the_copy_itself_is_no_fault() {
    fails_only(&node::run(&copy_with(&page(), "same"), &[]), &[]);
}

#[test]
fn a_changed_disclosure_is_noticed() {
    let page = page();
    let line = page
        .lines()
        .skip_while(|line| *line != "```text disclosure")
        .nth(1)
        .expect("the page shows a disclosure");
    let changed = page.replacen(line, &line.replacen("WyI2", "WyI3", 1), 1);
    assert_ne!(page, changed);
    fails_only(&node::run(&copy_with(&changed, "disclosure"), &[]), &["digest"]);
}

#[test]
fn the_receipt_of_the_page_is_checked_from_the_page_alone_and_a_changed_term_noticed() {
    const SCRIPT: &str = "recompute-receipt.mjs";
    let page = std::fs::read_to_string(path("../docs/receipts.md")).expect("docs/receipts.md");
    let run = |page: &str, name: &str| {
        let output = node::run(&copy_of(SCRIPT, "receipts.md", page, name), &[]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = run(&page, "receipt");
    assert_eq!(code, Some(0), "{said}");
    // Later everywhere on the page, in the leaf too: only what is signed shows it.
    let changed = page.replace("\"valid_until\":\"2012-12-31\"", "\"valid_until\":\"2013-12-31\"");
    assert_ne!(page, changed);
    let (code, said) = run(&changed, "receipt-later");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("link: false"), "{said}");
}

#[test]
fn the_frozen_files_and_the_page_are_what_the_script_makes() {
    let output = node::run(Path::new("vectors/make.mjs"), &["--check"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
}
