//! An operator stops a campaign, a sender, an agent or everything while three consumers on one PostgreSQL work: after
//! the command has returned no first contact starts that it covers, whatever has befallen one of the consumers.
//!
//! `STOP_ROUNDS` says how often each kind of stop is made (`make stop-drill`: 30); the suite makes two.

use std::collections::BTreeSet;
use std::time::Duration;

use flexcast::clock::Clock;
use jiff::Timestamp;
use serde_json::Value;

use super::{CAMPAIGN_FILE, customers};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, Running, balanced, eventually, fast_config};
use crate::support::link::{Link, server_of};
use crate::support::number_from;
use crate::support::postgres::Database;

/// The round trip to the database of the consumers and of the operator.
const NEAR: Duration = Duration::from_millis(50);
const FAR: Duration = Duration::from_millis(150);

/// How long what should not come is waited for: several calls to this fake Twilio.
const QUIET: Duration = Duration::from_millis(1_500);

/// What has befallen the first consumer when the operator stops the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// SIGSTOP before the command, SIGCONT after it has returned.
    StandsStill,
    /// No byte reaches the database or comes from it.
    CutOff,
    /// 150 ms away from the database.
    FarAway,
}

/// Three consumers and an operator, each with a link of its own to the database.
struct World {
    twilio: FakeTwilio,
    operator: Place,
    consumers: Vec<(Running, Link)>,
    clock: Clock,
    trouble: Trouble,
    /// How long each stop took.
    took: Vec<Duration>,
    _vhost: Vhost,
    _database: Database,
    _places: Vec<Place>,
    _link: Link,
}

