//! The ledger's stream on its server: the calls, and what each answer means.
//!
//! Calls run on the runtime that opened the store, whose reactor drives the connections; the
//! sequencer's own runtime only waits for answers. A client that has lost its server for
//! good is replaced, because it never tries again by itself.

use std::future::Future;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use greffe_domain::encoding::Hash32;
use greffe_domain::seal::TreeSize;
use kurrentdb::{
    AppendToStreamOptions, Client, ClientSettings, Error, EventData, ReadStreamOptions,
    ResolvedEvent, StreamPosition, StreamState,
};
use tokio::runtime::Handle;

use super::wire::{self, Read};
use crate::store::{Fault, FaultKind, Head};

/// Longest that the server may work on an append.
const APPEND_LIMIT: Duration = Duration::from_secs(30);
/// Beyond that limit the network has lost the answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(40);
const READ_LIMIT: Duration = Duration::from_secs(60);
/// Tries of a call that the server did not begin.
const TRIES: u32 = 5;
/// Between two of them, a multiple of this: an election takes a second or two.
const PAUSE: Duration = Duration::from_millis(100);

/// How a call to append ended, when it did not append.
pub(super) enum NotAppended {
    /// The stream does not end where it was expected to. Nothing was written.
    WrongRevision,
    /// Nothing was written.
    Refused(Fault),
    /// Nobody knows.
    Unknown(Fault),
}

pub(super) struct Server {
    settings: ClientSettings,
    client: RwLock<Client>,
    runtime: Handle,
    stream: String,
}

impl Server {
    /// Errors: `Missing` when the URL is not one. Nothing is sent yet.
    pub fn new(url: &str, stream: &str) -> Result<Self, Fault> {
        let settings: ClientSettings =
            url.parse().map_err(|e: kurrentdb::ClientSettingsParseError| {
                // Its message may repeat the URL, which may hold a password.
                let cause = e.error().map_or_else(
                    || "a host and known parameters are expected".to_owned(),
                    ToString::to_string,
                );
                Fault::new(FaultKind::Missing, "open the ledger", "usable event store URL")
                    .because(cause)
            })?;
        let runtime = Handle::current();
        let client = RwLock::new(connect(&settings, &runtime)?);
        Ok(Self { settings, client, runtime, stream: stream.to_owned() })
    }

    /// Stream and hosts, without user and password.
    pub fn shown(&self) -> String {
        let hosts: Vec<String> =
            self.settings.hosts().iter().map(|h| format!("{}:{}", h.host, h.port)).collect();
        format!("the stream {} at {}", self.stream, hosts.join(","))
    }

    /// Where the stream ends: its last event, read backwards.
    pub async fn head(&self) -> Result<Head, Fault> {
        let last = self.read("read the head", StreamPosition::End, 1, Direction::Backwards).await?;
        Ok(match last.first() {
            None => Head::empty(),
            Some(last) => Head { size: last.row.position.tree_size(), link: last.row.sealed.link },
        })
    }

