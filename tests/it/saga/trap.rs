//! What can befall a consumer from outside: killed at a call, stopped for a while, failed by its
//! ledger or its queue. Every call it makes of the three comes through here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flexcast::simulator::Simulator;
use flexcast::twilio::{Dropped, InProcess};
use tokio::sync::Notify;

/// On which side of the effect it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The bytes have not left.
    Before,
    /// The effect stands, and nobody has read the reply.
    After,
}

/// Whom a call is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Twilio,
    Queue,
    Ledger,
    /// The ledger, when events are written while a saga runs: an intent before its call.
    Journal,
    /// The ledger, when a consumer renews its right to start calls.
    Rights,
}

/// Around what happens outside, the ledger's writes left out: what a saga's tests go through.
const OUTSIDE: &[Place] = &[Place::Twilio, Place::Queue];

/// Whether the process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pulse {
    #[default]
    Runs,
    /// Nothing it does leaves.
    Stopped,
    /// It runs again, and what it was about to send met connections that are gone.
    CutOff,
}

/// What became of the consumer at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The world stopped here.
    Stopped,
    /// The ledger or the queue said no.
    Failed,
    /// The ledger refused, without a word whose fault it is.
    Refused,
    /// The queue confirmed, and lost what it was given.
    Lost,
}

/// Something that befell the consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mishap {
    pub(crate) kind: Kind,
    pub(crate) place: Place,
    pub(crate) what: String,
    pub(crate) side: Side,
}

impl Mishap {
    fn of(kind: Kind, place: Place, what: &str, side: Side) -> Self {
        let what = what.to_owned();
        Self {
            kind,
            place,
            what,
            side,
        }
    }
}

/// How a call to the ledger or the queue fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// It is away: before the call had an effect, or after it.
    Away(Side),
    /// It answers with an error that does not tell whose fault it is.
    Refuses(&'static str),
}

/// How a part of Twilio is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TwilioAway {
    /// No connection comes about.
    Refused,
    /// Connections end without a reply, and nothing has happened.
    Reset,
    /// Twilio answers with 500, and nothing has happened.
    ServerErrors,
    /// What stands before Twilio answers with a page of its own.
    ProxyPage,
}

/// Decides whether the product that a call goes to is away, and how.
pub(crate) type TwilioOutage = Box<dyn FnMut(&str) -> Option<TwilioAway> + Send>;

