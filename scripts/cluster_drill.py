#!/usr/bin/env python3
"""A cluster of three RabbitMQ nodes that lose each other under four consumers; then the count.

    make cluster-drill                              all of it: four pairs, 10,000 messages each; about half an hour
    scripts/cluster_drill.py [--pairs proxy/task_now] [--messages 10000] [--pace 50] [--binary target/release/flexcast]

Run it with a Python that has pika. Starts three nodes on loopback, PostgreSQL, a simulator with the faults of drill.py,
and consumers with a list of hosts in AMQP_URL. While they work, in rounds: the node that most connections lead to is
killed, the node that leads the campaign's queue is killed, two of three nodes are away for 20 seconds, a memory alarm
lasts 20 seconds. After each the time from the broker's first confirm to the full pace is measured: a client that
publishes to a quorum queue of its own sees the confirm; the pace is full from the second on from which the
simulator has nine tenths of the campaign's pace for three seconds. Ends with 0 when nobody was messaged twice, no
task doubled, nothing lost, dead or unknown, the books balance, every kind of blow fell, and the consumers have said it in
words.
"""

import argparse
import collections
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import pika

import drill

NODES = 3
AWAY_S = 20
# Fewer messages than an agent of the simulator takes at once: nobody completes a task here.
AGENT_MESSAGES = 25
# Nine tenths of the pace for this long is the full pace.
FULL_S, FULL_SHARE = 3, 0.9
# What the consumers say of each blow, in one of their logs. Of another leader a consumer notices nothing, unless it was
# connected to the node that died.
WORDS = {
    "connected node": ["consumer lost", "consuming again"],
    "queue leader": [],
    "majority": ["without a majority"],
    "memory alarm": ["low on memory"],
}


class Prober(threading.Thread):
    """Publishes to a quorum queue of its own, and takes note of when the broker confirms."""

    def __init__(self, urls):
        super().__init__(daemon=True)
        self.urls, self.confirms, self.ends = urls, [], threading.Event()

    def run(self):
        while not self.ends.is_set():
            for url in self.urls:
                try:
                    self.publish(url)
                except Exception:  # whatever the client makes of a node that dies
                    time.sleep(0.05)

    def publish(self, url):
        parameters = pika.URLParameters(url + "?heartbeat=2&blocked_connection_timeout=1&socket_timeout=1")
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            arguments = {"x-queue-type": "quorum", "x-max-length": 10}
            channel.queue_declare("probe", durable=True, arguments=arguments)
            channel.confirm_delivery()
            while not self.ends.is_set():
                begun = time.time()
                channel.basic_publish("", "probe", b"", pika.BasicProperties(delivery_mode=2))
                self.confirms.append((begun, time.time()))
                time.sleep(0.05)
        finally:
            connection.close()

    def first_after(self, moment):
        """The first confirm of what was published after this moment."""
        while True:
            for begun, confirmed in list(self.confirms):
                if begun >= moment:
                    return confirmed
            time.sleep(0.05)


