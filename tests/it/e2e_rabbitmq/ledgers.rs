//! Two ledgers on one broker would write to everybody twice: the second one is refused.

use super::{CAMPAIGN, CAMPAIGN_FILE, applied, csv, customers, import, read_queue};
use crate::support::broker::Vhost;
use crate::support::flexcast::{FakeTwilio, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_ledger_on_the_same_broker_neither_imports_nor_works() {
    let vhost = Vhost::new().await;
    let twilio = FakeTwilio::start();
    let first = applied(&vhost.url, &twilio, None);
    import(&first, &customers(3));

    let mut second = Place::facing(&twilio);
    second.write("spring.toml", CAMPAIGN_FILE);
    let apply = ["campaign", "apply", "spring.toml"];
    second.run(&apply).ends_with(0);
    second.set("AMQP_URL", &vhost.url);
    second.write("contacts.csv", csv(&customers(5)));
    for command in [
        &["import", CAMPAIGN, "contacts.csv"][..],
        &["work", "--http", "127.0.0.1:0", "--until-idle"],
    ] {
        let refused = second.run(command).ends_with(78);
        assert!(refused.err.contains("ledger"), "{}", refused.err);
        assert!(!refused.err.contains("guest:guest"), "{}", refused.err);
    }
    assert_eq!(read_queue(&vhost.url, "flexcast.work.spring").len(), 3);
    first.work(&["--until-idle"]).ended().ends_with(0);
}
