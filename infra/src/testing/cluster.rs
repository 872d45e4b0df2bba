//! A PostgreSQL server of a test's own: made, started, killed, followed by a replica, and
//! removed with everything in it.
//!
//! The server refuses to run as root: then it runs as `postgres`, or `nobody`. It listens on
//! a socket in its own directory, so no port can be taken. It dies with the process that
//! started it, however that ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Where Debian and others keep the server's programs.
const HOMES: [&str; 2] = ["/usr/lib/postgresql", "/usr/pgsql"];

/// A data directory, and the server that runs on it.
pub struct Cluster {
    directory: PathBuf,
    server: Option<Running>,
    settings: Vec<String>,
}

/// The log of a server, received as it is written; until it is dropped.
pub struct Archive(Cluster);

/// A server, held by a thread that lives as long: the server is told to end when that
/// thread does.
struct Running {
    process_group: u32,
    stop: mpsc::Sender<Stop>,
    ended: mpsc::Receiver<()>,
}

/// How a server ends.
#[derive(Clone, Copy)]
enum Stop {
    /// Told to (`SIGINT`), it disconnects everybody and writes what it must.
    Told,
    /// `SIGKILL` to all of its processes.
    Killed,
}

impl Cluster {
    /// Makes a cluster and starts its server. `settings`: lines for `-c`.
    ///
    /// Panics, saying what to install, where there is no PostgreSQL.
    pub fn start(settings: &[&str]) -> Self {
        let mut cluster = Self::in_new_directory(settings);
        let mut initdb = program("initdb");
        let data = cluster.data();
        initdb.args(["-A", "trust", "-U", "greffe", "-E", "UTF8", "--locale=C", "-N", "-D"]);
        run(initdb.arg(&data));
        cluster.start_again();
        cluster
    }

