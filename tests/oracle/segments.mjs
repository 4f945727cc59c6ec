// Makes tests/fixtures/segments.json: texts, and how Twilio's own calculator counts them.
//
//     node tests/oracle/segments.mjs > tests/fixtures/segments.json
//
// A row is: text, encoding, units (septets or 16-bit units), segments. Every character of Latin, Greek and
// Cyrillic and of general punctuation is there alone; then texts about as long as one, two and three segments.
// Emoji are those of one character: the calculator keeps longer ones whole, which is not the encoding's rule.
// The dice are fixed: the same version gives the same file.

import { SegmentedMessage } from "sms-segments-calculator";

let state = 20261122;
const dice = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const pick = (all) => all[dice(all.length)];

const row = (text) => {
  const message = new SegmentedMessage(text);
  const bits = message.encodingName === "GSM-7" ? 7 : 16;
  return [text, message.encodingName, message.messageSize / bits, message.segmentsCount];
};

const rows = [];
const ranges = [[0x0a, 0x0a], [0x0c, 0x0d], [0x20, 0x7e], [0xa0, 0x17f], [0x391, 0x3c9], [0x410, 0x44f], [0x2010, 0x2027],
  [0x20a0, 0x20bf]];
for (const [first, last] of ranges) {
  for (let code = first; code <= last; code += 1) rows.push(row(String.fromCodePoint(code)));
}

const plain = [..."abcdefghij ABC 0123456789 .,!?@£èéÄÖ\n"];
const extended = [...plain, ..."€[]{}|~^\\"];
const wide = [...plain, ..."жшяΩ’…ç"];
const emoji = [...wide, "😀", "🎉", "🚀", "🍀"];
for (const alphabet of [plain, extended, wide, emoji]) {
  for (const about of [35, 67, 70, 134, 140, 153, 160, 201, 306, 320, 459]) {
    for (let n = 0; n < 24; n += 1) {
      const length = Math.max(0, about + dice(7) - 3);
      rows.push(row(Array.from({ length }, () => pick(alphabet)).join("")));
    }
  }
}
console.log(`[\n${rows.map((one) => JSON.stringify(one)).join(",\n")}\n]`);
