//! `flexcast schema`: what publishers send and are told, and what a campaign file holds, as JSON Schema.

use clap::{Args, ValueEnum};

use crate::campaign::Campaign;
use crate::message::{Message, Refusal};

use super::{ExitCode, Problem, output};

/// Print the JSON Schema (draft-07) of a message, a refusal or a campaign file.
#[derive(Debug, Args)]
pub(super) struct Schema {
    /// Of what
    #[arg(value_enum)]
    of: Subject,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Subject {
    /// What publishers put on the exchange `flexcast`, and a line of an imported .jsonl file
    Message,
    /// What publishers are told on the exchange `flexcast.rejected`
    Refusal,
    /// A campaign file; editors check TOML with it
    Campaign,
}

impl Schema {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        output::json(&match self.of {
            Subject::Message => Message::schema(),
            Subject::Refusal => Refusal::schema(),
            Subject::Campaign => Campaign::schema(),
        })?;
        Ok(ExitCode::Success)
    }
}
