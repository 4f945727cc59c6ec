//! The whole program in a folder of its own, over HTTP to the simulator.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::ensure;
use flexcast::simulator::{DEFAULT_ACCOUNT_SID, DEFAULT_AUTH_TOKEN};

pub(crate) struct Program {
    folder: tempfile::TempDir,
    url: String,
    /// The broker; none: the embedded queue.
    broker: Option<String>,
}

impl Program {
    /// One with this `flexcast.toml`.
    pub(crate) fn new(url: &str, config: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("flexcast.toml"), config)?;
        let url = url.to_owned();
        Ok(Self {
            folder,
            url,
            broker: None,
        })
    }

    /// The same with its messages at this broker.
    pub(crate) fn at(self, broker: String) -> Self {
        let broker = Some(broker);
        Self { broker, ..self }
    }

    /// Imports rows into a campaign.
    pub(crate) fn import(&self, campaign: &str, rows: &str) -> anyhow::Result<()> {
        let campaign = self.write("campaign.toml", campaign)?;
        let contacts = self.write("contacts.csv", rows)?;
        let mut import = self.command(&["import"]);
        let status = import.arg(campaign).arg(contacts).arg("--yes").status()?;
        ensure!(status.success(), "import: {status}");
        Ok(())
    }

    /// Works until it is dropped.
    pub(crate) fn work(&self) -> anyhow::Result<Work> {
        // Free a moment ago.
        let http = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = self.command(&["work", "--http", &http]).spawn()?;
        Ok(Work { child, http })
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_flexcast")));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("FLEXCAST_TWILIO_URL", &self.url)
            .env("TWILIO_ACCOUNT_SID", DEFAULT_ACCOUNT_SID)
            .env("TWILIO_AUTH_TOKEN", DEFAULT_AUTH_TOKEN)
            .env_remove("AMQP_URL")
            .env_remove("DATABASE_URL")
            .env("FLEXCAST_STATE", self.folder.path().join("state"))
            .envs(self.broker.iter().map(|url| ("AMQP_URL", url)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// `work` under way; killed when dropped.
pub(crate) struct Work {
    child: Child,
    http: String,
}

impl Work {
    /// Its metrics, as Prometheus would read them.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        // Whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("http://{}/metrics", self.http);
        Ok(reqwest::get(url).await?.text().await?)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
