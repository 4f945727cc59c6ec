#!/usr/bin/env python3
"""Makes the fixture of tests/it/upgrade/: what an old flexcast leaves behind when it is killed.

    git worktree add ../old 2f80811 && (cd ../old && cargo build --bin flexcast)
    scripts/with-services.sh scripts/upgrade_fixture.py --old ../old/target/debug/flexcast

The old program works on the same campaigns twice: with its ledger and its queue in files, and with PostgreSQL and
RabbitMQ. Each time its own simulator stands for Twilio. At the end the ledger has messages in every state, and the
program is killed with SIGKILL while calls of it are under way.

The simulator's world is in memory, so that it cannot be kept. The fixture keeps instead what the simulator records:
each request that had an effect, in the order of the effects (`--record`). The test sends the same requests to a new
simulator and compares the effects. This needs no code in the program, and the requests are what the old program really
sent. Two things are not in the record, because they are no requests to Twilio: the names of the agents, and that one of
them is offline; the test repeats both.

Each archive holds: place/ (the folder in which the program ran, with its state folder), requests.jsonl, effects.json,
told.json (the customers by campaign
and message, and what the old program's commands said of its books at the end); and services.tar.gz also ledger.sql and
broker.json.
"""

import argparse
import base64
import contextlib
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SENDER = "+12025550100"
AGENTS = ["alice", "bob", "carol", "dave"]
VHOST, DATABASE = "flexcast-upgrade-fixture", "flexcast_upgrade_fixture"
PATIENCE = 120

# A campaign of each pair: its strategy, its API, the area of its customers; then the operations that fail for some of
# them. `first` creates the first resource, `key` must not be repeated, `last` fails when something of the message stands
# already, `undo` takes it back, `look` looks for the effect of `key`: where it fails
# too, nobody can say whether `key` happened.
PAIRS = {
    "reply-conversations": dict(strategy="task_on_reply", api="conversations", area=202, first="create_conversation_participant",
                                key="create_conversation_message", last="create_conversation_message",
                                undo=["update_conversation"], look=["list_conversation_messages"]),
    "now-conversations": dict(strategy="task_now", api="conversations", area=212, first="create_interaction",
                              key="create_interaction", last="create_conversation_message",
                              undo=["update_interaction_channel", "update_task", "update_conversation"],
                              look=[]),
    "reply-proxy": dict(strategy="task_on_reply", api="proxy", area=213, first="create_flex_channel",
                        key="create_message_interaction", last="create_message_interaction",
                        undo=["delete_session", "update_chat_channel"],
                        look=["list_message_interactions", "list_proxy_interactions"]),
    "now-proxy": dict(strategy="task_now", api="proxy", area=312, first="create_flex_channel",
                      key="create_flex_channel", last="create_proxy_participant",
                      undo=["delete_session", "update_task", "update_chat_channel"], look=[]),
}
OTHERS = {"slow": 415, "paused": 503, "interrupted": 617}

# The messages of each pair, by their place among the numbers of its area.
ENDED = {"done-1": 1, "done-2": 2, "dead": 3, "undone": 4, "stuck": 5, "doubt-sent": 6, "doubt-unsent": 7,
         "busy": 8, "expired": 9}
OPEN = {"reached": 11, "not-reached": 12, "retry": 13, "later": 14, "absent": 15, "done-3": 16}
WAITING = {"waiting-1": 21, "waiting-2": 22, "waiting-3": 23}
PUBLISHED = 31


def number(area, place):
    return f"+1{area}55501{place:02}"


def campaign(id, strategy, api, area, pace="200/s"):
    body = "" if (strategy, api) == ("task_now", "proxy") else "body = 'Hello {{ customer.name | default(\"there\") }}'\n"
    return (f'id = "{id}"\nstrategy = "{strategy}"\napi = "{api}"\nchannel = "sms"\nsender = "{SENDER}"\n{body}'
            f'default_region = "US"\n[flex]\nstudio_flow_sid = "FW00000000000000000000000000000001"\n'
            f'[agents]\ndefault = "alice"\n[pace]\ncampaign = "{pace}"\n')


