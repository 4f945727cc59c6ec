//! An import, as `flexcast import` makes it: ledger and queue as the service opens them.

use std::path::Path;

use flexcast::campaign::{self, Campaign};
use flexcast::clock::Clock;
use flexcast::intake::{ContactsOptions, Importer, Input};
use flexcast::ledger::{CampaignRecord, Ledger};
use flexcast::queue::Queue;
use flexcast::queue::embedded::EmbeddedQueue;
use flexcast::queue::rabbitmq::RabbitQueue;
use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};

const CAMPAIGN: &str = r#"
id = "flexcast-bench"
strategy = "task_on_reply"
channel = "sms"
sender = "+12025550100"
body = 'Hello {{ customer.name | default("there") }}, your plan {{ customer.attributes.plan }} renews soon.'
default_region = "US"
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
"#;

pub(crate) async fn into_rabbitmq(file: &Path) -> u64 {
    let url = std::env::var("AMQP_URL").expect("a broker");
    let queue = RabbitQueue::connect(&url, Clock::system()).await;
    let rows = import(file, &queue.expect("a broker")).await;
    let connecting = Connection::connect(&url, ConnectionProperties::default());
    let connection = connecting.await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let queue = "flexcast.work.flexcast-bench".into();
    let deleting = channel.queue_delete(queue, QueueDeleteOptions::default());
    deleting.await.expect("deleted");
    rows
}

pub(crate) async fn into_embedded(file: &Path) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let queue = EmbeddedQueue::open(&folder.path().join("queue.db"), Clock::system());
    import(file, &queue.expect("a queue")).await
}

async fn import(file: &Path, queue: &dyn Queue) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(&folder.path().join("ledger.db")).expect("a ledger");
    let campaign = campaign::parse("bench.toml", CAMPAIGN).expect("a campaign");
    apply(&ledger, &campaign).await;
    let mut options = ContactsOptions::new(campaign.channel);
    options.default_region.clone_from(&campaign.default_region);
    let input = Input::open(file, &options).expect("a file");
    let importer = Importer {
        campaign: &campaign,
        ledger: &ledger,
        queue,
        clock: Clock::system(),
        by: None,
        again: false,
    };
    let summary = importer
        .import(input, None, &|_| {})
        .await
        .expect("imported");
    assert_eq!(summary.accepted, summary.rows, "{summary:?}");
    queue.close().await;
    summary.rows
}

async fn apply(ledger: &Ledger, campaign: &Campaign) {
    let now = Clock::system().now();
    let record = CampaignRecord::running(
        campaign.id.clone(),
        serde_json::to_value(campaign).expect("JSON"),
        now,
    );
    ledger
        .save_campaign(&record, false, None)
        .await
        .expect("applied");
}
