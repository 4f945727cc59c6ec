//! Finds out which parts of Twilio are away, with a circuit breaker for each product and each operation.
//!
//! In: the result of each call. Out: whether a call may leave now. Always: the failures of one message alone do not
//! open a breaker; an open breaker lets one call at a time through as a probe, and closes when the part is back. A
//! product that was not reachable is probed by calls that change nothing. A product that answers with 5xx may have
//! carried out a call, so that a message's next call, with its journal, is an equally good probe.

pub(super) mod away_part;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::away_part::{AwayCause, AwayPart, TwilioPart};
use super::client::observer::Heard;
use super::{Closed, Operation, Product};

/// The number of failed calls in a row after which a part is regarded as away.
const FAILURES_MIN: u32 = 5;

/// The failed calls must be of at least this many messages: a single message that always fails must not stop the
/// others. If the calls of fewer messages fail, a call that belongs to no message decides whether the part is away.
const CALLERS_MIN: usize = 3;

/// The first and the longest wait before a part that is away is probed again. Each wait is twice the previous one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// An operation that no call has tried for this time is regarded as back: no message needs it, or the next call tests
/// it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// The refusal of a call while a part is away.
pub(super) const AWAY: Closed = Closed("the part of Twilio that this call needs is away");

/// The breakers of one account's calls. Clones of a client share them.
#[derive(Debug, Default)]
pub struct Outages {
    breakers: Mutex<BTreeMap<TwilioPart, Breaker>>,
    changed: Notify,
}

#[derive(Debug)]
enum Breaker {
    /// Calls pass.
    Closed {
        failures: u32,
        callers: BTreeSet<u64>,
    },
    Open(Away),
}

#[derive(Clone, Copy, Debug)]
struct Away {
    cause: AwayCause,
    since: Instant,
    wait: Duration,
    /// The time from which the next probe may leave.
    due: Instant,
    is_probed: bool,
}

impl Away {
    fn begins(cause: AwayCause, now: Instant) -> Self {
        Self {
            cause,
            since: now,
            wait: FIRST_WAIT,
            due: now + FIRST_WAIT,
            is_probed: false,
        }
    }

    fn may_be_probed(&self, now: Instant) -> bool {
        !self.is_probed && now >= self.due
    }

    /// Whether a message's next call may be the probe.
    fn takes_messages(&self, now: Instant) -> bool {
        self.cause == AwayCause::ServerErrors && self.may_be_probed(now)
    }

    fn failed(&mut self, cause: AwayCause, now: Instant) {
        self.cause = cause;
        self.is_probed = false;
        self.wait = WAIT_MAX.min(self.wait * 2);
        self.due = now + self.wait;
    }
}

/// The right of a call to probe parts that are away. When it is dropped, another call may probe them.
#[derive(Debug)]
pub(super) struct Probe {
    outages: Arc<Outages>,
    parts: Vec<TwilioPart>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut breakers = self.outages.breakers();
        for part in &self.parts {
            if let Some(Breaker::Open(away)) = breakers.get_mut(part) {
                away.is_probed = false;
            }
        }
        drop(breakers);
        self.outages.changed.notify_waiters();
    }
}

impl Outages {
    /// Checks whether a call may leave now, if only as a probe.
    pub(super) fn check(&self, operation: Operation) -> Result<(), Closed> {
        may_leave(&self.breakers(), operation).map(drop)
    }

    /// Lets a call leave; as a probe, if one of its parts is away.
    pub(super) fn enter(self: &Arc<Self>, operation: Operation) -> Result<Option<Probe>, Closed> {
        let mut breakers = self.breakers();
        let parts = may_leave(&breakers, operation)?;
        if parts.is_empty() {
            return Ok(None);
        }
        for part in &parts {
            if let Some(Breaker::Open(away)) = breakers.get_mut(part) {
                away.is_probed = true;
            }
        }
        drop(breakers);
        self.changed.notify_waiters();
        let outages = Arc::clone(self);
        Ok(Some(Probe { outages, parts }))
    }

