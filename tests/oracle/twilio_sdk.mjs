// Twilio's own Node SDK against a simulator: both strategies on both APIs.
//
//     node twilio_sdk.mjs BASE_URL [ACCOUNT_SID AUTH_TOKEN]
//
// Everything goes through the SDK (npm `twilio`, found from the working directory or NODE_PATH), but
// the customer's replies and the look at the effects, which are the simulator's own endpoints. The
// simulator must have an agent `alice`. Exits 1 at the first thing that is not as documented.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "index.js"));
const twilio = require("twilio");

const [base, account = "ACf1e8ca57f1e8ca57f1e8ca57f1e8ca57", token = "f1e8ca57f1e8ca57f1e8ca57f1e8ca57"] =
  process.argv.slice(2);
const SENDER = "+12025550100";

const connect = (token) => {
  const client = twilio(account, token);
  client.flexApi.baseUrl = `${base}/flex-api`;
  client.proxy.baseUrl = `${base}/proxy`;
  client.chat.baseUrl = `${base}/chat`;
  client.conversations.baseUrl = `${base}/conversations`;
  client.taskrouter.baseUrl = `${base}/taskrouter`;
  return client;
};
const client = connect(token);

const refused = async (code, status, promise) => {
  await assert.rejects(promise, (error) => {
    assert.deepEqual([error.code, error.status], [code, status]);
    return true;
  });
};
const simulator = async (path, body) => {
  const init = body && { method: "POST", body: JSON.stringify(body) };
  return (await fetch(`${base}/_simulator/${path}`, init)).json();
};
const reply = (customer, body) => simulator("replies", { customer, sender: SENDER, body });
const effects = async (kind, customer) =>
  (await simulator("effects")).filter((e) => e.kind === kind && e.customer === customer);
const messages = async (customer) =>
  (await effects("message", customer)).map((e) => [e.sender, e.body]);

const discover = async () => {
  const configuration = await client.flexApi.v1.configuration().fetch();
  const workspaceSid = configuration.taskrouterWorkspaceSid;
  const workspace = client.taskrouter.v1.workspaces(workspaceSid);
  const chatSid = configuration.chatServiceInstanceSid;
  const services = await client.proxy.v1.services.list();
  const mine = services.filter((service) => service.chatInstanceSid === chatSid);
  assert.equal(mine.length, 1);
  const workers = await workspace.workers.list({ friendlyName: "alice" });
  assert.equal(JSON.parse(workers[0].attributes).contact_uri, "client:alice");
  return {
    workspaceSid,
    workspace,
    chatSid,
    chat: client.chat.v2.services(chatSid),
    proxy: client.proxy.v1.services(mine[0].sid),
    workflowSid: configuration.taskrouterTargetWorkflowSid,
    queueSid: configuration.taskrouterTargetTaskqueueSid,
    alice: workers[0].sid,
  };
};

const makeFlow = async (it, creationOnMessage) => {
  const flow = await client.flexApi.v1.flexFlow.create({
    friendlyName: "sdk node",
    chatServiceSid: it.chatSid,
    channelType: "sms",
    contactIdentity: SENDER,
    enabled: false,
    integrationType: "task",
    "integration.workspaceSid": it.workspaceSid,
    "integration.workflowSid": it.workflowSid,
    "integration.channel": "sms",
    "integration.creationOnMessage": creationOnMessage,
    longLived: false,
    janitorEnabled: true,
  });
  assert.equal(flow.integration.creation_on_message, creationOnMessage);
  return flow.sid;
};

const makeChannel = (flex, customer, name) =>
  client.flexApi.v1.channel.create({
    flexFlowSid: flex,
    identity: `sms_${customer}`,
    chatUserFriendlyName: "Clark",
    chatFriendlyName: "Outbound Chat with Clark",
    target: customer,
    chatUniqueName: name,
    taskAttributes: JSON.stringify({ targetWorker: "client:alice" }),
  });

const addProxySession = async (it, channel, session) => {
  const found = await it.chat.channels(channel).fetch();
  const attributes = { ...JSON.parse(found.attributes), proxySession: session };
  await it.chat.channels(channel).update({ attributes: JSON.stringify(attributes) });
};

const accept = async (it, task) => {
  const [reservation] = await it.workspace.tasks(task).reservations.list();
  await it.workspace
    .tasks(task)
    .reservations(reservation.sid)
    .update({ reservationStatus: "accepted" });
  assert.equal((await it.workspace.tasks(task).fetch()).assignmentStatus, "assigned");
};

const proxyTaskNow = async (it) => {
  const customer = "+12025550171";
  const channel = await makeChannel(await makeFlow(it, false), customer, "js-now");
  const session = await it.proxy.sessions.create({
    uniqueName: channel.sid,
    mode: "message-only",
    participants: [{ Identifier: customer, ProxyIdentifier: SENDER }],
  });
  const participants = it.proxy.sessions(session.sid).participants;
  const pair = { identifier: channel.sid, proxyIdentifier: SENDER, friendlyName: customer };
  await participants.create(pair);
  await refused(80103, 409, participants.create(pair));
  await refused(80603, 409, it.proxy.sessions.create({ uniqueName: channel.sid }));
  await accept(it, channel.taskSid);
  const chat = it.chat.channels(channel.sid).messages;
  await chat.create({ from: "alice", body: "too early" });
  assert.deepEqual(await messages(customer), []);
  await addProxySession(it, channel.sid, session.sid);
  await chat.create({ from: "alice", body: "Hello Clark" });
  assert.deepEqual(await messages(customer), [[SENDER, "Hello Clark"]]);
  assert.equal(await it.workspace.tasks(channel.taskSid).remove(), true);
  await refused(80308, 404, it.proxy.sessions(channel.sid).fetch());
};

