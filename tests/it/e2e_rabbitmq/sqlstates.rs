//! Whatever SQLSTATE PostgreSQL answers, at whatever call: the store is blamed for what is the store's, a message
//! for what is the message's, and nothing is lost, stands or is sent twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, customers, import, numbers, read_queue};
use crate::support::broker::Node;
use crate::support::dice::Dice;
use crate::support::flexcast::{
    FakeTwilio, Place, Running, balanced, each_once, eventually, fast_config,
};
use crate::support::number_from;
use crate::support::postgres::{Database, consumers_grants};
use crate::support::refusing::{Call, Refusing, Step};
use crate::support::sqlstates::{STOP_FOR_GOOD, drawn};

/// Consumers that reach their ledger through a proxy; everything else of the test reaches it straight.
struct Scene {
    twilio: FakeTwilio,
    node: Node,
    refusing: Refusing,
    place: Place,
    workers: Vec<Running>,
    messages: usize,
    database: Database,
}

impl Drop for Scene {
    /// What the consumers said is what a failure is explained with.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}", self.refusing.refused());
            eprintln!("{}", self.place.status(CAMPAIGN));
            for worker in &self.workers {
                eprintln!("{}", worker.err());
            }
        }
    }
}

impl Scene {
    /// So many messages to be worked on, `pace` of them a second, and no consumer yet.
    async fn new(messages: usize, pace: u32) -> Self {
        let (twilio, node) = (FakeTwilio::start(), Node::start());
        let database = Database::new().await;
        let refusing = Refusing::before(&database.url);
        let mut place = Place::facing(&twilio);
        let slow = format!("create_conversation_message = \"{pace}/s\"\n");
        let config = fast_config().replace("create_conversation_message = \"none\"\n", &slow);
        // A lease that nothing could end runs out soon.
        let lease = "[work]\ncall_timeout = \"4s\"\nlease = \"8s\"\n";
        place.write("flexcast.toml", config.replace("[work]\n", lease));
        place.set("AMQP_URL", &node.url);
        place.set("DATABASE_URL", &database.url);
        place.write("spring.toml", CAMPAIGN_FILE);
        let apply = ["campaign", "apply", "spring.toml"];
        place.run(&apply).ends_with(0);
        import(&place, &customers(messages));
        Self {
            twilio,
            node,
            refusing,
            place,
            workers: Vec::new(),
            messages,
            database,
        }
    }

    /// Starts consumers behind the proxy, and waits until they are at work.
    fn start(&mut self, consumers: usize) {
        let url = self.refusing.url(&self.database.url);
        self.start_at(consumers, &url);
    }

    /// As [`Scene::start`], with another way to the database.
    fn start_at(&mut self, consumers: usize, url: &str) {
        let (place, direct) = (&mut self.place, &self.database.url);
        place.set("DATABASE_URL", url);
        self.workers = (0..consumers).map(|_| place.work(&[])).collect();
        place.set("DATABASE_URL", direct);
        let is_begun = |books: &Value| books["done"].as_u64() >= Some(5);
        place.status_until(CAMPAIGN, is_begun);
    }

    /// Waits until no message is open and `dead` ended so, and checks that the books balance.
    fn all_over(&self, dead: usize) -> Value {
        let over = |books: &Value| {
            books["done"] == json!(self.messages - dead)
                && books["queued"] == json!(0)
                && books["in_flight"] == json!(0)
        };
        let books = self.place.status_until(CAMPAIGN, over);
        balanced(&books);
        books
    }

    /// All are done, and each customer was written to once.
    fn all_done(&self) {
        self.all_over(0);
        let all = customers(self.messages);
        each_once(&self.twilio.effects(), "message", &numbers(&all));
        assert_eq!(self.dead_letters(), Vec::<Value>::new());
    }

    fn dead_letters(&self) -> Vec<Value> {
        read_queue(&self.node.url, "flexcast.dead")
    }

    /// Waits until every consumer says this of its ledger on `/readyz`: with the status, and in its reason.
    fn readiness(&mut self, status: u16, why: &str) {
        for worker in &mut self.workers {
            eventually("what /readyz is to say", || {
                let (said, body) = worker.readiness();
                let reason = body["why"].as_str().unwrap_or_default();
                (said == status && reason.contains(why)).then_some(())
            });
        }
    }

