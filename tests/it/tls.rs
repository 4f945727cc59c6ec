//! A company's own authority in front of the broker, the database and Twilio: with and without client certificates; a
//! wrong name, an expired certificate and an unknown authority are refused, and the error says what to do.

use std::sync::Arc;
use std::time::Duration;

use flexcast::clock::Clock;
use flexcast::ledger::Ledger;
use flexcast::queue::rabbitmq::RabbitQueue;
use flexcast::queue::{Queue, QueueError};
use flexcast::tls::Files;
use flexcast::twilio::{BaseUrl, ClientSettings, Credentials, Twilio, http_transport};

use super::e2e_rabbitmq::CAMPAIGN_FILE;
use super::support::broker::Node;
use super::support::certificates::{Asks, Authority, Valid};
use super::support::flexcast::{FakeTwilio, Place};
use super::support::link::server_of;
use super::support::postgres::Database;

/// The company's authority, with certificates for `localhost`, another host, and one that is too old.
fn company() -> Authority {
    let company = Authority::named("Company CA");
    company.issue("server", "localhost", Valid::Now);
    company.issue("elsewhere", "elsewhere.test", Valid::Now);
    company.issue("old", "localhost", Valid::NoMore);
    company.issue("client", "flexcast.test", Valid::Now);
    company
}

fn broker(company: &Authority, asks: bool) -> Node {
    Node::prepared(&|dir| {
        company.serve_from("server", dir);
        if asks {
            std::fs::write(dir.join("tls/clients"), "").expect("written");
        }
    })
}

fn amqps(node: &Node, host: &str, query: &str) -> String {
    let port = node.variable("FLEXCAST_BROKER_TLS_PORT");
    format!("amqps://guest:guest@{host}:{port}/%2f{query}")
}

async fn refusal(url: &str) -> String {
    match RabbitQueue::connect(url, Clock::system()).await {
        Ok(_) => panic!("{url} was taken"),
        Err(error) => {
            assert!(matches!(error, QueueError::Unreachable(_)), "{error:?}");
            error.to_string()
        }
    }
}

#[track_caller]
fn says(told: &str, words: &[&str]) {
    for words in words {
        assert!(told.contains(words), "{told}\nshould say {words}");
    }
}

#[tokio::test]
async fn a_brokers_certificate_is_accepted_from_a_named_authority_and_a_wrong_one_is_explained() {
    let company = company();
    let node = broker(&company, false);
    let ca = company.file("ca.pem");
    let named = format!("?cacertfile={ca}");

    let unknown = refusal(&amqps(&node, "localhost", "")).await;
    let advice = "cacertfile in AMQP_URL, or with SSL_CERT_FILE";
    says(&unknown, &["localhost", "\"Company CA\"", advice]);

    let url = amqps(&node, "localhost", &named);
    let port = node.variable("FLEXCAST_BROKER_MANAGEMENT_TLS_PORT");
    let management = format!("https://localhost:{port}");
    let queue = RabbitQueue::connect_inspected(&url, Some(&management), Clock::system()).await;
    let queue = queue.expect("the authority is named");
    // The management API is checked with the same file.
    queue.inspect().await;
    let inspection = queue.inspection().expect("there is a broker");
    assert_eq!(inspection.not_checked, None);
    queue.close().await;

    let other = Authority::named("Another CA");
    let theirs = other.file("ca.pem");
    let unknown = refusal(&amqps(&node, "localhost", &format!("?cacertfile={theirs}"))).await;
    let advice = "add its certificate to that file";
    says(&unknown, &["\"Company CA\"", &theirs, "cacertfile", advice]);

    let name = refusal(&amqps(&node, "127.0.0.1", &named)).await;
    says(
        &name,
        &["127.0.0.1 is not for this name", "but for localhost"],
    );

    company.serve_from("old", node.dir());
    node.ctl(&["eval", "ssl:clear_pem_cache()."]);
    let old = refusal(&amqps(&node, "localhost", &named)).await;
    says(&old, &["localhost has expired, on 2020-01-01", "renewed"]);
}

#[tokio::test]
async fn a_broker_that_asks_for_a_client_certificate_gets_the_one_that_is_named() {
    let company = company();
    let node = broker(&company, true);
    let other = Authority::named("Another CA");
    other.issue("client", "flexcast.test", Valid::Now);
    let with = |client: Option<&Authority>| {
        let mut query = format!("?cacertfile={}", company.file("ca.pem"));
        if let Some(client) = client {
            let [certificate, key] = ["client.pem", "client.key"].map(|name| client.file(name));
            query = format!("{query}&certfile={certificate}&keyfile={key}");
        }
        amqps(&node, "localhost", &query)
    };
    let queue = RabbitQueue::connect(&with(Some(&company)), Clock::system()).await;
    queue.expect("it shows a certificate").close().await;
    // The alert says it, or is lost in a reset where the client has begun to speak: both name the settings.
    for refused in [with(None), with(Some(&other))] {
        let told = refusal(&refused).await;
        says(&told, &["client certificate", "certfile", "in AMQP_URL"]);
    }
}

