//! The simulator as a TCP server: HTTP/1.1, with connections that faults can end.
//!
//! Always: each request is carried out in its own task, so that a client that closes its connection does not cancel
//! it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::exchange::Cut;
use crate::listening::{OpenConnection, Room, accept};
use crate::shutdown::Stopper;
use crate::simulator::Simulator;

/// The maximum size of a body: Twilio's largest parameter here is 16 KB of attributes.
const BODY_BYTES_MAX: usize = 256 * 1024;

pub(in crate::simulator) async fn serve(
    simulator: Simulator,
    listener: TcpListener,
    stop: Stopper,
) -> io::Result<()> {
    let clock = simulator.inner.clock;
    let serve = |stream, open| connection(simulator.clone(), stream, open);
    accept(listener, Room::Unlimited, clock, stop, serve).await
}

async fn connection(simulator: Simulator, stream: TcpStream, open: OpenConnection) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let simulator = simulator.clone();
        async move {
            let (head, body) = request.into_parts();
            // A request whose body cannot be read is not carried out.
            let body = Limited::new(body, BODY_BYTES_MAX)
                .collect()
                .await
                .map_err(|_| Cut::Closed)?
                .to_bytes();
            let request = Request::from_parts(head, body);
            // Dropped with the connection: this tells the task that the client has gone.
            let client = Arc::new(());
            let listening = Arc::downgrade(&client);
            let work = tokio::spawn(async move { simulator.carry_out(request, &listening).await });
            let response = work.await.map_err(|_| Cut::Closed)??;
            Ok::<_, Cut>(response.map(Full::<Bytes>::new))
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        _ = open.ends() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(error) = ended
        && is_reset(&error)
    {
        let stream = connection.into_parts().io.into_inner();
        // With a linger time of zero, closing sends RST instead of FIN.
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!(%error, "the connection was closed in order, not reset");
        }
    }
}

fn is_reset(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<Cut>())
        .is_some_and(|cut| *cut == Cut::Reset)
}