    /// Stops the consumers, and gives all that they have said.
    fn said(&mut self) -> String {
        for worker in &mut self.workers {
            worker.terminate();
        }
        let ended = self.workers.iter_mut().map(|one| one.ended().ends_with(0));
        let said = ended.map(|ran| ran.err).collect::<String>();
        assert!(!said.contains("flexcast-test"), "the password: {said}");
        said
    }
}

/// One call in so many is refused while consumers work.
const ONE_CALL_IN: u64 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_refused_here_and_there_kill_no_message() {
    let seed = number_from("SQLSTATE_SEED", 7) as u64;
    let mut scene = Scene::new(150, 10).await;
    scene.start(2);
    let mut dice = Dice::new(seed);
    // One of each class: `ledger_contract::sqlstates` goes through all.
    let of_class = number_from("SQLSTATES_OF_CLASS", 1);
    let codes = drawn(&mut dice, of_class);
    let all: BTreeSet<String> = codes.iter().map(|code| (*code).to_owned()).collect();
    let mut codes = codes.into_iter();
    // After most refusals nothing is refused until a message's own call shows that work goes on: the probe passes,
    // and the call is blamed. After the others the probe is refused too.
    let mut is_at_work = true;
    scene.refusing.refuse(move |call| {
        is_at_work |= call.has(CAMPAIGN);
        if !is_at_work || dice.one_in(ONE_CALL_IN) == 0 {
            return None;
        }
        is_at_work = dice.one_in(4) == 1;
        codes.next().map(str::to_owned)
    });
    eventually("each SQLSTATE to have been answered", || {
        let refused = scene.refusing.refused();
        (refused.by_code.len() == all.len()).then_some(())
    });
    let refused = scene.refusing.refused();
    eprintln!(
        "seed {seed}: {} refused, {:?}",
        refused.total(),
        refused.by_step
    );
    assert!(all.iter().eq(refused.by_code.keys()), "{refused:?}");
    assert!(refused.total() >= 40, "{refused:?}");
    // What else was refused, and who was blamed first, is left to chance: the consumers share the codes.
    for step in [Step::Parse, Step::Execute] {
        assert!(refused.by_step.contains_key(&step), "{refused:?}");
    }
    scene.all_done();
    scene.readiness(200, "");
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
}

