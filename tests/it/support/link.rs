//! A slow link to a server on this machine: every byte comes late, by a time that varies where the test asks for it,
//! and the link can be cut, or the server's answers alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use flexcast::clock::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

/// How often a cut link is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How late a byte comes one way: between the two.
type Delay = (Duration, Duration);

/// A link. It serves until the test's process ends.
pub(crate) struct Link {
    address: SocketAddr,
    /// Whether no byte arrives at the server.
    cut: Arc<AtomicBool>,
    /// Whether no byte arrives at the client.
    muted: Arc<AtomicBool>,
}

impl Link {
    /// A link to this address whose round trip takes so much longer.
    pub(crate) fn to(server: &str, round_trip: Duration) -> Self {
        Self::late(server, (round_trip / 2, round_trip / 2))
    }

    /// The same with a quarter more or less each way, drawn anew for whatever is read at once. Bytes keep
    /// their order.
    pub(crate) fn uneven(server: &str, round_trip: Duration) -> Self {
        let one_way = round_trip / 2;
        Self::late(server, (one_way * 3 / 4, one_way * 5 / 4))
    }

    fn late(server: &str, delay: Delay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (cut, muted) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (server, is_cut, is_muted) = (server.to_owned(), Arc::clone(&cut), Arc::clone(&muted));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(behind) = TcpStream::connect(&server) else {
                    continue;
                };
                carry(&client, &behind, delay, &is_cut);
                carry(&behind, &client, delay, &is_muted);
            }
        });
        Self {
            address,
            cut,
            muted,
        }
    }

    /// A database URL that goes over this link instead of straight to `server`.
    pub(crate) fn url(&self, url: &str, server: &str) -> String {
        url.replace(server, &self.address.to_string())
    }

    /// Cuts the link, or mends it. While it is cut no byte arrives, and nobody is told so.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        self.mute(cut);
    }

    /// Withholds what the server answers, or lets it through. The server gets every byte.
    pub(crate) fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::SeqCst);
    }
}

/// The host and port of a database URL.
pub(crate) fn server_of(url: &str) -> &str {
    let (_, rest) = url.rsplit_once('@').expect("a login");
    rest.split(['/', '?']).next().expect("a host")
}

/// Carries bytes one way, each so long after it came.
fn carry(from: &TcpStream, to: &TcpStream, delay: Delay, cut: &Arc<AtomicBool>) {
    let mut from = from.try_clone().expect("the same connection");
    let mut to = to.try_clone().expect("the same connection");
    let _ = to.set_nodelay(true);
    let cut = Arc::clone(cut);
    let (late, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let clock = Clock::system();
        let mut bytes = [0; 64 * 1024];
        let mut random = StdRng::seed_from_u64(rand::random());
        let mut at = clock.instant();
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let late_by = random.random_range(delay.0..=delay.1);
            at = at.max(clock.instant() + late_by);
            if late.send((at, bytes[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        deliver(&mut to, &due, &cut);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

fn deliver(to: &mut TcpStream, due: &Receiver<(Instant, Vec<u8>)>, cut: &AtomicBool) {
    let clock = Clock::system();
    while let Ok((at, bytes)) = due.recv() {
        std::thread::sleep(at.saturating_duration_since(clock.instant()));
        while cut.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK_EVERY);
        }
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}