    /// Records the result of a call. `caller` is a number that identifies its message.
    pub(super) fn heard(&self, operation: Operation, heard: Heard, caller: Option<u64>) {
        let now = Instant::now();
        let mut breakers = self.breakers();
        let [product, itself] = parts_of(operation);
        let has_changed = match heard {
            Heard::Answer => {
                closed(&mut breakers, product, now) | closed(&mut breakers, itself, now)
            }
            Heard::ServerError => {
                let cause = AwayCause::ServerErrors;
                failed(&mut breakers, product, cause, caller, now)
                    | failed(&mut breakers, itself, cause, caller, now)
            }
            Heard::Nothing => failed(&mut breakers, product, AwayCause::Unreachable, caller, now),
        };
        drop(breakers);
        if has_changed {
            self.changed.notify_waiters();
        }
    }

    /// The parts that are away now. `time` is the current time.
    #[must_use]
    pub fn away(&self, time: Timestamp) -> Vec<AwayPart> {
        let now = Instant::now();
        let since = |away: &Away| {
            let since = time - now.duration_since(away.since);
            since.round(jiff::Unit::Second).unwrap_or(since)
        };
        let mut breakers = self.breakers();
        forget(&mut breakers, now);
        let open = breakers.iter().filter_map(|(part, breaker)| match breaker {
            Breaker::Open(away) => Some((part, away)),
            Breaker::Closed { .. } => None,
        });
        open.map(|(part, away)| AwayPart {
            product: part.product().to_string(),
            operation: match part {
                TwilioPart::Product(_) => None,
                TwilioPart::Operation(operation) => Some(operation.to_string()),
            },
            cause: away.cause.to_string(),
            since: since(away),
        })
        .collect()
    }

    /// Whether a part of these products is away: then at most one message at a time is started.
    #[must_use]
    pub fn has_away(&self, products: &[Product]) -> bool {
        let mut breakers = self.breakers();
        open_of(&mut breakers, products, Instant::now())
            .next()
            .is_some()
    }

