//! `flexcast ledger`: backs up the ledger.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::operate::{back_up, counted, grouped};
use crate::service::Service;

use super::{ExitCode, GlobalArgs, Problem, output};

/// Back up the ledger.
#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Copy the ledger to a file, also while it is in use
    Backup(BackupArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast ledger backup ledger-monday.db")]
pub(super) struct BackupArgs {
    /// The file of the copy; its folder must exist
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl LedgerCommand {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        match self {
            Self::Backup(backup) => backup.run(global).await,
        }
    }
}

impl BackupArgs {
    async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let source = Service::backup_source(&global.with_ledger()?)?;
        let made = back_up(&*source, &self.file, self.force).await?;
        if self.json {
            output::json(&made)?;
            return Ok(ExitCode::Success);
        }
        let (file, bytes, messages) = (made.file.display(), made.bytes, made.messages);
        let (bytes, messages) = (grouped(bytes), counted(messages, "message"));
        say!("{file}: {bytes} bytes, {messages}")?;
        Ok(ExitCode::Success)
    }
}
