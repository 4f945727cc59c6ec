//! What the old program has left, put in place for the new one.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flexcast::clock::Clock;
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

/// The texts of a ledger in which Twilio's SIDs and messages' times are.
const TEXTS_IN_LEDGER: [(&str, &str); 7] = [
    ("campaigns", "definition"),
    ("messages", "payload"),
    ("turns", "last_failure"),
    ("outcomes", "detail"),
    ("outcomes", "effects"),
    ("journal", "event"),
    ("strays", "body"),
];

/// How long ago the old program was killed when the new one starts. All times of the fixture are moved, so that the test
/// means the same on any date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// A year: every lease, wait and trace at Twilio is over.
    Year,
    /// Three minutes, as in an upgrade without haste: every lease and wait is over, and the traces at Twilio count.
    Minutes,
}

impl Age {
    fn ms(self) -> i64 {
        match self {
            Self::Year => 365 * 24 * 60 * 60 * 1_000,
            Self::Minutes => 3 * 60 * 1_000,
        }
    }
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
    pub(super) async fn in_files(age: Age) -> Self {
        let left = Self::unpacked("files.tar.gz").await;
        let [ledger, queue] =
            ["ledger.db", "queue.db"].map(|file| left.place.path(".flexcast").join(file));
        let log = ledger.with_extension("db-wal");
        assert!(log.exists(), "the old program was killed");
        let db = opened(&ledger);
        left.adapt(&db, &TEXTS_IN_LEDGER, "TEXT");
        let moved = moved(age);
        let sql = format!("{moved} {}", left.address());
        db.execute_batch(&sql).expect("it is adapted");
        let late: i64 = db
            .query_row("SELECT ms FROM age", [], |row| row.get(0))
            .expect("the move");
        let db = opened(&queue);
        left.adapt(&db, &[("queued", "body"), ("dead", "body")], "BLOB");
        let sql = format!(
            "UPDATE queued SET due_ms = due_ms + {late} WHERE due_ms > 0;
             UPDATE dead SET died_ms = died_ms + {late}"
        );
        db.execute_batch(&sql).expect("it is adapted");
        left
    }

    /// With the ledger in this database, and the queue in this virtual host.
    pub(super) async fn on_services(database: &Database, vhost: &Vhost, age: Age) -> Self {
        let mut left = Self::unpacked("services.tar.gz").await;
        let dump = std::fs::read_to_string(left.place.path("fixture/ledger.sql"));
        let dump = left.adapted(&dump.expect("a dump"));
        let (moved, address) = (moved(age), left.address());
        let sql =
            format!("{dump} SET search_path = flexcast; {moved} {MOVED_ON_POSTGRESQL} {address}");
        database.raw(&sql).await;
        let broker = left.place.read_json("fixture/broker.json");
        left.put_on_broker(&vhost.url, &broker).await;
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

    /// A text of the fixture as it would be today: with the new SIDs, and with a time that has come.
    fn adapted(&self, text: &str) -> String {
        const NOT_BEFORE: &str = r#""not_before":""#;
        let text = translated(text, &self.sids);
        let mut parts = text.split(NOT_BEFORE);
        let mut made = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (_, rest) = part.split_once('"').expect("the end of a time");
            made = format!("{made}{NOT_BEFORE}2001-01-01T00:00:00Z\"{rest}");
        }
        made
    }

    /// Adapts columns of a file. In SQL they have this type.
    fn adapt(&self, db: &Connection, columns: &[(&str, &str)], kind: &str) {
        for (table, column) in columns {
            let text = format!("CAST({column} AS TEXT)");
            let sql = format!("SELECT DISTINCT {text} FROM {table} WHERE {column} IS NOT NULL");
            let mut select = db.prepare(&sql).expect("a statement");
            let rows = select.query_map([], |row| row.get(0)).expect("rows");
            let texts: Vec<String> = rows.collect::<Result<_, _>>().expect("texts");
            let update =
                format!("UPDATE {table} SET {column} = CAST(?2 AS {kind}) WHERE {text} = ?1");
            for text in texts {
                let parameters = [&text, &self.adapted(&text)];
                db.execute(&update, parameters).expect("it is written");
            }
        }
    }

    /// Declares what the old program had declared, with the same arguments, and publishes what was on its queues.
    async fn put_on_broker(&self, url: &str, broker: &Value) {
        let connection = connect(url).await;
        let channel = connection.create_channel().await.expect("a channel");
        let confirming = channel.confirm_select(ConfirmSelectOptions::default());
        confirming.await.expect("confirms");
        declare(&channel, broker).await;
        for message in list(&broker["messages"]) {
            let body = BASE64_STANDARD.decode(text(&message["payload"]));
            let body = String::from_utf8(body.expect("base64")).expect("UTF-8");
            publish(&channel, message, self.adapted(&body).as_bytes()).await;
        }
        let closing = connection.close(200, "done".into());
        closing.await.expect("a clean end");
    }
}

/// A database whose log stays when it is closed, as after a crash.
fn opened(file: &std::path::Path) -> Connection {
    let db = Connection::open(file).expect("a database");
    let keep_log = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    db.set_db_config(keep_log, true).expect("a setting");
    db
}

/// The statements that move the times of a ledger, in both stores. The table `age` keeps by how much.
fn moved(age: Age) -> String {
    let last = Clock::system().now().as_millisecond() - age.ms();
    format!(
        "CREATE TEMP TABLE age AS SELECT {last} - (SELECT max(at) FROM journal) AS ms;
         UPDATE campaigns SET applied_at = applied_at + ms, changed_at = changed_at + ms FROM age;
         UPDATE imports SET begun_at = begun_at + ms, ended_at = ended_at + ms, seen_at = seen_at + ms FROM age;
         UPDATE messages SET accepted_at = accepted_at + ms FROM age;
         UPDATE turns SET due_at = due_at + ms, wake_at = wake_at + ms, queue_after = queue_after + ms,
             lease_until = lease_until + ms FROM age;
         UPDATE undos SET due_at = due_at + ms, lease_until = lease_until + ms FROM age;
         UPDATE outcomes SET at = at + ms FROM age;
         UPDATE journal SET at = at + ms FROM age;
         UPDATE strays SET at = at + ms FROM age;
         UPDATE shown SET at = at + ms FROM age;"
    )
}

/// The same for what only PostgreSQL has. Lanes and places count nanoseconds.
const MOVED_ON_POSTGRESQL: &str = "
    UPDATE turns SET listed_until = listed_until + ms FROM age;
    UPDATE lanes SET free_at = free_at + ms * 1000000, held_until = held_until + ms * 1000000 FROM age;
    UPDATE account_places SET until = until + ms * 1000000 FROM age;
    DROP TABLE age;
";

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

async fn publish(channel: &Channel, message: &Value, body: &[u8]) {
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
    let publishing = channel.basic_publish(exchange.into(), key.into(), options, body, properties);
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
