//! What a newcomer does first, from the README: demo, export, verify, break.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use greffe_tests::http::Client;
use greffe_tests::server::{greffe, program};

#[test]
fn the_demo_serves_what_it_says_and_its_ledger_checks_and_breaks_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("demo");
    let data = data.to_str().expect("UTF-8");
    let start = || {
        let mut child = Command::new(program("greffe"))
            .args(["demo", "--listen", "127.0.0.1:0", "--data", data])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // It prints curl lines last; the first line that names an address is enough to wait for.
        for line in lines.by_ref() {
            let line = line.expect("text");
            said.push_str(&line);
            said.push('\n');
            if line.contains("Authorization: Bearer") {
                break;
            }
        }
        (child, said)
    };
    for round in 0..2 {
        let (mut child, said) = start();
        for affair in [
            "PURPOSE-REFUSED",
            "NO-DECLARATION",
            "SUBJECTS-NOT-INFORMED",
            "GENERALISATION-WITHOUT-EVALUATION",
            "GENERALISATION-CONDITION-UNMET",
            "BASIS-ANNULLED",
        ] {
            assert!(said.contains(affair), "round {round}: nothing on {affair} in\n{said}");
        }
        let url = said
            .split_whitespace()
            .find(|word| word.starts_with("http://127.0.0.1:"))
            .expect("an address")
            .trim_end_matches(['/', '.', ',', '"', '\'']);
        let authority: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let client = Client::new(&authority);
        let page = client.get("/").expect("an answer");
        let page = page.body.as_str().expect("a page").to_owned();
        assert!(page.contains("ANAISS") && page.contains("<html"), "{page}");
        assert!(client.get("/v1/head").expect("an answer").is_ok());
        let terminated = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(terminated.expect("kill runs").success());
        assert_eq!(child.wait().expect("it ended").code(), Some(0));
    }
    let export = directory.path().join("demo.ndjson");
    let export = export.to_str().expect("UTF-8");
    let exported = greffe(&["export", "--data", data, "--out", export]);
    assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
    let verify = || {
        Command::new(program("greffe-verify"))
            .args([export, "--trust", &format!("{data}/trust.json")])
            .output()
            .expect("the verifier starts")
    };
    let sound = verify();
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stderr));
    let text = std::fs::read_to_string(export).expect("an export");
    let kinder = text.replacen("NOT-COVERED", "COVERED", 1);
    assert_ne!(kinder, text, "some access is not covered");
    std::fs::write(export, kinder).expect("written");
    let broken = verify();
    assert_eq!(broken.status.code(), Some(1), "{}", String::from_utf8_lossy(&broken.stdout));
    let said = [broken.stdout, broken.stderr].concat();
    assert!(String::from_utf8_lossy(&said).contains("position"), "it names the entry");
}