async fn ask_twilio(port: u16, host: &str, files: Files) -> Result<(), String> {
    let sid = "AC00000000000000000000000000000001";
    let credentials = Credentials::new(sid, Some("token".into()), None, None);
    let base = BaseUrl::at(&format!("https://{host}:{port}")).expect("an address");
    let settings = ClientSettings {
        timeout: Duration::from_secs(10),
        tls: files,
        ..ClientSettings::new(credentials.expect("credentials"), base)
    };
    let transport = http_transport(&settings).map_err(|error| error.to_string())?;
    let asked = Twilio::new(settings, transport).fetch_configuration().await;
    match asked.map(drop).map_err(|error| error.to_string()) {
        // The simulator has answered: it knows other credentials.
        Err(told) if told.contains("401") || told.contains("20003") => Ok(()),
        asked => asked,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twilio_behind_a_companys_certificate_is_checked_as_the_broker_is() {
    let company = company();
    let simulator = FakeTwilio::start();
    let server = simulator.url.trim_start_matches("http://");
    let files = || Files {
        ca: Some(company.file("ca.pem")),
        ..Files::default()
    };
    let asks = Asks::default();
    let port = company.in_front_of("server", server, asks).await;
    let told = ask_twilio(port, "localhost", Files::default()).await;
    let advice = "ca_file in [twilio] of flexcast.toml, or with SSL_CERT_FILE";
    says(
        &told.expect_err("an unknown authority"),
        &["\"Company CA\"", advice],
    );
    let asked = ask_twilio(port, "localhost", files()).await;
    assert_eq!(asked, Ok(()));
    let elsewhere = company.in_front_of("elsewhere", server, asks).await;
    let told = ask_twilio(elsewhere, "localhost", files()).await;
    says(
        &told.expect_err("another name"),
        &["but for elsewhere.test"],
    );
    let old = company.in_front_of("old", server, asks).await;
    let told = ask_twilio(old, "localhost", files()).await;
    says(&told.expect_err("too old"), &["has expired, on 2020-01-01"]);

    let asks = Asks {
        for_client_certificates: true,
        ..asks
    };
    let asking = company.in_front_of("server", server, asks).await;
    let told = ask_twilio(asking, "localhost", files()).await;
    says(
        &told.expect_err("no certificate"),
        &["asks for a client certificate", "cert_file and key_file"],
    );
    let shown = Files {
        certificate: Some(company.file("client.pem")),
        key: Some(company.file("client.key")),
        ..files()
    };
    assert_eq!(ask_twilio(asking, "localhost", shown).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_a_companys_certificate_is_checked_as_the_broker_is() {
    let company = company();
    let database = Database::new().await;
    let server = server_of(&database.url);
    let ca = company.file("ca.pem");
    let asks = Asks {
        as_postgres: true,
        ..Asks::default()
    };
    let url = |port: u16, options: &str| {
        let there = format!("localhost:{port}");
        let url = database.url.replace(server, &there);
        format!("{url}?sslmode=verify-full{options}")
    };
    let named = format!("&sslrootcert={ca}");
    let refusal = async |url: &str| {
        let connected = Ledger::connect(url).await;
        connected.map(drop).expect_err("it is refused").to_string()
    };
    let port = company.in_front_of("server", server, asks).await;
    let ledger = Ledger::connect(&url(port, &named)).await;
    assert!(ledger.expect("it connects").id().await.is_ok());
    let told = refusal(&url(port, "")).await;
    says(&told, &["\"Company CA\"", "sslrootcert in DATABASE_URL"]);
    let elsewhere = company.in_front_of("elsewhere", server, asks).await;
    says(
        &refusal(&url(elsewhere, &named)).await,
        &["but for elsewhere.test"],
    );
    let old = company.in_front_of("old", server, asks).await;
    says(
        &refusal(&url(old, &named)).await,
        &["has expired, on 2020-01-01"],
    );

    let asks = Asks {
        for_client_certificates: true,
        ..asks
    };
    let asking = company.in_front_of("server", server, asks).await;
    let told = refusal(&url(asking, &named)).await;
    says(
        &told,
        &["asks for a client certificate", "sslcert and sslkey"],
    );
    let [certificate, key] = ["client.pem", "client.key"].map(|name| company.file(name));
    let shown = format!("{named}&sslcert={certificate}&sslkey={key}");
    let ledger = Ledger::connect(&url(asking, &shown)).await;
    assert!(ledger.expect("it connects").id().await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_variable_names_the_authority_of_the_broker_the_database_and_twilio() {
    let company = Arc::new(company());
    let node = broker(&company, false);
    let database = Database::new().await;
    let twilio = FakeTwilio::start();
    let postgres = server_of(&database.url);
    let asks = Asks {
        as_postgres: true,
        ..Asks::default()
    };
    let database_port = company.in_front_of("server", postgres, asks).await;
    let simulator = twilio.url.trim_start_matches("http://");
    let twilio_port = company
        .in_front_of("server", simulator, Asks::default())
        .await;
    let mut place = Place::facing(&twilio);
    place.set(
        "FLEXCAST_TWILIO_URL",
        &format!("https://localhost:{twilio_port}"),
    );
    place.set("AMQP_URL", &amqps(&node, "localhost", ""));
    let there = format!("localhost:{database_port}");
    let url = database.url.replace(postgres, &there);
    place.set("DATABASE_URL", &format!("{url}?sslmode=verify-full"));
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("contacts.csv", "phone\n+12125550001\n+12125550002\n");
    let send = ["send", "spring.toml", "contacts.csv", "--json", "--yes"];

    let refused = place.run(&send);
    assert_ne!(refused.code, Some(0));
    says(&refused.err, &["\"Company CA\"", "SSL_CERT_FILE"]);
    place.set("SSL_CERT_FILE", &company.file("none.pem"));
    let refused = place.run(&send).ends_with(78);
    says(&refused.err, &["none.pem (SSL_CERT_FILE) cannot be read"]);
    place.set("SSL_CERT_FILE", &company.file("ca.pem"));
    place.run(&send).ends_with(0);
    let books = place.status("spring");
    assert_eq!(books["done"], 2, "{books}");
}
