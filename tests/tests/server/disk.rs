//! A disk that is full, a directory that cannot be written, a byte that changed: what the
//! service and the command line do then. Real ones, as far as the user running the tests may.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use greffe_domain::seal::Position;
use greffe_infra::fsck::fsck;
use greffe_infra::store::{SqliteStore, Store};
use greffe_infra::trust::{TRUST_FILE, Trust};
use greffe_tests::server::{Server, create_ledger, greffe, program, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::Value;

/// The user "nobody" and its group.
const NOBODY: u32 = 65_534;

fn is_root(directory: &Path) -> bool {
    fs::metadata(directory).expect("our own directory").uid() == 0
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our own file");
}

/// Path and hash of every file of a directory that holds something. SQLite's shared memory
/// and an empty log mean nothing.
fn contents(directory: &Path) -> BTreeMap<PathBuf, blake3::Hash> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if !path.to_string_lossy().ends_with("-shm") {
            let bytes = fs::read(&path).expect("readable");
            if !bytes.is_empty() {
                found.insert(path, blake3::hash(&bytes));
            }
        }
    }
    found
}

/// Somebody to whom the rights of files apply, with a copy of the program: root has all.
struct Visitor {
    program: PathBuf,
    root: bool,
}

impl Visitor {
    fn of(base: &Path) -> Self {
        let root = is_root(base);
        set_mode(base, 0o755);
        let copy = base.join("greffe");
        fs::copy(program("greffe"), &copy).expect("a copy of the program");
        set_mode(&copy, 0o755);
        Self { program: copy, root }
    }