impl World {
    async fn new(trouble: Trouble) -> Self {
        let (vhost, database) = (Vhost::new().await, Database::new().await);
        let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "60"]);
        let server = server_of(&database.url);
        let place = |round_trip| {
            let link = Link::to(server, round_trip);
            let mut place = Place::facing(&twilio);
            let few = "[work]\nin_flight = 8\n";
            place.write("flexcast.toml", fast_config().replace("[work]\n", few));
            place.set("AMQP_URL", &vhost.url);
            place.set("DATABASE_URL", &link.url(&database.url, server));
            (place, link)
        };
        let (operator, link) = place(NEAR);
        let (mut consumers, mut places) = (Vec::new(), Vec::new());
        for n in 0..3 {
            let is_far = n == 0 && trouble == Trouble::FarAway;
            let (place, link) = place(if is_far { FAR } else { NEAR });
            consumers.push((place.work(&[]), link));
            places.push(place);
        }
        Self {
            operator,
            consumers,
            clock: Clock::system(),
            trouble,
            took: Vec::new(),
            twilio,
            _vhost: vhost,
            _database: database,
            _places: places,
            _link: link,
        }
    }

    /// Applies a campaign and imports these customers into it.
    fn begin(&self, campaign: &str, customers: &[(String, String)]) {
        self.begin_with(CAMPAIGN_FILE, campaign, customers);
    }

    fn begin_with(&self, file: &str, campaign: &str, customers: &[(String, String)]) {
        let file = file.replace("\"spring\"", &format!("\"{campaign}\""));
        self.operator.write("campaign.toml", file);
        let apply = ["campaign", "apply", "campaign.toml"];
        self.operator.run(&apply).ends_with(0);
        self.operator.write("contacts.csv", super::csv(customers));
        let import = ["import", campaign, "contacts.csv"];
        self.operator.run(&import).ends_with(0);
    }

    /// The customers of what was made at Twilio since this time, of those that a stop covers.
    fn contacted_since(&self, time: Timestamp, covers: &dyn Fn(&Value) -> bool) -> Vec<Value> {
        let effects = self.twilio.effects().into_iter();
        let made = |effect: &Value| {
            let made_at = effect["time"].as_str().expect("a time");
            made_at.parse::<Timestamp>().expect("a time")
        };
        effects
            .filter(|effect| made(effect) > time && covers(effect))
            .collect()
    }

    /// The times at which requests that create something were read.
    fn creations(&self) -> Vec<Timestamp> {
        let requests = self.twilio.requests().into_iter();
        let created = requests.filter(|request| {
            let operation = request["operation"].as_str().unwrap_or_default();
            operation.starts_with("create_")
        });
        let time = |request: Value| {
            let time = request["time"].as_str().expect("a time");
            time.parse().expect("a time")
        };
        created.map(time).collect()
    }

    /// Waits until messages are being sent.
    fn until_it_sends(&self) {
        let before = self.creations().len();
        eventually("messages to be sent", || {
            (self.creations().len() >= before + 12).then_some(())
        });
    }

    /// Has the operator stop a campaign in the middle of the consumers' work; nothing may be created after
    /// the command has returned.
    fn stop(&mut self, command: &str, campaign: &str) -> Value {
        let (told, returned) = self.steer(&["campaign", command, campaign]);
        std::thread::sleep(QUIET);
        let late: Vec<_> = self
            .creations()
            .into_iter()
            .filter(|time| *time > returned)
            .collect();
        assert!(
            late.is_empty(),
            "{:?}: after {returned}: {late:?}",
            self.trouble
        );
        self.consumers[0].1.cut(false);
        told
    }

    /// Has the operator pause what this option names; nothing that the pause covers may be made after the command has
    /// returned, and everything else goes on.
    fn pause_scope(&mut self, option: &[&str], covers: &dyn Fn(&Value) -> bool) {
        let command = [&["campaign", "pause"], option].concat();
        let (told, returned) = self.steer(&command);
        assert_eq!(told["changed"], true, "{told}");
        std::thread::sleep(QUIET);
        let late = self.contacted_since(returned, covers);
        assert!(late.is_empty(), "{option:?}: after {returned}: {late:?}");
        self.consumers[0].1.cut(false);
        if option != ["--all"] {
            eventually("the other messages to go on", || {
                let others = self.contacted_since(returned, &|effect| !covers(effect));
                (!others.is_empty()).then_some(())
            });
        }
        let command = [&["campaign", "resume"], option].concat();
        self.operator.run(&command).ends_with(0);
        eventually("what was paused to go on", || {
            let contacted = self.contacted_since(returned, covers);
            (!contacted.is_empty()).then_some(())
        });
    }

    /// Runs a command that stops something, in the middle of the consumers' work. Returns what it told, and when it
    /// returned.
    fn steer(&mut self, command: &[&str]) -> (Value, Timestamp) {
        self.until_it_sends();
        let (first, link) = &self.consumers[0];
        match self.trouble {
            Trouble::StandsStill => first.signal("STOP"),
            Trouble::CutOff => link.cut(true),
            Trouble::Nothing | Trouble::FarAway => {}
        }
        let began = self.clock.instant();
        let command = [command, &["--reason", "drill", "--json"]].concat();
        let ran = self.operator.run(&command).ends_with(0);
        let returned = self.clock.now();
        self.took.push(began.elapsed());
        let told = ran.json();
        if self.trouble == Trouble::StandsStill {
            self.consumers[0].0.signal("CONT");
        }
        let unconfirmed = told["unconfirmed"].as_array().expect("a list").len();
        let may_be = match self.trouble {
            Trouble::StandsStill | Trouble::CutOff => 1,
            Trouble::Nothing | Trouble::FarAway => 0,
        };
        assert_eq!(unconfirmed, may_be, "{:?}: {told}", self.trouble);
        assert_eq!(told["confirmed"], 3 - may_be, "{:?}: {told}", self.trouble);
        (told, returned)
    }

    fn tell(&mut self, what: &str) {
        self.took.sort();
        let (all, trouble) = (&self.took, self.trouble);
        println!(
            "{what}, {trouble:?}: {} stops, median {:?}, longest {:?}",
            all.len(),
            all[all.len() / 2],
            all[all.len() - 1]
        );
    }
}

fn rounds() -> usize {
    number_from("STOP_ROUNDS", 2)
}

async fn pauses(trouble: Trouble) {
    let mut world = World::new(trouble).await;
    // More than can be sent between the pauses.
    let customers = customers(rounds() * 150 + 300);
    world.begin("spring", &customers);
    for _ in 0..rounds() {
        let told = world.stop("pause", "spring");
        assert_eq!(
            (&told["state"], &told["reason"]),
            (&"paused".into(), &"drill".into())
        );
        assert_eq!(told["paused_by"]["kind"], "operator", "{told}");
        let resume = ["campaign", "resume", "spring"];
        world.operator.run(&resume).ends_with(0);
    }
    world.until_it_sends();
    world.tell("pause");
}

