//! What only a server can do: have several consumers, a clock of its own, and go away and come back.

use std::sync::Arc;
use std::time::Duration;

use flexcast::ledger::{
    Acceptance, BrokerLost, LeaseClock, LeasedMessage, Ledger, LedgerError, Publication, Standing,
    Stray, Taken,
};
use flexcast::message::{CampaignId, DeadReason};

use super::fixture::{
    LEASE, accept_queued, apply_spring, at, begun, done, key, lease, message, record_begun, settle,
    spring,
};
use crate::support::postgres::{Database, Server};

async fn connect(url: &str) -> Ledger {
    Ledger::connect(url).await.expect("it connects")
}

async fn refusal(url: &str) -> LedgerError {
    let connected = Ledger::connect(url).await;
    connected.map(drop).expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_connect_to_an_empty_database_at_once() {
    let database = Database::new().await;
    let connecting = (0..8).map(|_| Ledger::connect(&database.url));
    let mut ids = Vec::new();
    for ledger in futures::future::join_all(connecting).await {
        let ledger = ledger.expect("it connects");
        ids.push(ledger.id().await.expect("it has one"));
    }
    assert_eq!(ids[0].len(), 32, "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "one ledger: {ids:?}");
}

/// Of two consumers that publish a message, the slower one says so when the queue has lost it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_mark_does_not_hide_what_a_broker_lost_meanwhile() {
    let database = Database::new().await;
    let at_times = async || {
        let connecting = Ledger::connect_with(&database.url, LeaseClock::Caller);
        connecting.await.expect("it connects")
    };
    let (slow, quick) = (at_times().await, at_times().await);
    apply_spring(&slow).await;
    slow.accept(&spring(), &[message(1)], None, at(0), at(0))
        .await
        .expect("it is accepted");
    let list = async |ledger: &Ledger, second| {
        let listed = ledger.unqueued(at(second), 10).await.expect("it answers");
        let listed: Vec<Publication> = listed.into_iter().map(|(listed, _)| listed).collect();
        listed
    };
    let late = list(&slow, 1).await;
    let quickly = list(&quick, 30).await;
    assert_eq!((late.len(), &late), (1, &quickly));
    quick.mark_queued(&quickly).await.expect("it is marked");
    let lost = BrokerLost {
        after: None,
        now: at(31),
        limit: 10,
    };
    assert_eq!(quick.broker_lost(&lost).await.expect("it answers"), Some(1));
    slow.mark_queued(&late).await.expect("nothing is marked");
    assert_eq!(list(&quick, 31).await, late, "it is published again");
    // Not even while it is being published.
    slow.mark_queued(&late).await.expect("nothing is marked");
    assert_eq!(list(&quick, 31).await, late);
    quick.mark_queued(&late).await.expect("it is marked");
    assert_eq!(list(&quick, 31).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_consumers_lease_each_message_once() {
    const MESSAGES: u32 = 60;
    let database = Database::new().await;
    let first = connect(&database.url).await;
    apply_spring(&first).await;
    let messages: Vec<_> = (0..MESSAGES).map(message).collect();
    // Half of them are known; the others are met at their first delivery.
    accept_queued(&first, &messages[..MESSAGES as usize / 2]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for consumer in 0..3 {
        let ledger = connect(&database.url).await;
        let messages = messages.clone();
        tasks.spawn(async move {
            let holder = format!("consumer {consumer}");
            let takes = messages.iter().map(|message| async {
                let taken = ledger.take(message, &holder, at(0), LEASE).await;
                let lease = match taken.expect("it answers") {
                    Taken::Leased(taken) => taken.lease,
                    Taken::Held { .. } | Taken::Over(_) => return 0,
                    other => panic!("it is in nobody's way: {other:?}"),
                };
                let recorded = ledger.record(&lease, &[begun()], at(1)).await;
                recorded.expect("the lease is good");
                settle(&ledger, &lease, &done(), at(2)).await;
                1
            });
            let leased: u32 = futures::future::join_all(takes).await.iter().sum();
            leased
        });
    }
    let leased: u32 = tasks.join_all().await.iter().sum();
    assert_eq!(leased, MESSAGES);
    let books = first.books(None).await.expect("it answers");
    assert_eq!((books.done, books.imbalance()), (u64::from(MESSAGES), 0));
    for n in 0..MESSAGES {
        let found = first.find(&key(n)).await.expect("it answers");
        assert_eq!(found.expect("it is there").journal.len(), 1, "message {n}");
    }
}

#[tokio::test]
async fn leases_go_by_the_servers_clock_whatever_the_consumers_show() {
    let database = Database::new().await;
    let ledger = connect(&database.url).await;
    apply_spring(&ledger).await;
    // A consumer whose clock is a day behind holds a message.
    let (behind, ahead) = (at(-86_400), at(86_400));
    let taken = ledger.take(&message(1), "behind", behind, LEASE).await;
    let Some(LeasedMessage { lease: held, .. }) = taken.expect("it answers").leased() else {
        panic!("nobody else has it");
    };
    assert_eq!(
        held.until,
        behind + LEASE,
        "its end by its holder's own clock"
    );

    // To one whose clock is a day ahead the lease seems long over.
    let taken = ledger.take(&message(1), "ahead", ahead, LEASE).await;
    let Taken::Held { until } = taken.expect("it answers") else {
        panic!("it is held by the server's clock");
    };
    assert!(until > ahead && until <= ahead + LEASE, "{until}");

    // And one that is over by the server's clock is taken by whoever comes, late as its clock may be.
    let renewed = ledger.renew(&held, behind, Duration::ZERO).await;
    renewed.expect("the lease is good");
    let taken = ledger.take(&message(1), "late", at(-172_800), LEASE).await;
    let Some(LeasedMessage { lease: new, .. }) = taken.expect("it answers").leased() else {
        panic!("its lease is over");
    };
    let recorded = ledger.record(&held, &[begun()], behind).await;
    assert!(
        matches!(recorded, Err(LedgerError::LeaseLost)),
        "{recorded:?}"
    );
    settle(&ledger, &new, &done(), at(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_consumers_lease_is_taken_over_as_such() {
    let database = Database::new().await;
    let ledger = connect(&database.url).await;
    apply_spring(&ledger).await;
    let dead = connect(&database.url).await;
    dead.show_alive("dead").await.expect("it is shown");
    let alive = connect(&database.url).await;
    alive.show_alive("alive").await.expect("it is shown");
    for (n, holder) in [(1, "dead"), (2, "alive")] {
        let taken = ledger
            .take(&message(n), holder, at(0), Duration::ZERO)
            .await;
        let Ok(Some(LeasedMessage { lease, .. })) = taken.map(Taken::leased) else {
            panic!("nobody else has it");
        };
        record_begun(&ledger, &lease, at(0)).await;
    }
    // Its connections end with it, and the server notices in its time.
    drop(dead);
    let (observer, connection) = tokio_postgres::connect(&database.url, tokio_postgres::NoTls)
        .await
        .expect("it connects");
    tokio::spawn(connection);
    let lives = "SELECT flexcast.lives($1)";
    loop {
        let row = observer.query_one(lives, &[&"dead"]).await;
        if !row.expect("it answers").get::<_, bool>(0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (n, expected) in [(1, false), (2, true)] {
        let taken = ledger.take(&message(n), "next", at(0), LEASE).await;
        let Ok(Some(LeasedMessage { overtaken, .. })) = taken.map(Taken::leased) else {
            panic!("its lease is over");
        };
        assert_eq!(overtaken, expected, "message {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_one_lease_at_the_same_time_are_all_in_the_journal() {
    let database = Database::new().await;
    let ledger = connect(&database.url).await;
    apply_spring(&ledger).await;
    let lease = lease(&ledger, &message(1), at(0)).await;
    let events = [begun(), begun()];
    let writes = (0..20).map(|_| ledger.record(&lease, &events, at(1)));
    for written in futures::future::join_all(writes).await {
        written.expect("the lease is good");
    }
    let found = ledger.find(&key(1)).await.expect("it answers");
    assert_eq!(found.expect("it is there").journal.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_of_the_same_customers_at_once_accept_each_of_them_once() {
    let database = Database::new().await;
    let ledger = Arc::new(connect(&database.url).await);
    apply_spring(&ledger).await;
    let messages: Vec<_> = (0..200).map(message).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4 {
        let ledger = Arc::clone(&ledger);
        let mut messages = messages.clone();
        messages.rotate_left(n * 50);
        tasks.spawn(async move {
            let given = ledger
                .accept(&spring(), &messages, None, at(0), at(0))
                .await
                .expect("it is taken");
            let accepted = |given: &&Acceptance| **given == Acceptance::Accepted;
            given.iter().filter(accepted).count()
        });
    }
    let accepted: usize = tasks.join_all().await.iter().sum();
    assert_eq!(accepted, 200);
}

#[tokio::test]
async fn what_one_process_publishes_is_not_listed_for_another() {
    let database = Database::new().await;
    let connect = || Ledger::connect_with(&database.url, LeaseClock::Caller);
    let (one, other) = (connect().await, connect().await);
    let (one, other) = (one.expect("it connects"), other.expect("it connects"));
    apply_spring(&one).await;
    let messages = [message(1), message(2)];
    one.accept(&spring(), &messages, None, at(0), at(0))
        .await
        .expect("they are taken");
    let mine = one.unqueued(at(0), 1).await.expect("it answers");
    let others = other.unqueued(at(0), 9).await.expect("it answers");
    assert_eq!((mine.len(), others.len()), (1, 1));
    assert_eq!((&mine[0].1, &others[0].1), (&messages[0], &messages[1]));
    let published: Vec<Publication> = vec![others[0].0.clone()];
    other.mark_queued(&published).await.expect("it is marked");
    // The first one died before it said that it had published.
    let later = other.unqueued(at(60), 9).await.expect("it answers");
    assert_eq!(later, mine);
}

#[tokio::test]
async fn a_text_that_postgresql_cannot_keep_is_kept_readable() {
    let database = Database::new().await;
    let ledger = connect(&database.url).await;
    let stray = Stray {
        campaign: CampaignId::parse("spring").expect("an id"),
        reason: DeadReason::Malformed,
        detail: "a \0 in it".to_owned(),
        body: "\0\0".to_owned(),
    };
    ledger
        .record_stray(&stray, at(0))
        .await
        .expect("it is kept");
    let dead = ledger.dead(None, 9).await.expect("it answers");
    assert_eq!(dead[0].failure.detail, "a \u{fffd} in it");
}

#[tokio::test]
async fn a_planted_loss_and_a_planted_duplicate_show_in_the_books() {
    let loss = "DELETE FROM turns WHERE id = 'crm-1'";
    let duplicate = "INSERT INTO outcomes (campaign, id, outcome, detail, effects, attempts, at)
                     VALUES ('spring', 'crm-1', 'done', '{\"outcome\":\"done\"}', '{}', 0, 0)";
    let vanished = "DELETE FROM messages WHERE id = 'crm-2'";
    for (planted, imbalance) in [(loss, 1), (duplicate, -1), (vanished, -1)] {
        let database = Database::new().await;
        let ledger = connect(&database.url).await;
        apply_spring(&ledger).await;
        accept_queued(&ledger, &[message(1), message(2)]).await;
        let without_checks = "SET session_replication_role = replica; SET search_path = flexcast";
        database.raw(&format!("{without_checks}; {planted}")).await;
        let books = ledger.books(Some(&spring())).await.expect("it answers");
        assert_eq!(books.imbalance(), imbalance, "{planted}: {books:?}");
        let taken = ledger.take(&message(1), "consumer", at(1), LEASE).await;
        match (planted == loss, planted == duplicate) {
            (true, _) => assert!(matches!(taken, Err(LedgerError::Damaged(_))), "{taken:?}"),
            (_, true) => assert!(matches!(taken, Ok(Taken::Over(_))), "{taken:?}"),
            _ => assert!(matches!(taken, Ok(Taken::Leased(_))), "{taken:?}"),
        }
    }
}

#[tokio::test]
async fn a_newer_programs_ledger_is_refused() {
    let database = Database::new().await;
    drop(connect(&database.url).await);
    database
        .raw("INSERT INTO flexcast.migrations (number) VALUES (99)")
        .await;
    let refused = refusal(&database.url).await;
    assert!(
        matches!(refused, LedgerError::Misconfigured(_)),
        "{refused:?}"
    );
    assert!(
        refused.to_string().contains("schema version 99"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_goes_away_is_said_and_comes_back() {
    let server = Server::start();
    let ledger = connect(&server.url).await;
    apply_spring(&ledger).await;
    let held = lease(&ledger, &message(1), at(0)).await;
    assert!(ledger.probe().await.is_ok());

    server.kill();
    let unavailable = |error: LedgerError| {
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("PostgreSQL at"), "{error}");
    };
    // More often than there are connections whose end nobody has noticed yet.
    for _ in 0..3 {
        let recorded = ledger.record(&held, &[begun()], at(1)).await;
        let recorded = recorded.expect_err("there is no server");
        assert!(
            matches!(recorded, LedgerError::Unavailable(_)),
            "{recorded:?}"
        );
    }
    unavailable(ledger.books(None).await.expect_err("there is no server"));
    unavailable(refusal(&server.url).await);
    assert!(ledger.probe().await.is_err());

    server.restart();
    assert!(ledger.probe().await.is_ok());
    let recorded = ledger.record(&held, &[begun()], at(2)).await;
    recorded.expect("what was committed is there");
    settle(&ledger, &held, &done(), at(3)).await;
    let found = ledger.find(&key(1)).await.expect("it answers");
    let found = found.expect("it is there");
    assert!(matches!(found.standing, Standing::Over { .. }), "{found:?}");
    assert_eq!(found.journal, [(at(2), begun())]);
}

#[tokio::test]
async fn the_servers_certificate_is_checked_as_far_as_the_url_asks() {
    let server = Server::start();
    let certificate = server.certificate();
    let with = |options: String| format!("{}?{options}", server.url);
    for trusted in [
        "sslmode=require".to_owned(),
        format!("sslmode=verify-ca&sslrootcert={certificate}"),
        format!("sslmode=verify-full&sslrootcert={certificate}"),
    ] {
        let ledger = connect(&with(trusted.clone())).await;
        assert!(ledger.probe().await.is_ok(), "{trusted}");
    }
    let unknown = refusal(&with("sslmode=verify-full".to_owned())).await;
    assert!(unknown.to_string().contains("certificate"), "{unknown}");
    let elsewhere = with(format!("sslmode=verify-full&sslrootcert={certificate}"));
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let name = refusal(&elsewhere).await;
    assert!(name.to_string().contains("certificate"), "{name}");
    let chain_alone = elsewhere.replace("verify-full", "verify-ca");
    assert!(connect(&chain_alone).await.probe().await.is_ok());
}

#[tokio::test]
async fn a_url_that_does_not_work_is_refused_without_its_password() {
    let database = Database::new().await;
    let (before, host) = database.url.rsplit_once('@').expect("a login");
    let (scheme, login) = before.split_once("://").expect("a scheme");
    let (user, _) = login.split_once(':').expect("a password");
    let url = |password: &str, host: &str| format!("{scheme}://{user}:{password}@{host}");
    let wrong = refusal(&url("swordfish", host)).await;
    assert!(matches!(wrong, LedgerError::LoginRefused(_)), "{wrong:?}");
    let (server, _) = host.rsplit_once('/').expect("a database");
    let absent = refusal(&database.url.replace(host, &format!("{server}/no_such_db"))).await;
    assert!(
        matches!(absent, LedgerError::Misconfigured(_)),
        "{absent:?}"
    );
    assert!(absent.to_string().contains("no_such_db"), "{absent}");
    let nobody = refusal(&url("swordfish", "127.0.0.1:1/db")).await;
    assert!(matches!(nobody, LedgerError::Unavailable(_)), "{nobody:?}");
    assert!(nobody.to_string().contains("127.0.0.1:1"), "{nobody}");
    let encoded = refusal(&url("swordfish@1:2?x=swordfish", host)).await;
    let option = refusal(&url("secret", &format!("{host}?swordfish=1"))).await;
    for misread in [&encoded, &option] {
        assert!(
            matches!(misread, LedgerError::Misconfigured(_)),
            "{misread:?}"
        );
    }
    for refused in [wrong, absent, nobody, encoded, option] {
        let said = refused.to_string();
        assert!(!said.contains("swordfish"), "{said}");
        assert!(!said.contains("flexcast-test"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_ledger_in_place_of_the_lost_one_is_not_taken_for_it() {
    let database = Database::new().await;
    let watched = connect(&database.url).await;
    let ours = watched.id().await.expect("it answers");
    database.raw("ALTER SCHEMA flexcast RENAME TO away").await;
    let away = watched.campaigns().await.expect_err("there is no schema");
    assert!(away.is_stores(), "{away:?}");
    let theirs = connect(&database.url).await.id().await;
    assert_ne!(theirs.expect("a new ledger"), ours);
    assert!(
        !watched.try_again().await,
        "it is not the one that was lost"
    );
    let loss = watched.loss().expect("it stays lost");
    assert!(loss.for_good && loss.why.contains(&ours), "{loss:?}");
}
