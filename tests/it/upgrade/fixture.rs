//! What the old program has left, put in place for the new one.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, ExchangeKind};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::Value;

use super::world::{self, Sids, translated};
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{FakeTwilio, Place, fast_config, in_repository};
use crate::support::postgres::Database;
use crate::support::program::succeed;

/// Where Twilio's SIDs are in a ledger.
const SIDS_IN_LEDGER: [(&str, &str); 7] = [
    ("campaigns", "definition"),
    ("messages", "payload"),
    ("turns", "last_failure"),
    ("outcomes", "detail"),
    ("outcomes", "effects"),
    ("journal", "event"),
    ("strays", "body"),
];

/// How old what is left is when the new program finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// As old as the fixture: weeks or years, after which every lease, wait and trace is over.
    Fixtures,
    /// Three minutes, as in an upgrade without haste: every lease and wait is over, and the traces at Twilio count.
    Minutes,
}

/// What the old program has left.
pub(super) struct Left {
    pub(super) place: Place,
    pub(super) twilio: FakeTwilio,
    /// What the old program told of its books, and its customers.
    pub(super) told: Value,
    sids: Sids,
}

impl Left {
    /// Unpacks an archive, and makes its world.
    async fn unpacked(archive: &str) -> Self {
        let mut place = Place::new();
        let archive = in_repository(&format!("tests/fixtures/upgrade-2f80811/{archive}"));
        let folder = place.path("fixture");
        std::fs::create_dir(&folder).expect("a folder");
        succeed(
            Command::new("tar")
                .args(["-xzf", &archive, "-C"])
                .arg(&folder),
        );
        for entry in std::fs::read_dir(folder.join("place")).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            std::fs::rename(entry.path(), place.path(&name)).expect("it is moved");
        }
        // The waits of the old program were long, so that it could be killed while they lasted.
        place.write("flexcast.toml", fast_config());
        let twilio = world::start();
        place.face(&twilio);
        let record = std::fs::read_to_string(folder.join("requests.jsonl")).expect("a record");
        let effects = place.read_json("fixture/effects.json");
        let sids = world::replay(&twilio, &record, &effects).await;
        let told = place.read_json("fixture/told.json");
        Self {
            place,
            twilio,
            told,
            sids,
        }
    }

    /// With the ledger and the queue in files.
    pub(super) async fn in_files() -> Self {
        let left = Self::unpacked("files.tar.gz").await;
        let ledger = left.place.path(".flexcast/ledger.db");
        assert!(
            ledger.with_extension("db-wal").exists(),
            "the old program was killed"
        );
        left.translate_file(&ledger, &SIDS_IN_LEDGER);
        let db = opened(&ledger);
        db.execute_batch(&left.address()).expect("it is written");
        drop(db);
        let queue = left.place.path(".flexcast/queue.db");
        left.translate_file(&queue, &[("queued", "body"), ("dead", "body")]);
        left
    }

    /// With the ledger in this database, and the queue in this virtual host.
    pub(super) async fn on_services(database: &Database, vhost: &Vhost, age: Age) -> Self {
        let mut left = Self::unpacked("services.tar.gz").await;
        let dump = std::fs::read_to_string(left.place.path("fixture/ledger.sql"));
        let dump = translated(&dump.expect("a dump"), &left.sids);
        database.raw(&dump).await;
        let address = left.address();
        database
            .raw(&format!("SET search_path = flexcast; {address}"))
            .await;
        if age == Age::Minutes {
            database.raw(MINUTES_OLD).await;
        }
        put_on_broker(&vhost.url, &left.place.read_json("fixture/broker.json")).await;
        left.place.set("DATABASE_URL", &database.url);
        left.place.set("AMQP_URL", &vhost.url);
        left
    }

    /// Whether the ledger is on PostgreSQL and the queue on RabbitMQ.
    pub(super) fn is_on_services(&self) -> bool {
        self.place.path("fixture/broker.json").exists()
    }

    /// Gives the ledger, which is bound to an address of Twilio's, the new simulator's.
    fn address(&self) -> String {
        let url = &self.twilio.url;
        format!("UPDATE meta SET value = '{url}' WHERE name = 'base'")
    }

    /// Writes the new SIDs into a file.
    fn translate_file(&self, file: &std::path::Path, columns: &[(&str, &str)]) {
        if self.sids.iter().all(|(old, new)| old == new) {
            return;
        }
        let db = opened(file);
        for (table, column) in columns {
            let sql = format!(
                "SELECT DISTINCT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL"
            );
            let mut select = db.prepare(&sql).expect("a statement");
            let rows = select.query_map([], |row| row.get(0)).expect("rows");
            let texts: Vec<String> = rows.collect::<Result<_, _>>().expect("texts");
            let update = format!(
                "UPDATE {table} SET {column} = CAST(?2 AS {{}}) WHERE CAST({column} AS TEXT) = ?1"
            );
            let kind = if *column == "body" && *table != "strays" {
                "BLOB"
            } else {
                "TEXT"
            };
            for text in texts {
                let new = translated(&text, &self.sids);
                if new != text {
                    db.execute(&update.replace("{}", kind), [&text, &new])
                        .expect("it is written");
                }
            }
        }
    }
}

