//! Parses the command line and runs the command: see `flexcast::cli`.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(flexcast::cli::main() as u8)
}