    /// Makes the visitor own a directory and what is in it, with these rights.
    fn own(&self, directory: &Path, directory_mode: u32, file_mode: u32) {
        set_mode(directory, 0o700);
        for entry in fs::read_dir(directory).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.own(&path, directory_mode, file_mode);
            } else {
                set_mode(&path, file_mode);
                self.chown(&path);
            }
        }
        set_mode(directory, directory_mode);
        self.chown(directory);
    }

    fn chown(&self, path: &Path) {
        if self.root {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        if self.root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.args(args).stdin(Stdio::null()).output().expect("the program starts")
    }

    /// Runs what must be unable to run: the two lines it says.
    #[track_caller]
    fn cannot(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 2, "{args:?}: {error}");
        error
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_directory_that_cannot_be_written_nothing_is_served_and_nothing_lost() {
    let base = tempfile::tempdir().expect("a directory");
    let visitor = Visitor::of(base.path());
    let ledger = base.path().join("registre");
    create_ledger(&ledger, &[("caisse", &["controller"])]).await;
    let before = contents(&ledger);
    let data = ledger.to_str().expect("UTF-8");
    for (directory_mode, file_mode) in [(0o500, 0o400), (0o500, 0o600), (0o700, 0o400)] {
        visitor.own(&ledger, directory_mode, file_mode);
        let error = visitor.cannot(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
        assert!(error.contains("cannot be written"), "{file_mode:o}: {error}");
        assert!(error.contains("make the directory and its files writable"), "{error}");
        // What only reads is answered all the same.
        let checked = visitor.run(&["fsck", "--data", data]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(0), "{directory_mode:o} {file_mode:o}: {said}");
        visitor.own(&ledger, 0o700, 0o600);
        assert_eq!(contents(&ledger), before, "{directory_mode:o} {file_mode:o}");
    }
    // Nothing is created where nothing may be.
    let closed = base.path().join("closed");
    fs::create_dir(&closed).expect("a directory");
    visitor.own(&closed, 0o500, 0o400);
    let inside = closed.join("new").to_str().expect("UTF-8").to_owned();
    let key = closed.join("key.pem").to_str().expect("UTF-8").to_owned();
    visitor.cannot(&["init", "--data", &inside, "--origin", "registre.example/x"]);
    visitor.cannot(&["demo", "--data", &inside, "--listen", "127.0.0.1:0"]);
    visitor.cannot(&["keygen", "--out", &key]);
    visitor.cannot(&["export", "--data", data, "--out", &key]);
    assert_eq!(fs::read_dir(&closed).expect("readable").count(), 0);

    tokio::task::spawn_blocking(move || {
        let server = Server::start(&ledger);
        let head = server.client().get("/v1/head").expect("an answer").accepted().expect("a head");
        assert_eq!(head["size"], 2, "the opening and one party");
    })
    .await
    .expect("it serves again");
}

/// A small disk of its own, for as long as the test runs.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `Err`: why there is none.
    fn mount(at: &Path) -> Result<Self, String> {
        let size = format!("size={DISK}");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .output()
            .map_err(|e| e.to_string())?;
        if output.status.success() {
            Ok(Self(at.to_owned()))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

const DISK: usize = 24 << 20;
/// What is taken of it from the start, and given back later.
const BALLAST: usize = 14 << 20;
const CLIENTS: usize = 4;

/// A signed report of a hundred accesses.
fn hundred(jti: &str) -> String {
    let bodies: Value = (0..100)
        .map(|item| {
            let subject = *blake3::hash(format!("{jti} {item}").as_bytes()).as_bytes();
            access("p", "caisse", "R-CPAM", subject)
        })
        .collect();
    sign("caisse", "access.report", Some("2026"), bodies, jti)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_clearly_loses_no_receipt_and_the_server_goes_on_with_room() {
    let base = tempfile::tempdir().expect("a directory");
    let _disk = match SmallDisk::mount(base.path()) {
        Ok(disk) => disk,
        Err(why) => {
            println!("not tested: a small disk needs the right to mount one ({why})");
            return;
        }
    };
    let ledger = base.path().join("registre");
    create_ledger(&ledger, &[("caisse", &["controller"])]).await;
    let ballast = base.path().join("ballast");
    let mut file = File::create(&ballast).expect("there is room");
    file.write_all(&vec![1; BALLAST]).expect("there is room");
    drop(file);

    let path = ledger.clone();
    let receipts = tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let http = server.client();
        let declare = declaration("p", &["R-CPAM"]);
        let declare = sign("caisse", "processing.declare", Some("2020"), declare, "declare");
        let receipts = Mutex::new(submit(&http, &declare).expect("declared"));
        let refused = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (http, receipts, refused) = (server.client(), &receipts, &refused);
                scope.spawn(move || {
                    for n in 0.. {
                        let text = hundred(&format!("{client}/{n}"));
                        match submit(&http, &text) {
                            Ok(given) => receipts.lock().expect("no panic").extend(given),
                            Err(problem) => {
                                refused.lock().expect("no panic").push((text, problem));
                                break;
                            }
                        }
                    }
                });
            }
        });
        let mut receipts = receipts.into_inner().expect("no client panics");
        assert!(receipts.len() > 500, "the disk was full after {} entries", receipts.len());
        for (_, problem) in refused.lock().expect("no panic").iter() {
            assert_eq!(problem["status"], 503, "{problem}");
            assert_eq!(problem["code"], "read-only", "{problem}");
            assert!(problem["detail"].as_str().is_some_and(|d| d.contains("later")), "{problem}");
        }
        // Full, it still answers.
        let head = http.get("/v1/head").expect("an answer").accepted().expect("a head");
        assert_eq!(head["size"], receipts.len() + 2, "what has a receipt, and no more");
        assert_eq!(http.get("/healthz").expect("an answer").status, 200);

        fs::remove_file(&ballast).expect("our own file");
        for (text, _) in refused.into_inner().expect("no panic") {
            receipts.extend(submit(&http, &text).expect("there is room again"));
        }
        let head = http.get("/v1/head").expect("an answer").accepted().expect("a head");
        assert_eq!(head["size"], receipts.len() + 2);
        server.signal_terminate();
        assert_eq!(server.wait(), Some(0), "it stops of its own accord");
        receipts
    })
    .await
    .expect("the disk fills and empties");

    let store = SqliteStore::open_read_only(&ledger).expect("readable");
    let trust = Trust::read(&ledger.join(TRUST_FILE)).expect("trust.json");
    fsck(&store, Some(&trust), |_, _| {}).await.expect("every stored byte is sound");
    for receipt in &receipts {
        let position = receipt["position"].as_u64().expect("a position");
        let row = store.entry(Position(position)).await.expect("readable").expect("it is there");
        assert_eq!(receipt["link"], row.sealed.link.to_string(), "position {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_changed_in_the_ledgers_file_is_named_by_row_and_column() {
    let base = tempfile::tempdir().expect("a directory");
    let made = base.path().join("made");
    let data = made.to_str().expect("UTF-8");
    let init = greffe(&["init", "--data", data, "--origin", "registre.example/absences"]);
    assert_eq!(init.status.code(), Some(0), "{}", String::from_utf8_lossy(&init.stderr));
    let served = base.path().join("served");
    create_ledger(&served, &[("caisse", &["controller"])]).await;
    let path = served.clone();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let declare = declaration("p", &["R-CPAM"]);
        let declare = sign("caisse", "processing.declare", Some("2020"), declare, "declare");
        submit(&server.client(), &declare).expect("declared");
        submit(&server.client(), &hundred("accesses")).expect("recorded");
        server.signal_terminate();
        assert_eq!(server.wait(), Some(0));
    })
    .await
    .expect("served and stopped");

    for (directory, position) in [(&made, 0), (&served, 0), (&served, 2), (&served, 57)] {
        let data = directory.to_str().expect("UTF-8");
        let store = SqliteStore::open_read_only(directory).expect("readable");
        let row = store.entry(Position(position)).await.expect("readable").expect("it is there");
        drop(store);
        let file = directory.join("ledger.db");
        let sound = fs::read(&file).expect("readable");
        // No other leaf has its nonce.
        let leaf = &row.sealed.leaf;
        let nonce = leaf.windows(9).position(|w| w == b"\"nonce\":\"").expect("a nonce");
        let values = [("leaf", &leaf[nonce..nonce + 30]), ("signature", &row.sealed.signature[..])];
        for (column, needle) in values {
            let mut found = sound.windows(needle.len()).enumerate().filter(|(_, w)| *w == needle);
            let (at, _) = found.next().expect("the file holds it: its log is folded");
            let mut changed = sound.clone();
            changed[at + 12] ^= 1;
            fs::write(&file, &changed).expect("written");
            let checked = greffe(&["fsck", "--data", data]);
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            assert_eq!(checked.status.code(), Some(1), "{said}");
            let named = format!("table entries, position {position}, column ");
            assert!(said.contains(&named), "{column}: {said}");
            let columns = if column == "leaf" { &["leaf", "link"][..] } else { &["signature"] };
            assert!(columns.iter().any(|c| said.contains(&format!("{named}{c}:"))), "{said}");
        }
        fs::write(&file, &sound).expect("written");
        assert_eq!(greffe(&["fsck", "--data", data]).status.code(), Some(0), "put right again");
    }
}
