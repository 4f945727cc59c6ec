//! The broker's alarms: a broker that is short of memory or disk blocks publishing connections.
//!
//! In: the events of one connection. Out: an obstacle while the broker blocks that connection. Always: the obstacle
//! ends with the connection, and this watch does not keep the connection open.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use lapin::{Connection, Event};

use super::remedy;
use crate::queue::rabbitmq::obstacles::{EVERYWHERE, ObstacleCause, Obstacles};

/// Watches a connection until it ends.
pub(in crate::queue::rabbitmq) fn follow(
    connection: &Connection,
    obstacles: Arc<Obstacles>,
) -> impl Future<Output = ()> + Send + use<> {
    let mut events: BoxStream<'static, Event> = connection.events_listener().boxed();
    async move {
        let mut is_blocked = false;
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(reason) => {
                    is_blocked = true;
                    let why = format!(
                        "RabbitMQ accepts nothing from publishers ({reason}): imports, retries and dead letters wait, and \
                         continue when the alarm ends"
                    );
                    obstacles.found(EVERYWHERE, ObstacleCause::Alarm, why, remedy::of_alarm());
                }
                Event::ConnectionUnblocked => {
                    is_blocked = false;
                    obstacles.is_gone(EVERYWHERE, ObstacleCause::Alarm);
                }
                _ => {}
            }
        }
        if is_blocked {
            obstacles.is_gone(EVERYWHERE, ObstacleCause::Alarm);
        }
    }
}
