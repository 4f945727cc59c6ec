//! The least anybody could do: every row as JSON onto a durable quorum queue, with confirms.

use std::collections::VecDeque;
use std::path::Path;

use csv::ReaderBuilder;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};

const QUEUE: &str = "flexcast-bench-bare";

/// As many as the program itself has unconfirmed.
const WINDOW: usize = 1_000;

pub(crate) async fn publish(file: &Path) -> u64 {
    let url = std::env::var("AMQP_URL").expect("a broker");
    let connecting = Connection::connect(&url, ConnectionProperties::default());
    let connection = connecting.await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.expect("confirms");
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let options = QueueDeclareOptions::durable();
    let declaring = channel.queue_declare(QUEUE.into(), options, arguments);
    declaring.await.expect("a queue");

    let mut rows = 0;
    let mut csv = ReaderBuilder::new().from_path(file).expect("a file");
    let headers = csv.headers().expect("a header").clone();
    let mut window = VecDeque::with_capacity(WINDOW);
    let properties = BasicProperties::default().with_delivery_mode(2);
    for record in csv.records() {
        let record = record.expect("a row");
        let row: serde_json::Map<_, _> = headers
            .iter()
            .zip(&record)
            .map(|(name, cell)| (name.to_owned(), cell.into()))
            .collect();
        let body = serde_json::to_vec(&row).expect("JSON");
        let options = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let publishing =
            channel.basic_publish("".into(), QUEUE.into(), options, &body, properties.clone());
        window.push_back(publishing.await.expect("sent"));
        if window.len() >= WINDOW
            && let Some(oldest) = window.pop_front()
        {
            assert!(oldest.await.expect("a confirm").is_ack());
        }
        rows += 1;
    }
    for confirm in window {
        assert!(confirm.await.expect("a confirm").is_ack());
    }
    let deleting = channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default());
    deleting.await.expect("deleted");
    rows
}
