//! A fake Twilio: an HTTP server with Twilio's behaviour, limits and faults.
//!
//! In: HTTP requests, over TCP ([`Simulator::serve`]) or in process ([`InProcess`]), to the same router. Out:
//! Twilio's replies, and a record of their effects ([`Simulator::effects`]). Always: a request that has been read is
//! carried out even if the client closes its connection; the same seed and the same order of requests give the same
//! world; behaviour that Twilio's sources leave open is a setting ([`Assumptions`]) or is described in
//! `docs/simulator.md`.

mod http;
mod settings;
mod limits;
mod faults;
mod world;
mod people;
mod taskrouter;
mod flex;
mod conversations;
mod chat;
mod proxy;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::shutdown::Stopper;
use crate::twilio::{Dropped, InProcess};

pub use faults::{CustomerShare, Customers, FaultKind, Faults, InvalidFaults, Rule, When};
pub use limits::{RequestLimits, RequestQuota};
pub use people::customers::{Reached, Unreached};
pub use people::staff::{AgentChange, AgentState, NoSuchAgent};
pub use settings::{
    Assumptions, BusyInteraction, ChannelKey, DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, ProxyPool,
    Settings,
};
pub use world::DebuggerEvent;
pub use world::effects::{Effect, EffectKind};
pub use world::queues::SenderQueues;

/// The record of one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    pub time: Timestamp,
    /// The name of the operation; `unknown` for a path that Twilio does not have.
    pub operation: &'static str,
    /// The HTTP status; `None` while the request is carried out, and if no reply was sent.
    pub status: Option<u16>,
    /// Whether the client had closed its connection before the reply was made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub client_left: bool,
}

/// A fake Twilio account. Clones share the account.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    clock: Clock,
    state: Mutex<State>,
}

/// The mutable state, under one lock that is never held across an await.
struct State {
    world: world::World,
    windows: limits::Windows,
    dice: faults::Dice,
    requests: Vec<RequestRecord>,
    recorder: Option<http::record::Recorder>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Creates an account with these settings. Its time is the time of `clock`.
    ///
    /// The faults of the settings are not checked; [`Simulator::set_faults`] does. If the record file cannot be
    /// opened, that is logged, and nothing is recorded.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let recorder = settings.record.as_deref().and_then(|path| {
            http::record::Recorder::open(path)
                .inspect_err(|error| tracing::warn!(%error, "the record file cannot be opened"))
                .ok()
        });
        let settings = Arc::new(settings);
        let mut world = world::World::new(&settings, clock.now());
        if let Some(delay) = settings.faults.listing_delay_ms {
            world.listing_delay = Duration::from_millis(delay);
        }
        let state = State {
            world,
            windows: limits::Windows::default(),
            dice: faults::Dice::new(settings.faults.clone()),
            requests: Vec::new(),
            recorder,
        };
        Self {
            inner: Arc::new(Inner {
                settings,
                clock,
                state: Mutex::new(state),
            }),
        }
    }

    /// Serves HTTP/1.1 on `listener` until `stop`. Requests that have been read are still answered.
    ///
    /// # Errors
    ///
    /// An error when the listener can accept no more connections.
    pub async fn serve(&self, listener: TcpListener, stop: Stopper) -> io::Result<()> {
        http::server::serve(self.clone(), listener, stop).await
    }

    /// Creates a worker (or finds the one with this name) and returns its SID. Its `contact_uri` is `client:` and the
    /// name.
    pub fn add_agent(&self, friendly_name: &str) -> String {
        let now = self.inner.clock.now();
        self.state().world.hire(friendly_name, now)
    }

    /// The effects of all requests so far, oldest first.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        self.settled().world.effects.list().to_vec()
    }

    /// All requests to Twilio's endpoints so far, in the order in which they were read.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state().requests.clone()
    }

    /// The events of texts that were not delivered, as in Twilio's debugger.
    #[must_use]
    pub fn debugger(&self) -> Vec<DebuggerEvent> {
        self.state().world.debugger.clone()
    }

    /// Replaces the faults, and restarts their counters.
    ///
    /// # Errors
    ///
    /// [`InvalidFaults`] when a rule is not valid: the earlier faults stay in force.
    pub fn set_faults(&self, faults: Faults) -> Result<(), InvalidFaults> {
        faults.check(http::router::is_operation)?;
        let delay = faults.listing_delay_ms.map(Duration::from_millis);
        let mut state = self.state();
        state.world.listing_delay = delay.unwrap_or(self.inner.settings.listing_delay);
        state.dice = faults::Dice::new(faults);
        Ok(())
    }

    /// Receives a text from `customer` to `sender`, as from a carrier. `sender` is ignored for a customer with a chat
    /// identity.
    ///
    /// # Errors
    ///
    /// [`Unreached`] when no open conversation or session has this pair, or the text is a stop word.
    pub fn reply(&self, customer: &str, sender: &str, body: &str) -> Result<Reached, Unreached> {
        let now = self.inner.clock.now();
        self.settled().world.inbound(customer, sender, body, now)
    }

    /// Locks the state, also after a panic: no change of it is partial.
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state, after the events that are due by now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let now = self.inner.clock.now();
        let mut state = self.state();
        state.world.advance(now);
        state
    }
}

#[async_trait]
impl InProcess for Simulator {
    async fn call(
        &self,
        request: ::http::Request<Bytes>,
    ) -> Result<::http::Response<Bytes>, Dropped> {
        let simulator = self.clone();
        let caller = Arc::new(());
        let listening = Arc::downgrade(&caller);
        // In its own task: a caller that stops waiting does not cancel the request.
        let work = tokio::spawn(async move { simulator.carry_out(request, &listening).await });
        match work.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) | Err(_) => Err(Dropped),
        }
    }
}
