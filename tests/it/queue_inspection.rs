//! What the management API of a real broker tells: policies, alarms, counts; and what stands in its way.

use std::sync::Arc;

use flexcast::clock::Clock;
use flexcast::message::CampaignId;
use flexcast::queue::rabbitmq::RabbitQueue;
use flexcast::queue::{Finding, FindingKind, Inspection, Queue};

use super::queue_contract::{CAMPAIGNS, PATIENCE, campaign, consume, next, publish};
use super::support::broker::{Node, Vhost};
use super::support::flexcast::FakeTwilio;

async fn inspected(url: &str, management: &str) -> Arc<dyn Queue> {
    let connecting = RabbitQueue::connect_inspected(url, Some(management), Clock::system());
    Arc::new(connecting.await.expect("a broker"))
}

/// Inspects until it is as `until` wants it.
async fn inspect_until(
    queue: &dyn Queue,
    what: &str,
    until: impl Fn(&Inspection) -> bool,
) -> Arc<Inspection> {
    let inspecting = async {
        loop {
            queue.inspect().await;
            let inspection = queue.inspection().expect("a broker");
            if until(&inspection) {
                return inspection;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, inspecting).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", queue.inspection()))
}

/// Runs the commands of a remedy, as an operator would.
fn follow(vhost: &Vhost, finding: &Finding) {
    for command in finding.remedy.split(" && ") {
        let words: Vec<_> = command.split(' ').collect();
        assert_eq!(words[0], "rabbitmqctl", "{command}");
        vhost.ctl(&words[1..]);
    }
}

/// What of [`set_all`] is found: the kind, a queue it is on, what it says.
#[rustfmt::skip]
const FOUND: &[(FindingKind, &str, &str)] = &[
    (FindingKind::MessageTtl, "flexcast.work.spring", "\"limits\" sets message-ttl 3600000: the broker moves"),
    (FindingKind::MessageTtl, "flexcast.retry.60s", "\"quick\" sets message-ttl 500"),
    (FindingKind::Expires, "flexcast.work.spring", "\"limits\" sets expires"),
    (FindingKind::MaxLength, "flexcast.work.spring", "operator policy \"cap\" sets max-length 100"),
    (FindingKind::MaxLength, "flexcast.work.spring", "\"limits\" sets max-length-bytes"),
    (FindingKind::MaxLength, "flexcast.dead", "\"capped\" sets max-length 10: the broker refuses"),
    (FindingKind::DeliveryLimit, "flexcast.work.spring", "\"limits\" sets delivery-limit"),
    (FindingKind::DeadLettering, "flexcast.work.spring", "\"limits\" sets dead-letter-exchange \"elsewhere\""),
    (FindingKind::DeadLettering, "flexcast.retry.60s", "\"quick\" sets dead-letter-routing-key"),
];

/// Sets policies with every key that does harm. They take nothing during the test.
fn set_all(vhost: &Vhost) {
    let set = |command: &str, name: &str, pattern: &str, definition: &str| {
        let on = ["-p", vhost.name(), "--apply-to", "queues"];
        let mut words = vec![command, name, pattern, definition];
        words.extend(on);
        vhost.ctl(&words);
    };
    let limits = r#"{"message-ttl": 3600000, "expires": 3600000, "max-length": 1000,
                     "max-length-bytes": 1000000, "delivery-limit": 1000,
                     "dead-letter-exchange": "elsewhere"}"#;
    set("set_policy", "limits", r"^flexcast\.work\.", limits);
    let quick = r#"{"message-ttl": 500, "dead-letter-routing-key": "elsewhere"}"#;
    set("set_policy", "quick", r"^flexcast\.retry\.", quick);
    let capped = r#"{"max-length": 10, "overflow": "reject-publish"}"#;
    set("set_policy", "capped", r"^flexcast\.dead$", capped);
    // The lower of two numbers is in effect, and `limits` has the other.
    let cap = r#"{"max-length": 100}"#;
    set("set_operator_policy", "cap", r"^flexcast\.work\.", cap);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_policy_is_named_and_its_remedy_ends_it() {
    let vhost = Vhost::new().await;
    let Some(management) = vhost.management() else {
        return;
    };
    let queue = inspected(&vhost.url, &management).await;
    queue.open(&campaign()).await.expect("opened");
    let nothing = inspect_until(&*queue, "statistics", Inspection::is_whole).await;
    assert_eq!(nothing.findings, []);

    set_all(&vhost);
    let has = |inspection: &Inspection, kind: FindingKind, on: &str, said: &str| {
        let mut found = inspection.findings.iter();
        let names = |it: &Finding| it.on.iter().any(|queue| queue == on);
        found.any(|it| it.kind == kind && names(it) && it.why.contains(said))
    };
    let has_all = |inspection: &Inspection| {
        let mut all = FOUND.iter();
        all.all(|(kind, on, said)| has(inspection, *kind, on, said))
    };
    let found = inspect_until(&*queue, "all findings", has_all).await;
    // The queues that delay are reported one by one.
    let is_quick = |it: &&Finding| it.why.contains("\"quick\" sets message-ttl");
    let on_all = |it: &Inspection| it.findings.iter().find(is_quick).map(|it| it.on.len());
    inspect_until(&*queue, "all retry queues", |it| on_all(it) == Some(4)).await;
    assert_eq!(found.findings.len(), FOUND.len(), "{:#?}", found.findings);

    // What each of them names ends all.
    for policy in ["\"limits\"", "\"quick\"", "\"capped\"", "\"cap\""] {
        let mut findings = found.findings.iter();
        let named = findings.find(|it| it.why.contains(&format!("policy {policy} sets")));
        follow(&vhost, named.expect("a finding of each"));
    }
    let is_over = |inspection: &Inspection| inspection.findings.is_empty();
    inspect_until(&*queue, "nothing found", is_over).await;
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaigns_queue_has_its_counts_and_one_that_is_not_there_has_none() {
    let vhost = Vhost::new().await;
    let Some(management) = vhost.management() else {
        return;
    };
    let queue = inspected(&vhost.url, &management).await;
    queue.open(&campaign()).await.expect("opened");
    publish(&queue, &["a", "b", "c"]).await;
    let mut consumer = consume(&queue, 2).await;
    let held = [next(&mut consumer).await, next(&mut consumer).await];
    let shows = |inspection: &Inspection| {
        let counts = inspection.campaigns.get(&campaign());
        counts.is_some_and(|it| (it.ready, it.unacknowledged) == (Some(1), Some(2)))
    };
    let inspection = inspect_until(&*queue, "the counts", shows).await;
    assert!(inspection.at.is_some());
    let other = CampaignId::parse(CAMPAIGNS[1]).expect("an id");
    assert!(!inspection.campaigns.contains_key(&other));
    // They lag, and `depth` does not.
    for delivery in held {
        delivery.ack().await.expect("settled");
    }
    drop(consumer);
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_are_found_and_are_over_when_they_are() {
    let node = Node::start();
    let queue = inspected(&node.url, &node.management).await;
    let has = |kind: FindingKind| {
        move |inspection: &Inspection| inspection.findings.iter().any(|it| it.kind == kind)
    };
    node.set("set_disk_free_limit", "1000000GB");
    let disk = inspect_until(&*queue, "the disk alarm", has(FindingKind::DiskAlarm)).await;
    assert!(disk.findings[0].on[0].starts_with("flexcast-"), "{disk:?}");
    node.set("set_disk_free_limit", "1MB");
    node.set("set_vm_memory_high_watermark", "0.00001");
    inspect_until(&*queue, "the memory alarm", has(FindingKind::MemoryAlarm)).await;
    node.set("set_vm_memory_high_watermark", "0.4");
    let is_over = |inspection: &Inspection| inspection.is_whole() && inspection.findings.is_empty();
    inspect_until(&*queue, "the end of the alarms", is_over).await;
    // What was found stays while nobody answers.
    node.set("set_disk_free_limit", "1000000GB");
    inspect_until(&*queue, "the disk alarm", has(FindingKind::DiskAlarm)).await;
    node.kill();
    let away = inspect_until(&*queue, "no answer", |it| it.not_checked.is_some()).await;
    assert!(has(FindingKind::DiskAlarm)(&away), "{away:?}");
    assert!(away.at.is_some() && !away.is_whole(), "{away:?}");
    queue.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_said_without_a_secret() {
    let vhost = Vhost::new().await;
    let Some(management) = vhost.management() else {
        return;
    };
    let server = management.rsplit_once('@').expect("credentials").1;
    let twilio = FakeTwilio::start();
    let other = twilio.url.trim_start_matches("http://").to_owned();
    // A user of the broker without any tag, and its credentials from AMQP_URL.
    let plain = vhost.of_user("plain").expect("our broker");
    let table = [
        (
            &vhost.url,
            format!("http://guest:hush@{server}"),
            "401: Login failed",
        ),
        (
            &plain,
            format!("http://{server}"),
            "401: Not management user",
        ),
        (
            &vhost.url,
            "http://guest:hush@127.0.0.1:1".to_owned(),
            "does not answer",
        ),
        (
            &vhost.url,
            format!("http://guest:hush@{other}"),
            "is not RabbitMQ's management API",
        ),
        (
            &vhost.url,
            format!("https://guest:hush@{server}"),
            "does not answer",
        ),
    ];
    for (url, management, said) in table {
        let queue = inspected(url, &management).await;
        queue.inspect().await;
        let inspection = queue.inspection().expect("a broker");
        let why = inspection.not_checked.as_deref().expect("not checked");
        assert!(why.contains(said), "{management}: {why}");
        let printed = format!("{inspection:?} {:?}", inspection.lines());
        for secret in ["hush", "s3cret", "guest:"] {
            assert!(!printed.contains(secret), "{management}: {printed}");
        }
        queue.close().await;
    }
    // Without the tag `monitoring` the policies are read, and the alarms are not.
    let user = url::Url::parse(&plain)
        .expect("a URL")
        .username()
        .to_owned();
    vhost.ctl(&["set_user_tags", &user, "management"]);
    let queue = inspected(&plain, &format!("http://{server}")).await;
    let lacks_alarms = |inspection: &Inspection| {
        let lacks = inspection.not_read.iter().any(|it| it.contains("alarms"));
        lacks && inspection.not_checked.is_none() && !inspection.is_whole()
    };
    inspect_until(&*queue, "policies without alarms", lacks_alarms).await;
    queue.close().await;
}
