//! What the broker and the database lose under consumers at work: nothing stands at the end, no customer is
//! written to twice, and what people did to stop a campaign stops it.

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, customers, import, numbers, read_queue};
use crate::support::broker::Node;
use crate::support::flexcast::{
    FakeTwilio, Place, Running, balanced, each_once, eventually, fast_config,
};
use crate::support::postgres::Database;

/// Far more than the consumers hold at once.
const MESSAGES: usize = 600;
const CONSUMERS: usize = 3;

/// Consumers at work on one campaign, slow enough to be interrupted.
struct Scene {
    twilio: FakeTwilio,
    node: Node,
    database: Database,
    place: Place,
    workers: Vec<Running>,
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

impl Scene {
    async fn begin(consumers: usize) -> Self {
        let (twilio, node) = (FakeTwilio::start(), Node::start());
        let database = Database::new().await;
        let mut place = Place::facing(&twilio);
        let slow = "create_conversation_message = \"30/s\"\n";
        let config = fast_config().replace("create_conversation_message = \"none\"\n", slow);
        let config = config.replace("[work]\n", "[work]\nqueue_look = \"1s\"\n");
        place.write("flexcast.toml", config);
        place.set("DATABASE_URL", &database.url);
        place.set("AMQP_URL", &node.url);
        place.write("spring.toml", CAMPAIGN_FILE);
        place
            .run(&["campaign", "apply", "spring.toml"])
            .ends_with(0);
        import(&place, &customers(MESSAGES));
        let workers = (0..consumers).map(|_| place.work(&[])).collect();
        let scene = Self {
            twilio,
            node,
            database,
            place,
            workers,
        };
        scene
            .place
            .status_until(CAMPAIGN, |books| books["done"].as_u64() >= Some(40));
        scene
    }

    /// Waits until every message is done or dead, and each customer was written to once.
    fn all_over(&self, dead: usize) {
        let over = |books: &Value| {
            books["done"] == json!(MESSAGES - dead)
                && books["waiting"] == json!(0)
                && books["in_flight"] == json!(0)
        };
        balanced(&self.place.status_until(CAMPAIGN, over));
        if dead == 0 {
            let all = customers(MESSAGES);
            each_once(&self.twilio.effects(), "message", &numbers(&all));
        }
    }

    /// Stops the consumers, and gives all that they have said.
    fn said(&mut self) -> String {
        for worker in &mut self.workers {
            worker.terminate();
        }
        let ended = self.workers.iter_mut().map(|one| one.ended().ends_with(0));
        ended.map(|ran| ran.err).collect()
    }

    /// Waits for the program's pause, checks that nothing leaves meanwhile, and resumes the campaign.
    fn paused_and_resumed(&self, what: &str) {
        let paused = self
            .place
            .status_until(CAMPAIGN, |books| books["state"] == json!("paused"));
        let reason = paused["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains(what), "{reason}");
        assert!(reason.contains("campaign resume"), "{reason}");
        let in_flight = |books: &Value| books["in_flight"] == json!(0);
        self.place.status_until(CAMPAIGN, in_flight);
        let before = self.twilio.effects().len();
        let waiting = self.place.status(CAMPAIGN)["waiting"].as_u64();
        assert!(
            waiting >= Some(50),
            "there is something to stop: {waiting:?}"
        );
        assert_eq!(
            self.twilio.effects().len(),
            before,
            "a purge stops a campaign"
        );
        self.resume();
    }

    /// Waits until the program has paused the campaign because its queue was emptied.
    fn emptied(&self) {
        let is_paused = |books: &Value| books["state"] == json!("paused");
        let paused = self.place.status_until(CAMPAIGN, is_paused);
        let reason = paused["reason"].to_string();
        assert!(reason.contains("queue emptied"), "{reason}");
    }

    fn resume(&self) {
        self.place
            .run(&["campaign", "resume", CAMPAIGN])
            .ends_with(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_away_for_a_while_kills_no_message() {
    let mut scene = Scene::begin(CONSUMERS).await;
    let raw = |sql: &'static str| scene.database.raw(sql);
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
    let said = scene.said();
    assert!(!said.contains("dead-lettered"), "{said}");
}

/// The database works for everything but one table, which is no message's fault; then for everything but one
/// message, which is. One consumer: each counts for itself how often a message was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_refuses_everything_is_the_stores_fault_and_one_row_is_a_messages() {
    let mut scene = Scene::begin(1).await;
    let raw = |sql: &'static str| scene.database.raw(sql);
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
         FOR EACH ROW WHEN (NEW.id = 'm-599') EXECUTE FUNCTION public.refuse();")
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
    let mut scene = Scene::begin(CONSUMERS).await;
    scene.node.ctl(&["purge_queue", "flexcast.work.spring"]);
    scene.paused_and_resumed("queue emptied");
    scene.all_over(0);
    let said = scene.said();
    assert!(said.contains("they are published again"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_stops_the_campaign_and_a_resume_publishes_again() {
    let mut scene = Scene::begin(CONSUMERS).await;
    scene.node.ctl(&["delete_queue", "flexcast.work.spring"]);
    scene.paused_and_resumed("queue ");
    scene.all_over(0);
    scene.said();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_drops_messages_stops_the_campaign_too() {
    let mut scene = Scene::begin(CONSUMERS).await;
    let policy = [
        "^flexcast\\.work",
        r#"{"max-length":3}"#,
        "--apply-to",
        "queues",
    ];
    let mut set = vec!["set_policy", "too-short"];
    set.extend(policy);
    scene.node.ctl(&set);
    scene.emptied();
    // A hurried operator resumes before the cause is mended: what is published is lost again.
    scene.resume();
    scene.emptied();
    scene.node.ctl(&["clear_policy", "too-short"]);
    eventually("the policy to be gone from the queue", || {
        let queues = scene.node.ctl(&["list_queues", "name", "policy"]);
        (!queues.contains("too-short")).then_some(())
    });
    scene.resume();
    scene.all_over(0);
    scene.said();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_lost_with_its_disk_is_published_again_by_itself() {
    let mut scene = Scene::begin(CONSUMERS).await;
    scene.node.lose_disk();
    scene.all_over(0);
    scene.said();
    assert_eq!(scene.place.status(CAMPAIGN)["paused_by"], Value::Null);
}
