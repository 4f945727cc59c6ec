//! Twenty campaigns on one account, one of them large: when the nineteen small ones are done, against what
//! fair sharing predicts. The whole program, over HTTP, at the simulator's own log.

use std::fmt::Write as _;
use std::time::Duration;

use flexcast::simulator::EffectKind;

use crate::program::Program;
use crate::upstream::Upstream;

const SMALL: usize = 19;
const MESSAGES: usize = 100;

/// The account's limit on what every message needs once.
const QUOTA: usize = 100;

pub(crate) async fn measure(large: usize) -> anyhow::Result<()> {
    let upstream = Upstream::start().await?;
    let limits = format!("[limits]\ncreate_conversation = \"{QUOTA}/s\"\n");
    let program = Program::new(&upstream.url, &limits)?;
    for number in 0..=SMALL {
        let count = if number == 0 { large } else { MESSAGES };
        program.import(&campaign(number), &rows(number, count)?)?;
    }
    let work = program.work()?;
    all_small_done(&upstream).await?;
    drop(work);
    let (begun, ended) = upstream.span(is_small);
    let took = (ended - begun) as f64 / 1e3;
    // All twenty share evenly until the nineteen are done, at what the margin leaves of the quota.
    let fair = (MESSAGES * (SMALL + 1)) as f64 / (QUOTA as f64 / 1.02);
    println!(
        "{SMALL} campaigns of {MESSAGES} beside one of {large}, {QUOTA}/s: done after {took:.1} s, {:.2} times the \
         {fair:.1} s of fair sharing",
        took / fair
    );
    Ok(())
}

fn campaign(number: usize) -> String {
    format!(
        "id = \"c{number}\"\nstrategy = \"task_on_reply\"\nchannel = \"custom\"\nsender = \"bench\"\n\
         body = \"Hello\"\n[flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n"
    )
}

/// Its contacts. An address's first number tells whose it is.
fn rows(number: usize, count: usize) -> anyhow::Result<String> {
    let mut rows = String::from("address\n");
    for row in 0..count {
        writeln!(rows, "customer-{number}-{row}")?;
    }
    Ok(rows)
}

fn is_small(customer: &str) -> bool {
    !customer.starts_with("customer-0-")
}

async fn all_small_done(upstream: &Upstream) -> anyhow::Result<()> {
    for _ in 0..3_000 {
        if upstream.effects(EffectKind::Message, is_small) == SMALL * MESSAGES {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the small campaigns are not done within five minutes")
}