async fn scopes(trouble: Trouble) {
    let mut world = World::new(trouble).await;
    let rounds = if rounds() > 2 { rounds() } else { 1 };
    let customers = customers(rounds * 600 + 300);
    let file = CAMPAIGN_FILE.replace(
        "sender = \"+12025550100\"",
        "senders = [\"+12025550100\", \"+12025550101\"]",
    );
    world.begin_with(&file, "spring", &customers);
    // The file names alice, bob and carol in turn.
    let numbers = customers.iter().map(|(_, number)| number.as_str());
    let of_bob: BTreeSet<&str> = numbers.skip(1).step_by(3).collect();
    let is_bobs = |effect: &Value| {
        effect["customer"]
            .as_str()
            .is_some_and(|it| of_bob.contains(it))
    };
    for _ in 0..rounds {
        world.pause_scope(&["--all"], &|_| true);
        let sender = "+12025550101";
        world.pause_scope(&["--sender", sender], &|effect| effect["sender"] == sender);
        world.pause_scope(&["--agent", "bob"], &is_bobs);
    }
    world.tell("pause of a scope");
}

async fn cancels(trouble: Trouble) {
    let mut world = World::new(trouble).await;
    let all = customers(rounds() * 150);
    for (round, customers) in all.chunks(150).enumerate() {
        let campaign = format!("spring-{round}");
        world.begin(&campaign, customers);
        let told = world.stop("cancel", &campaign);
        assert_eq!(told["state"], "cancelled", "{told}");
        let books = world.operator.status_until(&campaign, is_over);
        balanced(&books);
        let (done, skipped) = (&books["done"], &books["skipped"]["cancelled"]);
        let ended = done.as_u64().unwrap_or(0) + skipped.as_u64().unwrap_or(0);
        assert_eq!(ended, 150, "{books}");
        leaves_nobody_half_contacted(&world.twilio, customers, &books);
    }
    world.tell("cancel");
}

fn is_over(books: &Value) -> bool {
    let count = |of: &Value| match of {
        Value::Object(reasons) => reasons.values().filter_map(Value::as_u64).sum(),
        count => count.as_u64().unwrap_or(0),
    };
    let open: u64 = ["queued", "scheduled", "retrying", "held", "in_flight"]
        .iter()
        .map(|term| count(&books[term]))
        .sum();
    open == 0
}

/// Every message that went out is done, and every conversation that stands has one.
fn leaves_nobody_half_contacted(
    twilio: &FakeTwilio,
    customers: &[(String, String)],
    books: &Value,
) {
    let effects = twilio.effects();
    let of = |kind: &str| {
        let of_theirs = effects.iter().filter(|effect| {
            let customer = effect["customer"].as_str();
            let is_theirs = customers
                .iter()
                .any(|(_, number)| Some(number.as_str()) == customer);
            let is_gone = ["closed", "deleted"].contains(&effect["state"].as_str().unwrap_or(""));
            effect["kind"] == kind && is_theirs && !is_gone
        });
        of_theirs.count() as u64
    };
    let done = books["done"].as_u64().expect("a count");
    assert_eq!((of("message"), of("conversation")), (done, done), "{books}");
}

macro_rules! stops {
    ($($test:ident: $stop:ident in $trouble:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $stop(Trouble::$trouble).await;
            }
        )+
    };
}

stops! {
    a_pause_stops_three_consumers: pauses in Nothing,
    a_pause_stops_a_consumer_that_stood_still: pauses in StandsStill,
    a_pause_stops_a_consumer_that_is_cut_off: pauses in CutOff,
    a_pause_stops_a_consumer_that_is_far_away: pauses in FarAway,
    a_pause_of_a_scope_stops_three_consumers: scopes in Nothing,
    a_pause_of_a_scope_stops_a_consumer_that_stood_still: scopes in StandsStill,
    a_cancel_stops_three_consumers: cancels in Nothing,
    a_cancel_stops_a_consumer_that_stood_still: cancels in StandsStill,
    a_cancel_stops_a_consumer_that_is_cut_off: cancels in CutOff,
    a_cancel_stops_a_consumer_that_is_far_away: cancels in FarAway,
}