/// Decides whether a call to the ledger or the queue fails, and how.
pub(crate) type Mishaps = Box<dyn FnMut(Place, &'static str) -> Option<Failing> + Send>;

/// Counts calls, and never answers the one it is set to.
pub(crate) struct Trap {
    simulator: Simulator,
    state: Mutex<State>,
    sprung: Notify,
    go_on: Notify,
    comes_round: Notify,
}

/// How often the queue may deliver one message before it counts as one that comes round for ever, were it without
/// any time in between. Where a seed's ledger fails at every tenth call, a turn that has to wait for Twilio seldom comes
/// to its end: of three hundred seeds the most is some thousand times.
const DELIVERIES_MAX: u32 = 10_000;

#[derive(Default)]
struct State {
    set: Option<Set>,
    mishaps: Option<Mishaps>,
    outage: Option<TwilioOutage>,
    /// How long each of the ledger's calls takes.
    slow: Duration,
    /// How many calls were about to leave for Twilio.
    calls: u64,
    /// How many of them met the outage.
    calls_away: u64,
    /// How the call that is about to leave fares.
    fares: Option<TwilioAway>,
    /// How many batches the queue still loses.
    loses: Option<u32>,
    pulse: Pulse,
    /// What befell the consumer, in order.
    log: Vec<Mishap>,
    /// How often the queue delivered each message, by its body.
    deliveries: BTreeMap<Bytes, u32>,
}

struct Set {
    at: &'static [Place],
    left: u64,
    side: Side,
}

impl Trap {
    pub(crate) fn new(simulator: Simulator) -> Arc<Self> {
        Arc::new(Self {
            simulator,
            state: Mutex::default(),
            sprung: Notify::new(),
            go_on: Notify::new(),
            comes_round: Notify::new(),
        })
    }

    /// Stops the world at the `nth` call to Twilio or the queue from now, counted from 1.
    pub(crate) fn set(&self, nth: u64, side: Side) {
        self.set_at(OUTSIDE, nth, side);
    }

    /// Stops the world at the `nth` call to one of these places from now, counted from 1.
    pub(crate) fn set_at(&self, at: &'static [Place], nth: u64, side: Side) {
        let left = nth;
        self.state().set = Some(Set { at, left, side });
    }

    pub(crate) fn clear(&self) {
        self.state().set = None;
    }

    /// From now on this decides which calls to the ledger and the queue fail.
    pub(crate) fn befall(&self, mishaps: Mishaps) {
        self.state().mishaps = Some(mishaps);
    }

    /// From now on this decides which products of Twilio are away.
    pub(crate) fn outage(&self, outage: TwilioOutage) {
        self.state().outage = Some(outage);
    }

    /// From now on each of the ledger's calls takes so long, as where the database is far away.
    pub(crate) fn slow_ledger(&self, takes: Duration) {
        self.state().slow = takes;
    }

    /// How many calls were about to leave for Twilio, and how many of them met an outage.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let state = self.state();
        (state.calls, state.calls_away)
    }

    /// Whether the product of this address is away.
    fn away(&self, to: &http::Uri) -> Option<TwilioAway> {
        let product = to.path().split('/').nth(1).unwrap_or_default();
        let mut state = self.state();
        let away = state.outage.as_mut().and_then(|roll| roll(product));
        state.calls += 1;
        state.calls_away += u64::from(away.is_some());
        away
    }

    /// What befell the consumer, in order.
    pub(crate) fn log(&self) -> Vec<Mishap> {
        self.state().log.clone()
    }

    /// Returns once a call has run into it.
    pub(crate) async fn sprung(&self) {
        self.sprung.notified().await;
    }

    /// Stops the process: nothing it does leaves any more.
    pub(crate) fn stop_process(&self) {
        self.state().pulse = Pulse::Stopped;
    }

    /// Lets the process go on: what was about to leave leaves now.
    pub(crate) fn go_on(&self) {
        self.state().pulse = Pulse::Runs;
        self.go_on.notify_waiters();
    }

    /// Lets the process go on: what was about to leave for Twilio never does.
    pub(crate) fn go_on_cut_off(&self) {
        self.state().pulse = Pulse::CutOff;
        self.go_on.notify_waiters();
    }

    /// Waits while the process is stopped; whether its connections are gone by then.
    pub(super) async fn running(&self) -> bool {
        let mut was_stopped = false;
        loop {
            // Not a `watch`: that one wakes in an order of chance.
            let going_on = self.go_on.notified();
            match self.state().pulse {
                Pulse::Stopped => was_stopped = true,
                pulse => return was_stopped && pulse == Pulse::CutOff,
            }
            going_on.await;
        }
    }

    /// Does this, unless it is where the world stops.
    async fn around<T>(&self, place: Place, what: &str, doing: impl Future<Output = T>) -> T {
        let side = self.side(place, what);
        if side == Some(Side::Before) {
            self.stop().await;
        }
        let done = doing.await;
        if side == Some(Side::After) {
            self.stop().await;
        }
        done
    }

    /// Does this for the ledger or the queue, unless the world stops here or it fails: with
    /// `failed`, and its effect stands all the same where it fails after it.
    pub(super) async fn risk<T, E>(
        &self,
        place: Place,
        what: &'static str,
        failed: impl FnOnce(Failing, String) -> E,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.running().await;
        let slow = self.state().slow;
        if place != Place::Queue && !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        let mishap = {
            let mut state = self.state();
            let mishap = state.mishaps.as_mut().and_then(|roll| roll(place, what));
            match mishap {
                Some(Failing::Away(side)) => {
                    state.log.push(Mishap::of(Kind::Failed, place, what, side));
                }
                Some(Failing::Refuses(code)) => {
                    let what = format!("{what} {code}");
                    let refused = Mishap::of(Kind::Refused, place, &what, Side::Before);
                    state.log.push(refused);
                }
                None => {}
            }
            mishap
        };
        match mishap {
            Some(Failing::Away(Side::After)) => {
                self.around(place, what, doing).await?;
                let failing = Failing::Away(Side::After);
                Err(failed(failing, "its reply was lost".to_owned()))
            }
            Some(failing) => Err(failed(failing, "away".to_owned())),
            None => self.around(place, what, doing).await,
        }
    }

    /// Counts a delivery.
    pub(super) fn delivered(&self, body: &Bytes) {
        let mut state = self.state();
        let times = state.deliveries.entry(body.clone()).or_default();
        *times += 1;
        if *times > DELIVERIES_MAX {
            self.comes_round.notify_one();
        }
    }

    /// Returns once a message was delivered so often that it comes round for ever.
    pub(crate) async fn comes_round(&self) {
        self.comes_round.notified().await;
    }

    /// How often the queue delivered the message that came most often.
    pub(crate) fn most_deliveries(&self) -> u32 {
        let state = self.state();
        state.deliveries.values().copied().max().unwrap_or(0)
    }

    /// Whether the queue confirms this call and loses what it was given.
    pub(super) fn loses(&self, what: &'static str) -> bool {
        let mut state = self.state();
        let roll = state.loses.as_mut();
        let is_lost = roll.is_some_and(|left| {
            let is_next = *left > 0;
            *left -= u32::from(is_next);
            is_next
        });
        if is_lost {
            let lost = Mishap::of(Kind::Lost, Place::Queue, what, Side::After);
            state.log.push(lost);
        }
        is_lost
    }

    /// The queue confirms so many batches from now on, and loses them.
    pub(crate) fn lose(&self, batches: u32) {
        self.state().loses = Some(batches);
    }

    /// Takes note of a refusal that was one message's own.
    pub(super) fn refused(&self, what: &str) {
        let refused = Mishap::of(Kind::Refused, Place::Ledger, what, Side::Before);
        self.state().log.push(refused);
    }

    /// Whether the world stops at this call.
    fn side(&self, place: Place, what: &str) -> Option<Side> {
        let mut state = self.state();
        let set = state.set.as_mut()?;
        if !set.at.contains(&place) {
            return None;
        }
        set.left = set.left.checked_sub(1)?;
        if set.left > 0 {
            return None;
        }
        let side = set.side;
        state.set = None;
        state.log.push(Mishap::of(Kind::Stopped, place, what, side));
        Some(side)
    }

    async fn stop(&self) {
        self.sprung.notify_one();
        self.go_on.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds it")
    }
}

#[async_trait]
impl InProcess for Trap {
    /// A process that stands still makes no last look before it goes on.
    async fn connected(&self, to: &http::Uri) -> Result<(), Dropped> {
        let is_cut_off = self.running().await;
        let fares = self.away(to);
        self.state().fares = fares;
        if is_cut_off || fares == Some(TwilioAway::Refused) {
            return Err(Dropped);
        }
        Ok(())
    }

    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, Dropped> {
        match self.state().fares.take() {
            None | Some(TwilioAway::Refused) => {}
            Some(TwilioAway::Reset) => return Err(Dropped),
            Some(TwilioAway::ServerErrors) => {
                return Ok(reply(500, "{\"code\":20500,\"message\":\"away\"}"));
            }
            Some(TwilioAway::ProxyPage) => return Ok(reply(502, "<html>Bad Gateway</html>")),
        }
        let what = format!("{} {}", request.method(), request.uri().path());
        let calling = self.simulator.call(request);
        self.around(Place::Twilio, &what, calling).await
    }
}

fn reply(status: u16, body: &'static str) -> http::Response<Bytes> {
    let mut reply = http::Response::new(Bytes::from_static(body.as_bytes()));
    *reply.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    reply
}
