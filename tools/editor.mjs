// Asks yaml-language-server what an editor would, with regft.schema.json: completions, errors, a hover. docs/editors.md
// records what it answered.
//
//   npm install --prefix /tmp/yls yaml-language-server@1.25.0
//   node tools/editor.mjs /tmp/yls/node_modules/.bin/yaml-language-server
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const schema = pathToFileURL(join(root, "regft.schema.json")).href;
const folder = mkdtempSync(join(tmpdir(), "regft-editor-"));
const server = spawn(process.argv[2], ["--stdio"], { stdio: ["pipe", "pipe", "inherit"] });

// JSON-RPC over the server's standard input and output.
const answers = new Map();
const published = new Map();
let received = Buffer.alloc(0);
server.stdout.on("data", (data) => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const end = received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/.exec(received.subarray(0, end))[1]);
    if (received.length < end + 4 + length) return;
    const message = JSON.parse(received.subarray(end + 4, end + 4 + length));
    received = received.subarray(end + 4 + length);
    handle(message);
  }
});

function handle(m) {
  if (m.method === "textDocument/publishDiagnostics") published.get(m.params.uri)?.(m.params.diagnostics);
  else if (m.method === "workspace/configuration") send({ id: m.id, result: m.params.items.map(() => ({})) });
  else if (m.method && m.id !== undefined) send({ id: m.id, result: null });
  else if (m.id !== undefined) answers.get(m.id)?.(m.result);
}

function send(message) {
  const text = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

function ask(method, params) {
  const id = answers.size + 1;
  return new Promise((resolve) => {
    answers.set(id, resolve);
    send({ id, method, params });
  });
}

// open shows a spec to the server and waits for what it finds wrong.
function open(name, text) {
  const uri = pathToFileURL(join(folder, name)).href;
  const found = new Promise((resolve) => published.set(uri, resolve));
  const whole = `# yaml-language-server: $schema=${schema}\n${text}`;
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "yaml", version: 1, text: whole } } });
  return found;
}

// at is the place of | in a spec, which is opened without it.
async function at(method, name, text) {
  const before = text.slice(0, text.indexOf("|")).split("\n");
  await open(name, text.replace("|", ""));
  const position = { line: before.length, character: before.at(-1).length };
  return ask(method, { textDocument: { uri: pathToFileURL(join(folder, name)).href }, position });
}

async function complete(what, text) {
  const { items } = await at("textDocument/completion", `${what.replace(" ", "-")}.yaml`, text);
  console.log(`complete ${what}:\n  ${[...new Set(items.map((i) => i.label))].join(", ")}`);
}

const report = (name, found) => {
  console.log(`${name}: ${found.length} errors`);
  for (const d of found) console.log(`  ${d.range.start.line}:${d.range.start.character + 1}: ${d.message}`);
};

await ask("initialize", { processId: process.pid, rootUri: pathToFileURL(folder).href, capabilities: {} });
send({ method: "initialized", params: {} });

const example = readFileSync(join(root, "examples/shapes/spec.yaml"), "utf8");
report("examples/shapes/spec.yaml", await open("example.yaml", example));
const typos = example.replace("learning_rate:", "learning_rat:").replace("uses: evaluate", "uses: evalute");
report("the same with learning_rat and evalute", await open("typos.yaml", typos));

const tuned = "version: 1\nstages:\n  tuned:\n    uses: finetune\n";
await complete("stage types", "version: 1\nstages:\n  tuned:\n    uses: |\n");
await complete("keys", `${tuned}    |\n`);
await complete("parameters", `${tuned}    with:\n      classifier: stages.zeroshot\n      |\n`);
await complete("values", `${tuned}    with:\n      train: |\n`);
const hover = await at("textDocument/hover", "hover.yaml", `${tuned}    with:\n      learning|_rate: 1.0e-5\n`);
console.log(`hover over learning_rate:\n  ${hover.contents.value.split("\n")[2]}`);
server.kill();
