#!/usr/bin/env python3
"""Put a customer on a campaign's queue from your own program: what a CRM does instead of a CSV file.

    pip install pika
    export AMQP_URL=amqp://guest:guest@localhost:5672/%2f
    examples/publish.py spring-renewals +12025550173 --id crm-4711 --name Clark --agent alice
    examples/publish.py spring-renewals --lines messages.jsonl --watch 10

With --lines each line of the file (- is standard input) is one message's JSON, published as it stands:

    {"campaign": "spring-renewals", "id": "crm-4711",
     "customer": {"address": "+12025550173", "name": "Clark", "attributes": {"plan": "gold"}},
     "agent": {"worker": "alice"}, "body": "...", "not_before": "2026-11-23T15:00:00Z"}

(on one line; only `campaign` and the customer's `address` are required, unknown fields are refused).
With --watch it goes on listening until nothing was refused for so many seconds, and prints each refusal.
`flexcast import CAMPAIGN messages.jsonl --dry-run` checks such a file before anything is sent.

What matters, in whatever language you do this (docs/publishers.md has all of it):

- Publish to the exchange `flexcast`; the routing key is the campaign's id.
- Have it kept: delivery mode 2 (persistent), publisher confirms on, mandatory. A message counts only once it
  is confirmed and was not returned; after an error publish it again. Twice is harmless: an id is carried out
  once a campaign.
- Give every message an id of yours, the same one whenever it is published again, and the same as AMQP's
  `message_id`. Without one the customer's address is the id.
- Listen to the exchange `flexcast.rejected`: what is refused is told there, with the reason and your id.
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
    """The publisher's id in a body, as AMQP's message_id; None when there is none to be read."""
    try:
        found = json.loads(body).get("id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) and len(found.encode()) <= 255 else None


def listen(channel, campaign):
    """A queue for the campaign's refusals. Yours would be durable and have a name, so that it fills while you
    are away; this one is gone with the connection."""
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, exchange="flexcast.rejected", routing_key=campaign)
    return queue


def publish(channel, campaign, bodies):
    """Publishes all bodies and returns how many were confirmed, and those that were not taken."""
    # From here on basic_publish returns when the broker has the message, and raises when it has not.
    channel.confirm_delivery()
    confirmed, failed = 0, []
    for body in bodies:
        try:
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
            confirmed += 1
        except pika.exceptions.UnroutableError:
            failed.append((id_of(body), "returned: nothing is there to take it"))
        except pika.exceptions.NackError:
            failed.append((id_of(body), "not taken by the broker now: publish it again"))
    return confirmed, failed


def watch(channel, queue, quiet_s):
    """Prints refusals until none has come for so long."""
    for method, _, body in channel.consume(queue, auto_ack=True, inactivity_timeout=quiet_s):
        if method is None:
            return
        print(body.decode(), flush=True)


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
    parser.add_argument("--watch", metavar="SECONDS", type=float, help="print what is refused, until it is quiet")
    arguments = parser.parse_args()
    if bool(arguments.address) == bool(arguments.lines):
        parser.error("either an address or --lines is needed")
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2f")
    bodies = lines(arguments.lines) if arguments.lines else [message(arguments)]
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        # Before anything is published: what is refused at once must not be missed.
        refusals = listen(channel, arguments.campaign) if arguments.watch else None
        confirmed, failed = publish(channel, arguments.campaign, bodies)
        print(f"{confirmed} published and confirmed", file=sys.stderr)
        for message_id, why in failed:
            print(f"{message_id}: {why}", file=sys.stderr)
        if refusals:
            watch(channel, refusals, arguments.watch)
        connection.close()
    except pika.exceptions.AMQPError as error:
        print(f"not published: {error!r}", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
