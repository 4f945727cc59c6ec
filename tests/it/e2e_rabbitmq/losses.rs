//! What the broker and the database lose under consumers at work: nothing stands at the end, no customer is
//! written to twice, and what people did to stop a campaign stops it.
//!
//! `LOSSES_MESSAGES` is how many messages each test has; the consumers hold a third of them.

use std::time::Duration;

use flexcast::ledger::Ledger;
use lapin::options::{BasicGetOptions, QueuePurgeOptions};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::lost_store::queue_of;
use super::{CAMPAIGN, CAMPAIGN_FILE, customers, import, numbers, read_queue};
use crate::support::broker::{Node, connect};
use crate::support::flexcast::{
    FakeTwilio, Place, Running, balanced, each_once, eventually, fast_config,
};
use crate::support::link::{Link, server_of};
use crate::support::number_from;
use crate::support::postgres::{Database, consumers_grants};

/// Far more than the consumers hold at once.
const MESSAGES: usize = 600;
pub(super) const CONSUMERS: usize = 3;

/// How many messages a test has.
fn messages() -> usize {
    number_from("LOSSES_MESSAGES", MESSAGES)
}

/// Waits for a future where only a function can be called.
fn wait_for<T>(future: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(future))
}

/// Purges the campaign's queue; how many messages that was. The broker knows it to the message, also where it has
/// closed the connection of a consumer that stood still for long and had the deliveries back before.
fn purge(node: &Node) -> usize {
    let purging = async {
        let connection = connect(&node.url).await;
        let channel = connection.create_channel().await.expect("a channel");
        let queue = format!("flexcast.work.{CAMPAIGN}");
        let purging = channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default());
        let purged = purging.await.expect("it is purged");
        let closed = connection.close(200, "OK".into()).await;
        closed.expect("it is closed");
        purged
    };
    usize::try_from(wait_for(purging)).expect("a number")
}

/// Takes all that is ready of the campaign's queue, and ends without an acknowledgement; how many messages that was.
fn take_and_end(node: &Node) -> usize {
    wait_for(async {
        let connection = connect(&node.url).await;
        let channel = connection.create_channel().await.expect("a channel");
        let queue = format!("flexcast.work.{CAMPAIGN}");
        let mut taken = 0;
        let options = BasicGetOptions::default();
        while let Some(_taken) = channel
            .basic_get(queue.as_str().into(), options)
            .await
            .expect("the queue answers")
        {
            taken += 1;
        }
        let closed = connection.close(200, "OK".into()).await;
        closed.expect("it is closed");
        taken
    })
}

/// Consumers at work on one campaign, slow enough to be interrupted, while Twilio fails now and then.
pub(super) struct Scene {
    twilio: FakeTwilio,
    node: Node,
    pub(super) place: Place,
    pub(super) workers: Vec<Running>,
    messages: usize,
}

/// A policy on the queues of campaigns.
fn set_policy(node: &Node, definition: &str) {
    let queues = ["^flexcast\\.work", definition, "--apply-to", "queues"];
    let mut set = vec!["set_policy", "harmful"];
    set.extend(queues);
    node.ctl(&set);
}

impl Drop for Scene {
    /// What the consumers said is what a failure is explained with.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.place.status(CAMPAIGN));
            for worker in &self.workers {
                eprintln!("{}", worker.err());
            }
        }
    }
}

/// Short looks and leases, a third of the messages in the hands of the consumers, and work for twenty seconds.
fn config(messages: usize) -> String {
    let rate = messages / 20;
    let slow = format!("create_conversation_message = \"{rate}/s\"\n");
    let work = format!(
        "[work]\nqueue_look = \"1s\"\ncall_timeout = \"10s\"\nlease = \"20s\"\nin_flight = {}\n",
        messages / 3 / CONSUMERS
    );
    fast_config()
        .replace("create_conversation_message = \"none\"\n", &slow)
        .replace("[work]\n", &work)
}

impl Scene {
    pub(super) fn begin(consumers: usize, database: &str) -> Self {
        Self::begin_with(consumers, [database; 2], messages())
    }

