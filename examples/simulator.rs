//! A simulator on a port, for the SDK checks under `tests/oracle`: `simulator PORT [RECORD]`.

use std::env;

use flexcast::clock::Clock;
use flexcast::shutdown::Stopper;
use flexcast::simulator::{Limits, Settings, Simulator};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut args = env::args().skip(1);
    let port = args.next().unwrap_or_else(|| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    let settings = Settings {
        agents: vec!["alice".to_owned()],
        limits: Limits::unlimited(),
        record: args.next().map(Into::into),
        ..Settings::default()
    };
    let stop = Stopper::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            signal.stop();
        }
    });
    Simulator::new(settings, Clock::system())
        .serve(listener, stop)
        .await
}