    /// At most `limit` events from a position on, which follow each other without a gap.
    pub async fn events(&self, from: u64, limit: usize) -> Result<Vec<Read>, Fault> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let start = StreamPosition::Position(from);
        let events = self.read("read entries", start, limit, Direction::Forwards).await?;
        for (event, position) in events.iter().zip(from..) {
            if event.row.position.0 != position {
                return Err(self.damaged(
                    "read entries",
                    format!("position {position} is gone: the stream was truncated"),
                ));
            }
        }
        Ok(events)
    }

    /// The link at a position, if there is an entry.
    pub async fn link_at(&self, position: u64) -> Result<Option<Hash32>, Fault> {
        Ok(self.events(position, 1).await?.first().map(|e| e.row.sealed.link))
    }

    /// Appends events if the stream has so many: all of them or none. Sent again, they land
    /// once.
    pub async fn append(&self, size: TreeSize, events: Vec<EventData>) -> Result<(), NotAppended> {
        let attempted = format!("append {} entries at position {}", events.len(), size.0);
        let expected = match size.0.checked_sub(1) {
            None => StreamState::NoStream,
            Some(last) => StreamState::StreamRevision(last),
        };
        let after = size.0 + events.len() as u64;
        let options = AppendToStreamOptions::default()
            .stream_state(expected)
            .requires_leader(true)
            .deadline(APPEND_LIMIT);
        // Once an answer was lost, only those that tell what the stream holds count.
        let mut lost: Option<Fault> = None;
        let mut tries = 1;
        loop {
            let (client, stream) = (self.client(), self.stream.clone());
            let (options, events) = (options.clone(), events.clone());
            let call = async move { client.append_to_stream(stream, &options, events).await };
            let answer = self.call(ANSWER_LIMIT, call).await;
            let error = match answer {
                Ok(written) if written.next_expected_version + 1 == after => return Ok(()),
                Ok(written) => {
                    // A stream that was deleted and begun again counts on from where it was.
                    let at = written.next_expected_version;
                    let cause = format!("its last event is number {at}, not {}", after - 1);
                    return Err(NotAppended::Unknown(self.damaged(attempted, cause)));
                }
                Err(Error::WrongExpectedVersion { .. }) => return Err(NotAppended::WrongRevision),
                Err(error) => error,
            };
            let began = may_have_begun(&error);
            let again = began || may_pass(&error);
            self.reconnect_after(&error);
            let fault = self.fault(error, &attempted);
            if began {
                lost = Some(fault);
            } else if !again || tries == TRIES {
                return Err(match lost {
                    None => NotAppended::Refused(fault),
                    Some(lost) => NotAppended::Unknown(lost),
                });
            }
            if tries == TRIES {
                let lost = lost
                    .unwrap_or_else(|| Fault::new(FaultKind::Unavailable, attempted, self.shown()));
                return Err(NotAppended::Unknown(lost));
            }
            tokio::time::sleep(PAUSE * tries).await;
            tries += 1;
        }
    }

    async fn read(
        &self,
        attempted: &str,
        from: StreamPosition<u64>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Read>, Fault> {
        // A follower may be behind: whoever appends must read what it appended.
        let options = ReadStreamOptions::default().requires_leader(true).max_count(limit);
        let options = match direction {
            Direction::Forwards => options.forwards().position(from),
            Direction::Backwards => options.backwards().position(from),
        };
        let mut tries = 1;
        let events = loop {
            let (client, stream) = (self.client(), self.stream.clone());
            let options = options.clone();
            let call = async move {
                let mut reading = client.read_stream(stream, &options).await?;
                let mut events: Vec<ResolvedEvent> = Vec::new();
                while let Some(event) = reading.next().await? {
                    events.push(event);
                }
                Ok(events)
            };
            match self.call(READ_LIMIT, call).await {
                Ok(events) => break events,
                // Nothing was ever appended.
                Err(Error::ResourceNotFound) => return Ok(Vec::new()),
                Err(error) => {
                    let again = may_pass(&error) || may_have_begun(&error);
                    self.reconnect_after(&error);
                    if !again || tries == TRIES {
                        return Err(self.fault(error, attempted));
                    }
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
            }
        };
        let read = |event: &ResolvedEvent| {
            let event = event.get_original_event();
            wire::read(event.revision, &event.event_type, &event.data, &event.custom_metadata)
                .map_err(|e| {
                    self.damaged(
                        attempted,
                        format!("event {} is not one of ours: {e}", event.revision),
                    )
                })
        };
        events.iter().map(read).collect()
    }

    /// Runs a call on the store's runtime.
    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let call = self.runtime.spawn(tokio::time::timeout(limit, call));
        match call.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::DeadlineExceeded),
            // The client takes an answer that lacks a field for impossible.
            Err(stopped) if stopped.is_panic() => {
                Err(Error::InternalParsingError("an answer outside the protocol".to_owned()))
            }
            // The runtime is shutting down, and we with it.
            Err(_) => std::future::pending().await,
        }
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client whose search for a server failed once stays closed.
    fn reconnect_after(&self, error: &Error) {
        if matches!(error, Error::ConnectionClosed | Error::GrpcConnectionError(_))
            && let Ok(client) = connect(&self.settings, &self.runtime)
        {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    pub fn damaged(&self, attempted: impl Into<String>, cause: String) -> Fault {
        Fault::new(FaultKind::Corrupt, attempted, self.shown()).because(cause)
    }

    fn fault(&self, error: Error, attempted: impl Into<String>) -> Fault {
        let (kind, cause) = match &error {
            Error::AccessDenied => (
                FaultKind::ReadOnly,
                "access denied: the user of the URL may not read and append this stream".to_owned(),
            ),
            Error::ResourceDeleted => {
                (FaultKind::Corrupt, "the stream was deleted on the server".to_owned())
            }
            Error::NotLeaderException(leader) => {
                (FaultKind::Unavailable, format!("the leader is {}:{}", leader.host, leader.port))
            }
            other => (FaultKind::Unavailable, other.to_string()),
        };
        Fault::new(kind, attempted, self.shown()).because(cause)
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Forwards,
    Backwards,
}

fn connect(settings: &ClientSettings, runtime: &Handle) -> Result<Client, Fault> {
    Client::with_runtime_handle(runtime.clone(), settings.clone()).map_err(|e| {
        Fault::new(FaultKind::Unavailable, "prepare", "the event store's client")
            .because(e.to_string())
    })
}

/// Whether the server may have begun, or may still begin, what was asked.
fn may_have_begun(error: &Error) -> bool {
    match error {
        Error::ServerError(_)
        | Error::DeadlineExceeded
        | Error::InternalParsingError(_)
        | Error::InternalClientError
        | Error::IllegalStateError(_) => true,
        Error::Grpc { code, .. } => {
            // The server looked at the request and refused it as it stands.
            !matches!(*code as i32, INVALID_ARGUMENT | FAILED_PRECONDITION | OUT_OF_RANGE)
        }
        _ => false,
    }
}

/// Codes of gRPC.
const INVALID_ARGUMENT: i32 = 3;
const FAILED_PRECONDITION: i32 = 9;
const OUT_OF_RANGE: i32 = 11;

/// Whether what was not begun may go through a moment later: another node leads, or none is
/// found.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::NotLeaderException(_) | Error::ConnectionClosed | Error::GrpcConnectionError(_)
    )
}
