//! Every SQLSTATE, over the wire: what one call says of the store, and what every call says of it. And every right
//! of a consumer's role: a probe misses each of them.

use flexcast::ledger::{FinishedBy, Ledger, LedgerError};

use super::fixture::{accept_queued, apply_spring, at, key, message, spring};
use crate::support::dice::Dice;
use crate::support::postgres::{Database, consumers_rights};
use crate::support::refusing::{Call, Refusing, Step};
use crate::support::sqlstates::{STOP_FOR_GOOD, drawn};

/// Whether one call's error of this code says that no call can be made now.
fn is_the_stores_at_once(code: &str) -> bool {
    let is_class = ["08", "28", "53", "57", "58"].contains(&&code[..2]);
    (is_class && code != "57014") || ["25006", "3D000"].contains(&code)
}

/// Whether other calls were in the way, which says nothing of the store.
fn is_in_the_way(code: &str) -> bool {
    code.starts_with("40") || ["55P03", "57014"].contains(&code)
}

/// Whether a call is part of making a connection.
fn is_of_a_connection(call: &Call) -> bool {
    call.step == Step::Login || call.sql.contains("search_path")
}

async fn watched(url: &str) -> Ledger {
    let ledger = Ledger::connect(url).await.expect("a ledger");
    apply_spring(&ledger).await;
    accept_queued(&ledger, &[message(1)]).await;
    ledger
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sqlstate_at_one_call_is_blamed_on_the_call_or_at_once_on_the_store() {
    let database = Database::new().await;
    let refusing = Refusing::before(&database.url);
    let ledger = watched(&refusing.url(&database.url)).await;
    let codes = drawn(&mut Dice::new(1), usize::MAX);
    assert!(codes.len() > 250);
    for (n, code) in codes.iter().copied().enumerate() {
        // Its transaction: BEGIN, two statements (prepared first where the connection is new), COMMIT; one after another.
        let mut nth = n % 6;
        let error = loop {
            let mut before = nth;
            let mut is_done = false;
            refusing.refuse(move |call| {
                if is_done || is_of_a_connection(call) {
                    return None;
                }
                is_done = before == 0;
                before = before.saturating_sub(1);
                is_done.then(|| code.to_owned())
            });
            match ledger
                .finish_campaign(&spring(), &FinishedBy::Itself, at(0))
                .await
            {
                Err(error) => break error,
                // It has fewer calls.
                Ok(_) => nth -= 1,
            }
        };
        let is_as_expected = match &error {
            LedgerError::Refused { code: said, .. } => *said == code,
            LedgerError::Hindered(text) => is_in_the_way(code) && text.contains(code),
            LedgerError::Unavailable(text) | LedgerError::LoginRefused(text) => {
                is_the_stores_at_once(code) && text.contains(code)
            }
            _ => false,
        };
        assert!(is_as_expected, "{code}: {error:?}");
        assert_eq!(
            ledger.is_lost(),
            is_the_stores_at_once(code),
            "{code}: {error}"
        );
        assert!(!ledger.is_lost() || ledger.try_again().await, "{code}");
        let found = ledger.find(&key(1)).await;
        assert!(found.expect(code).is_some());
    }
    let refused = refusing.refused();
    eprintln!("{} refused, {:?}", refused.total(), refused.by_step);
    assert_eq!(refused.by_code.len(), codes.len());
    // Statements are prepared once for a connection, so none is parsed here.
    for step in [Step::Execute, Step::Query] {
        assert!(refused.by_step[&step] > 30, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_sqlstate_at_every_call_is_the_stores() {
    let database = Database::new().await;
    let refusing = Refusing::before(&database.url);
    let ledger = watched(&refusing.url(&database.url)).await;
    for code in drawn(&mut Dice::new(2), usize::MAX) {
        refusing.refuse(move |_| Some(code.to_owned()));
        let error = ledger.find(&key(1)).await.expect_err(code);
        // Others in the way say nothing of the store: it is asked again, and nothing is blamed.
        let is_blamed = ledger.is_lost() != matches!(error, LedgerError::Hindered(_));
        assert!(is_blamed, "{code}: {error:?}");
        assert!(
            !matches!(error, LedgerError::Refused { .. }),
            "{code}: no message is blamed"
        );
        let why = ledger.why_not_ready().await.expect("it is not ready");
        assert!(why.contains(code), "{code}: {why}");
        refusing.relent();
        assert!(!ledger.is_lost() || ledger.try_again().await, "{code}");
        assert_eq!(ledger.why_not_ready().await, None, "{code}");
    }
    // The last: they are not come back from.
    for code in STOP_FOR_GOOD {
        let ledger = Ledger::connect(&refusing.url(&database.url)).await;
        let ledger = ledger.expect("a ledger");
        refusing.refuse(move |call| (!is_of_a_connection(call)).then(|| code.to_owned()));
        let error = ledger.find(&key(1)).await.expect_err(code);
        assert!(
            matches!(error, LedgerError::Corrupt(_)),
            "{code}: {error:?}"
        );
        refusing.relent();
        assert!(!ledger.try_again().await, "{code}");
        let loss = ledger.loss().expect("it is lost");
        assert!(loss.for_good && loss.why.contains(code), "{code}: {loss:?}");
    }
}

/// What a consumer reads only for its books and at its start: no message depends on it.
const NOT_PROBED: [(&str, &str); 3] = [
    ("SELECT", "migrations"),
    ("SELECT", "rejects"),
    ("SELECT", "strays"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_misses_each_right_that_a_consumer_needs() {
    let database = Database::new().await;
    drop(Ledger::connect(&database.url).await.expect("a new ledger"));
    let role = database.consumers_role().await;
    let ledger = Ledger::connect(&role.url).await.expect("its rights");
    ledger.probe().await.expect("it has all rights");
    let mut unnoticed = Vec::new();
    let rights = consumers_rights();
    assert!(rights.len() > 40, "{rights:?}");
    for (right, table) in &rights {
        let name = &role.name;
        database
            .raw(&format!("REVOKE {right} ON flexcast.{table} FROM {name}"))
            .await;
        if ledger.probe().await.is_ok() {
            unnoticed.push((right.as_str(), table.as_str()));
        }
        database
            .raw(&format!("GRANT {right} ON flexcast.{table} TO {name}"))
            .await;
    }
    assert_eq!(unnoticed, NOT_PROBED);
    ledger.probe().await.expect("it has all rights again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_make_the_schema_or_read_it_is_told_which_rights_it_needs() {
    let database = Database::new().await;
    let owner = Ledger::connect(&database.url).await;
    drop(owner.expect("a new ledger"));
    let role = database.consumers_role().await;
    let name = &role.name;
    for what in [
        format!("REVOKE ALL ON ALL TABLES IN SCHEMA flexcast FROM {name}"),
        format!("REVOKE USAGE ON SCHEMA flexcast FROM {name}"),
        "DROP SCHEMA flexcast CASCADE".to_owned(),
    ] {
        database.raw(&what).await;
        let connected = Ledger::connect(&role.url).await;
        let error = connected.map(drop).expect_err(&what);
        assert!(
            matches!(error, LedgerError::Misconfigured(_)),
            "{what}: {error:?}"
        );
        let told = error.to_string();
        for part in ["(42501)", "docs/postgresql.md", "DATABASE_URL"] {
            assert!(told.contains(part), "{what}: {told}");
        }
        assert!(!told.contains("flexcast-test-role"), "the password: {told}");
    }
}
