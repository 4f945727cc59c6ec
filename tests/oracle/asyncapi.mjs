// Holds an AsyncAPI document against the specification with AsyncAPI's own parser, and prints it as JSON with
// everything it refers to.
//
//     node asyncapi.mjs ../../docs/asyncapi.yaml
import { Parser, fromFile } from '@asyncapi/parser';

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
// 0 is an error and 1 a warning; what is below are suggestions, such as a newer version of the specification.
const wrong = diagnostics.filter((found) => found.severity <= 1);
for (const { path, message } of wrong) console.error(`${path.join('.')}: ${message}`);
if (document === undefined || wrong.length > 0) process.exit(1);
console.log(JSON.stringify(document.json()));
