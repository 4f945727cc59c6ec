//! A consumer that stands still past its leases (SIGSTOP, a suspended machine), and then goes on.

use serde_json::{Value, json};

use super::{CAMPAIGN, CAMPAIGN_FILE, customers, import, numbers, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{
    FakeTwilio, Place, balanced, each_once, eventually, fast_config, without_consumers,
};
use crate::support::postgres::Database;

const MESSAGES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_consumer_had_begun_is_done_by_another_and_not_again_when_it_goes_on() {
    let (vhost, database) = (Vhost::new().await, Database::new().await);
    let twilio = FakeTwilio::start_with(&["--no-limits", "--latency-ms", "150"]);
    let mut place = Place::facing(&twilio);
    let short = "[work]\nlease = \"3s\"\ncall_timeout = \"1s\"\n";
    place.write("flexcast.toml", fast_config().replace("[work]\n", short));
    place.set("DATABASE_URL", &database.url);
    // The broker gives up a consumer that shows no sign of life for two of these.
    place.set("AMQP_URL", &format!("{}?heartbeat=2", vhost.url));
    place.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    place.run(&apply).ends_with(0);
    let customers = customers(MESSAGES);
    import(&place, &customers);

    let mut stopped = place.work(&[]);
    // Every message has begun, and none of them is over.
    eventually("sagas to be under way", || {
        (twilio.changes() > MESSAGES).then_some(())
    });
    stopped.signal("STOP");
    let books = place.status(CAMPAIGN);
    let held = books["in_flight"].as_u64().expect("a count");
    assert!(held > 0, "it was too late: {books}");

    let mut other = place.work(&[]);
    let books = place.status_until(CAMPAIGN, |books| books["state"] == "finished");
    assert_eq!(books["done"], json!(MESSAGES), "{books}");
    balanced(&books);
    let effects = twilio.effects();
    stopped.signal("CONT");
    eventually("what it had in flight to be let go of", || {
        (stopped.metric("flexcast_in_flight_messages") == 0.0).then_some(())
    });
    for work in [&mut stopped, &mut other] {
        work.terminate();
        work.ended().ends_with(0);
    }
    // A call that stood between its last look at the lease and its first byte may leave now. Its name
    // is taken, or its container closed: it changes nothing.
    assert_eq!(twilio.effects(), effects);
    each_once(&twilio.effects(), "message", &numbers(&customers));
    // The limits and the broker's nodes were shown by consumers that have ended since.
    let mut after = books.clone();
    for shown in ["consumers", "limits", "nodes"] {
        after.as_object_mut().expect("an object").remove(shown);
    }
    assert_eq!(without_consumers(place.status(CAMPAIGN)), after);
    assert_eq!(read_queue(&vhost.url, "flexcast.dead"), Vec::<Value>::new());
}
