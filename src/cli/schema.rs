//! `flexcast schema`: prints the JSON Schema of a message, a refusal or a campaign file.

use clap::{Args, ValueEnum};

use crate::campaign::Campaign;
use crate::message::{Message, Refusal};

use super::{ExitCode, Problem, output};

/// Print the JSON Schema (draft-07) of a message, a refusal or a campaign file.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast schema message")]
pub(super) struct SchemaArgs {
    /// The document that the schema describes
    #[arg(value_enum, value_name = "DOCUMENT")]
    of: SchemaKind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaKind {
    /// A message that publishers send to the exchange `flexcast`, and a line of an imported .jsonl file
    Message,
    /// A refusal that publishers receive from the exchange `flexcast.rejected`
    Refusal,
    /// A campaign file; editors can check TOML with this schema
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
