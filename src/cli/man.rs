//! `flexcast man`: prints the manual page of flexcast, or writes the pages of all commands.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::output::data;
use super::{Cli, ExitCode, Problem};

/// Print the manual page flexcast(1) on standard output, or write one page for each command into a folder.
#[derive(Debug, Args)]
#[command(after_help = "\
To read a page:
  flexcast man | man -l -
  flexcast man DIR && man -l DIR/flexcast-send.1")]
pub(super) struct ManArgs {
    /// The folder for the pages: flexcast.1, flexcast-send.1 and so on. It is created if it does not exist
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl ManArgs {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        // The pages name commands, and not the command `help`.
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        let Some(folder) = self.folder else {
            page(&command).render(&mut data())?;
            return Ok(ExitCode::Success);
        };
        fs::create_dir_all(&folder)
            .and_then(|()| write_pages(&command, &folder))
            .map_err(|error| {
                let text = format!(
                    "{}: the manual pages cannot be written: {error}",
                    folder.display()
                );
                Problem::new(ExitCode::Failed, text)
            })?;
        Ok(ExitCode::Success)
    }
}

/// The manual page of a command. Each page names the program and its version.
fn page(command: &Command) -> Man {
    let source = concat!("flexcast ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source)
}

/// Writes the pages of a command and of its subcommands.
fn write_pages(command: &Command, folder: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands() {
        write_pages(subcommand, folder)?;
    }
    page(command).generate_to(folder)?;
    Ok(())
}