    /// Waits until a message that needs these products may be started, if only as a probe.
    pub async fn passable(&self, products: &[Product]) {
        loop {
            let changed = self.changed.notified();
            let Some(due) = self.closed_until(products) else {
                return;
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Waits until no message that needs these products may be started.
    pub async fn impassable(&self, products: &[Product]) {
        loop {
            let changed = self.changed.notified();
            if self.closed_until(products).is_some() {
                return;
            }
            changed.await;
        }
    }

    /// Waits until no part of these products is away.
    pub async fn back(&self, products: &[Product]) {
        loop {
            let changed = self.changed.notified();
            if !self.has_away(products) {
                return;
            }
            changed.await;
        }
    }

    /// Waits until a product must be probed by a call that changes nothing, and returns it.
    pub async fn next_probe(&self) -> Product {
        loop {
            let changed = self.changed.notified();
            let due = match self.due() {
                Some((product, due)) if due <= Instant::now() => return product,
                due => due.map(|(_, due)| due),
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// The product that must be probed next, with the time.
    fn due(&self) -> Option<(Product, Instant)> {
        let now = Instant::now();
        let due = |breaker: &Breaker| match breaker {
            Breaker::Open(away) => (!away.is_probed).then_some(away.due),
            Breaker::Closed { failures, .. } => (*failures >= FAILURES_MIN).then_some(now),
        };
        let breakers = self.breakers();
        let products = breakers.iter().filter_map(|(part, breaker)| match part {
            TwilioPart::Product(product) => Some((*product, due(breaker)?)),
            TwilioPart::Operation(_) => None,
        });
        products.min_by_key(|(_, due)| *due)
    }

    /// Whether no message that needs these products may be started. The inner value is the time until which, if it is
    /// known.
    fn closed_until(&self, products: &[Product]) -> Option<Option<Instant>> {
        let now = Instant::now();
        let mut breakers = self.breakers();
        let mut closed = open_of(&mut breakers, products, now)
            .filter(|away| !away.takes_messages(now))
            .peekable();
        closed.peek()?;
        let timed = closed.filter(|away| away.cause == AwayCause::ServerErrors && !away.is_probed);
        // If several parts are away, the check at the first due time finds the others.
        Some(timed.map(|away| away.due).min())
    }

    fn breakers(&self) -> MutexGuard<'_, BTreeMap<TwilioPart, Breaker>> {
        // Each change of a breaker is one assignment, so that it is never partial, even after a panic.
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts_of(operation: Operation) -> [TwilioPart; 2] {
    let product = operation.endpoint().product;
    [
        TwilioPart::Product(product),
        TwilioPart::Operation(operation),
    ]
}

/// The parts that a call probes if it leaves now.
fn may_leave(
    breakers: &BTreeMap<TwilioPart, Breaker>,
    operation: Operation,
) -> Result<Vec<TwilioPart>, Closed> {
    let now = Instant::now();
    let mut probed = Vec::new();
    for part in parts_of(operation) {
        let Some(Breaker::Open(away)) = breakers.get(&part) else {
            continue;
        };
        let is_fit = away.cause == AwayCause::ServerErrors || !operation.is_changing();
        if !is_fit || !away.may_be_probed(now) {
            return Err(AWAY);
        }
        probed.push(part);
    }
    Ok(probed)
}

/// The parts of these products that are away: the products themselves, and their operations.
fn open_of<'b>(
    breakers: &'b mut BTreeMap<TwilioPart, Breaker>,
    products: &[Product],
    now: Instant,
) -> impl Iterator<Item = &'b Away> {
    forget(breakers, now);
    breakers.iter().filter_map(|(part, breaker)| match breaker {
        Breaker::Open(away) if products.contains(&part.product()) => Some(away),
        _ => None,
    })
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Closes a breaker. Returns whether it was open.
fn closed(breakers: &mut BTreeMap<TwilioPart, Breaker>, part: TwilioPart, now: Instant) -> bool {
    let Some(Breaker::Open(away)) = breakers.remove(&part) else {
        return false;
    };
    let seconds = now.duration_since(away.since).as_secs();
    tracing::info!(
        twilio.part = part.name(),
        seconds,
        "a part of Twilio is back: its messages continue"
    );
    true
}

/// Counts a failure. Returns whether waiting tasks must be notified.
fn failed(
    breakers: &mut BTreeMap<TwilioPart, Breaker>,
    part: TwilioPart,
    cause: AwayCause,
    caller: Option<u64>,
    now: Instant,
) -> bool {
    let breaker = breakers.entry(part).or_insert_with(|| Breaker::Closed {
        failures: 0,
        callers: BTreeSet::new(),
    });
    let (failures, callers) = match breaker {
        Breaker::Closed { failures, callers } => (failures, callers),
        Breaker::Open(away) if away.is_probed => {
            away.failed(cause, now);
            return true;
        }
        // The call left before the breaker opened.
        Breaker::Open(_) => return false,
    };
    *failures += 1;
    let is_enough = match caller {
        None => true,
        Some(caller) => {
            if callers.len() < CALLERS_MIN {
                callers.insert(caller);
            }
            callers.len() >= CALLERS_MIN
        }
    };
    let is_much = *failures >= FAILURES_MIN;
    if is_much && is_enough {
        *breaker = Breaker::Open(Away::begins(cause, now));
        tracing::error!(
            twilio.part = part.name(),
            "a part of Twilio is away: it {}. Until it is back, no message that needs it is started or loses an attempt; \
             flexcast tries it again by itself",
            cause.verb()
        );
    }
    is_much
}

/// Removes operations that were away at their last call, if that call was long ago.
fn forget(breakers: &mut BTreeMap<TwilioPart, Breaker>, now: Instant) {
    breakers.retain(|part, breaker| match (part, breaker) {
        (TwilioPart::Operation(_), Breaker::Open(away)) => {
            away.is_probed || now < away.due + FORGOTTEN_AFTER
        }
        _ => true,
    });
}