    /// As [`Self::begin`], with the first messages alone, and with another way to the database for the consumers than
    /// for everybody else, which comes first.
    fn begin_with(consumers: usize, [database, theirs]: [&str; 2], first: usize) -> Self {
        let (twilio, node, messages) = (FakeTwilio::start(), Node::start(), messages());
        let mut place = Place::facing(&twilio);
        place.write("flexcast.toml", config(messages));
        place.set("DATABASE_URL", database);
        place.set("AMQP_URL", &node.url);
        place.write("spring.toml", CAMPAIGN_FILE);
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        twilio.set_faults(&json!({"seed": 7, "rules": [
            {"operation": "create_conversation_participant", "kind": "server_error", "rate": 0.1}]}));
        import(&place, &customers(messages)[..first]);
        place.set("DATABASE_URL", theirs);
        let workers = (0..consumers).map(|_| place.work(&[])).collect();
        place.set("DATABASE_URL", database);
        let scene = Self {
            twilio,
            node,
            place,
            workers,
            messages,
        };
        scene
            .place
            .status_until(CAMPAIGN, |books| books["done"].as_u64() >= Some(40));
        scene
    }

    /// Waits until every message is done or dead, and each customer was written to once.
    pub(super) fn all_over(&self, dead: usize) {
        let over = |books: &Value| {
            books["done"] == json!(self.messages - dead)
                && books["queued"] == json!(0)
                && books["in_flight"] == json!(0)
        };
        balanced(&self.place.status_until(CAMPAIGN, over));
        if dead == 0 {
            let all = customers(self.messages);
            each_once(&self.twilio.effects(), "message", &numbers(&all));
        }
    }

    /// Does something to the broker while no consumer makes progress, however slow the machine is; tells how many
    /// messages the work queue had ready before, and how many were with consumers.
    fn strike(&self, blow: impl FnOnce(&Node)) -> [usize; 2] {
        for worker in &self.workers {
            worker.signal("STOP");
        }
        let [ready, unacknowledged, _] = queue_of(&self.node);
        blow(&self.node);
        for worker in &self.workers {
            worker.signal("CONT");
        }
        [ready, unacknowledged]
    }

    /// Checks that of what vanished, `lost` messages at most, no more was published again than that and a
    /// hundredth of it, and that a consumer has said so.
    pub(super) fn published_again(&mut self, lost: usize) {
        let mut again = 0.0;
        for worker in &mut self.workers {
            again += worker.metric("flexcast_published_again_total");
        }
        eprintln!("{again} published again, {lost} lost at most");
        assert!(again <= lost as f64 * 1.01, "{again} copies for {lost}");
        if lost > 0 {
            assert!(again > 0.0, "nothing was published again");
            let mut said = self.workers.iter().map(Running::err);
            assert!(
                said.any(|err| err.contains("published again")),
                "it is said"
            );
        }
    }

    /// Stops the consumers, and gives all that they have said.
    pub(super) fn said(&mut self) -> String {
        for worker in &mut self.workers {
            worker.terminate();
        }
        let ended = self.workers.iter_mut().map(|one| one.ended().ends_with(0));
        ended.map(|ran| ran.err).collect()
    }

