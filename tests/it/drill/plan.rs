//! Everything a seed decides before it is played.

use std::collections::BTreeMap;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::simulator::{BusyInteraction, EffectKind, Settings};
use serde_json::{Value, json};

use crate::support::dice::Dice;

use super::changes::{Change, changes};
use super::steering::Acts;
use crate::saga::stage::{PAIRS, PROXY_BY_CUSTOMER, Pair, settings};
use crate::saga::trap::{Failing, Mishaps, Place, Side, TwilioAway, TwilioOutage};
use crate::saga::trapped_ledger::PoisonAt;

/// What happens outside, the ledger left out.
const CALLS: &[Place] = &[Place::Twilio, Place::Queue];

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) pair: Pair,
    pub(super) settings: Settings,
    pub(super) faults: Value,
    /// How many messages.
    pub(super) count: u32,
    pub(super) blows: Vec<Blow>,
    /// Whom a stranger is in touch with already, and by what.
    pub(super) strangers: BTreeMap<u32, EffectKind>,
    /// Whether their messages wait until the stranger has gone; otherwise they are skipped.
    pub(super) waits_for_strangers: bool,
    pub(super) stores: Stores,
    /// What an operator does beside the consumers.
    pub(super) acts: Acts,
    /// How many deliveries are no messages.
    pub(super) junk: u32,
    /// How many batches the queue confirms and loses.
    pub(super) lost: u32,
    /// Messages whose content the store refuses, and at which call.
    pub(super) poison: BTreeMap<u32, PoisonAt>,
    /// Which part of Twilio is away for a while.
    pub(super) away: Option<Away>,
    /// What changes meanwhile, and how long after the last change.
    pub(super) changes: Vec<(Duration, Change)>,
    /// Whether a second campaign uses the sender.
    pub(super) neighbour: bool,
    /// How long each of the ledger's calls takes.
    pub(super) slow: Duration,
}

/// A part of Twilio that is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    /// A product; none: all of them.
    product: Option<&'static str>,
    how: TwilioAway,
    /// From which of its calls on.
    from: u64,
    /// One call of so many passes meanwhile by chance, so that the program believes again and again that it is back; 0:
    /// none.
    one_passes_of: u64,
    seed: u64,
    pub(super) span: Duration,
}

impl Away {
    fn of(dice: &mut Dice) -> Option<Self> {
        let products = ["flex-api", "proxy", "chat", "conversations", "taskrouter"];
        let hows = [
            TwilioAway::Refused,
            TwilioAway::Refused,
            TwilioAway::Refused,
            TwilioAway::Reset,
            TwilioAway::ServerErrors,
            TwilioAway::ProxyPage,
        ];
        let spans = [60, 60, 600, 3_600, 3_600];
        let is_all = dice.one_in(2) == 1;
        let away = Self {
            product: (!is_all).then_some(*dice.pick(&products)),
            how: *dice.pick(&hows),
            from: dice.below(60),
            one_passes_of: dice.one_in(2) * (2 + dice.below(5)),
            seed: dice.next(),
            span: Duration::from_secs(*dice.pick(&spans)),
        };
        (dice.one_in(3) == 1).then_some(away)
    }

    /// Which calls meet it, as they come.
    pub(super) fn outage(self, clock: Clock) -> TwilioOutage {
        let mut outage = Outage::default();
        let mut dice = Dice::new(self.seed);
        Box::new(move |product| {
            if self.product.is_some_and(|one| one != product) {
                return None;
            }
            outage.strikes(self.from, self.span, clock)?;
            let passes = self.one_passes_of > 0 && dice.below(self.one_passes_of) == 0;
            (!passes).then_some(self.how)
        })
    }
}