const proxyTaskOnReply = async (it) => {
  const customer = "+12025550172";
  const channel = await makeChannel(await makeFlow(it, true), customer, "js-reply");
  assert.equal(channel.taskSid, null);
  const session = await it.proxy.sessions.create({
    uniqueName: channel.sid,
    mode: "message-only",
    participants: [{ Identifier: channel.sid, ProxyIdentifier: SENDER }],
  });
  const sessions = it.proxy.sessions(session.sid);
  await sessions.participants.create({ identifier: customer, proxyIdentifier: SENDER });
  await addProxySession(it, channel.sid, session.sid);
  const list = await sessions.participants.list();
  const agent = list.find((one) => one.identifier === channel.sid);
  const sent = await sessions
    .participants(agent.sid)
    .messageInteractions.create({ body: "Reply YES" });
  assert.deepEqual(JSON.parse(sent.data), { body: "Reply YES" });
  assert.deepEqual(await messages(customer), [[SENDER, "Reply YES"]]);
  await reply(customer, "YES");
  await reply(customer, "YES!");
  const tasks = await effects("task", customer);
  assert.deepEqual(tasks.map((one) => one.agent), ["alice"]);
  assert.equal(await it.proxy.sessions(session.sid).remove(), true);
};

const conversationsTaskNow = async (it) => {
  const customer = "+12025550174";
  const made = await client.flexApi.v1.interaction.create({
    channel: {
      type: "sms",
      initiated_by: "agent",
      participants: [{ address: customer, proxy_address: SENDER }],
    },
    routing: {
      properties: {
        workspace_sid: it.workspaceSid,
        workflow_sid: it.workflowSid,
        queue_sid: it.queueSid,
        worker_sid: it.alice,
        task_channel_unique_name: "sms",
        attributes: { flexcast: "js-now" },
      },
    },
  });
  const channels = client.flexApi.v1.interaction(made.sid).channels;
  let [channel] = await channels.list();
  for (let turn = 0; channel.status === "setup" && turn < 100; turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    [channel] = await channels.list();
  }
  assert.equal(channel.status, "active");
  const evaluateTaskAttributes = "flexcast == 'js-now'";
  const [task] = await it.workspace.tasks.list({ evaluateTaskAttributes });
  const conversation = JSON.parse(task.attributes).conversationSid;
  const room = client.conversations.v1.conversations(conversation);
  await room.messages.create({ author: "alice", body: "Hello" });
  assert.deepEqual(await messages(customer), [[SENDER, "Hello"]]);
  await client.flexApi.v1
    .interaction(made.sid)
    .channels(channel.sid)
    .update({ status: "closed", routing: { status: "closed" } });
  assert.equal((await room.fetch()).state, "closed");
};

const conversationsTaskOnReply = async (it) => {
  const customer = "+12025550175";
  const uniqueName = "js-reply";
  const attributes = JSON.stringify({ flexcast: uniqueName, targetWorker: "client:alice" });
  const conversations = client.conversations.v1.conversations;
  const made = await conversations.create({ uniqueName, attributes, "timers.closed": "PT72H" });
  await refused(50353, 409, conversations.create({ uniqueName }));
  const room = conversations(uniqueName);
  await room.webhooks.create({ target: "studio", "configuration.flowSid": `FW${"0".repeat(32)}` });
  const pair = {
    "messagingBinding.address": customer,
    "messagingBinding.proxyAddress": SENDER,
  };
  await room.participants.create(pair);
  const rival = await conversations.create({});
  await refused(50416, 409, conversations(rival.sid).participants.create(pair));
  await room.messages.create({ author: "system", body: "Hello" });
  assert.deepEqual(await messages(customer), [[SENDER, "Hello"]]);
  await reply(customer, "YES");
  await reply(customer, "YES!");
  const evaluateTaskAttributes = `flexcast == '${uniqueName}'`;
  const tasks = await it.workspace.tasks.list({ evaluateTaskAttributes });
  assert.equal(tasks.length, 1);
  assert.equal(JSON.parse(tasks[0].attributes).conversationSid, made.sid);
  const listed = await room.messages.list({ order: "desc", pageSize: 1 });
  assert.deepEqual(listed.map((one) => one.body), ["YES!", "YES", "Hello"]);
};

await refused(20003, 401, connect("wrong").flexApi.v1.configuration().fetch());
const it = await discover();
for (const strategy of [proxyTaskNow, proxyTaskOnReply, conversationsTaskNow, conversationsTaskOnReply]) {
  await strategy(it);
  console.log(`ok ${strategy.name}`);
}
