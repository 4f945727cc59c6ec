#!/usr/bin/env python3
"""Put a customer on a campaign's queue from your own program: what a CRM does instead of a CSV file.

    pip install pika
    export AMQP_URL=amqp://guest:guest@localhost:5672/%2f
    examples/publish.py spring-renewals +12025550173 --id crm-4711 --name Clark --agent alice
    examples/publish.py spring-renewals --lines messages.jsonl

With --lines each line of the file (- is standard input) is one message's JSON, published as it stands:

    {"campaign": "spring-renewals", "id": "crm-4711",
     "customer": {"address": "+12025550173", "name": "Clark", "attributes": {"plan": "gold"}},
     "agent": {"worker": "alice"}, "body": "...", "not_before": "2026-11-23T15:00:00Z"}

(on one line; only `campaign` and the customer's `address` are required, unknown fields are refused).

What matters, in whatever language you do this:

- Publish to the exchange `flexcast`; the routing key is the campaign's id.
- Have it kept: delivery mode 2 (persistent), publisher confirms on. A message counts only once it is
  confirmed; after an error publish it again. Twice is harmless: an id is carried out once a campaign.
- Give every message an id of yours, the same one whenever it is published again. Without one the
  customer's address is the id.
- A key that is no campaign's goes to the queue `flexcast.orphan`. A body that cannot be read goes to
  `flexcast.dead` with the reason in its headers; nothing comes back to the publisher in either case.
"""

import argparse
import json
import os
import sys

import pika


def message(arguments):
    """One customer as the body of a message: only the campaign and the address are required."""
    body = {"campaign": arguments.campaign, "customer": {"address": arguments.address}}
    if arguments.id:
        body["id"] = arguments.id
    if arguments.name:
        body["customer"]["name"] = arguments.name
    if arguments.agent:
        body["agent"] = {"worker": arguments.agent}
    if arguments.sender:
        body["sender"] = arguments.sender
    return json.dumps(body)


def id_of(body):
    """The publisher's id in a body, for the broker's own tools; None when there is none to be read."""
    try:
        return json.loads(body).get("id")
    except (ValueError, AttributeError):
        return None


def publish(url, campaign, bodies):
    """Publishes all bodies and returns how many there were; raises when one was not confirmed."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    # From here on basic_publish returns when the broker has the message, and raises when it has not.
    channel.confirm_delivery()
    count = 0
    for body in bodies:
        channel.basic_publish(
            exchange="flexcast",
            routing_key=campaign,
            body=body,
            properties=pika.BasicProperties(
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent,
                message_id=id_of(body),
            ),
            mandatory=True,
        )
        count += 1
    connection.close()
    return count


def lines(name):
    """The lines of a file, without empty ones."""
    with sys.stdin if name == "-" else open(name, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield line.rstrip("\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaign", help="the campaign's id")
    parser.add_argument("address", nargs="?", help="the customer's number, as +12025550173")
    parser.add_argument("--id", help="your id of this customer's turn in the campaign")
    parser.add_argument("--name", help="the customer's name")
    parser.add_argument("--agent", help="the agent who gets the task")
    parser.add_argument("--sender", help="one of the campaign's senders; left out, it chooses one")
    parser.add_argument("--lines", metavar="FILE", help="publish each line of this file instead")
    arguments = parser.parse_args()
    if bool(arguments.address) == bool(arguments.lines):
        parser.error("either an address or --lines is needed")
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
    bodies = lines(arguments.lines) if arguments.lines else [message(arguments)]
    try:
        count = publish(url, arguments.campaign, bodies)
    except pika.exceptions.AMQPError as error:
        print(f"not published: {error!r}", file=sys.stderr)
        return 1
    print(f"{count} published and confirmed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
