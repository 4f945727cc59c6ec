//! The program as somebody runs it who sits at a terminal, or copies a command into a shell.

use std::process::Command;

use super::flexcast::{Place, Ran, in_repository};

impl Place {
    /// Runs the program on a terminal, and answers its question with a key. What the terminal showed is in
    /// `out`.
    #[track_caller]
    pub(crate) fn run_on_a_terminal(&self, arguments: &[&str], answer: &str) -> Ran {
        let program = self.command(arguments);
        let mut python = Command::new("python3");
        python
            .arg(in_repository("tests/it/support/on_terminal.py"))
            .arg(answer)
            .arg(program.get_program())
            .args(program.get_args());
        self.run_beside(python, &program)
    }

    /// Runs the program on a terminal, and presses a key as soon as the terminal shows a text.
    #[track_caller]
    pub(crate) fn press_on_a_terminal(&self, arguments: &[&str], when: &str, key: char) -> Ran {
        self.run_on_a_terminal(arguments, &format!("{when}\u{1e}{key}"))
    }

    /// Runs a line in a shell, without a terminal.
    #[track_caller]
    pub(crate) fn run_in_a_shell(&self, line: &str) -> Ran {
        let program = self.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        self.run_beside(shell, &program)
    }

    /// Runs a command where the program would run, with its environment.
    #[track_caller]
    fn run_beside(&self, mut command: Command, program: &Command) -> Ran {
        let environment = program.get_envs();
        let environment = environment.filter_map(|(name, value)| Some((name, value?)));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .current_dir(self.path(""))
            .env_clear()
            .envs(environment)
            .env("PATH", path)
            .stdin(std::process::Stdio::null());
        let output = command.output().expect("the command runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

impl Ran {
    /// Standard output with a single blank between two words: a sentence may continue on the next line.
    pub(crate) fn words(&self) -> String {
        self.out.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
