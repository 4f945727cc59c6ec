#!/usr/bin/env python3
"""Twilio's own Python SDK against a simulator: both strategies on both APIs.

    twilio_sdk.py BASE_URL [ACCOUNT_SID AUTH_TOKEN]

Everything goes through the SDK (PyPI `twilio`), but the customer's replies and the look at the
effects, which are the simulator's own endpoints. The simulator must have an agent `alice`. Exits 1
at the first thing that is not as Twilio's documentation has it.
"""

import json
import sys
import time
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

BASE = sys.argv[1].rstrip("/")
ACCOUNT = sys.argv[2] if len(sys.argv) > 2 else "ACf1e8ca57f1e8ca57f1e8ca57f1e8ca57"
TOKEN = sys.argv[3] if len(sys.argv) > 3 else "f1e8ca57f1e8ca57f1e8ca57f1e8ca57"
SENDER = "+12025550100"

client = Client(ACCOUNT, TOKEN)
client.flex_api.base_url = f"{BASE}/flex-api"
client.proxy.base_url = f"{BASE}/proxy"
client.chat.base_url = f"{BASE}/chat"
client.conversations.base_url = f"{BASE}/conversations"
client.taskrouter.base_url = f"{BASE}/taskrouter"


def same(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: {found!r}, expected {expected!r}")


def refused(code, status, call):
    try:
        call()
    except TwilioRestException as error:
        same((error.code, error.status), (code, status), "the refusal")
        return
    sys.exit(f"not refused with {code}")


def simulator(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"{BASE}/_simulator/{path}", data=data) as reply:
        return json.load(reply)


def reply(customer, body):
    return simulator("replies", {"customer": customer, "sender": SENDER, "body": body})


def messages(customer):
    return [
        (effect["sender"], effect["body"])
        for effect in simulator("effects")
        if effect["kind"] == "message" and effect["customer"] == customer
    ]


def tasks_of(customer):
    return [e for e in simulator("effects") if e["kind"] == "task" and e["customer"] == customer]


class Account:
    """What a campaign discovers before it begins."""

    def __init__(self):
        configuration = client.flex_api.v1.configuration().fetch()
        self.workspace_sid = configuration.taskrouter_workspace_sid
        self.workflow_sid = configuration.taskrouter_target_workflow_sid
        self.queue_sid = configuration.taskrouter_target_taskqueue_sid
        self.chat_sid = configuration.chat_service_instance_sid
        self.workspace = client.taskrouter.v1.workspaces(self.workspace_sid)
        self.chat = client.chat.v2.services(self.chat_sid)
        services = client.proxy.v1.services.list()
        mine = [s for s in services if s.chat_instance_sid == self.chat_sid]
        same(len(mine), 1, "Proxy services of Flex's chat service")
        self.proxy = client.proxy.v1.services(mine[0].sid)
        same([w.sid for w in client.taskrouter.v1.workspaces.list()], [self.workspace_sid], "workspaces")
        same([w.sid for w in self.workspace.workflows.list()], [self.workflow_sid], "workflows")
        same([q.sid for q in self.workspace.task_queues.list()], [self.queue_sid], "task queues")
        names = {c.unique_name for c in self.workspace.task_channels.list()}
        same({"sms", "chat", "whatsapp", "default"} - names, set(), "missing task channels")
        workers = self.workspace.workers.list(friendly_name="alice")
        same(len(workers), 1, "workers named alice")
        self.alice = workers[0].sid
        uri = json.loads(workers[0].attributes)["contact_uri"]
        same(uri, "client:alice", "the worker's contact_uri")
        by_uri = self.workspace.workers.list(target_workers_expression=f"contact_uri == '{uri}'")
        same([w.sid for w in by_uri], [self.alice], "workers by contact_uri")
        same(workers[0].available, True, "alice's activity")
        self.comes_and_goes()

    def comes_and_goes(self):
        """What a consumer reads of an agent before it gives them a task."""
        alice = self.workspace.workers(self.alice)
        activities = {a.friendly_name: a for a in self.workspace.activities.list()}
        same(activities["Break"].available, False, "a break")
        alice.update(activity_sid=activities["Break"].sid)
        listed = [w.available for w in self.workspace.workers.list() if w.sid == self.alice]
        same(listed, [False], "alice in the list of workers")
        same([w.sid for w in self.workspace.workers.list(available="true") if w.sid == self.alice], [], "available")
        alice.update(activity_sid=activities["Available"].sid)
        before = self.sms_channel()
        same(before.available, True, "the worker channel")
        task = self.workspace.tasks.create(
            workflow_sid=self.workflow_sid,
            task_channel="sms",
            attributes=json.dumps({"targetWorker": "client:alice"}),
        )
        after = self.sms_channel()
        same(after.assigned_tasks, before.assigned_tasks + 1, "assigned tasks")
        same(after.configured_capacity, before.configured_capacity, "the capacity")
        free = 100 * (after.configured_capacity - after.assigned_tasks) // after.configured_capacity
        same(after.available_capacity_percentage, free, "the percentage")
        self.workspace.tasks(task.sid).update(assignment_status="canceled")
        same(self.sms_channel().assigned_tasks, before.assigned_tasks, "after its end")

    def sms_channel(self):
        channels = self.workspace.workers(self.alice).worker_channels.list()
        sms = [c for c in channels if c.task_channel_unique_name == "sms"]
        same(len(sms), 1, "worker channels for sms")
        return sms[0]

    def flow(self, on_message):
        name = f"sdk python {on_message}"
        flow = client.flex_api.v1.flex_flow.create(
            friendly_name=name,
            chat_service_sid=self.chat_sid,
            channel_type="sms",
            contact_identity=SENDER,
            enabled=False,
            integration_type="task",
            integration_workspace_sid=self.workspace_sid,
            integration_workflow_sid=self.workflow_sid,
            integration_channel="sms",
            integration_creation_on_message=on_message,
            long_lived=False,
            janitor_enabled=True,
        )
        same(flow.integration["creation_on_message"], on_message, "CreationOnMessage")
        listed = client.flex_api.v1.flex_flow.list(friendly_name=name)
        same(listed[-1].sid, flow.sid, "the flow by its name")
        return flow.sid

    def channel(self, flow, customer, name):
        return client.flex_api.v1.channel.create(
            flex_flow_sid=flow,
            identity=f"sms_{customer}",
            chat_user_friendly_name="Clark",
            chat_friendly_name="Outbound Chat with Clark",
            target=customer,
            chat_unique_name=name,
            task_attributes=json.dumps({"to": customer, "targetWorker": "client:alice"}),
        )

    def add_proxy_session(self, channel, session):
        found = self.chat.channels(channel).fetch()
        attributes = json.loads(found.attributes)
        same(attributes["status"], "ACTIVE", "the channel's status")
        attributes["proxySession"] = session
        updated = self.chat.channels(channel).update(attributes=json.dumps(attributes))
        same(json.loads(updated.attributes)["proxySession"], session, "proxySession")

    def accept(self, task):
        reservations = self.workspace.tasks(task).reservations.list()
        same([r.worker_name for r in reservations], ["alice"], "reservations")
        reservation = self.workspace.tasks(task).reservations(reservations[0].sid)
        same(reservation.update(reservation_status="accepted").reservation_status, "accepted", "accepted")
        same(self.workspace.tasks(task).fetch().assignment_status, "assigned", "the task")


def proxy_task_now(account):
    customer = "+12025550161"
    flow = account.flow(False)
    channel = account.channel(flow, customer, "py-now")
    same(channel.task_sid is not None, True, "the task at once")
    same(client.flex_api.v1.channel(channel.sid).fetch().task_sid, channel.task_sid, "task_sid")
    session = account.proxy.sessions.create(
        unique_name=channel.sid,
        mode="message-only",
        ttl=3600,
        participants=[{"Identifier": customer, "ProxyIdentifier": SENDER}],
    )
    same((session.status, session.ttl), ("open", 3600), "the session")
    agent = account.proxy.sessions(session.sid).participants.create(
        identifier=channel.sid, proxy_identifier=SENDER, friendly_name=customer
    )
    same(agent.proxy_identifier, SENDER, "the agent's proxy identifier")
    refused(80603, 409, lambda: account.proxy.sessions.create(unique_name=channel.sid))
    again = account.proxy.sessions(session.sid).participants
    refused(80103, 409, lambda: again.create(identifier=channel.sid, proxy_identifier=SENDER))
    account.accept(channel.task_sid)
    writes = account.chat.channels(channel.sid).messages
    writes.create(from_="alice", body="too early")
    same(messages(customer), [], "without proxySession")
    account.add_proxy_session(channel.sid, session.sid)
    writes.create(from_="alice", body="Hello Clark")
    same(messages(customer), [(SENDER, "Hello Clark")], "with proxySession")
    reply(customer, "hi")
    same([m.body for m in writes.list()], ["too early", "Hello Clark", "hi"], "the chat")
    same(len(tasks_of(customer)), 1, "tasks")
    done = account.workspace.tasks(channel.task_sid).update(assignment_status="completed")
    same(done.assignment_status, "completed", "the task's end")
    refused(80308, 404, lambda: account.proxy.sessions(channel.sid).fetch())


def proxy_task_on_reply(account):
    customer = "+12025550162"
    flow = account.flow(True)
    channel = account.channel(flow, customer, "py-reply")
    same(channel.task_sid, None, "no task yet")
    session = account.proxy.sessions.create(
        unique_name=channel.sid,
        mode="message-only",
        participants=[{"Identifier": channel.sid, "ProxyIdentifier": SENDER}],
    )
    sessions = account.proxy.sessions(session.sid)
    sessions.participants.create(identifier=customer, proxy_identifier=SENDER)
    account.add_proxy_session(channel.sid, session.sid)
    participants = sessions.participants.list()
    agent = next(p for p in participants if p.identifier == channel.sid)
    sent = sessions.participants(agent.sid).message_interactions.create(body="Reply YES")
    same(json.loads(sent.data), {"body": "Reply YES"}, "the interaction's data")
    listed = sessions.participants(agent.sid).message_interactions.list()
    same([i.sid for i in listed], [sent.sid], "message interactions")
    same([i.sid for i in sessions.interactions.list()], [sent.sid], "interactions")
    same(messages(customer), [(SENDER, "Reply YES")], "what the customer got")
    same(sessions.fetch().status, "in-progress", "the session")
    reply(customer, "YES")
    reply(customer, "YES!")
    made = tasks_of(customer)
    same([t["agent"] for t in made], ["alice"], "tasks")
    same(client.flex_api.v1.channel(channel.sid).fetch().task_sid, made[0]["sid"], "the channel's task")
    # The undo calls.
    same(account.proxy.sessions(session.sid).delete(), True, "session delete")
    retired = account.chat.channels("py-reply").update(attributes='{"status": "INACTIVE"}')
    same(retired.sid, channel.sid, "the channel by its unique name")
    other = account.channel(flow, customer, "py-reply")
    same(other.sid == channel.sid, False, "a new channel after the old one")


def interaction_channel(interaction):
    for _ in range(100):
        channels = client.flex_api.v1.interaction(interaction).channels.list()
        if channels[0].status != "setup":
            return channels[0]
        time.sleep(0.05)
    sys.exit("the interaction's channel stays in setup")


def conversations_task_now(account):
    customer = "+12025550163"
    made = client.flex_api.v1.interaction.create(
        channel={
            "type": "sms",
            "initiated_by": "agent",
            "participants": [{"address": customer, "proxy_address": SENDER}],
        },
        routing={
            "properties": {
                "workspace_sid": account.workspace_sid,
                "workflow_sid": account.workflow_sid,
                "queue_sid": account.queue_sid,
                "worker_sid": account.alice,
                "task_channel_unique_name": "sms",
                "attributes": {"flexcast": "py-now"},
            }
        },
    )
    channel = interaction_channel(made.sid)
    same(channel.status, "active", "the channel")
    found = account.workspace.tasks.list(evaluate_task_attributes="flexcast == 'py-now'")
    same(len(found), 1, "tasks with the marker")
    conversation = json.loads(found[0].attributes)["conversationSid"]
    room = client.conversations.v1.conversations(conversation)
    binding = room.participants.list()[0].messaging_binding
    same((binding["address"], binding["proxy_address"]), (customer, SENDER), "the binding")
    room.messages.create(author="alice", body="Hello", attributes='{"flexcast": "py-now"}')
    same(messages(customer), [(SENDER, "Hello")], "what the customer got")
    theirs = client.conversations.v1.participant_conversations.list(address=customer)
    same([c.conversation_sid for c in theirs], [conversation], "the customer's conversations")
    closing = client.flex_api.v1.interaction(made.sid).channels(channel.sid)
    same(closing.update(status="closed").status, "closed", "the channel's end")
    same(room.fetch().state, "closed", "the conversation's end")


def conversations_task_on_reply(account):
    customer = "+12025550164"
    name = "py-reply"
    made = client.conversations.v1.conversations.create(
        unique_name=name,
        attributes=json.dumps({"flexcast": name, "targetWorker": "client:alice"}),
        timers_closed="PT72H",
    )
    refused(50353, 409, lambda: client.conversations.v1.conversations.create(unique_name=name))
    room = client.conversations.v1.conversations(name)
    hook = room.webhooks.create(target="studio", configuration_flow_sid="FW" + "0" * 32)
    same([w.sid for w in room.webhooks.list()], [hook.sid], "webhooks")
    pair = {"messaging_binding_address": customer, "messaging_binding_proxy_address": SENDER}
    room.participants.create(**pair)
    other = client.conversations.v1.conversations.create(unique_name="py-other")
    rival = client.conversations.v1.conversations(other.sid).participants
    refused(50416, 409, lambda: rival.create(**pair))
    sent = room.messages.create(author="system", body="Hello", attributes='{"flexcast": "m"}')
    same([m.sid for m in room.messages.list(order="desc")], [sent.sid], "messages")
    same(messages(customer), [(SENDER, "Hello")], "what the customer got")
    same(tasks_of(customer), [], "no task yet")
    reply(customer, "YES")
    reply(customer, "YES!")
    found = account.workspace.tasks.list(evaluate_task_attributes=f"flexcast == '{name}'")
    same(len(found), 1, "tasks after the reply")
    same(json.loads(found[0].attributes)["conversationSid"], made.sid, "the task's conversation")
    account.accept(found[0].sid)
    room.messages.create(author="alice", body="How can I help?")
    same(messages(customer)[1:], [(SENDER, "How can I help?")], "what the agent wrote")
    # An API interaction on a conversation that has one is a duplicate.
    routing = {"properties": {"workspace_sid": account.workspace_sid}}
    channel = {"type": "sms", "initiated_by": "api", "properties": {"media_channel_sid": made.sid}}
    refused(45353, 409, lambda: client.flex_api.v1.interaction.create(channel=channel, routing=routing))
    same(room.update(state="closed").state, "closed", "the conversation's end")


def paging():
    for n in range(5):
        client.conversations.v1.conversations.create(unique_name=f"py-page-{n}")
    listed = client.conversations.v1.conversations.list(page_size=2)
    names = [c.unique_name for c in listed if c.unique_name and c.unique_name.startswith("py-page")]
    same(names, [f"py-page-{n}" for n in range(5)], "pages")


def main():
    wrong = Client(ACCOUNT, "wrong")
    wrong.flex_api.base_url = client.flex_api.base_url
    refused(20003, 401, lambda: wrong.flex_api.v1.configuration().fetch())
    account = Account()
    for strategy in (
        proxy_task_now,
        proxy_task_on_reply,
        conversations_task_now,
        conversations_task_on_reply,
    ):
        strategy(account)
        print(f"ok {strategy.__name__}")
    paging()
    print("ok paging")


if __name__ == "__main__":
    main()
