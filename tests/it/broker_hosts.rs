//! `AMQP_URL` with several hosts: the first that answers is used, and the next once it is gone.

use std::net::TcpListener;

use flexcast::clock::Clock;
use flexcast::queue::rabbitmq::RabbitQueue;
use flexcast::queue::{NodeInUse, Queue, QueueError};

use super::e2e_rabbitmq::CAMPAIGN_FILE;
use super::support::broker::{Node, Vhost};
use super::support::flexcast::{FakeTwilio, Place, eventually};

/// Ports at which nothing listens.
fn dead_hosts<const COUNT: usize>() -> [String; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|one| one.local_addr().expect("its address").to_string())
}

/// The same address with these hosts in place of its own.
fn with_hosts(url: &str, hosts: &[&str]) -> String {
    let (login, rest) = url.split_once('@').expect("a login");
    let (_, vhost) = rest.split_once('/').expect("a virtual host");
    format!("{login}@{}/{vhost}", hosts.join(","))
}

fn host_of(url: &str) -> &str {
    let (_, rest) = url.split_once('@').expect("a login");
    rest.split_once('/').expect("a virtual host").0
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_passed_over_at_once() {
    let vhost = Vhost::new().await;
    let live = host_of(&vhost.url);
    let [one, two] = dead_hosts();
    let url = with_hosts(&vhost.url, &[&one, live, &two]);
    // The order is drawn by lot.
    for _ in 0..6 {
        let queue = RabbitQueue::connect(&url, Clock::system()).await;
        let queue = queue.expect("one host answers");
        for NodeInUse { node, connections } in queue.nodes() {
            assert_eq!(connections, u64::from(node == live), "{node}");
        }
        assert_eq!(queue.nodes().len(), 3);
        queue.close().await;
        assert!(queue.nodes().iter().all(|node| node.connections == 0));
    }
}

#[tokio::test]
async fn when_no_host_answers_each_is_named_and_the_password_is_not() {
    let [one, two] = dead_hosts();
    let url = format!("amqp://me:s3cret@{one},{two}/%2f");
    let connected = RabbitQueue::connect(&url, Clock::system()).await;
    let Err(error) = connected else {
        panic!("nobody listens there");
    };
    assert!(matches!(error, QueueError::Unreachable(_)), "{error:?}");
    let told = error.to_string();
    assert!(told.contains(&one) && told.contains(&two), "{told}");
    assert!(told.contains("none of the 2 hosts"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test]
async fn a_login_that_is_refused_is_not_tried_on_the_other_hosts() {
    let vhost = Vhost::new().await;
    let live = host_of(&vhost.url);
    // The same broker under two names.
    let port = live.rsplit_once(':').expect("a port").1;
    let url = format!("amqp://guest:s3cret@127.0.0.1:{port},localhost:{port}/%2f");
    let connected = RabbitQueue::connect(&url, Clock::system()).await;
    let Err(error) = connected else {
        panic!("the password is wrong");
    };
    assert!(matches!(error, QueueError::LoginRefused(_)), "{error:?}");
    let told = error.to_string();
    assert!(!told.contains("s3cret"), "{told}");
    assert_eq!(told.matches(port).count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_in_use_is_shown_and_when_it_dies_the_next_is_used() {
    let nodes = [Node::start(), Node::start()];
    let hosts = [nodes[0].host(), nodes[1].host()];
    let twilio = FakeTwilio::start();
    let mut place = Place::facing(&twilio);
    place.set("AMQP_URL", &with_hosts(&nodes[0].url, &hosts));
    place.write("spring.toml", CAMPAIGN_FILE);
    place
        .run(&["campaign", "apply", "spring.toml"])
        .ends_with(0);
    let mut work = place.work(&[]);
    let connections = |work: &mut super::support::flexcast::Running, host: &str| {
        work.metric(&format!("flexcast_broker_connections{{node=\"{host}\"}}"))
    };
    let used = eventually("a node to be used", || {
        (0..2).find(|at| connections(&mut work, hosts[*at]) > 0.0)
    });
    let shown = |place: &Place| place.status("spring")["nodes"][0]["node"].clone();
    eventually("the node to be shown", || {
        (shown(&place) == hosts[used]).then_some(())
    });
    nodes[used].kill();
    let next = hosts[1 - used];
    eventually("the next node to be used", || {
        (connections(&mut work, next) > 0.0).then_some(())
    });
    assert_eq!(connections(&mut work, hosts[used]), 0.0);
    eventually("the next node to be shown", || {
        (shown(&place) == next).then_some(())
    });
    let told = place.run(&["status", "spring"]).ends_with(0).out;
    assert!(
        told.contains(&format!("the consumers use {next}")),
        "{told}"
    );
    // The consumer works there.
    place.write("contacts.csv", "phone\n+12125550001\n");
    place
        .run(&["import", "spring", "contacts.csv"])
        .ends_with(0);
    place.status_until("spring", |books| books["done"] == 1);
    work.terminate();
    work.ended().ends_with(0);
}
