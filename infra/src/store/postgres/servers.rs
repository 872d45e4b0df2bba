//! Connections to a database: where it is, how long each step may take, and what its answers
//! mean for whoever asked.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::hosts::each_host;
use crate::store::{Fault, FaultKind};

/// Connections for reading.
pub(super) const READERS: usize = 8;
/// How long the database works on an append before it gives up; a URL or a role may ask for
/// less.
pub(super) const APPEND_LIMIT: Duration = Duration::from_secs(30);
pub(super) const READ_LIMIT: Duration = Duration::from_secs(60);
/// Past the server's own limit by this much, the network has lost the answer.
pub(super) const SPARE: Duration = Duration::from_secs(10);
pub(super) const ANSWER_LIMIT: Duration = APPEND_LIMIT.saturating_add(SPARE);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Once reached, a host lets us in within this.
const ADMISSION_LIMIT: Duration = Duration::from_secs(3);

/// Where the database is, and how it is reached.
#[derive(Clone)]
pub(super) struct Servers {
    pub(super) config: Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Servers {
    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
            // The URL itself may hold a password.
            Fault::new(FaultKind::Missing, "open the ledger", "usable database URL").because(e)
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_LIMIT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(CONNECT_LIMIT * 2);
        }
        config.keepalives_idle(CONNECT_LIMIT).keepalives_interval(CONNECT_LIMIT / 5);
        config.keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("greffe");
        }
        Ok(Self { config, tls: tls()?, runtime: Handle::current() })
    }

    /// Host, port and database, without user and password.
    pub(super) fn shown(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        let database = self.config.get_dbname().unwrap_or_default();
        format!("the database {database} at {}", hosts.join(","))
    }

    /// A connection driven by the runtime of this store.
    pub(super) async fn connect(
        &self,
        hosts: TargetSessionAttrs,
    ) -> Result<(Client, JoinHandle<()>), Fault> {
        let mut config = self.config.clone();
        config.target_session_attrs(hosts);
        let connecting = connect_on(&self.runtime, config, self.tls.clone());
        match tokio::time::timeout(self.connecting_limit(), connecting).await {
            Ok(connected) => connected.map_err(|e| self.fault(e, "connect to the store")),
            Err(_) => {
                let fault =
                    Fault::new(FaultKind::Unavailable, "connect to the store", self.shown());
                Err(fault.because("it does not answer"))
            }
        }
    }

    /// Longest for all hosts to be tried.
    fn connecting_limit(&self) -> Duration {
        each_host(&self.config).iter().map(host_limit).sum::<Duration>() + Duration::from_secs(1)
    }

    pub(super) fn pool(&self, hosts: TargetSessionAttrs) -> Result<Pool, Fault> {
        let mut config = self.config.clone();
        config.target_session_attrs(hosts);
        // Every query of ours has its index: a plan must not turn to reading whole tables
        // because statistics are old. What is written here are renewals of the lease.
        let own = format!(
            "-c enable_seqscan=off -c jit=off -c synchronous_commit=off -c statement_timeout={}",
            READ_LIMIT.as_millis()
        );
        let options = match config.get_options() {
            // The last one counts: a shorter time that the URL asks for.
            Some(given) => format!("{own} {given}"),
            None => own,
        };
        config.options(options);
        let connect = Connector { runtime: self.runtime.clone(), tls: self.tls.clone() };
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        Pool::builder(Manager::from_connect(config, connect, recycling))
            .max_size(READERS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(READ_LIMIT))
            .create_timeout(Some(self.connecting_limit()))
            .build()
            .map_err(|e| {
                Fault::new(FaultKind::Unavailable, "open the ledger", self.shown()).because(e)
            })
    }

    pub(super) fn fault(
        &self,
        error: tokio_postgres::Error,
        attempted: impl Into<String>,
    ) -> Fault {
        let kind = error.as_db_error().map_or(FaultKind::Unavailable, kind_of);
        Fault::new(kind, attempted, self.shown()).because(Cause::from(error))
    }

    pub(super) fn failure(&self, failure: Failure, attempted: impl Into<String>) -> Fault {
        match failure {
            Failure::Database(error) => self.fault(error, attempted),
            Failure::NoAnswer(limit) => Fault::new(FaultKind::Unavailable, attempted, self.shown())
                .because(format!("no answer within {} s", limit.as_secs())),
        }
    }

    pub(super) fn pool_fault(&self, error: PoolError, attempted: &str) -> Fault {
        match error {
            PoolError::Backend(error) => self.fault(error, attempted),
            other => Fault::new(FaultKind::Unavailable, attempted, self.shown()).because(other),
        }
    }
}