/// What befalls the consumer, and at which of its calls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    Killed(&'static [Place], u64, Side),
    /// Stopped past its leases with a call under way, then going on.
    Stopped(u64),
    /// The same, and another consumer has taken over meanwhile.
    Overtaken(&'static [Place], u64),
    /// Standing still at one of these calls while an operator pauses the campaign, and going on after the
    /// pause has returned.
    PausedWhileStopped(&'static [Place], u64),
    /// The queue is purged after so many of the consumer's calls to Twilio.
    Purged(u64),
    /// The ledger is put back to its state before the consumer began, after so many of its calls to Twilio; and how
    /// long that takes. The next consumers take over.
    Restored(u64, Side, Duration),
    /// Without an answer to its renewals, while all else goes on and an operator pauses the campaign.
    PausedWhileCut(u64),
}

impl Blow {
    /// Whether it stops the campaign, or takes the ledger back.
    fn stops(&self) -> bool {
        !matches!(
            self,
            Self::Killed(..) | Self::Stopped(_) | Self::Overtaken(..)
        )
    }

    /// How long it takes by itself.
    pub(super) fn takes(&self) -> Duration {
        match self {
            Self::Restored(_, _, later) => *later,
            _ => Duration::ZERO,
        }
    }
}

/// How the ledger and the queue fail.
#[derive(Clone, Debug)]
pub(super) struct Stores {
    seed: u64,
    /// Of a thousand calls.
    ledger: u64,
    queue: u64,
    /// Away altogether: from which of its calls on, and for how long.
    away: Option<(Place, u64, Duration)>,
    /// So many copies (dead letters, retries) are refused before one is taken.
    refused_copies: u64,
    /// So many acknowledgements fail before one is taken.
    failed_acks: u64,
    /// Of a thousand calls to the ledger, so many are refused while the store works.
    refused: u64,
    /// The ledger's schema is away: from which of its calls on, and for how long.
    no_schema: Option<(u64, Duration)>,
}

/// SQLSTATEs and result codes of every class that alone do not tell whose fault they are.
const CODES: [&str; 27] = [
    "02000",
    "03000",
    "09000",
    "0A000",
    "0F000",
    "20000",
    "21000",
    "22003",
    "22P05",
    "23503",
    "23505",
    "24000",
    "25P02",
    "26000",
    "2F000",
    "34000",
    "39000",
    "3F000",
    "42501",
    "44000",
    "54000",
    "55000",
    "F0000",
    "P0001",
    "XX000",
    "SQLite 787",
    "client",
];

impl Plan {
    pub(super) fn of(dice: &mut Dice) -> Self {
        let pair = *dice.pick(&PAIRS);
        let mut settings = Settings {
            seed: dice.next(),
            latency: Duration::from_millis(dice.below(200)),
            // A late effect and a late list together stay within the settle time.
            listing_delay: Duration::from_millis(dice.one_in(2) * dice.below(2_500)),
            interaction_setup: Duration::from_millis(dice.below(2_000)),
            ..settings()
        };
        let faults = faults(dice);
        let count = 3 + u32::try_from(dice.below(6)).unwrap_or(0);
        let blows: Vec<_> = (0..dice.below(6)).map(|_| blow(dice)).collect();
        let strangers = strangers(dice, pair, count);
        let waits_for_strangers = dice.one_in(2) == 1;
        let stores = Stores::of(dice);
        let acts = Acts::of(dice);
        let junk = u32::try_from(dice.below(3)).unwrap_or(0);
        let lost = u32::try_from(dice.one_in(2) * dice.below(4)).unwrap_or(0);
        let poison = poison(dice, count);
        let away = Away::of(dice);
        settings.busy_interaction = *dice.pick(&[BusyInteraction::Empty, BusyInteraction::Fails]);
        let changes = changes(dice);
        // Where nobody stops the one campaign, the other's contacts are none that a stop forbids.
        let is_calm = acts.is_none() && !blows.iter().any(Blow::stops);
        let neighbour = is_calm;
        let slow = Duration::from_millis(dice.one_in(4) * (20 + dice.below(280)));
        Self {
            pair,
            settings,
            faults,
            count,
            blows,
            strangers,
            waits_for_strangers,
            stores,
            acts,
            junk,
            lost,
            poison,
            away,
            changes,
            neighbour,
            slow,
        }
    }

    /// How long its blows and its outage take by themselves.
    pub(super) fn takes(&self) -> Duration {
        let blows: Duration = self.blows.iter().map(Blow::takes).sum();
        blows + self.away.map_or(Duration::ZERO, |away| away.span)
    }

    /// Whether things may end by their own time meanwhile.
    pub(super) fn takes_a_day(&self) -> bool {
        self.takes() >= Duration::from_secs(24 * 3_600)
    }

    /// Whether look-ups may fail until a message has no attempts left: Twilio is away, and seems to be back again and
    /// again.
    pub(super) fn is_away_by_chance(&self) -> bool {
        self.away.is_some_and(|away| away.one_passes_of > 0)
    }

    /// Whether the ledger goes back to an older state.
    pub(super) fn is_restored(&self) -> bool {
        let is = |blow: &Blow| matches!(blow, Blow::Restored(..));
        self.blows.iter().any(is)
    }

    /// Lines of the campaign file.
    pub(super) fn campaign(&self) -> &'static str {
        if self.waits_for_strangers {
            "when_open = 'defer'"
        } else {
            "when_open = 'skip'"
        }
    }
}

