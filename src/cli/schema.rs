//! `flexcast schema`: what publishers send and are told, and what a campaign file holds, as JSON Schema.

use clap::{Args, ValueEnum};

use crate::campaign::Campaign;
use crate::message::{Message, Refusal};

use super::{ExitCode, Problem, output};

/// Print the JSON Schema (draft-07) of a message, a refusal or a campaign file.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of what
    #[arg(value_enum)]
    of: SchemaKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaKind {
    /// What publishers put on the exchange `flexcast`, and a line of an imported .jsonl file
    Message,
    /// What publishers are told on the exchange `flexcast.rejected`
    Refusal,
    /// A campaign file; editors check TOML with it
    Campaign,
}

impl SchemaArgs {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        output::json(&match self.of {
            SchemaKind::Message => Message::schema(),
            SchemaKind::Refusal => Refusal::schema(),
            SchemaKind::Campaign => Campaign::schema(),
        })?;
        Ok(ExitCode::Success)
    }
}
