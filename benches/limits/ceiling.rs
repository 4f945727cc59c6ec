//! An account that takes forty calls at once and answers 429 to more: how soon that is found out, how much
//! is refused afterwards, and how much of what it takes is used.

use std::time::Duration;

use crate::consumer::{Consumer, Role};
use crate::upstream::Upstream;

/// What the account takes.
const TAKES: usize = 40;

/// How long finding it out may take.
const SETTLES: u64 = 10_000;

pub(crate) async fn measure(seconds: u64) -> anyhow::Result<()> {
    let upstream = Upstream::taking(TAKES).await?;
    let fixed = Consumer::start(&Role::at_once(&upstream.url, TAKES))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(fixed);
    let (taken, _) = upstream.answers(SETTLES).await;

    let upstream = Upstream::taking(TAKES).await?;
    let feeling = Consumer::start(&Role::feeling(&upstream.url))?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    drop(feeling);
    let (done, refused) = upstream.answers(SETTLES).await;
    let share = done / taken * 100.0;
    let refused = refused / (done + refused) * 100.0;
    println!(
        "account that takes {TAKES} at once: from {} s on {done:.0}/s carried out, {share:.1} % of {taken:.0}/s \
         at a fixed {TAKES}; {refused:.2} % refused",
        SETTLES / 1_000
    );
    Ok(())
}
