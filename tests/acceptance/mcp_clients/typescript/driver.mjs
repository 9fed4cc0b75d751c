// Drives one TypeScript client: node driver.mjs --client NAME --url URL --tool TOOL ...
// The same options and the same line of JSON as driver.py; MODULES names the folder of node_modules.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const modules = createRequire(process.env.MODULES + "/");

const CLIENTS = {
  "ts-1": { version: 1 },
  "ts-2": { version: 2, options: { versionNegotiation: { mode: "auto" } } },
  "ts-2-legacy": { version: 2, options: {} },
};

function load(version) {
  if (version === 2) {
    return { ...modules("@modelcontextprotocol/client"), ...modules("@modelcontextprotocol/client/stdio") };
  }
  return {
    ...modules("@modelcontextprotocol/sdk/client/index.js"),
    ...modules("@modelcontextprotocol/sdk/client/sse.js"),
    ...modules("@modelcontextprotocol/sdk/client/streamableHttp.js"),
    ...modules("@modelcontextprotocol/sdk/client/stdio.js"),
  };
}

function asked() {
  const text = { type: "string" };
  const several = { type: "string", multiple: true, default: [] };
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({
    options: {
      client: text, url: text, tool: text, args: { ...text, default: "{}" }, timeout: text,
      command: text, env: several, header: several, times: { ...text, default: "1" }, progress: flag,
      steps: flag, sse: flag,
    },
  });
  return {
    ...values,
    args: JSON.parse(values.args),
    env: Object.fromEntries(values.env.map((pair) => split(pair, "="))),
    headers: Object.fromEntries(values.header.map((line) => split(line, ":").map((x) => x.trim()))),
    command: values.command?.split(" "),
  };
}

function split(pair, by) {
  const at = pair.indexOf(by);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function texts(content) {
  return content.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n");
}

function transport(ask, sdk, seen) {
  const made = ask.command
    ? new sdk.StdioClientTransport({
        command: ask.command[0], args: ask.command.slice(1), env: { ...sdk.getDefaultEnvironment(), ...ask.env },
      })
    : new sdk[ask.sse ? "SSEClientTransport" : "StreamableHTTPClientTransport"](new URL(ask.url), {
        requestInit: { headers: ask.headers },
      });
  // version 1 tells its transport what was negotiated, and nobody else
  const tell = made.setProtocolVersion?.bind(made);
  made.setProtocolVersion = (version) => {
    seen.protocol = version;
    tell?.(version);
  };
  return made;
}

// with --steps the calls come on stdin, one line of JSON each; an empty one ends the session
async function* steps(ask) {
  if (!ask.steps) {
    for (let n = 0; n < Number(ask.times); n++) yield { tool: ask.tool, args: ask.args };
    return;
  }
  console.log(JSON.stringify({ ready: true }));
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "") return;
    yield JSON.parse(line);
  }
}

async function called(client, ask, step, version, seen) {
  const options = {};
  if (ask.timeout !== undefined) options.timeout = Number(ask.timeout) * 1000;
  if (ask.progress) {
    options.onprogress = (progress) => seen.progress.push(progress.message ?? null);
    options.resetTimeoutOnProgress = true;
  }
  const one = { told: null, is_error: null, error: null, seconds: 0 };
  seen.calls.push(one);
  const params = { name: step.tool, arguments: step.args };
  const begun = performance.now();
  try {
    const result = await (version === 1
      ? client.callTool(params, undefined, options)
      : client.callTool(params, options));
    one.told = texts(result.content);
    one.is_error = result.isError ?? false;
  } catch (error) {
    one.error = described(error);
  }
  one.seconds = Math.round(performance.now() - begun) / 1000;
}

function described(error) {
  return `${error.constructor.name}: ${error.message}`;
}

async function drive(ask, seen) {
  const { version, options } = CLIENTS[ask.client];
  const sdk = load(version);
  const client = new sdk.Client({ name: "driver", version: "1" }, options);
  await client.connect(transport(ask, sdk, seen));
  try {
    seen.protocol = client.getNegotiatedProtocolVersion?.() ?? seen.protocol;
    seen.listed = (await client.listTools()).tools.map((tool) => tool.name);
    for await (const step of steps(ask)) {
      await called(client, ask, step, version, seen);
      if (ask.steps) console.log(JSON.stringify(seen.calls.at(-1)));
    }
  } finally {
    await client.close();
  }
}

const ask = asked();
const seen = { listed: [], protocol: null, calls: [], progress: [] };
let closing = null;
try {
  await drive(ask, seen);
} catch (error) {
  closing = described(error);
}
if (seen.calls.length === 0) {
  seen.calls.push({ told: null, is_error: null, error: closing, seconds: 0 });
  closing = null;
}
console.log(JSON.stringify({ client: ask.client, ...seen, ...seen.calls.at(-1), closing }));