/// Longest for a host, or for those that are to be taken at random, to be reached and to let
/// us in.
fn host_limit(config: &Config) -> Duration {
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len()).max(1);
    let reach = config.get_connect_timeout().copied().unwrap_or(CONNECT_LIMIT);
    (reach + ADMISSION_LIMIT) * u32::try_from(hosts).unwrap_or(u32::MAX)
}

/// TLS by the machine's certificates, or those that `SSL_CERT_FILE` names.
fn tls() -> Result<MakeRustlsConnect, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::new(FaultKind::Unavailable, "prepare", "TLS").because(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

struct Connector {
    runtime: Handle,
    tls: MakeRustlsConnect,
}

type Connecting<'a> = std::pin::Pin<
    Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>,
>;

impl deadpool_postgres::Connect for Connector {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        Box::pin(connect_on(&self.runtime, config.clone(), self.tls.clone()))
    }
}

/// Opens a connection on `runtime`, whose reactor then drives it.
async fn connect_on(
    runtime: &Handle,
    config: Config,
    tls: MakeRustlsConnect,
) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
    let opening = runtime.spawn(async move {
        let mut refused = None;
        for one in each_host(&config) {
            // A host that takes the connection and says nothing must not keep the next, which
            // may have taken its place, from being asked.
            match tokio::time::timeout(host_limit(&one), one.connect(tls.clone())).await {
                Ok(Ok((client, connection))) => {
                    // What breaks it, its client learns.
                    let driver = tokio::spawn(async move { drop(connection.await) });
                    return Ok((client, driver));
                }
                Ok(Err(error)) => refused = Some(error),
                Err(_) => {}
            }
        }
        Err(refused)
    });
    match opening.await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(Some(refused))) => Err(refused),
        // None of them answers: whoever asked has a limit.
        Ok(Err(None)) => std::future::pending().await,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        // The runtime is shutting down, and we with it.
        Err(_) => std::future::pending().await,
    }
}

pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(Failure::Database),
        Err(_) => Err(Failure::NoAnswer(limit)),
    }
}

/// Why there is no answer.
pub(super) enum Failure {
    Database(tokio_postgres::Error),
    /// Within this limit.
    NoAnswer(Duration),
}

/// The server answered that nothing was done, and goes on. A fatal error says only that it
/// hung up: a commit that waits for a replica when the server stops is on its disk.
pub(super) fn answered(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|e| e.parsed_severity() == Some(Severity::Error))
}

/// Given up for the sake of another transaction: to be tried again.
pub(super) fn gave_way(fault: &Fault) -> bool {
    use std::error::Error;
    fault.source().and_then(|s| s.downcast_ref::<Cause>()).is_some_and(|cause| {
        matches!(
            &cause.state,
            Some(state) if *state == SqlState::T_R_SERIALIZATION_FAILURE
                || *state == SqlState::T_R_DEADLOCK_DETECTED
        )
    })
}

fn kind_of(error: &DbError) -> FaultKind {
    let code = error.code();
    match code.code() {
        "53100" => FaultKind::Full,
        // Rights are missing, or this server is a replica.
        "42501" | "25006" => FaultKind::ReadOnly,
        // The database, a table of ours.
        "3D000" | "3F000" | "42P01" => FaultKind::Missing,
        "XX001" | "XX002" => FaultKind::Corrupt,
        _ => FaultKind::Unavailable,
    }
}

/// What the database said, in one line.
#[derive(Debug)]
struct Cause {
    text: String,
    state: Option<SqlState>,
}

impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error;
        match error.as_db_error() {
            Some(said) => Self {
                text: format!("{} ({})", said.message(), said.code().code()),
                state: Some(said.code().clone()),
            },
            None => {
                let mut text = error.to_string();
                let mut cause = error.source();
                while let Some(deeper) = cause {
                    text.push_str(&format!(": {deeper}"));
                    cause = deeper.source();
                }
                Self { text, state: None }
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}
