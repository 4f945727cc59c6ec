//! Connections to the broker that no message can break: a filtered stream below the client (lapin).
//!
//! In: the broker's URI. Out: a lapin connection, and notes on the repairs of its deliveries. Always: flexcast's
//! own TLS runs below the filter, and lapin's is not compiled in; an `amqps` address never gets a plain connection.
//!
//! lapin derives the type of its stream from the runtime's reactor. This reactor differs from Tokio's only in that
//! type.

mod filter;
mod frame;
mod mend;
mod notes;
mod stream;
mod tls;

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures::Stream;
use futures::io::{AsyncRead, AsyncWrite};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use rustls::ClientConfig;
use tokio::net::TcpStream;

pub use filter::{Bounds, Filter, Garbled};
pub use notes::{MendedCounters, Note, Notes};

use crate::clock::Clock;
use stream::{Filtered, Socket};

/// The longest frame that is asked of a broker, in bytes; also RabbitMQ's default. lapin ends a connection on a
/// longer content header.
pub(in crate::queue::rabbitmq) const FRAME_MAX: u32 = 131_072;

/// The settings that all connections to a broker share.
pub(super) struct Wire {
    /// `None` for plain connections.
    tls: Option<Arc<ClientConfig>>,
    clock: Clock,
    bounds: Bounds,
    mended: Arc<MendedCounters>,
}

impl Wire {
    pub(super) fn new(bounds: Bounds, tls: Option<Arc<ClientConfig>>, clock: Clock) -> Self {
        Self {
            tls,
            clock,
            bounds,
            mended: Arc::default(),
        }
    }

    /// The number of repaired deliveries so far.
    pub(super) fn mended(&self) -> crate::queue::Mended {
        self.mended.so_far()
    }

    /// Connects, and returns the connection with its notes.
    ///
    /// # Errors
    ///
    /// The errors of lapin.
    pub(super) async fn connect(
        &self,
        uri: AMQPUri,
        properties: ConnectionProperties,
    ) -> lapin::Result<(Connection, Arc<Notes>)> {
        let notes = Arc::<Notes>::default();
        let (tls, clock, bounds) = (self.tls.clone(), self.clock, self.bounds.clone());
        let (ours, mended) = (Arc::clone(&notes), Arc::clone(&self.mended));
        let tokio = Tokio::current();
        let runtime = Runtime::new(RuntimeParts::new(tokio.clone(), FilteredTokio(tokio)));
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri, _| {
                let socket = open(&uri, tls.clone(), clock).await?;
                let filter = Filter::new(bounds.clone(), Arc::clone(&ours), Arc::clone(&mended));
                Ok(AsyncTcpStream::Plain(Filtered::new(socket, filter)))
            },
            properties,
        );
        Ok((connecting.await?, notes))
    }
}

/// Connects to the URI's host, with TLS if its scheme requires it, within the URI's timeout.
async fn open(uri: &AMQPUri, tls: Option<Arc<ClientConfig>>, clock: Clock) -> io::Result<Socket> {
    let authority = &uri.authority;
    let host = authority.host.as_str();
    let connecting = TcpStream::connect((host, authority.port));
    let tcp = match uri.query.connection_timeout.map(Duration::from_millis) {
        None => connecting.await?,
        Some(wait) => clock.within(wait, connecting).await.unwrap_or_else(|| {
            let text = format!("no connection within {wait:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })?,
    };
    // Acknowledgements are small and frequent: Nagle's algorithm would delay them.
    tcp.set_nodelay(true)?;
    match (&uri.scheme, tls) {
        (AMQPScheme::AMQP, _) => Ok(Socket::Plain(tcp)),
        (AMQPScheme::AMQPS, Some(tls)) => {
            let stream = tls::begin(tls, host, tcp).await?;
            Ok(Socket::Tls(Box::new(stream)))
        }
        (AMQPScheme::AMQPS, None) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Tokio's reactor with filtered streams.
#[derive(Clone, Debug)]
struct FilteredTokio(Tokio);

impl Reactor for FilteredTokio {
    type TcpStream = Filtered;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, wait: Duration) -> Self::Sleep {
        self.0.sleep(wait)
    }

    fn interval(&self, every: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(every)
    }

    /// Never called: streams come from [`open`].
    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
