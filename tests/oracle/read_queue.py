#!/usr/bin/env python3
"""Print a queue's messages as JSON lines and leave them there: how another program sees our queues.

    AMQP_URL=... tests/oracle/read_queue.py QUEUE

Each line has `routing_key`, `message_id`, `delivery_mode`, `headers` and `body` (as text).
"""

import json
import os
import sys

import pika


def main():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    last = None
    while True:
        method, properties, body = channel.basic_get(sys.argv[1])
        if method is None:
            break
        last = method.delivery_tag
        line = {
            "routing_key": method.routing_key,
            "message_id": properties.message_id,
            "delivery_mode": properties.delivery_mode,
            "headers": properties.headers or {},
            "body": body.decode("utf-8", errors="replace"),
        }
        print(json.dumps(line, default=str))
    if last is not None:
        channel.basic_nack(last, multiple=True, requeue=True)
    connection.close()


if __name__ == "__main__":
    main()