class ClusterRun(drill.Run):
    """One pair's drill with a cluster."""

    def __enter__(self):
        self.blows = []
        super().__enter__()
        self.prober = Prober(self.urls)
        self.prober.start()
        return self

    def __exit__(self, *_):
        self.prober.ends.set()
        super().__exit__(*_)

    def pace(self):
        return f'[pace]\ncampaign = "{self.options.pace}/s"\n'

    def agents(self):
        return max(self.options.messages // AGENT_MESSAGES, 1)

    def node(self, at):
        return self.dir / f"broker-{at}"

    def script(self, command, at, *arguments, **options):
        return subprocess.run([drill.ROOT / "scripts/broker.sh", command, self.node(at), *arguments], check=True,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.env, **options).stdout

    def broker(self, what):
        """The cluster as a whole, instead of the one node of drill.py."""
        if what == "stop":
            for at in range(NODES):
                self.script("stop", at)
            return
        self.urls, self.names = [], []
        for at in range(NODES):
            self.script("start", at, *([self.node(0)] if at else []))
            env = dict(line.removeprefix("export ").split("=", 1)
                       for line in (self.node(at) / "env").read_text().splitlines())
            self.urls.append(env["AMQP_URL"])
            self.names.append(env["RABBITMQ_NODENAME"])
        hosts = [re.search(r"@([^/]+)/", url)[1] for url in self.urls]
        # What drill.py reads.
        (self.dir / "broker").mkdir(exist_ok=True)
        (self.dir / "broker/env").write_text(f"export AMQP_URL=amqp://guest:guest@{','.join(hosts)}/%2f\n")

    def at_node(self, name):
        return self.names.index(name.strip())

    def busiest(self):
        """The node that most connections lead to."""
        ports = self.script("ctl", 0, "list_connections", "--no-table-headers", "port").split()
        port = collections.Counter(ports).most_common(1)[0][0]
        return next(at for at, url in enumerate(self.urls) if f":{port}/" in url)

    def leader(self):
        """The node that leads the campaign's queue."""
        listed = self.script("ctl", 0, "list_queues", "--no-table-headers", "name", "leader")
        return self.at_node(next(line.split()[1] for line in listed.splitlines() if line.startswith("flexcast.work.drill")))

    def strike(self, kind):
        """One blow, from its beginning until the pace is full again; how long that took after the broker's first confirm."""
        begun, mark = time.time(), [path.stat().st_size for path in self.logs()]
        if kind in ("connected node", "queue leader"):
            at = self.busiest() if kind == "connected node" else self.leader()
            self.script("kill", at)
            begun = over = time.time()
            away = [at]
        elif kind == "majority":
            away = [1, 2]
            for at in away:
                self.script("kill", at)
            time.sleep(self.options.away)
            over = time.time()
        else:
            away = []
            self.script("ctl", 0, "set_vm_memory_high_watermark", "0.00001")
            time.sleep(self.options.away)
            self.script("ctl", 0, "set_vm_memory_high_watermark", "0.6")
            over = time.time()
        back = threading.Thread(target=lambda: [self.script("start", at) for at in away])
        if kind == "majority":
            back.start()
        confirmed = self.prober.first_after(over)
        full = self.full_since(confirmed)
        after = None if full is None else full - confirmed
        if kind != "majority":
            back.start()
        back.join()
        self.settle()
        new = "".join(path.read_bytes()[start:].decode(errors="replace") for path, start in zip(self.logs(), mark))
        unsaid = [words for words in WORDS[kind] if words not in new]
        self.blows.append({"kind": kind, "away": confirmed - begun, "after": after, "unsaid": unsaid})
        full = "the pace was not full again before the campaign was over" if after is None else f"full pace {after:.1f} s later"
        print(f"  {kind}: first confirm {confirmed - begun:.1f} s after it began, {full}"
              f"{'; not said: ' + ', '.join(unsaid) if unsaid else ''}", flush=True)

    def logs(self):
        return sorted(self.dir.glob("work-*.log"))

    def start_consumer(self):
        number = len(self.logs())
        with open(self.dir / f"work-{number}.log", "w") as log:
            return subprocess.Popen([self.options.binary, "work", "--http", "127.0.0.1:0"], cwd=self.dir,
                                    env=self.env, stdout=log, stderr=log)

    def full_since(self, moment):
        """The first time from this moment on at which the pace is full; None: the campaign was over before."""
        kind = drill.LEAVES[self.pair][0]
        while True:
            made = sorted(drill.time_of(e["time"]) for e in self.simulator_says("effects") if e["kind"] == kind)
            made = [at for at in made if at >= moment]
            wanted = round(FULL_S * FULL_SHARE * self.options.pace)
            for first, last in zip([moment, *made], made[wanted - 1:]):
                if last - first <= FULL_S:
                    return first
            if self.over(self.books()) > 0.97:
                return None
            time.sleep(0.5)

    def settle(self):
        """Waits until all nodes run and every queue has its members."""
        self.script("ctl", 0, "await_online_nodes", str(NODES))
        for _ in range(100):
            listed = self.script("ctl", 0, "list_queues", "--formatter", "json", "name", "online")
            online = [len(queue["online"]) if isinstance(queue["online"], list) else NODES for queue in json.loads(listed)]
            if all(count == NODES for count in online):
                return
            time.sleep(0.2)
        sys.exit("the queues do not get their members back")

    def run(self):
        began = time.time()
        self.flexcast("campaign", "apply", "campaign.toml")
        self.flexcast("import", "drill", "contacts.csv")
        self.let_faults_fall()
        self.env["RUST_LOG"] = "info"
        self.consumers = [self.start_consumer() for _ in range(self.options.consumers)]
        self.full_since(time.time())
        for _ in range(self.options.rounds):
            for kind in WORDS:
                self.strike(kind)
        while self.over(self.books()) < 1:
            if time.time() - began > self.options.deadline:
                print(f"the deadline of {self.options.deadline} s passed")
                break
            time.sleep(1)
        for consumer in self.consumers:
            consumer.send_signal(signal.SIGTERM)
        for consumer in self.consumers:
            consumer.wait()
        return self.count(time.time() - began)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--binary", default=str(drill.ROOT / "target/release/flexcast"))
    arguments.add_argument("--pairs", nargs="+", choices=drill.PAIRS, default=drill.PAIRS)
    arguments.add_argument("--messages", type=int, default=10_000)
    arguments.add_argument("--pace", type=int, default=40, help="messages a second")
    arguments.add_argument("--rounds", type=int, default=1, help="how often each blow falls, for each pair")
    arguments.add_argument("--away", type=float, default=AWAY_S, help="seconds without a majority, and of the alarm")
    arguments.add_argument("--any-pace", action="store_true", help="do not fail where the pace was not full again: for a "
                           "busy machine")
    arguments.add_argument("--consumers", type=int, default=4)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--deadline", type=int, default=1500, help="seconds for each pair")
    arguments.add_argument("--keep", action="store_true", help="leave the folders where they are")
    options = arguments.parse_args()
    options.ledger, options.cancel_at, options.kills = "postgres", None, 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"three nodes, {options.consumers} consumers on PostgreSQL, {options.messages} messages at {options.pace} a "
          f"second, blows of {options.away:g} s, {options.binary}", flush=True)
    failed, results, blows = False, [], []
    for pair in options.pairs:
        print(f"{pair}:", flush=True)
        folder = tempfile.mkdtemp(prefix="flexcast-cluster-", dir=os.environ.get("FLEXCAST_TEST_DIR"))
        os.chmod(folder, 0o755)
        with ClusterRun(pair, options, folder) as run:
            results.append(run.run())
        blows += run.blows
        wrong = shortcomings(results[-1], options)
        if not options.any_pace:
            wrong += [f"no full pace after {blow['kind']}" for blow in run.blows if blow["after"] is None]
        wrong += [f"not said after {blow['kind']}: {', '.join(blow['unsaid'])}" for blow in run.blows if blow["unsaid"]]
        print(f"  {', '.join(wrong) + '; see ' + folder if wrong else 'as it should be'}", flush=True)
        failed = failed or bool(wrong)
        if not wrong and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(drill.table(results))
    for kind in WORDS:
        after = [blow["after"] for blow in blows if blow["kind"] == kind and blow["after"] is not None]
        away = [blow["away"] for blow in blows if blow["kind"] == kind]
        if not after:
            continue
        print(f"{kind}: full pace {statistics.median(after):.1f} s after the first confirm (median of {len(after)}, "
              f"{min(after):.1f} to {max(after):.1f}); first confirm {statistics.median(away):.1f} s after the blow began")
    sys.exit(1 if failed else 0)


def shortcomings(result, options):
    """What is not as it must be, as text."""
    zero = ["messaged twice", "tasks doubled", "lost", "done, no effect", "dead", "unknown", "imbalance",
            "left of what is not done", "skipped"]
    wrong = [f"{name}: {result[name]}" for name in zero if result[name]]
    if result["messages"] < options.messages:
        wrong.append(f"only {result['messages']} messages")
    return wrong


if __name__ == "__main__":
    main()
