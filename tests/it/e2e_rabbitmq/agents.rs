//! Several consumers give one agent their tasks: together no more than the agent takes at a time.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place, eventually, fast_config};
use crate::support::link::{Link, server_of};
use crate::support::number_from;
use crate::support::postgres::Database;

const CAMPAIGN: &str = r#"
id = "spring"
strategy = "task_now"
api = "conversations"
channel = "sms"
sender = "+12025550100"
body = "Hello"
default_region = "US"
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
"#;

/// How many tasks each agent takes at a time.
const CAPACITY: u64 = 2;

/// How many messages each agent is to get.
const EACH: usize = 4;

/// The open tasks of all agents end, again and again, each once it was seen.
fn agents_work(twilio: &FakeTwilio) -> usize {
    let effects = twilio.effects();
    let open = effects.iter().filter(|one| {
        let is_over = ["completed", "canceled"].contains(&one["state"].as_str().unwrap_or(""));
        one["kind"] == "task" && !is_over
    });
    for task in open {
        twilio.complete_task(task["sid"].as_str().expect("a SID"));
    }
    effects.iter().filter(|one| one["kind"] == "task").count()
}

fn most_at_once(twilio: &FakeTwilio) -> u64 {
    let agents = twilio.agents();
    let most = agents
        .iter()
        .map(|one| one["open_most"].as_u64().expect("a count"));
    most.max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_consumers_one_of_them_killed_give_no_agent_more_than_their_capacity() {
    let agents = number_from("AGENTS", 200);
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let names: Vec<String> = (0..agents).map(|n| format!("agent-{n:03}")).collect();
    let mut arguments = vec!["--no-limits"];
    for name in &names {
        arguments.extend(["--agent", name]);
    }
    let twilio = FakeTwilio::start_with(&arguments);
    for name in &names {
        twilio.change_agent(name, &json!({"capacity": CAPACITY}));
    }
    // Each consumer looks at an agent every two seconds, and a task shows at once.
    let config = fast_config().replacen("[work]\n", "[work]\nagents_for = \"2s\"\n", 1);
    let server = server_of(&database.url);
    // 10 ms away: what consumers know of each other is never quite new.
    let link = Link::uneven(server, Duration::from_millis(10));
    let mut place = Place::facing(&twilio);
    place.write("flexcast.toml", config);
    place.set("AMQP_URL", &vhost.url);
    place.set("DATABASE_URL", &link.url(&database.url, server));
    place.write("spring.toml", CAMPAIGN);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut rows = "phone,agent\n".to_owned();
    for n in 0..agents * EACH {
        // Message after message of one agent, so that several consumers have one each.
        writeln!(rows, "+1212555{n:04},{}", names[n / EACH]).expect("a string takes it");
    }
    place.write("contacts.csv", rows);
    let mut consumers: Vec<_> = (0..4).map(|_| place.work(&[])).collect();
    for consumer in &mut consumers {
        eventually("it to be ready", || {
            (consumer.readiness().0 == 200).then_some(())
        });
    }
    place
        .run(&["import", "spring", "contacts.csv", "--yes"])
        .ends_with(0);
    // A task is left standing for a while before the agent ends it: their capacity binds.
    let all = agents * EACH;
    eventually("a quarter to be begun", || {
        (twilio_tasks(&twilio) * 4 >= all).then_some(())
    });
    consumers.remove(0).crash();
    eventually("most to be begun", || {
        let begun = agents_work(&twilio);
        std::thread::sleep(Duration::from_millis(500));
        (begun * 10 >= all * 9).then_some(())
    });
    assert!(
        most_at_once(&twilio) <= CAPACITY,
        "{}",
        most_at_once(&twilio)
    );
}

fn twilio_tasks(twilio: &FakeTwilio) -> usize {
    let effects = twilio.effects();
    effects.iter().filter(|one| one["kind"] == "task").count()
}
