//! RabbitMQ as the queue: quorum queues, confirms, retries through TTL queues, dead letters.