    /// Waits for the program's pause, and checks that nothing leaves meanwhile.
    fn stopped(&self, what: &str) {
        let paused = self
            .place
            .status_until(CAMPAIGN, |books| books["state"] == json!("paused"));
        let reason = paused["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(what), "{reason}");
        assert!(reason.contains("campaign resume"), "{reason}");
        let in_flight = |books: &Value| books["in_flight"] == json!(0);
        self.place.status_until(CAMPAIGN, in_flight);
        let before = self.twilio.effects().len();
        let queued = self.place.status(CAMPAIGN)["queued"].as_u64();
        assert!(queued >= Some(20), "there is something to stop: {queued:?}");
        let after = self.twilio.effects().len();
        assert_eq!(after, before, "a purge stops a campaign");
    }

    /// Resumes the campaign, and checks that all are done and no more than `lost` were published again.
    fn resumed(&mut self, lost: usize) {
        self.place
            .run(&["campaign", "resume", CAMPAIGN])
            .ends_with(0);
        self.all_over(0);
        self.published_again(lost);
        self.said();
    }

    fn clear_policy(&self) {
        self.node.ctl(&["clear_policy", "harmful"]);
        eventually("the policy to be gone from the queue", || {
            let queues = self.node.ctl(&["list_queues", "name", "policy"]);
            (!queues.contains("harmful")).then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_away_for_a_while_kills_no_message() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let raw = |sql: &'static str| database.raw(sql);
    raw("ALTER SCHEMA flexcast RENAME TO away").await;
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            worker.err().contains("the ledger is lost").then_some(())
        });
    }
    raw("ALTER SCHEMA away RENAME TO flexcast").await;
    scene.all_over(0);
    assert_eq!(
        read_queue(&scene.node.url, "flexcast.dead"),
        Vec::<Value>::new()
    );
    scene.published_again(0);
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
}

/// The consumers have a role of their own, with the rights that the documents name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_revoked_for_a_while_kill_no_message() {
    let database = Database::new().await;
    // The role gets its rights on tables that are there.
    let ledger = Ledger::connect(&database.url).await;
    drop(ledger.expect("a new ledger"));
    let role = database.consumers_role().await;
    let ways = [database.url.as_str(), &role.url];
    let mut scene = Scene::begin_with(CONSUMERS, ways, messages());
    let revoke = "REVOKE ALL ON ALL TABLES IN SCHEMA flexcast FROM";
    database.raw(&format!("{revoke} {}", role.name)).await;
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            let err = worker.err();
            (err.contains("the ledger is lost") && err.contains("(42501)")).then_some(())
        });
    }
    let books = scene.place.status(CAMPAIGN);
    let held = books["in_flight"].as_u64().expect("a number");
    assert!(held > 0, "{books}");
    database.raw(&consumers_grants(&role.name)).await;
    scene.all_over(0);
    assert_eq!(
        read_queue(&scene.node.url, "flexcast.dead"),
        Vec::<Value>::new()
    );
    eprintln!("the consumers held {held} when their rights were revoked");
    scene.published_again(0);
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
}

