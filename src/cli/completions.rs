//! `flexcast completions`: prints a shell's completion script.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::output::data;
use super::{Cli, ExitCode, Problem};

/// Print the completion script of a shell on standard output: the shell then completes commands, flags and values.
#[derive(Debug, Args)]
#[command(after_help = "\
The file that each shell reads:
  bash        ~/.local/share/bash-completion/completions/flexcast
  zsh         _flexcast, in a folder of $fpath
  fish        ~/.config/fish/completions/flexcast.fish
  elvish      ~/.config/elvish/rc.elv
  powershell  $PROFILE")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        let mut command = Cli::command();
        // In memory first: the generator panics if a write fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "flexcast", &mut script);
        data().write_all(&script)?;
        Ok(ExitCode::Success)
    }
}