fn faults(dice: &mut Dice) -> Value {
    let seed = dice.next();
    let mut rate = |percent| f64::from(u32::try_from(dice.below(percent)).unwrap_or(0)) / 100.0;
    let rules = json!([
        {"operation": "changing", "rate": rate(8), "kind": "lost_reply"},
        {"operation": "changing", "rate": rate(5), "kind": "server_error", "when": "after"},
        {"operation": "changing", "rate": rate(5), "kind": "late_effect", "ms": 2_000},
        {"operation": "*", "rate": rate(6), "kind": "server_error"},
        {"operation": "*", "rate": rate(6), "kind": "too_many_requests"},
        {"operation": "*", "rate": rate(4), "kind": "reset"},
        {"operation": "changing", "rate": rate(2), "kind": "error", "code": 20001},
        // The program pauses the campaign, and resumes it by itself.
        {"operation": "changing", "rate": rate(2), "kind": "error", "status": 401, "code": 20003},
    ]);
    json!({"seed": seed, "rules": rules})
}

fn blow(dice: &mut Dice) -> Blow {
    let side = *dice.pick(&[Side::Before, Side::After]);
    match dice.below(20) {
        16..20 => {
            let later = [Duration::from_secs(60), Duration::from_secs(24 * 3_600)];
            Blow::Restored(1 + dice.below(60), side, *dice.pick(&later))
        }
        14 | 15 => Blow::Purged(1 + dice.below(12)),
        10 | 11 => Blow::PausedWhileStopped(&[Place::Ledger, Place::Journal], 1 + dice.below(30)),
        12 | 13 => Blow::PausedWhileCut(1 + dice.below(3)),
        0 => Blow::Stopped(1 + dice.below(30)),
        1 if side == Side::Before => Blow::Overtaken(CALLS, 1 + dice.below(30)),
        // Between an intent and its call: the look at the lease right before it is all there is.
        1 => Blow::Overtaken(&[Place::Journal], 1 + dice.below(8)),
        // Between an outcome that is durable and its acknowledgement, and right after that.
        2 | 3 => Blow::Killed(&[Place::Queue], 1 + dice.below(10), side),
        4 => Blow::Killed(&[Place::Ledger, Place::Journal], 1 + dice.below(40), side),
        _ => Blow::Killed(CALLS, 1 + dice.below(40), side),
    }
}

fn poison(dice: &mut Dice, count: u32) -> BTreeMap<u32, PoisonAt> {
    let kinds = [PoisonAt::Taking, PoisonAt::Recording, PoisonAt::Settling];
    let is_there = dice.one_in(4) == 1;
    let mut poison = BTreeMap::new();
    for n in 0..count {
        if dice.one_in(4) == 1 && is_there {
            poison.insert(n, *dice.pick(&kinds));
        }
    }
    poison
}