/// The database works for everything but one table, which is no message's fault; then for everything but one
/// message, which is. One consumer: each counts for itself how often a message was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_refuses_everything_is_the_stores_fault_and_one_row_is_a_messages() {
    let database = Database::new().await;
    let mut scene = Scene::begin(1, &database.url);
    let raw = |sql: &'static str| database.raw(sql);
    raw(
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE 'no such luck' USING ERRCODE = '22003'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON flexcast.outcomes
         FOR EACH ROW EXECUTE FUNCTION public.refuse();",
    )
    .await;
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            worker.err().contains("the ledger is lost").then_some(())
        });
    }
    raw("DROP TRIGGER refuse ON flexcast.outcomes;
         CREATE TRIGGER refuse BEFORE INSERT ON flexcast.journal
         FOR EACH ROW WHEN (NEW.id = 'm-590') EXECUTE FUNCTION public.refuse();")
    .await;
    scene.all_over(1);
    let status = scene.place.status(CAMPAIGN);
    assert_eq!(status["dead"], json!({"store_refused": 1}), "{status}");
    let dead = read_queue(&scene.node.url, "flexcast.dead");
    assert_eq!(dead.len(), 1, "{dead:?}");
    let said = scene.said();
    assert!(said.contains("22003"), "its SQLSTATE: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_stops_the_campaign_and_a_resume_publishes_again() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let mut purged = 0;
    scene.strike(|node| purged = purge(node));
    scene.stopped("queue emptied");
    scene.resumed(purged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_stops_the_campaign_and_a_resume_publishes_again() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let [ready, unacknowledged] = scene.strike(|node| {
        node.ctl(&["delete_queue", "flexcast.work.spring"]);
    });
    scene.stopped("queue ");
    scene.resumed(ready + unacknowledged);
}

/// The database carries out what the consumers have given up by then: it gives leases that no consumer knows of, and
/// no queue delivers their messages again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_without_an_answer_and_its_lost_delivery_hold_up_no_message() {
    let database = Database::new().await;
    let server = server_of(&database.url);
    let link = Link::to(server, Duration::ZERO);
    let theirs = link.url(&database.url, server);
    let mut scene = Scene::begin_with(CONSUMERS, [&database.url, &theirs], messages());
    let steer = |what: &str| scene.place.run(&["campaign", what, CAMPAIGN]).ends_with(0);
    steer("pause");
    let in_flight = |books: &Value| books["in_flight"] == json!(0);
    let books = scene.place.status_until(CAMPAIGN, in_flight);
    let session = database.session().await;
    let run = async |sql: &str| session.batch_execute(sql).await.expect("it is done");
    run("BEGIN; LOCK TABLE flexcast.turns IN EXCLUSIVE MODE").await;
    steer("resume");
    // Another session: within a transaction the server shows the same all the while.
    let looker = database.session().await;
    let waiting = "SELECT count(*) > 2 FROM pg_stat_activity
                   WHERE wait_event_type = 'Lock' AND query LIKE 'WITH taken AS%'";
    eventually("takes to wait for the lock", || {
        let row = wait_for(looker.query_one(waiting, &[])).expect("it answers");
        row.get::<_, bool>(0).then_some(())
    });
    link.mute(true);
    run("COMMIT").await;
    for worker in &scene.workers {
        eventually("the consumer to say that its ledger is lost", || {
            worker.err().contains("the ledger is lost").then_some(())
        });
    }
    eventually("the consumers to give up their takes", || {
        let [_, unacknowledged, consumers] = queue_of(&scene.node);
        (unacknowledged == 0 && consumers == 0).then_some(())
    });
    let held = &scene.place.status(CAMPAIGN)["in_flight"];
    assert!(held.as_u64() > Some(0), "takes that stand: {held}");
    scene.node.ctl(&["delete_queue", "flexcast.work.spring"]);
    link.mute(false);
    scene.stopped("queue ");
    let done = books["done"].as_u64().expect("a number");
    scene.resumed(scene.messages - usize::try_from(done).expect("a count"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_drops_messages_stops_the_campaign_too() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let [ready, unacknowledged] = scene.strike(|node| set_policy(node, r#"{"max-length":3}"#));
    scene.stopped("queue emptied");
    scene.clear_policy();
    scene.resumed(ready + unacknowledged);
}

/// A message gets its age limit when it is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_ages_messages_out_stops_the_campaign_too() {
    let database = Database::new().await;
    let first = messages() / 2;
    let mut scene = Scene::begin_with(CONSUMERS, [&database.url; 2], first);
    scene.strike(|node| {
        set_policy(node, r#"{"message-ttl":1}"#);
        import(&scene.place, &customers(scene.messages)[first..]);
    });
    scene.stopped("queue emptied");
    scene.clear_policy();
    scene.resumed(scene.messages - first);
}

/// A program takes what is ready and ends without an acknowledgement: that counts as a delivery, and the second one is
/// one too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_limit_that_drops_messages_stops_the_campaign_too() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let [ready, unacknowledged] = scene.strike(|node| {
        set_policy(node, r#"{"delivery-limit":1}"#);
        eventually("the policy to drop what was taken too often", || {
            let taken = take_and_end(node);
            (taken == 0).then_some(())
        });
    });
    scene.stopped("queue emptied");
    scene.clear_policy();
    scene.resumed(ready + unacknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_lost_with_its_disk_is_published_again_by_itself() {
    let database = Database::new().await;
    let mut scene = Scene::begin(CONSUMERS, &database.url);
    let [ready, unacknowledged] = scene.strike(Node::lose_disk);
    scene.all_over(0);
    scene.published_again(ready + unacknowledged);
    scene.said();
    assert_eq!(scene.place.status(CAMPAIGN)["paused_by"], Value::Null);
}
