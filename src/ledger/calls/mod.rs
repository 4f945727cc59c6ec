//! The methods of [`Ledger`](super::Ledger), by subject. Each makes one call of the store.
//!
//! A method is made by one of three macros, all of which pass [`Ledger::make`](super::Ledger::make). `native!` hands
//! the call to a method of each store: for the statements of a message's turn, which each database carries out fast in
//! its own way. `look!` reads and `change!` writes with statements that are written once, for a
//! [`StoreSession`](super::session::StoreSession) of either store.

mod audit;
mod campaigns;
mod coming_back;
mod consumers;
mod dead;
mod decisions;
mod intake;
mod looking;
mod ownership;
mod pauses;
mod sharing;
mod undos;
mod upkeep;
mod work;

pub(super) use audit::{counts, record as record_operation};
pub(super) use campaigns::{all as all_campaigns, finish, one as one_campaign};
pub(super) use coming_back::next_due;
pub(super) use consumers::{end as end_consumer, show};
pub(super) use dead::record_stray;
pub(super) use ownership::{draw, raise};
pub(super) use upkeep::{broker_lost_at, record_damaged, touch};

/// Makes a call by a method that each store has: `native!(ledger, call, |store| store.method(..))`. With `@plain`
/// instead of the call, returns the bare future.
macro_rules! native {
    (@plain $ledger:expr, |$store:ident| $making:expr) => {
        Box::pin(async {
            use $crate::ledger::Store;
            match &*$ledger.store {
                Store::Sqlite($store) => $making.await,
                Store::Postgres($store) => $making.await,
            }
        })
    };
    ($ledger:expr, $call:expr, |$store:ident| $making:expr) => {
        $ledger
            .make($call, native!(@plain $ledger, |$store| $making))
            .await
    };
}

/// Makes a call that reads, with statements for both stores. `look!(in snapshot, ...)` if several statements must see
/// the same moment. The closure captures owned values.
macro_rules! look {
    (@plain $ledger:expr, |$session:ident| $reading:expr) => {
        look!(@in in_session, $ledger, |$session| $reading)
    };
    (@in $way:ident, $ledger:expr, |$session:ident| $reading:expr) => {
        Box::pin(async {
            use $crate::ledger::session::at_once;
            use $crate::ledger::{Store, postgres, sqlite};
            match &*$ledger.store {
                Store::Sqlite(store) => {
                    let reading = move |conn: &_| {
                        let $session = &sqlite::session(conn);
                        at_once($reading)
                    };
                    store.read(reading).await
                }
                Store::Postgres(store) => postgres::$way!(store, |$session| $reading).await,
            }
        })
    };
    (in snapshot, $ledger:expr, $call:expr, |$session:ident| $reading:expr) => {
        $ledger
            .make($call, look!(@in in_snapshot, $ledger, |$session| $reading))
            .await
    };
    ($ledger:expr, $call:expr, |$session:ident| $reading:expr) => {
        $ledger
            .make($call, look!(@in in_session, $ledger, |$session| $reading))
            .await
    };
}

/// Makes a call that writes, with statements for both stores. `change!(in transaction, ...)` if several statements must
/// succeed or fail together. The closure captures owned values.
macro_rules! change {
    (@with $way:ident, $ledger:expr, $call:expr, |$session:ident| $writing:expr) => {{
        let making = Box::pin(async {
            use $crate::ledger::session::at_once;
            use $crate::ledger::{Store, postgres, sqlite};
            match &*$ledger.store {
                Store::Sqlite(store) => {
                    let writing = move |conn: &_| {
                        let $session = &sqlite::session(conn);
                        at_once($writing)
                    };
                    store.write(writing).await
                }
                Store::Postgres(store) => postgres::$way!(store, |$session| $writing).await,
            }
        });
        $ledger.make($call, making).await
    }};
    (in transaction, $ledger:expr, $call:expr, |$session:ident| $writing:expr) => {
        change!(@with in_transaction, $ledger, $call, |$session| $writing)
    };
    ($ledger:expr, $call:expr, |$session:ident| $writing:expr) => {
        change!(@with in_session, $ledger, $call, |$session| $writing)
    };
}

use {change, look, native};