/// Whether this call is the one by which a message is set aside.
fn sets_aside(call: &Call) -> bool {
    call.has("store_refused")
        || call.sql.contains("SELECT FROM messages WHERE")
        || call.sql.contains("SELECT EXISTS (SELECT FROM outcomes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_calls_are_all_refused_is_dead_and_no_other_is() {
    /// Message, SQLSTATE, and which of its calls: a part of the statement.
    const REFUSED: [(&str, &str, &str); 5] = [
        ("m-80", "22001", ""),
        ("m-81", "22P05", ""),
        ("m-82", "23514", "INSERT INTO journal"),
        ("m-83", "54000", "INSERT INTO outcomes"),
        ("m-84", "22003", "WITH taken AS"),
    ];
    /// Nothing of this one is taken, not even that it is set aside.
    const UNWRITABLE: (&str, &str) = ("m-85", "22021");
    // One consumer: each counts for itself how often a message was refused.
    let mut scene = Scene::new(100, 20).await;
    scene.refusing.refuse(|call| {
        let (id, code) = UNWRITABLE;
        if call.has(id) || call.holds(&format!("message {id}:")) {
            let is_stray = call.sql.contains("INTO strays");
            return (!is_stray).then(|| code.to_owned());
        }
        let is_its = |(id, _, part): &&(&str, &str, &str)| {
            call.has(id) && call.sql.contains(part) && !sets_aside(call)
        };
        let refused = REFUSED.iter().find(is_its)?;
        Some(refused.1.to_owned())
    });
    scene.start(1);
    let dead = eventually("the dead letters", || {
        let dead = scene.dead_letters();
        (dead.len() > REFUSED.len()).then_some(dead)
    });
    scene.refusing.relent();
    let others = scene.messages - REFUSED.len() - 1;
    let is_over = |books: &Value| books["done"] == json!(others);
    let books = scene.place.status_until(CAMPAIGN, is_over);
    balanced(&books);
    assert_eq!(
        books["dead"],
        json!({"store_refused": REFUSED.len()}),
        "{books}"
    );
    let mut of_all = REFUSED.map(|(id, code, _)| (id, code)).to_vec();
    of_all.push(UNWRITABLE);
    for (id, code) in &of_all {
        let is_its = |letter: &&Value| letter.to_string().contains(&format!("{id}\""));
        let letter = dead.iter().find(is_its).expect(id).to_string();
        assert!(letter.contains("store_refused"), "{letter}");
        assert!(letter.contains(&format!("({code})")), "{letter}");
    }
    let (theirs, good) = customers(scene.messages)
        .into_iter()
        .partition::<Vec<_>, _>(|(id, _)| of_all.iter().any(|(refused, _)| refused == id));
    let mut effects = scene.twilio.effects();
    effects.retain(|effect| {
        !theirs
            .iter()
            .any(|(_, number)| effect["customer"] == *number)
    });
    each_once(&effects, "message", &numbers(&good));
    let refused = scene.refusing.refused();
    for (_, code, _) in REFUSED {
        assert!(refused.by_code[code] >= 4, "{refused:?}");
    }
    assert!(refused.by_code[UNWRITABLE.1] >= 7, "{refused:?}");
    let said = scene.said();
    assert!(!said.contains("the ledger is lost"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_refuses_everything_for_a_while_is_blamed_and_comes_back() {
    const CODES: [&str; 9] = [
        "42501", "42P01", "3F000", "25006", "53100", "57P03", "28000", "57P01", "58030",
    ];
    // In the way of everything: nothing is to blame, and nothing gets done.
    const IN_THE_WAY: &str = "57014";
    let mut scene = Scene::new(80, 10).await;
    scene.start(2);
    for code in CODES {
        scene.refusing.refuse(move |_| Some(code.to_owned()));
        scene.readiness(503, code);
        scene.refusing.relent();
        scene.readiness(200, "");
    }
    scene.refusing.refuse(move |_| Some(IN_THE_WAY.to_owned()));
    scene.readiness(503, IN_THE_WAY);
    scene.refusing.relent();
    scene.all_done();
    let refused = scene.refusing.refused();
    eprintln!("{} refused, {:?}", refused.total(), refused.by_step);
    assert!(
        CODES.iter().all(|code| refused.by_code[*code] >= 2),
        "{refused:?}"
    );
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
    // Each consumer at least once for each.
    assert!(
        said.matches("the ledger is back").count() >= 2 * CODES.len(),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_corrupt_stops_a_consumer_for_good_and_says_what_to_do() {
    let mut scene = Scene::new(40, 10).await;
    scene.start(STOP_FOR_GOOD.len());
    // Now one of them, now the other, until both consumers have met one.
    let mut codes = STOP_FOR_GOOD.into_iter().cycle();
    scene.refusing.refuse(move |call| {
        let is_its = call.step == Step::Execute && call.sql.contains("INTO journal");
        let code = if is_its { codes.next() } else { None };
        code.map(str::to_owned)
    });
    scene.readiness(503, "(XX00");
    assert!(scene.refusing.refused().total() >= STOP_FOR_GOOD.len());
    scene.refusing.relent();
    let said = scene.said();
    for what in ["lost for good", "restore the last backup"] {
        assert!(said.contains(what), "{what}: {said}");
    }
    // What was under way then is looked up by the consumers that are started after it.
    scene.workers = vec![scene.place.work(&[])];
    scene.all_done();
    scene.said();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_a_consumers_rights_works_and_waits_while_they_are_revoked() {
    let mut scene = Scene::new(60, 10).await;
    let role = scene.database.consumers_role().await;
    scene.start_at(2, &role.url);
    let name = &role.name;
    for worker in &scene.workers {
        let said = worker.err();
        assert!(!said.contains("permission denied"), "{said}");
    }
    let revoke = format!("REVOKE ALL ON ALL TABLES IN SCHEMA flexcast FROM {name}");
    scene.database.raw(&revoke).await;
    scene.readiness(503, "(42501)");
    scene.database.raw(&consumers_grants(name)).await;
    scene.readiness(200, "");
    scene.all_done();
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
}
