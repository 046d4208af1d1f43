// Verifies a dispatch with the library of Standard Webhooks for Node: JSON {secret, body, headers} on standard input.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Webhook } = createRequire(process.argv[2] + "/")("standardwebhooks");
const { secret, body, headers } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