def faults():
    """What goes wrong, by the customer that it goes wrong for."""
    rules = []
    for pair in PAIRS.values():
        def rule(role, operation, kind, **more):
            customers = [number(pair["area"], {**ENDED, **OPEN}[role])]
            rules.append(dict(operation=operation, kind=kind, customers=customers, **more))

        rule("dead", pair["first"], "error", status=400, code=20001)
        rule("undone", pair["last"], "error", status=400, code=21211)
        rule("stuck", pair["last"], "error", status=400, code=21211)
        for undo in pair["undo"]:
            rule("stuck", undo, "error", status=400, code=20001)
        rule("doubt-sent", pair["key"], "server_error", when="after")
        rule("doubt-unsent", pair["key"], "server_error", when="before")
        for role in ["doubt-sent", "doubt-unsent"]:
            for look in pair["look"]:
                rule(role, look, "server_error")
        # Longer than the program lives: it is killed while it waits for the reply.
        rule("reached", pair["key"], "lost_reply", when="after", ms=600_000)
        rule("not-reached", pair["key"], "lost_reply", when="before", ms=600_000)
        rule("retry", pair["key"], "server_error", status=503, when="before")
    return {"rules": rules}


class Old:
    """The old program in a folder of its own, beside a simulator."""

    def __init__(self, binary, folder, services):
        self.binary, self.services = binary, services
        self.dir = pathlib.Path(folder)
        self.place = self.dir / "place"
        self.place.mkdir()
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("TWILIO_", "FLEXCAST_", "AMQP_", "DATABASE_"))}
        if services:
            self.env.update(services.environment)
        self.customers = {}

    def __enter__(self):
        agents = [word for name in AGENTS for word in ("--agent", name)]
        self.simulator = subprocess.Popen(
            [self.binary, "simulator", "--port", "0", "--no-limits", "--record", self.dir / "requests.jsonl", *agents],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.env)
        for _ in range(3):
            name, _, value = self.simulator.stdout.readline().strip().partition("=")
            self.env[name] = value
        return self

    def __exit__(self, *_):
        self.simulator.kill()
        self.simulator.wait()

    def configure(self, retry):
        table = (pathlib.Path(self.binary).parents[2] / "docs/limits.md").read_text()
        table = table.split("| operation | limit |")[1].split("\n\n")[0]
        operations = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
        (self.place / "flexcast.toml").write_text(
            f'[senders]\n"{SENDER}" = "none"\n[work]\nsettle_time = "1s"\nretry = {json.dumps(retry)}\n'
            'lease = "60s"\ncall_timeout = "30s"\n[limits]\n'
            + "".join(f'{name} = "none"\n' for name in operations))

    def run(self, *arguments, codes=(0,), **env):
        ran = subprocess.run([self.binary, *arguments], cwd=self.place, env={**self.env, **env},
                             stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if codes and ran.returncode not in codes:
            sys.exit(f"{arguments} ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def start(self, *arguments):
        with open(self.dir / "log", "a") as log:
            return subprocess.Popen([self.binary, *arguments], cwd=self.place, env=self.env, stdin=subprocess.DEVNULL,
                                    stdout=log, stderr=log)

    def books(self, id):
        return json.loads(self.run("status", id, "--json"))

    def twilio(self, path, body=None, method="GET"):
        """A request to the simulator: JSON for its own endpoints, a form for Twilio's."""
        request = urllib.request.Request(self.env["FLEXCAST_TWILIO_URL"] + path, method=method)
        if path.startswith("/_simulator/"):
            request.data = None if body is None else json.dumps(body).encode()
        else:
            login = f'{self.env["TWILIO_ACCOUNT_SID"]}:{self.env["TWILIO_AUTH_TOKEN"]}'
            request.add_header("authorization", "Basic " + base64.b64encode(login.encode()).decode())
            request.data = urllib.parse.urlencode(body or {}).encode()
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read() or b"null")

    def messages(self, id, area, roles, file, ending=()):
        """Imports these messages of a pair, each with its role as its id."""
        now = datetime.datetime.now(datetime.timezone.utc)
        at = lambda seconds: (now + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = []
        for role, place in roles.items():
            self.customers.setdefault(id, {})[role] = number(area, place)
            message = {"campaign": id, "id": role, "agent": {"worker": "dave" if role == "absent" else "alice"},
                       "customer": {"address": number(area, place), "name": f"Customer {place}"}}
            if role == "expired":
                message["expires_at"] = at(-60)
            if role == "later":
                message["not_before"] = at(60)
            lines.append(json.dumps(message))
        (self.place / file).write_text("".join(line + "\n" for line in [*lines, *ending]))
        self.run("import", id, file, "--yes", codes=(0, 1))


class Services:
    """A database and a virtual host on the services of with-services.sh."""

    def __init__(self):
        server = os.environ["DATABASE_URL"]
        self.server = server
        self.database = re.sub(r"/[^/?]*(\?|$)", rf"/{DATABASE}\1", server)
        self.amqp = os.environ["AMQP_URL"].rsplit("/", 1)[0] + "/" + VHOST
        self.environment = {"DATABASE_URL": self.database, "AMQP_URL": self.amqp}

    def __enter__(self):
        self.psql(self.server, f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        self.ask("PUT", f"/vhosts/{VHOST}")
        self.ask("PUT", f"/permissions/{VHOST}/guest", {"configure": ".*", "write": ".*", "read": ".*"})
        return self

    def __exit__(self, *_):
        self.psql(self.server, f"DROP DATABASE {DATABASE} WITH (FORCE)")
        self.ask("DELETE", f"/vhosts/{VHOST}")

    @staticmethod
    def psql(url, sql):
        subprocess.run(["psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--command", sql, url], check=True)

    @staticmethod
    def ask(method, path, body=None):
        url = urllib.parse.urlsplit(os.environ.get("AMQP_MANAGEMENT_URL") or sys.exit("AMQP_MANAGEMENT_URL is not set"))
        login = f"{url.username or 'guest'}:{url.password or 'guest'}"
        request = urllib.request.Request(f"{url.scheme}://{url.hostname}:{url.port}/api{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        request.add_header("authorization", "Basic " + base64.b64encode(login.encode()).decode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as reply:
            return json.loads(reply.read() or b"null")

    def publish(self, key, body, properties):
        answer = self.ask("POST", f"/exchanges/{VHOST}/flexcast/publish", {
            "routing_key": key, "properties": properties, "payload": body, "payload_encoding": "string"})
        assert answer["routed"], answer

    def dump(self):
        """The ledger as SQL. Lines for psql alone are left out."""
        command = ["pg_dump", "--schema=flexcast", "--no-owner", "--no-privileges", "--column-inserts", self.database]
        dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        keeps = lambda line: line and not line.startswith(("\\", "--", "SET ", "SELECT pg_catalog.set_config"))
        return "".join(line + "\n" for line in dumped.splitlines() if keeps(line))

    def broker(self):
        """The exchanges and queues with their arguments, and the messages on the queues."""
        topology = self.ask("GET", f"/definitions/{VHOST}")
        kept = {name: topology[name] for name in ("exchanges", "queues", "bindings")}
        messages = []
        for queue in kept["queues"]:
            name = urllib.parse.quote(queue["name"], safe="")
            for message in self.ask("POST", f"/queues/{VHOST}/{name}/get", {
                    "count": 10_000, "ackmode": "ack_requeue_true", "encoding": "base64"}):
                # The broker counts deliveries itself.
                message["properties"].get("headers", {}).pop("x-delivery-count", None)
                messages.append({"queue": queue["name"], **{name: message[name] for name in (
                    "exchange", "routing_key", "properties", "payload", "payload_encoding")}})
        return {**kept, "messages": messages}


def until(what, look):
    began = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() - began > PATIENCE:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.3)


def somebody_elses_conversation(old, customer):
    """A Conversation with this customer that is not flexcast's: the customer is busy."""
    made = old.twilio("/conversations/v1/Conversations", {"FriendlyName": "somebody else's"}, "POST")
    old.twilio(f"/conversations/v1/Conversations/{made['sid']}/Participants",
               {"MessagingBinding.Address": customer, "MessagingBinding.ProxyAddress": SENDER}, "POST")


def interrupted_import(old):
    """An import that is killed after some of its rows. Most rows are duplicates, so that few messages are made."""
    header, area = "phone,name\n", OTHERS["interrupted"]
    old.messages("interrupted", area, {"message-1": 1}, "interrupted.jsonl")
    rows = [f"{number(area, 1 if n % 1000 else 2 + n // 1000)},Customer {n}\n" for n in range(20_000)]
    (old.place / "contacts.csv").write_text(header + "".join(rows))
    for place in range(len(rows) // 1000):
        old.customers["interrupted"][f"row-{place * 1000}"] = number(area, 2 + place)
    for wait in range(100, 3_000, 50):
        process = old.start("import", "interrupted", "contacts.csv", "--yes")
        time.sleep(wait / 1000)
        process.kill()
        process.wait()
        books = old.books("interrupted")
        if 0 < books["rows"] < len(rows) - 2_000 and books["accepted"] > 3:
            return
        assert books["rows"] <= len(rows), "the import came to its end before it was killed"
    sys.exit("no import was killed in time")


def play(old):
    """Everything that the old program does."""
    old.twilio("/_simulator/agents/dave", {"activity": "Offline"}, "POST")
    for id, pair in PAIRS.items():
        (old.place / f"{id}.toml").write_text(campaign(id, pair["strategy"], pair["api"], pair["area"]))
    for id, area in OTHERS.items():
        pace = "2/min" if id == "slow" else "200/s"
        (old.place / f"{id}.toml").write_text(campaign(id, "task_on_reply", "conversations", area, pace))
    old.configure(["50ms", "50ms"])
    for id in [*PAIRS, *OTHERS]:
        old.run("campaign", "apply", f"{id}.toml")

    # Credentials that Twilio refuses pause a campaign.
    three = {f"message-{n}": n for n in range(1, 4)}
    old.messages("paused", OTHERS["paused"], three, "paused.jsonl")
    old.run("work", "paused", "--http", "127.0.0.1:0", "--until-idle", codes=None,
            TWILIO_AUTH_TOKEN="0" * 32)
    assert old.books("paused")["state"] == "paused", old.books("paused")

    # What ends.
    somebody_elses_conversation(old, number(202, ENDED["busy"]))
    old.twilio("/_simulator/faults", faults(), "PUT")
    for id, pair in PAIRS.items():
        roles = dict(ENDED)
        if id != "reply-conversations":
            del roles["busy"]
        old.messages(id, pair["area"], roles, f"{id}-1.jsonl", ending=['{"campaign": "nonsense'])
    old.messages("slow", OTHERS["slow"], {f"message-{n}": n for n in range(1, 7)}, "slow.jsonl")
    if old.services:
        old.services.publish("reply-conversations", "no message", {"delivery_mode": 2})
    works = [*PAIRS, "slow"]
    process = old.start("work", *works, "--http", "127.0.0.1:0")


    def has_ended(books):
        return books["waiting"] + books["in_flight"] + books["deferred"].get("retry", 0) == 0

    until("the first messages to end", lambda: all(has_ended(old.books(id)) for id in PAIRS))
    process.terminate()
    process.wait()

    # What is open, and calls that are under way when the program is killed.
    old.configure(["20s", "40s", "80s"])
    for id, pair in PAIRS.items():
        old.messages(id, pair["area"], OPEN, f"{id}-2.jsonl")
    process = old.start("work", *works, "--http", "127.0.0.1:0")

    def all_under_way():
        books = [old.books(id) for id in PAIRS]
        return all(one["waiting"] == 0 and one["in_flight"] == 2 for one in books)

    until("the calls to be under way", all_under_way)
    process.kill()
    process.wait()

    # What waits.
    for id, pair in PAIRS.items():
        old.messages(id, pair["area"], WAITING, f"{id}-3.jsonl")
    interrupted_import(old)
    if old.services:
        message = {"campaign": "reply-conversations", "id": "published",
                   "customer": {"address": number(202, PUBLISHED), "name": "Customer 31"}, "agent": {"worker": "bob"}}
        old.customers["reply-conversations"]["published"] = number(202, PUBLISHED)
        old.services.publish("reply-conversations", json.dumps(message),
                             {"delivery_mode": 2, "content_type": "application/json"})


def keep(old, archive):
    """Packs what is left."""
    told = {"customers": old.customers,
            "books": {id: old.books(id) for id in [*PAIRS, *OTHERS]},
            "dead": json.loads(old.run("dead", "list", "--json")),
            "unknown": json.loads(old.run("unknown", "list", "--json"))}
    for books in told["books"].values():
        books.pop("lanes", None)
    write = lambda name, value: (old.dir / name).write_text(json.dumps(value, indent=1) + "\n")
    write("told.json", told)
    write("effects.json", old.twilio("/_simulator/effects"))
    names = ["place", "requests.jsonl", "effects.json", "told.json"]
    if old.services:
        (old.dir / "ledger.sql").write_text(old.services.dump())
        write("broker.json", old.services.broker())
        names += ["ledger.sql", "broker.json"]

    def kept(entry):
        # SQLite makes its index of the log anew.
        if entry.name.endswith("-shm"):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(archive, "w:gz") as packed:
        for name in names:
            packed.add(old.dir / name, name, filter=kept)
    print(f"{archive}: {archive.stat().st_size} bytes")
    for id, books in told["books"].items():
        print(id, json.dumps({name: value for name, value in books.items() if name != "imports"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", type=pathlib.Path, required=True, help="the old program")
    parser.add_argument("--to", type=pathlib.Path, default=ROOT / "tests/fixtures/upgrade-2f80811")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    binary = str(options.old.resolve())
    for name in ["files", "services"]:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="flexcast-fixture-"))
            services = stack.enter_context(Services()) if name == "services" else None
            old = stack.enter_context(Old(binary, folder, services))
            try:
                play(old)
                keep(old, options.to / f"{name}.tar.gz")
            except BaseException:
                log = old.dir / "log"
                print(log.read_text()[-8_000:] if log.exists() else "", file=sys.stderr)
                raise


if __name__ == "__main__":
    main()
