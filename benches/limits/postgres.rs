//! A PostgreSQL server of the bench's own, which syncs as in production.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, ensure};

pub(crate) struct Server {
    dir: tempfile::TempDir,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("flexcast-bench-")
            .tempdir()?;
        script("start", dir.path())?;
        // The script's server does not sync, for tests; a bench's does.
        let settings = dir.path().join("data/postgresql.conf");
        let text = std::fs::read_to_string(&settings)?;
        std::fs::write(&settings, text.replace("fsync = off", "fsync = on"))?;
        script("stop", dir.path())?;
        script("start", dir.path())?;
        let env = std::fs::read_to_string(dir.path().join("env"))?;
        let url = env
            .lines()
            .find_map(|line| line.strip_prefix("export DATABASE_URL="))
            .context("DATABASE_URL in the server's env")?
            .to_owned();
        Ok(Self { dir, url })
    }

    /// Kills it: connections are cut.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        script("kill", self.dir.path()).map(drop)
    }

    pub(crate) fn restart(&self) -> anyhow::Result<()> {
        script("start", self.dir.path()).map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = script("stop", self.dir.path());
    }
}

fn script(command: &str, dir: &Path) -> anyhow::Result<Output> {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh"))
        .arg(command)
        .arg(dir)
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "postgres.sh {command}: {told}");
    Ok(output)
}
