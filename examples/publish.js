#!/usr/bin/env node
// Put customers on a campaign's queue from Node: what examples/publish.py does, many messages in flight.
//
//     npm install amqplib
//     export AMQP_URL=amqp://guest:guest@localhost:5672/%2f
//     node examples/publish.js spring-renewals messages.jsonl [--watch 10]
//
// Each line of the file is one message's JSON (docs/publishers.md), published as it stands. With --watch it goes
// on listening until nothing was refused for so many seconds, and prints each refusal as JSON.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');
const amqp = require('amqplib');

// Unconfirmed messages at once: one by one is twenty times slower, and thousands gain nothing.
const WINDOW = 1000;

// The publisher's id in a body, as AMQP's message_id; undefined when there is none to be read.
function idOf(body) {
  try {
    const { id } = JSON.parse(body);
    return typeof id === 'string' && Buffer.byteLength(id) <= 255 ? id : undefined;
  } catch {
    return undefined;
  }
}

// A queue for the campaign's refusals. Yours would be durable and have a name, so that it fills while you are away;
// this one is gone with the connection.
async function listen(connection, campaign, heard) {
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'flexcast.rejected', campaign);
  await channel.consume(queue, (message) => message && heard(message.content.toString()), { noAck: true });
}

// Publishes every line and resolves to how many were confirmed and what was not taken.
async function publish(channel, campaign, lines) {
  let confirmed = 0;
  let number = 0;
  const failed = [];
  const returned = new Set();
  // A message that nothing is there to take comes back before its confirm: that confirm is no success.
  channel.on('return', (message) => returned.add(message.properties.headers['line']));
  for await (const body of lines) {
    number += 1;
    if (!body.trim()) continue;
    const line = number;
    channel.publish('flexcast', campaign, Buffer.from(body), {
      contentType: 'application/json',
      persistent: true,
      mandatory: true,
      messageId: idOf(body),
      headers: { line },
    }, (error) => {
      if (returned.has(line)) failed.push([line, 'returned: nothing is there to take it']);
      else if (error) failed.push([line, 'not taken by the broker now: publish it again']);
      else confirmed += 1;
    });
    if (number % WINDOW === 0) await channel.waitForConfirms().catch(() => {});
  }
  await channel.waitForConfirms().catch(() => {});
  return { confirmed, failed };
}

async function main([campaign, file, flag, seconds]) {
  if (!campaign || !file || (flag && (flag !== '--watch' || !(Number(seconds) > 0)))) {
    console.error('usage: publish.js CAMPAIGN FILE.jsonl [--watch SECONDS]');
    return 2;
  }
  const connection = await amqp.connect(process.env.AMQP_URL || 'amqp://guest:guest@localhost:5672/%2f');
  let lost = false;
  // The broker closes a channel that names an exchange it does not have, and what was in flight is not there.
  const channel = await connection.createConfirmChannel();
  for (const half of [connection, channel]) {
    half.on('error', (error) => {
      console.error(`not published: ${error.message}`);
      lost = true;
    });
  }
  let last = Date.now();
  if (flag) {
    await listen(connection, campaign, (refusal) => {
      last = Date.now();
      console.log(refusal);
    });
  }
  const lines = readline.createInterface({ input: fs.createReadStream(file), crlfDelay: Infinity });
  const { confirmed, failed } = await publish(channel, campaign, lines);
  console.error(`${confirmed} published and confirmed`);
  for (const [line, why] of failed) console.error(`line ${line}: ${why}`);
  while (flag && Date.now() - last < seconds * 1000) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await connection.close().catch(() => {});
  return lost || failed.length > 0 ? 1 : 0;
}

main(process.argv.slice(2)).then(
  (code) => { process.exitCode = code; },
  (error) => {
    console.error(`not published: ${error.message}`);
    process.exitCode = 1;
  },
);