fn strangers(dice: &mut Dice, pair: Pair, count: u32) -> BTreeMap<u32, EffectKind> {
    let kinds: &[EffectKind] = if pair.leaves.contains(&EffectKind::Conversation) {
        &[EffectKind::Conversation]
    } else if pair.name == PROXY_BY_CUSTOMER.name {
        // Its session may get another number of the pool: that stands in nobody's way.
        &[EffectKind::Channel]
    } else {
        &[EffectKind::Channel, EffectKind::Session]
    };
    let are_there = dice.one_in(3) == 1;
    let mut strangers = BTreeMap::new();
    for n in 0..count {
        if dice.one_in(5) == 1 && are_there {
            strangers.insert(n, *dice.pick(kinds));
        }
    }
    strangers
}

impl Stores {
    fn of(dice: &mut Dice) -> Self {
        let mut rate = |per_mille| dice.one_in(2) * dice.below(per_mille);
        let (ledger, queue) = (rate(40), rate(40));
        let place = *dice.pick(&[Place::Ledger, Place::Queue]);
        let away = (place, dice.below(80), Duration::from_secs(dice.below(45)));
        let mut some = |most| dice.one_in(3) * (2 + dice.below(most));
        let (refused_copies, failed_acks) = (some(8), some(8));
        let refused = dice.one_in(3) * dice.below(40);
        // Some last longer than all the tries of a message that the store refuses.
        let no_schema_s = dice.below(45) * dice.pick(&[1, 1, 10]);
        let no_schema = (dice.below(80), Duration::from_secs(no_schema_s));
        Self {
            seed: dice.next(),
            ledger,
            queue,
            away: (dice.one_in(4) == 1).then_some(away),
            refused_copies,
            failed_acks,
            refused,
            no_schema: (dice.one_in(5) == 1).then_some(no_schema),
        }
    }

    /// Which calls fail, as they come.
    pub(super) fn mishaps(&self, clock: Clock) -> Mishaps {
        let stores = self.clone();
        let mut dice = Dice::new(stores.seed);
        let (mut away, mut no_schema) = (Outage::default(), Outage::default());
        let (mut copies, mut acks) = (stores.refused_copies, stores.failed_acks);
        Box::new(move |place, what| {
            let left = match (place, what) {
                (Place::Queue, "dead_letter" | "retry_later") => Some(&mut copies),
                (Place::Queue, "ack") => Some(&mut acks),
                _ => None,
            };
            if let Some(left) = left.filter(|left| **left > 0) {
                *left -= 1;
                return Some(Failing::Away(Side::Before));
            }
            let place = match place {
                Place::Journal | Place::Rights => Place::Ledger,
                place => place,
            };
            if let Some((of, from, span)) = stores.away
                && of == place
                && let Some(is_first) = away.strikes(from, span, clock)
            {
                // What was under way when it went may have been done.
                let side = if is_first { Side::After } else { Side::Before };
                return Some(Failing::Away(side));
            }
            if let Some((from, span)) = stores.no_schema
                && place == Place::Ledger
                && no_schema.strikes(from, span, clock).is_some()
            {
                return Some(Failing::Refuses("42P01"));
            }
            let rate = match place {
                Place::Ledger => stores.ledger,
                Place::Queue => stores.queue,
                Place::Twilio | Place::Journal | Place::Rights => 0,
            };
            let side = *dice.pick(&[Side::Before, Side::After]);
            if dice.below(1_000) < rate {
                return Some(Failing::Away(side));
            }
            // The store works: its probe passes.
            let may_refuse = place == Place::Ledger && what != "probe";
            (may_refuse && dice.below(1_000) < stores.refused)
                .then(|| Failing::Refuses(dice.pick::<&str>(&CODES)))
        })
    }
}

/// A time during which every call fails, from one of its calls on.
#[derive(Default)]
struct Outage {
    calls: u64,
    back_at: Option<tokio::time::Instant>,
}

impl Outage {
    /// Whether a call falls into it, and is its first.
    fn strikes(&mut self, from: u64, span: Duration, clock: Clock) -> Option<bool> {
        self.calls += 1;
        if self.calls <= from {
            return None;
        }
        let now = clock.instant();
        let back_at = *self.back_at.get_or_insert(now + span);
        (now < back_at).then_some(self.calls == from + 1)
    }
}
