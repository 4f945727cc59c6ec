#!/usr/bin/env python3
"""The drill with real processes: kills, stops, lost replies, broker restarts; then the count.

    make drill                                     all of it: what follows, with everything built
    scripts/drill.py                               every pair, the ledger on SQLite, one consumer
    scripts/drill.py --ledger postgres --consumers 3 [--pairs proxy/task_now] [--messages 5000]
    scripts/drill.py --cancel-at 0.4 --messages 2000   an operator cancels the campaign in the middle

It runs target/release/flexcast: cargo build --release first.

Runs a simulator with 50 ms latency and faults, a RabbitMQ node of its own and consumers with 64 in
flight; kills consumers with SIGKILL at random moments, 0.2 to 2 seconds apart, now and then 5 seconds, stops one with
SIGSTOP past its lease now and then, restarts the broker twice; then lets one run go to its end and counts at
the simulator. Ends with 0 when nobody was messaged twice, no task doubled, nothing lost or dead or
unknown, the books balance, and kills, restarts, adopted and repeated steps are as many as asked. After a cancel
no first contact may start once the command has returned, and what stands at Twilio is what is done.
"""

import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAIRS = ["proxy/task_now", "proxy/task_on_reply", "conversations/task_now", "conversations/task_on_reply"]
# What a message that is done leaves at Twilio.
LEAVES = {
    "proxy/task_now": ["channel", "session", "task"],
    "proxy/task_on_reply": ["channel", "session", "message"],
    "conversations/task_now": ["interaction", "conversation", "task", "message"],
    "conversations/task_on_reply": ["conversation", "message"],
}
LATENCY_S = 0.05
LEASE_S = 6
# Long enough for the broker to give a stopped consumer's deliveries to others (two heartbeats), for the
# lease to run out and for the next look at a held message.
STOP_S = 14
HEARTBEAT_S = 2
STOP_SHARE = 0.012
# Now and then a consumer lives longer: a message whose call is in doubt needs two look-ups, half a second apart, in one
# life, and a start costs a second under these faults. Where no life is long enough, the task of such a message may be
# gone when it is looked up at last, after four minutes, and the message is unknown, as it should be.
LONG_LIFE_S = 5
LONG_LIFE_SHARE = 0.08
IN_FLIGHT = 64
# Half of the 5xx fall after the effect. A reset falls before it, a lost reply after it.
FAULTS = [
    {"operation": "*", "kind": "lost_reply", "rate": 0.05},
    {"operation": "*", "kind": "server_error", "status": 503, "rate": 0.025, "when": "before"},
    {"operation": "*", "kind": "server_error", "status": 500, "rate": 0.025, "when": "after"},
    {"operation": "*", "kind": "too_many_requests", "rate": 0.05},
    {"operation": "*", "kind": "reset", "rate": 0.02},
]
CONFIG = f"""
[work]
in_flight = {IN_FLIGHT}
concurrent_requests = 128
call_timeout = "2s"
lease = "{LEASE_S}s"
settle_time = "500ms"
retry = ["200ms", "500ms", "1s", "1s", "2s", "2s", "2s", "2s", "2s", "2s", "2s", "2s"]
[senders]
"+12025550100" = "none"
[limits]
"""
UNLIMITED = """create_flex_channel fetch_flex_channel create_interaction fetch_interaction
list_interaction_channels update_interaction_channel create_session fetch_session list_sessions
delete_session create_proxy_participant list_proxy_participants create_message_interaction
list_message_interactions list_proxy_interactions fetch_chat_channel update_chat_channel
create_chat_message list_chat_messages create_conversation fetch_conversation update_conversation
create_conversation_participant list_conversation_participants create_conversation_webhook
list_conversation_webhooks create_conversation_message list_conversation_messages list_workers list_worker_channels
fetch_worker list_tasks fetch_task update_task""".split()


