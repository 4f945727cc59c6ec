#!/usr/bin/env python3
"""Kills an import at random moments, runs it again each time, and counts: on the embedded queue and on RabbitMQ.

    make import-drill                            all of it, with everything built
    scripts/import_drill.py [--queues embedded rabbitmq] [--rows 200000] [--kills 50] [--no-work]

It runs target/release/flexcast: cargo build --release first.

Each queue has a ledger and a campaign of its own. An import is killed with SIGKILL at random moments until so
many kills have left one unfinished; then it runs to its end, and once more. Then consumers carry everything out
against a simulator without limits. Ends with 0 when each row was accepted once, the file again changed nothing,
each customer was contacted once, the books balance and nothing is left on the queue.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
SENDER = "+12025550100"
CAMPAIGN = f"""id = "drill"
strategy = "task_on_reply"
channel = "sms"
sender = "{SENDER}"
body = "Hello {{{{ customer.name }}}}, your plan {{{{ customer.attributes.plan }}}} renews soon."
[flex]
studio_flow_sid = "FW00000000000000000000000000000001"
[agents]
default = "alice"
"""
# Of every so many rows one has a number that is not given out.
REJECTED_EVERY = 1000


class Run:
    """One queue's drill."""

    def __init__(self, queue, options, folder):
        self.queue, self.options, self.dir = queue, options, pathlib.Path(folder)
        self.random = random.Random(f"{options.seed}/{queue}")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("TWILIO_", "FLEXCAST_", "AMQP_", "DATABASE_"))}
        self.env.update(FLEXCAST_STATE=str(self.dir / "state"), RUST_LOG="error")

    def __enter__(self):
        table = (ROOT / "docs/limits.md").read_text().split("| operation | limit |")[1].split("\n\n")[0]
        operations = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
        (self.dir / "flexcast.toml").write_text(
            "[work]\nin_flight = 256\nconcurrent_requests = 256\n[limits]\n"
            + "".join(f'{name} = "none"\n' for name in operations)
            + f'[senders]\n"{SENDER}" = "none"\n')
        (self.dir / "drill.toml").write_text(CAMPAIGN)
        self.accepted = 0
        with open(self.dir / "contacts.csv", "w") as file:
            file.write("id,phone,name,agent,plan,city,notes\n")
            for n in range(self.options.rows):
                phone = "12" if n % REJECTED_EVERY == REJECTED_EVERY - 1 else f"+1212{2_000_000 + n * 4_999_999 % 8_000_000}"
                self.accepted += phone != "12"
                file.write(f"crm-{n},{phone},Customer {n},agent-{n % 50},gold,Metropolis,{'n' * 150}\n")
        if self.queue == "rabbitmq":
            self.broker("start")
            for line in (self.dir / "broker/env").read_text().splitlines():
                name, _, value = line.removeprefix("export ").partition("=")
                if name in ("AMQP_URL", "AMQP_MANAGEMENT_URL"):
                    self.env[name] = value
        self.simulator = subprocess.Popen([self.options.binary, "simulator", "--port", "0", "--no-limits",
                                           "--sender-rate", f"{SENDER}=1000000"],
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.env)
        for _ in range(3):
            name, _, value = self.simulator.stdout.readline().strip().partition("=")
            self.env[name] = value
        return self

    def __exit__(self, *_):
        self.simulator.kill()
        self.simulator.wait()
        if self.queue == "rabbitmq":
            self.broker("stop")

    def broker(self, what):
        subprocess.run([ROOT / "scripts/broker.sh", what, self.dir / "broker"], check=True,
                       stdout=subprocess.DEVNULL, env=self.env)

    def flexcast(self, *arguments):
        done = subprocess.run([self.options.binary, *arguments], cwd=self.dir, env=self.env, text=True,
                              capture_output=True)
        if done.returncode != 0:
            sys.exit(f"flexcast {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done

    def status(self):
        return json.loads(self.flexcast("status", "drill", "--json").stdout)

    def run(self):
        self.flexcast("campaign", "apply", "drill.toml")
        began = time.time()
        kills, early = self.kill()
        importing_s = time.time() - began
        last = json.loads(self.flexcast("import", "drill", "contacts.csv", "--json").stdout)
        again = json.loads(self.flexcast("import", "drill", "contacts.csv", "--json").stdout)
        books = self.status()
        result = {
            "queue": self.queue, "rows": self.options.rows, "kills that left it unfinished": kills,
            "kills before a new row": early,
            "importing, s": round(importing_s), "imports": len(books["imports"]),
            "rows accounted for": books["rows"], "accepted": books["accepted"],
            "duplicates": books["duplicate"], "rejected": sum(books["rejected"].values()),
            "the last import says rows": last["rows"], "the file again changed": again["accepted"],
            "said so": "already_imported_at" in again,
        }
        if self.options.work:
            result.update(self.work())
        return result

    def kill(self):
        """Kills imports until so many were left unfinished: each when it has got some share of what is left, or
        after a moment in which it may not have begun. By rows and not by time, for a machine with other work has
        its moments."""
        kills, early, done_rows = 0, 0, 0
        while kills < self.options.kills:
            left = self.options.rows - done_rows
            share = self.random.uniform(0, 1.5) * left / (self.options.kills - kills + 1)
            is_blind = self.random.random() < 0.2
            process = subprocess.Popen([self.options.binary, "import", "drill", "contacts.csv"], cwd=self.dir,
                                       env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if is_blind:
                time.sleep(self.random.uniform(0, 0.3))
            else:
                while process.poll() is None and self.rows() < done_rows + share:
                    time.sleep(0.002)
                time.sleep(self.random.uniform(0, 0.02))
            if process.poll() is not None:
                sys.exit(f"an import ended with {process.returncode} before its kill number {kills + 1}: more --rows")
            process.kill()
            process.wait()
            before, done_rows = done_rows, self.rows()
            if done_rows > before:
                kills += 1
            else:
                early += 1
        return kills, early

    def rows(self):
        """How many rows are accounted for, read where it is cheap: an import makes hundreds in the time that the
        program takes to start."""
        ledger = sqlite3.connect(f"file:{self.dir}/state/ledger.db?mode=ro", uri=True)
        try:
            return ledger.execute("SELECT coalesce(sum(rows), 0) FROM imports").fetchone()[0]
        finally:
            ledger.close()

    def work(self):
        began = time.time()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        with open(self.dir / "work.log", "w") as log:
            work = subprocess.Popen([self.options.binary, "work", "--http", address], cwd=self.dir, env=self.env,
                                    stdout=log, stderr=log)
        try:
            while True:
                time.sleep(2)
                books = self.status()
                if self.over(books) >= self.accepted and books["unread"] == 0 and books["in_flight"] == 0:
                    break
                if work.poll() is not None:
                    sys.exit(f"work ended with {work.returncode}: see {self.dir}/work.log")
            repeated = self.metric(address, 'flexcast_messages_total{', 'outcome="redelivered"')
        finally:
            work.send_signal(signal.SIGTERM)
            work.wait()
        books = self.status()
        with urllib.request.urlopen(f"{self.env['FLEXCAST_TWILIO_URL']}/_simulator/effects") as reply:
            effects = json.load(reply)
        per = collections.Counter(e["customer"] for e in effects if e["kind"] == "message")
        return {
            "working, s": round(time.time() - began), "done": books["done"],
            "not done": self.over(books) - books["done"], "customers contacted": len(per),
            "contacted twice": sum(1 for n in per.values() if n > 1), "lost": books["accepted"] - self.over(books),
            "left on the queue": books["unread"], "repeats without effect": repeated,
        }

    def over(self, books):
        return books["done"] + sum(books["skipped"].values()) + sum(books["dead"].values()) + books["unknown"]

    def metric(self, address, name, label):
        """The sum of a metric's series with this label."""
        with urllib.request.urlopen(f"http://{address}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        return int(sum(float(line.split()[-1]) for line in lines if line.startswith(name) and label in line))

    def shortcomings(self, result):
        wanted = {"accepted": self.accepted, "rows accounted for": self.options.rows,
                  "rejected": self.options.rows - self.accepted, "duplicates": 0,
                  "the last import says rows": self.options.rows, "the file again changed": 0, "said so": True}
        if self.options.work:
            wanted.update({"done": self.accepted, "not done": 0, "customers contacted": self.accepted,
                           "contacted twice": 0, "lost": 0, "left on the queue": 0})
        return [f"{name}: {result[name]}, not {n}" for name, n in wanted.items() if result[name] != n]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--binary", default=str(ROOT / "target/release/flexcast"))
    arguments.add_argument("--queues", nargs="+", choices=["embedded", "rabbitmq"], default=["embedded", "rabbitmq"])
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--no-work", dest="work", action="store_false", help="count what was accepted alone")
    options = arguments.parse_args()
    # So that an interrupted drill ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed, results = False, []
    for queue in options.queues:
        folder = tempfile.mkdtemp(prefix="flexcast-import-drill-")
        os.chmod(folder, 0o755)
        with Run(queue, options, folder) as run:
            result = run.run()
            wrong = run.shortcomings(result)
        results.append(result)
        print(f"{queue}: {', '.join(wrong) + '; see ' + folder if wrong else 'as it should be'}", flush=True)
        failed = failed or bool(wrong)
        if not wrong:
            shutil.rmtree(folder, ignore_errors=True)
    names = list(results[0])
    width = max(map(len, names))
    for name in names:
        print(name.ljust(width), *(str(result.get(name, "")).rjust(10) for result in results))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
