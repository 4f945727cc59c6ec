//! Twenty campaigns on one account, one of them large: when the nineteen small ones are done, against what
//! fair sharing predicts. The whole program, over HTTP, at the simulator's own log.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::ensure;
use flexcast::simulator::{DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN, EffectKind};

use crate::upstream::Upstream;

const SMALL: usize = 19;
const MESSAGES: usize = 100;

/// The account's limit on what every message needs once.
const QUOTA: usize = 100;

pub(crate) async fn measure(large: usize) -> anyhow::Result<()> {
    let upstream = Upstream::start().await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(
        folder.path().join("flexcast.toml"),
        format!("[limits]\ncreate_conversation = \"{QUOTA}/s\"\n"),
    )?;
    for number in 0..=SMALL {
        let count = if number == 0 { large } else { MESSAGES };
        let (campaign, contacts) = write(folder.path(), number, count)?;
        let args = ["import", &campaign, &contacts, "--yes"];
        let status = flexcast(folder.path(), &upstream.url, &args).status()?;
        ensure!(status.success(), "import of campaign {number}: {status}");
    }
    let work = ["work", "--http", "127.0.0.1:0"];
    let mut work = flexcast(folder.path(), &upstream.url, &work).spawn()?;
    let ended = all_small_done(&upstream).await;
    end(&mut work)?;
    ended?;
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

/// A campaign's file and its contacts. The third digit from the left of a number tells whose it is.
fn write(folder: &Path, number: usize, count: usize) -> anyhow::Result<(String, String)> {
    let campaign = folder.join(format!("c{number}.toml"));
    std::fs::write(
        &campaign,
        format!(
            "id = \"c{number}\"\nstrategy = \"task_on_reply\"\nchannel = \"custom\"\nsender = \"bench\"\n\
             body = \"Hello\"\n[flex]\nstudio_flow_sid = \"FW00000000000000000000000000000001\"\n"
        ),
    )?;
    let mut rows = String::from("address\n");
    for row in 0..count {
        writeln!(rows, "customer-{number}-{row}")?;
    }
    let contacts = folder.join(format!("c{number}.csv"));
    std::fs::write(&contacts, rows)?;
    let name = |path: &Path| path.display().to_string();
    Ok((name(&campaign), name(&contacts)))
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

fn flexcast(folder: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flexcast"));
    command
        .args(args)
        .current_dir(folder)
        .env("FLEXCAST_TWILIO_URL", url)
        .env("TWILIO_ACCOUNT_SID", DEFAULT_ACCOUNT_SID)
        .env("TWILIO_AUTH_TOKEN", DEFAULT_AUTH_TOKEN)
        .env_remove("AMQP_URL")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn end(work: &mut Child) -> anyhow::Result<()> {
    work.kill()?;
    work.wait()?;
    Ok(())
}