class Run:
    """One pair's drill."""

    def __init__(self, pair, options, folder):
        self.api, self.strategy = pair.split("/")
        self.pair, self.options, self.dir = pair, options, pathlib.Path(folder)
        self.random = random.Random(f"{options.seed}/{pair}")
        self.kills, self.stops, self.restarts = [], 0, 0
        self.cancelled_at, self.late = None, 0
        self.consumers = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("TWILIO_", "FLEXCAST_"))}
        self.env.update(FLEXCAST_STATE=str(self.dir / "state"), RUST_LOG="warn")

    def __enter__(self):
        limits = "".join(f'{name} = "none"\n' for name in UNLIMITED)
        (self.dir / "flexcast.toml").write_text(CONFIG + limits)
        self.write_campaign()
        self.write_contacts()
        self.broker("start")
        for line in (self.dir / "broker/env").read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name == "AMQP_URL":
                self.env["AMQP_URL"] = f"{value}?heartbeat={HEARTBEAT_S}"
            elif name == "AMQP_MANAGEMENT_URL":
                self.env[name] = value
        if self.options.ledger == "postgres":
            self.start_postgres()
        else:
            self.env.pop("DATABASE_URL", None)
        self.simulator = subprocess.Popen(
            [self.options.binary, "simulator", "--port", "0", "--no-limits", "--seed", str(self.options.seed),
             "--latency-ms", str(int(LATENCY_S * 1000))],
            stdout=subprocess.PIPE, stderr=open(self.dir / "simulator.log", "w"), text=True, env=self.env)
        for _ in range(3):
            name, _, value = self.simulator.stdout.readline().strip().partition("=")
            self.env[name] = value
        return self

    def __exit__(self, *_):
        for consumer in self.consumers:
            consumer.kill()  # a stopped process too
            consumer.wait()
        self.simulator.kill()
        self.simulator.wait()
        self.broker("stop")
        if self.options.ledger == "postgres":
            subprocess.run([ROOT / "scripts/postgres.sh", "stop", self.dir / "postgres"], check=False)

    def write_campaign(self):
        body = 'body = "Hello {{ customer.name }}"\n' if self.pair != "proxy/task_now" else ""
        (self.dir / "campaign.toml").write_text(
            f'id = "drill"\nstrategy = "{self.strategy}"\napi = "{self.api}"\nchannel = "sms"\n'
            f'sender = "+12025550100"\n{body}[flex]\nstudio_flow_sid = "FW{"0" * 31}1"\n'
            f'[agents]\ndefault = "alice"\n' + self.pace())

    def pace(self):
        """Several consumers would be done before they were killed often enough. Each keeps it by itself."""
        if self.options.consumers == 1:
            return ""
        each = self.options.messages * 10 // (self.options.kills * 25 * self.options.consumers)
        return f'[pace]\ncampaign = "{max(each, 1)}/s"\n'

    def agents(self):
        """The simulator's agents take 50 tasks each, and complete none."""
        return max(self.options.messages // 40, 1)

    def write_contacts(self):
        with open(self.dir / "contacts.csv", "w") as file:
            file.write("phone,name,id,agent\n")
            for n in range(self.options.messages):
                # 212 is New York; 2000000 to 9999999 are numbers that libphonenumber calls valid.
                file.write(f"+1212{2_000_000 + n},Customer {n},crm-{n},agent-{n % self.agents()}\n")

    def broker(self, what):
        subprocess.run([ROOT / "scripts/broker.sh", what, self.dir / "broker"], check=True,
                       stdout=subprocess.DEVNULL, env=self.env)

    def start_postgres(self):
        subprocess.run([ROOT / "scripts/postgres.sh", "start", self.dir / "postgres"], check=True,
                       stdout=subprocess.DEVNULL)
        for line in (self.dir / "postgres/env").read_text().splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            if name == "DATABASE_URL":
                self.env["DATABASE_URL"] = value

    def flexcast(self, *arguments, check=True):
        done = subprocess.run([self.options.binary, *arguments], cwd=self.dir, env=self.env, text=True,
                              capture_output=True)
        if check and done.returncode != 0:
            sys.exit(f"flexcast {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done

    def start_consumer(self):
        with open(self.dir / "work.log", "a") as log:
            return subprocess.Popen([self.options.binary, "work", "--http", "127.0.0.1:0"], cwd=self.dir,
                                    env=self.env, stdout=log, stderr=log)

    def books(self):
        # While the broker or a killed consumer is away, the ledger still answers.
        return json.loads(self.flexcast("status", "drill", "--json").stdout)

    def over(self, books):
        ended = books["done"] + sum(books["skipped"].values()) + sum(books["dead"].values()) + books["unknown"]
        return ended / max(books["accepted"], 1)

    def simulator_says(self, what):
        with urllib.request.urlopen(f"{self.env['FLEXCAST_TWILIO_URL']}/_simulator/{what}") as reply:
            return json.load(reply)

    def let_faults_fall(self):
        body = json.dumps({"seed": self.options.seed, "rules": FAULTS}).encode()
        url = f"{self.env['FLEXCAST_TWILIO_URL']}/_simulator/faults"
        urllib.request.urlopen(urllib.request.Request(url, data=body, method="PUT")).close()

    def run(self):
        began = time.time()
        self.flexcast("campaign", "apply", "campaign.toml")
        self.flexcast("import", "drill", "contacts.csv")
        declared = time.time()
        self.let_faults_fall()
        self.consumers = [self.start_consumer() for _ in range(self.options.consumers)]
        restart_at = [0.33, 0.66]
        while True:
            progress = self.over(self.books())
            if progress >= 1 or (len(self.kills) >= self.options.kills * 1.3 and progress > 0.9):
                break
            if time.time() - began > self.options.deadline:
                print(f"the deadline of {self.options.deadline} s passed at {progress:.0%}")
                break
            if self.options.cancel_at and not self.cancelled_at and progress >= self.options.cancel_at:
                self.cancel()
            if restart_at and progress > restart_at[0] and time.time() - declared > 2:
                restart_at.pop(0)
                self.broker("kill")
                self.broker("start")
                self.restarts += 1
                declared = time.time()
            # Where most is done and few kills have fallen, they come closer together. Of four kills one falls into a call.
            wanted = (2 if self.options.cancel_at else 4) * self.options.kills
            self.hurt(0.6 if len(self.kills) < progress * wanted else 2.0)
        for consumer in self.consumers:
            consumer.send_signal(signal.SIGTERM)
        for consumer in self.consumers:
            consumer.wait()
        last = self.flexcast("work", "--until-idle", "--http", "127.0.0.1:0", check=False)
        if last.returncode not in (0, 1):
            print(last.stderr)
        return self.count(time.time() - began)

    def cancel(self):
        """An operator cancels the campaign while consumers are killed, and its result is looked at."""
        told = json.loads(self.flexcast("campaign", "cancel", "drill", "--yes", "--reason", "drill", "--json").stdout)
        self.cancelled_at = time.time()
        print(f"cancelled: {told['skipped']} skipped, {told['open']} begun, {told['confirmed']} consumer(s) "
              f"confirmed, {len(told['unconfirmed'])} did not", flush=True)

    def hurt(self, at_most_s):
        """Kills one consumer, or now and then stops one past its lease."""
        at = self.random.randrange(len(self.consumers))
        is_long = self.random.random() < LONG_LIFE_SHARE
        time.sleep(LONG_LIFE_S if is_long else self.random.uniform(0.2, at_most_s))
        consumer = self.consumers[at]
        if self.random.random() < STOP_SHARE:
            consumer.send_signal(signal.SIGSTOP)
            time.sleep(STOP_S)
            consumer.send_signal(signal.SIGCONT)
            self.stops += 1
            return
        self.kills.append(time.time())
        consumer.kill()
        consumer.wait()
        self.consumers[at] = self.start_consumer()

    def count(self, took):
        books = self.books()
        # Kept with the rest of the folder, for whoever looks into a failure.
        effects, requests = self.simulator_says("effects"), self.simulator_says("requests")
        (self.dir / "requests.json").write_text(json.dumps(requests))
        (self.dir / "kills.json").write_text(json.dumps(self.kills))
        per = {kind: collections.Counter(e["customer"] for e in effects if e["kind"] == kind)
               for kind in ("message", "task")}
        doubled = {kind: sum(n - 1 for n in counts.values() if n > 1) for kind, counts in per.items()}
        wanted = "task" if self.strategy == "task_now" else "message"
        reached = len(per[wanted])
        ended = books["done"] + sum(books["skipped"].values()) + sum(books["dead"].values()) + books["unknown"]
        faults = collections.Counter(str(r["status"]) if r["status"] is None or r["status"] >= 400 else "ok"
                                     for r in requests)
        if self.cancelled_at:
            self.late = sum(1 for r in requests
                            if r["operation"].startswith("create_") and time_of(r["time"]) > self.cancelled_at)
        adopted, repeated = self.adopted(), self.repeated(requests, books["accepted"])
        return {
            "pair": self.pair, "messages": books["accepted"], "seconds": round(took),
            "kills": len(self.kills), "kills in a call": self.kills_in_a_call(requests),
            "stops": self.stops, "broker restarts": self.restarts,
            "429": faults["429"], "5xx": faults["500"] + faults["503"], "no reply": faults["None"],
            "steps adopted": adopted, "steps repeated": repeated, "effects": len(effects),
            "done": books["done"], "dead": sum(books["dead"].values()), "unknown": books["unknown"],
            "imbalance": books["accepted"] - ended - books["queued"] - sum(books["scheduled"].values())
            - books["retrying"] - sum(books["held"].values()) - books["in_flight"],
            "messaged twice": doubled["message"], "tasks doubled": doubled["task"],
            "lost": books["accepted"] - ended, "done, no effect": max(books["done"] - reached, 0),
            "skipped": sum(books["skipped"].values()), "first contacts after the cancel": self.late,
            "left of what is not done": self.left(effects, books["done"]),
        }

    def left(self, effects, done):
        """What stands at Twilio beyond what the done messages leave there, and what they lack."""
        gone = ("deleted", "closed", "INACTIVE", "canceled", "failed")
        standing = collections.Counter(e["kind"] for e in effects if e["state"] not in gone)
        return sum(abs(standing[kind] - done) for kind in LEAVES[self.pair]) + sum(
            n for kind, n in standing.items() if kind not in LEAVES[self.pair])

    def kills_in_a_call(self, requests):
        """Kills at whose moment the simulator was carrying out a changing request of the killed one:
        its client left before the reply."""
        left = [time_of(r["time"]) for r in requests if r.get("client_left") and is_changing(r["operation"])]
        return sum(1 for kill in self.kills if any(kill - 2 * LATENCY_S <= at <= kill for at in left))

    def repeated(self, requests, messages):
        """Steps whose call was made again: what came beyond one call for each message, of the calls that
        every message needs once."""
        calls = collections.Counter(r["operation"] for r in requests)
        once = [n for operation, n in calls.items() if is_changing(operation) and n >= messages]
        return sum(n - messages for n in once)

    def adopted(self):
        """Steps that a look-up found done."""
        query = "SELECT event FROM journal"
        if self.options.ledger == "postgres":
            psql = subprocess.run(["psql", self.env["DATABASE_URL"], "-Atc", query], text=True,
                                  capture_output=True, check=True)
            events = psql.stdout.splitlines()
        else:
            ledger = sqlite3.connect(self.dir / "state/ledger.db")
            events = [row[0] for row in ledger.execute(query)]
        events = [json.loads(event) for event in events]
        return sum(1 for e in events if e["event"] == "happened" and e.get("adopted"))


def is_changing(operation):
    return operation.startswith(("create_", "update_", "delete_"))


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--binary", default=str(ROOT / "target/release/flexcast"))
    arguments.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    arguments.add_argument("--messages", type=int, default=5000)
    arguments.add_argument("--kills", type=int, default=100, help="kills that are to fall into a changing call")
    arguments.add_argument("--ledger", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--consumers", type=int, default=1)
    arguments.add_argument("--cancel-at", type=float, help="cancel the campaign when so much of it is over, such as 0.4")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--deadline", type=int, default=1200, help="seconds for each pair")
    arguments.add_argument("--keep", action="store_true", help="leave the folders where they are")
    options = arguments.parse_args()
    # So that an interrupted drill ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed, results = False, []
    print(f"seed {options.seed}, ledger {options.ledger}, {options.consumers} consumer(s), "
          f"{IN_FLIGHT} in flight each, {int(LATENCY_S * 1000)} ms latency")
    for pair in options.pairs:
        folder = tempfile.mkdtemp(prefix="flexcast-drill-")
        os.chmod(folder, 0o755)
        with Run(pair, options, folder) as run:
            result = run.run()
        results.append(result)
        wrong = shortcomings(result, options)
        print(f"{pair}: {', '.join(wrong) + '; see ' + folder if wrong else 'as it should be'}", flush=True)
        failed = failed or bool(wrong)
        if not wrong and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(table(results))
    sys.exit(1 if failed else 0)


def shortcomings(result, options):
    """What is not as it must be, as text."""
    zero = ["messaged twice", "tasks doubled", "lost", "done, no effect", "dead", "unknown", "imbalance",
            "first contacts after the cancel", "left of what is not done"]
    if not options.cancel_at:
        zero.append("skipped")
    wrong = [f"{name}: {result[name]}" for name in zero if result[name]]
    least = {"messages": options.messages, "kills in a call": options.kills, "broker restarts": 2,
             "steps adopted": 1, "steps repeated": 1}
    if options.cancel_at:
        # It is over before the broker was restarted twice.
        least.update({"broker restarts": 0, "skipped": 1, "kills in a call": 1, "steps repeated": 0})
    wrong += [f"only {result[name]} {name}" for name, n in least.items() if result[name] < n]
    return wrong


def table(results):
    """A column for each pair."""
    rows = [[name, *(str(result[name]) for result in results)] for name in results[0]]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


if __name__ == "__main__":
    main()
