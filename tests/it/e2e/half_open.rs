//! Clients of the pages that connect and ask nothing, or never end their request, while a consumer works with 1,024 open
//! files.

use std::io::Write as _;
use std::net::TcpStream;

use flexcast::clock::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::slow_campaign;
use crate::support::flexcast::{FakeTwilio, balanced, each_once, http_get};

const CUSTOMERS: usize = 200;

/// How many clients there are, if this process may have so many connections.
const CLIENTS: usize = 10_000;

/// How often a probe asks while they come.
const PROBE_EVERY: usize = 250;

/// How many connections this process may have, less what it needs for itself.
fn clients() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, highest).expect("the limit is raised");
    let most = limit.maximum.map_or(CLIENTS, |most| {
        usize::try_from(most.saturating_sub(500)).expect("a number")
    });
    CLIENTS.min(most)
}

#[test]
fn clients_that_never_end_their_request_keep_no_probe_and_no_message_waiting() {
    let twilio = FakeTwilio::start();
    let (place, numbers) = slow_campaign(&twilio, CUSTOMERS);
    let mut work = place.work(&[]);
    work.limit_open_files(Rlimit {
        current: Some(1_024),
        maximum: Some(1_024),
    });
    let base = format!("http://{}", work.address());
    let host = base.trim_start_matches("http://").to_owned();
    let done = || {
        let books = place.status("spring");
        books["done"].as_u64().expect("a number")
    };

    let (begun, before) = (Clock::system().instant(), done());
    let mut open = Vec::new();
    for number in 0..clients() {
        let mut client = TcpStream::connect(&host).expect("the listener takes it");
        if number % 2 == 1 {
            // The consumer may have closed it by now.
            let _ = client.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n");
        }
        open.push(client);
        if number % PROBE_EVERY == 0 {
            assert_eq!(http_get(&base, "/livez"), "ok\n");
            assert_eq!(work.readiness().0, 200);
        }
    }
    assert!(work.metric("process_open_fds") < 200.0);
    let sent = done() - before;
    eprintln!(
        "{} clients in {:.1} s, {sent} messages done meanwhile at 20 a second",
        open.len(),
        begun.elapsed().as_secs_f64()
    );

    let books = place.status_until("spring", |books| books["done"] == json!(CUSTOMERS));
    balanced(&books);
    each_once(&twilio.effects(), "message", &numbers);
    assert_eq!(http_get(&base, "/livez"), "ok\n");
    drop(open);
    work.terminate();
    let ended = work.ended().ends_with(0);
    assert!(!ended.err.contains("the ledger is lost"), "{}", ended.err);
}