/// A database whose log stays when it is closed, as after a crash.
fn opened(file: &std::path::Path) -> Connection {
    let db = Connection::open(file).expect("a database");
    let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    db.set_db_config(keep_log, true).expect("a setting");
    db
}

/// Moves all times of a ledger so that its last event was three minutes ago. Times in messages stay: `not_before` and
/// `expires_at` are over anyway.
const MINUTES_OLD: &str = "
    SET search_path = flexcast;
    CREATE TEMP TABLE age AS SELECT
        (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT - 180000 - (SELECT max(at) FROM journal) AS ms;
    UPDATE campaigns SET applied_at = applied_at + ms, changed_at = changed_at + ms FROM age;
    UPDATE imports SET begun_at = begun_at + ms, ended_at = ended_at + ms, seen_at = seen_at + ms FROM age;
    UPDATE messages SET accepted_at = accepted_at + ms FROM age;
    UPDATE turns SET due_at = due_at + ms, wake_at = wake_at + ms, queue_after = queue_after + ms,
        listed_until = listed_until + ms, lease_until = lease_until + ms FROM age;
    UPDATE undos SET due_at = due_at + ms, lease_until = lease_until + ms FROM age;
    UPDATE outcomes SET at = at + ms FROM age;
    UPDATE journal SET at = at + ms FROM age;
    UPDATE strays SET at = at + ms FROM age;
    UPDATE shown SET at = at + ms FROM age;
    UPDATE lanes SET free_at = free_at + ms * 1000000, held_until = held_until + ms * 1000000 FROM age;
    UPDATE account_places SET until = until + ms * 1000000 FROM age;
    DROP TABLE age;
";

/// Declares what the old program had declared, with the same arguments, and publishes what was on its queues.
async fn put_on_broker(url: &str, broker: &Value) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.expect("a channel");
    let confirming = channel.confirm_select(ConfirmSelectOptions::default());
    confirming.await.expect("confirms");
    declare(&channel, broker).await;
    for message in list(&broker["messages"]) {
        publish(&channel, message).await;
    }
    connection
        .close(200, "done".into())
        .await
        .expect("a clean end");
}

async fn declare(channel: &Channel, broker: &Value) {
    for exchange in list(&broker["exchanges"]) {
        let kind = match text(&exchange["type"]) {
            "direct" => ExchangeKind::Direct,
            "fanout" => ExchangeKind::Fanout,
            "topic" => ExchangeKind::Topic,
            other => panic!("{other}"),
        };
        let options = ExchangeDeclareOptions {
            durable: true,
            ..Default::default()
        };
        let name = text(&exchange["name"]).into();
        let declaring =
            channel.exchange_declare(name, kind, options, table(&exchange["arguments"]));
        declaring.await.expect("an exchange");
    }
    for queue in list(&broker["queues"]) {
        let (name, options) = (text(&queue["name"]).into(), QueueDeclareOptions::durable());
        let declaring = channel.queue_declare(name, options, table(&queue["arguments"]));
        declaring.await.expect("a queue");
    }
    for binding in list(&broker["bindings"]) {
        let [queue, from, key] =
            ["destination", "source", "routing_key"].map(|end| text(&binding[end]));
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let made = channel.queue_bind(queue.into(), from.into(), key.into(), options, arguments);
        made.await.expect("a binding");
    }
}

async fn publish(channel: &Channel, message: &Value) {
    let body = BASE64_STANDARD
        .decode(text(&message["payload"]))
        .expect("base64");
    let given = &message["properties"];
    let mut properties = BasicProperties::default().with_headers(table(&given["headers"]));
    if let Some(mode) = given["delivery_mode"].as_u64() {
        properties = properties.with_delivery_mode(u8::try_from(mode).expect("a mode"));
    }
    for (name, value) in given.as_object().expect("properties") {
        properties = match name.as_str() {
            "app_id" => properties.with_app_id(text(value).into()),
            "message_id" => properties.with_message_id(text(value).into()),
            "content_type" => properties.with_content_type(text(value).into()),
            "headers" | "delivery_mode" => properties,
            other => panic!("{other} is not put in place"),
        };
    }
    let [exchange, key] = ["exchange", "routing_key"].map(|name| text(&message[name]));
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, &body, properties);
    let confirmed = publishing
        .await
        .expect("it is published")
        .await
        .expect("an answer");
    assert!(
        matches!(confirmed, Confirmation::Ack(None)),
        "{message}: {confirmed:?}"
    );
}

/// Arguments and headers as RabbitMQ's management API writes them.
fn table(json: &Value) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in json.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => AMQPValue::LongString(text.as_str().into()),
            Value::Number(number) => {
                let number = number.as_i64().expect("a whole number");
                AMQPValue::LongInt(i32::try_from(number).expect("it fits"))
            }
            other => panic!("{name}: {other} is not put in place"),
        };
        table.insert(name.as_str().into(), value);
    }
    table
}

pub(super) fn list(json: &Value) -> &[Value] {
    json.as_array().expect("a list")
}

pub(super) fn text(json: &Value) -> &str {
    json.as_str().expect("a text")
}
