//! `greffe-verify` as it is run: exit status and the two lines it prints.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use greffe_domain::event::ClockKind;
use greffe_tests::sample;

use super::{Class, Lines};

/// A directory of this test's own, removed at the end.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("greffe-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file for the test");
        path.to_str().expect("a UTF-8 path").to_owned()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The program, built anew if it is not what the sources say: cargo builds only the library
/// of a package that tests depend on.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this program");
    let profile_directory = tests.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let name = profile_directory.file_name().and_then(|name| name.to_str()).expect("a profile");
    let profile = if name == "debug" { "dev" } else { name };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "greffe-verify", "--profile", profile])
        .arg("--target-dir")
        .arg(profile_directory.parent().expect("target"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "greffe-verify does not build");
    profile_directory.join(format!("greffe-verify{}", std::env::consts::EXE_SUFFIX))
}

fn run(program: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(program).args(arguments).output().expect("greffe-verify starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn the_exit_status_tells_sound_from_broken_from_unjudged() {
    let room = Room::new("exit-status");
    let ledger = sample::ledger_of(60, ClockKind::Real);
    let trust = room.file("trust.json", ledger.trust().to_string().as_bytes());
    let export = ledger.export();
    let sound = room.file("sound.ndjson", &export);
    let program = program();
    let run = |arguments: &[&str]| run(&program, arguments);
    let (status, out, err) = run(&[&sound, "--trust", &trust]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains(&format!("{} entries", ledger.size())), "{out}");

    // A copy that came through a system with other line ends: no signed byte is touched.
    let crlf = export
        .iter()
        .flat_map(|b| if *b == b'\n' { &b"\r\n"[..] } else { std::slice::from_ref(b) });
    let crlf: Vec<u8> = crlf.copied().collect();
    let (status, out_of_copy, err) = run(&[&room.file("crlf.ndjson", &crlf), "--trust", &trust]);
    assert_eq!((status, out_of_copy, err.as_str()), (Some(0), out, ""));

    let mut lines = Lines::of(&export);
    lines.0.remove(lines.index(Class::Entry, 42));
    let broken = room.file("broken.ndjson", &lines.bytes());
    let (status, out, err) = run(&["--trust", &trust, &broken]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("broken at position 42 (line "), "{err}");
    assert_eq!(err.lines().count(), 2, "{err}");

    let garbage = room.file("garbage.ndjson", b"hello\n");
    let nowhere = room.0.join("nowhere").to_str().expect("a UTF-8 path").to_owned();
    let mut other = ledger.trust();
    other["origin"] = "registre.example/autre".into();
    let other = room.file("other.json", other.to_string().as_bytes());
    let unknown = room.file("unknown.json", br#"{"v":2}"#);
    let directory = room.0.to_str().expect("a UTF-8 path").to_owned();
    for arguments in [
        vec![garbage.as_str(), "--trust", trust.as_str()],
        vec![&nowhere, "--trust", &trust],
        vec![&directory, "--trust", &trust],
        vec![&sound, "--trust", &nowhere],
        vec![&sound, "--trust", &garbage],
        vec![&sound, "--trust", &unknown],
        vec![&sound, "--trust", &other],
        vec![&sound],
        vec![],
    ] {
        let (status, out, err) = run(&arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(err.lines().count(), 2, "{err}");
    }
}