    fn in_new_directory(settings: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("greffe-pg-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).expect("a temporary directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("its mode");
        if let Some((uid, gid)) = other_user() {
            chown(&directory, Some(uid), Some(gid)).expect("root gives a directory away");
        }
        let settings = settings.iter().map(ToString::to_string).collect();
        Self { directory, server: None, settings }
    }

    /// A replica that follows this server from now on, started.
    pub fn replica(&self, settings: &[&str]) -> Self {
        // Its name goes into the settings of the replica.
        let mut replica = self.copied("replica", &["-R"], settings);
        replica.start_again();
        replica
    }

    /// A copy of its files as they are now, not started: what an operator keeps. `settings`:
    /// those of the server that may run on it.
    pub fn base_backup(&self, settings: &[&str]) -> Self {
        self.copied("backup", &[], settings)
    }

    fn copied(&self, name: &str, more: &[&str], settings: &[&str]) -> Self {
        let copy = Self::in_new_directory(settings);
        let mut program = self.client_program("pg_basebackup", name);
        program.args(["-X", "stream", "-c", "fast", "--no-sync"]).args(more);
        run(program.arg("-D").arg(copy.data()));
        copy
    }

    /// Receives this server's log as it is written, each piece synced before the server is
    /// told.
    pub fn archive(&self) -> Archive {
        let mut keeper = Self::in_new_directory(&[]);
        let mut slot = self.client_program("pg_receivewal", "archive");
        run(slot.args(["--slot=archive", "--create-slot"]));
        let mut receiver = self.client_program("pg_receivewal", "archive");
        receiver.args(["--slot=archive", "--synchronous", "-D"]).arg(&keeper.directory);
        let log = fs::File::create(keeper.directory.join("log")).expect("a file");
        receiver.stdout(Stdio::null()).stderr(log).process_group(0);
        keeper.server = Some(Running::start(receiver));
        Archive(keeper)
    }

    /// Starts on a copy, replays what the archive holds to its end, and takes writes.
    pub fn recover(&mut self, archive: &Archive) {
        // What was received last is in a file that is not yet complete.
        let from = archive.0.directory.display();
        let command = format!("cp {from}/%f %p || cp {from}/%f.partial %p");
        self.settings.push(format!("restore_command={command}"));
        fs::write(self.data().join("recovery.signal"), "").expect("a file");
        self.start_again();
        let recovering = "SELECT pg_is_in_recovery()";
        self.wait("end its recovery", || self.psql("postgres", recovering) == "f");
    }

    /// Has commits wait until this receiver of the log, `replica` or `archive`, has it on its
    /// disk. Returns once it is in step.
    pub fn wait_for(&self, receiver: &str) {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{receiver}'");
        self.psql("postgres", &set);
        self.psql("postgres", "SELECT pg_reload_conf()");
        let in_step = "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = 'sync'";
        self.wait("have a receiver in step", || self.psql("postgres", in_step) == "t");
    }

    fn wait(&self, to: &str, so: impl Fn() -> bool) {
        for _ in 0..600 {
            if so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not {to}: {}", self.log());
    }

    /// Writes a database to a file, as `pg_dump` does: of one moment, beside its servers.
    pub fn dump(&self, database: &str, to: &Path) {
        let mut program = program("pg_dump");
        program.args(["-Fc", "-U", "greffe", "-d", database, "-h"]).arg(&self.directory);
        let output = program.output().expect("pg_dump runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::write(to, output.stdout).expect("a file");
    }

    /// A new database from such a file, and its URL for the cluster's owner.
    pub fn restore(&self, name: &str, from: &Path) -> String {
        let url = self.database(name);
        let mut program = program("pg_restore");
        program.args(["-e", "-U", "greffe", "-d", name, "-h"]).arg(&self.directory);
        run(program.stdin(fs::File::open(from).expect("the file")));
        url
    }

    /// A program that connects to this server by the name of `application`.
    fn client_program(&self, name: &str, application: &str) -> Command {
        let mut program = program(name);
        let to = format!("host={} application_name={application}", self.directory.display());
        program.args(["-U", "greffe", "-d", &to]);
        program
    }

    /// Starts its server once more, after [`Cluster::kill`] or [`Cluster::stop`].
    pub fn start_again(&mut self) {
        assert!(self.server.is_none(), "it runs");
        // What a killed server left behind would make the next one wait.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        let mut server = program("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.directory);
        server.args(["-c", "listen_addresses=", "-c", "max_connections=60"]);
        server.args(["-c", "shared_buffers=64MB", "-c", "max_wal_senders=4"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        let log = fs::File::create(self.directory.join("log")).expect("a file");
        server.stdout(Stdio::null()).stderr(log).process_group(0);
        self.server = Some(Running::start(server));
        self.wait("start", || self.answers());
    }

    fn answers(&self) -> bool {
        let mut ask = program("pg_isready");
        ask.arg("-q").arg("-h").arg(&self.directory);
        ask.status().is_ok_and(|status| status.success())
    }

    /// Kills every process of the server at once.
    pub fn kill(&mut self) {
        self.server.take().expect("it runs").end(Stop::Killed);
    }

    /// Stops the server; its clients are disconnected.
    pub fn stop(&mut self) {
        self.server.take().expect("it runs").end(Stop::Told);
    }

    /// Makes a replica a primary.
    pub fn promote(&self) {
        self.psql("postgres", "SELECT pg_promote(true, 60)");
    }

    /// Runs statements as the cluster's owner; what they answer.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, "greffe", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same, as a role, answering what the server refused.
    pub fn try_psql(&self, database: &str, role: &str, sql: &str) -> Result<String, String> {
        let mut psql = program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database]);
        psql.arg("-h").arg(&self.directory).args(["-c", sql]);
        let output = psql.output().expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// A new database, and its URL for the cluster's owner.
    pub fn database(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name, "greffe")
    }

    pub fn url(&self, database: &str, role: &str) -> String {
        format!("postgres:///{database}?user={role}&host={}", self.directory.display())
    }

    /// Where its socket is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the server had to say.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Stop::Killed);
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        let (started, process_group) = mpsc::channel();
        let (stop, stopping) = mpsc::channel();
        let (ending, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let mut child = command.spawn().expect("the server's program runs");
            let _ = started.send(child.id());
            // A sender that is gone means the same as being killed.
            let how = stopping.recv().unwrap_or(Stop::Killed);
            end(&mut child, how);
            let _ = ending.send(());
        });
        let process_group = process_group.recv().expect("the server's program runs");
        Self { process_group, stop, ended }
    }

    fn end(self, how: Stop) {
        let _ = self.stop.send(how);
        let _ = self.ended.recv();
        debug_assert_ne!(self.process_group, 0);
    }
}

fn end(child: &mut Child, how: Stop) {
    let (signal, whom) = match how {
        Stop::Told => ("-INT", child.id().to_string()),
        Stop::Killed => ("-KILL", format!("-{}", child.id())),
    };
    let _ = Command::new("kill").args([signal, "--", &whom]).status();
    let _ = child.wait();
}

/// A program of the server, to be run as somebody who is not root, and to end with us.
fn program(name: &str) -> Command {
    let path = home().join(name);
    let mut command = Command::new("setpriv");
    if let Some((uid, gid)) = other_user() {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
        command.arg("--clear-groups");
    }
    command.args(["--pdeathsig", "QUIT", "--"]).arg(path);
    // Not a directory that only we may enter.
    command.current_dir("/").env("LC_ALL", "C");
    command
}

/// The newest server installed.
fn home() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for home in HOMES {
        for version in fs::read_dir(home).into_iter().flatten().flatten() {
            let number = version.file_name().to_string_lossy().parse().unwrap_or(0);
            let bin = version.path().join("bin");
            if bin.join("initdb").exists() {
                found.push((number, bin));
            }
        }
    }
    let newest = found.into_iter().max();
    newest
        .map(|(_, bin)| bin)
        .expect("these tests need a PostgreSQL server: apt-get install postgresql")
}

/// Whom the server runs as when we are root.
fn other_user() -> Option<(u32, u32)> {
    let own = fs::metadata("/proc/self").expect("/proc is there");
    if own.uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("users are listed");
    ["postgres", "nobody"].iter().find_map(|wanted| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program of the server runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
