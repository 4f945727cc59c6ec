//! When something cannot be read for all that: other campaigns go on, and it is named until it is gone.
//!
//! A proxy before the broker breaks the frame of one message's body. No broker does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use lapin::options::{BasicGetOptions, BasicNackOptions};
use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE};
use crate::support::amqp::{Properties, RawPublisher};
use crate::support::broker::{Vhost, connect};
use crate::support::flexcast::{FakeTwilio, Place, eventually};

/// What stands in the body that is broken on the way.
const UNREADABLE: &[u8] = b"unreadable on the way";

const GOOD: usize = 20;

/// Passes connections on to the broker at `url`, and gives the address that leads through it.
fn proxied(url: &str) -> String {
    let parsed = url::Url::parse(url).expect("an AMQP URL");
    let server = format!(
        "{}:{}",
        parsed.host_str().expect("a host"),
        parsed.port().expect("a port")
    );
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let ours = listener.local_addr().expect("an address").to_string();
    let through = url.replace(&server, &ours);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let Ok(broker) = TcpStream::connect(&server) else {
                return;
            };
            let (to_broker, to_client) = (broker.try_clone(), client.try_clone());
            let (mut from_client, mut to_broker) = (client, to_broker.expect("a socket"));
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from_client, &mut to_broker);
                let _ = to_broker.shutdown(Shutdown::Both);
            });
            let to_client = to_client.expect("a socket");
            std::thread::spawn(move || {
                let _ = pass_frames(broker, &to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
        }
    });
    through
}

/// Passes what the broker sends, but for the end of one frame.
fn pass_frames(mut broker: TcpStream, mut client: &TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 7];
        broker.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut rest = vec![0; length as usize + 1];
        broker.read_exact(&mut rest)?;
        if head[0] == 3 && rest.starts_with(UNREADABLE) {
            *rest.last_mut().expect("an end") = 0;
        }
        client.write_all(&head)?;
        client.write_all(&rest)?;
    }
}

/// Takes the unreadable message from the queue, as an operator does.
async fn remove_it(url: &str) {
    let channel = connect(url).await.create_channel().await;
    let channel = channel.expect("a channel");
    loop {
        let getting = channel.basic_get("flexcast.work.spring".into(), BasicGetOptions::default());
        match getting.await.expect("the queue is there") {
            Some(got) if got.data == UNREADABLE => {
                let acked = got.ack(lapin::options::BasicAckOptions::default()).await;
                acked.expect("acked");
                return;
            }
            Some(other) => {
                let requeue = BasicNackOptions {
                    requeue: true,
                    multiple: false,
                };
                other.nack(requeue).await.expect("given back");
            }
            // A consumer has them for the moment.
            None => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_the_broker_refuses_holds_up_nobody_and_is_recorded_once() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let Some(url) = vhost.of_user("flex") else {
        return;
    };
    let user = url::Url::parse(&url).expect("a URL").username().to_owned();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &url);
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut work = place.work(&[]);
    let mut publisher = RawPublisher::connect(&vhost.url);
    let none = Properties::default();
    // The right to write dead letters is taken away under its hands.
    vhost.let_write(&user, r"^(?!flexcast\.dead$).*");
    publisher.publish(CAMPAIGN, &none, b"no JSON");
    for n in 0..GOOD {
        let address = format!("+12125550{n:03}");
        let body = json!({"campaign": CAMPAIGN, "customer": {"address": address}});
        publisher.publish(CAMPAIGN, &none, body.to_string().as_bytes());
    }
    publisher.confirm();
    place.status_until(CAMPAIGN, |books| books["done"] == json!(GOOD));
    let obstacle = eventually("it to be named", || {
        let (_, ready) = work.readiness();
        Some(ready["obstacles"][0].clone()).filter(|named| !named.is_null())
    });
    let why = obstacle["why"].as_str().expect("a sentence");
    assert!(
        why.contains("flexcast.dead") && why.contains("ACCESS_REFUSED"),
        "{why}"
    );
    // It comes again, and again.
    eventually("it to be tried a third time", || {
        let tries = work.err().matches("the broker refused a copy").count();
        (tries >= 3).then_some(())
    });
    vhost.let_write(&user, ".*");
    let letters = super::queue_with(&vhost.url, "flexcast.dead", 1);
    assert_eq!(letters[0]["headers"]["flexcast-reason"], "malformed");
    eventually("it not to be named any more", || {
        let (_, ready) = work.readiness();
        ready["obstacles"].is_null().then_some(())
    });
    let listed = place.run(&["dead", "list", "--json"]).ends_with(0).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    work.terminate();
    work.ended().ends_with(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_named_and_delays_no_other_campaign() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &proxied(&vhost.url));
    place.write("spring.toml", CAMPAIGN_FILE);
    place.write("autumn.toml", CAMPAIGN_FILE.replace(CAMPAIGN, "autumn"));
    for file in ["spring.toml", "autumn.toml"] {
        place.run(&["campaign", "apply", file]).ends_with(0);
    }
    let mut publisher = RawPublisher::connect(&vhost.url);
    let none = Properties::default();
    publisher.publish(CAMPAIGN, &none, UNREADABLE);
    for n in 0..GOOD {
        for (campaign, area) in [(CAMPAIGN, 212), ("autumn", 213)] {
            let address = format!("+1{area}5550{n:03}");
            let body = json!({"campaign": campaign, "customer": {"address": address}});
            publisher.publish(campaign, &none, body.to_string().as_bytes());
        }
    }
    publisher.confirm();
    let mut work = place.work(&[]);
    place.status_until("autumn", |books| books["done"] == json!(GOOD));
    let obstacle = eventually("it to be named", || {
        let (status, ready) = work.readiness();
        assert_eq!(status, 200, "{ready}");
        Some(ready["obstacles"][0].clone()).filter(|named| !named.is_null())
    });
    assert_eq!(obstacle["queue"], "flexcast.work.spring");
    let remove = obstacle["remove"].as_str().expect("a command");
    assert!(remove.contains("ack_requeue_false"), "{remove}");
    assert_eq!(work.metric("flexcast_queue_obstacles"), 1.0);
    let books = place.status_until(CAMPAIGN, |books| !books["obstacles"].is_null());
    assert_eq!(books["obstacles"][0], obstacle);
    let shown = place.run(&["status", CAMPAIGN]).ends_with(0).out.clone();
    assert!(
        shown.contains("Obstacle on flexcast.work.spring"),
        "{shown}"
    );
    assert!(shown.contains(remove), "{shown}");

    remove_it(&vhost.url).await;
    place.status_until(CAMPAIGN, |books| books["done"] == json!(GOOD));
    eventually("it not to be named any more", || {
        let (_, ready) = work.readiness();
        ready["obstacles"].is_null().then_some(())
    });
    let gone = place.status_until(CAMPAIGN, |books| books["obstacles"].is_null());
    assert_eq!(gone["obstacles"], Value::Null);
    work.terminate();
    work.ended().ends_with(0);
}
