// Runs the unmodified command line client of OpenClaw against a built gateway with the scripted
// model, command by command, each behind the witness, and prints a table of what works.
// `cargo xtask test --peers` starts it.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { witness } from "./witness.mjs";

/** modules, client (its entry file), node, instar, model (programs), out (the table), version. */
const input = JSON.parse(process.env.INSTAR_PEERS_INPUT);

const TOKEN = "peers-0123456789abcdefghijklmnopqrstuvwxyzABCD";
const SAID = "Hello from the scripted model.";
/** One command of the client may take this long; it starts slowly. */
const COMMAND_MS_MAX = 180_000;
const TMUX = ["-L", "instar-peers"];

const folder = mkdtempSync(path.join(os.tmpdir(), "instar-peers-"));
const started = [];
const rows = [];

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

async function until(what, look, millis = COMMAND_MS_MAX) {
  const deadline = Date.now() + millis;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited for ${what} in vain`);
    await sleep(200);
  }
}

function start(program, args, env) {
  const child = spawn(program, args, { env: { PATH: process.env.PATH, HOME: folder, ...env } });
  child.said = "";
  child.stdout.on("data", (data) => (child.said += data));
  child.stderr.on("data", (data) => (child.said += data));
  started.push(child);
  return child;
}

/** The gateway with the scripted model; its address. */
async function gateway() {
  const model = start(input.model, []);
  const base = await until("the model", () => /^http\S+/.exec(model.said)?.[0]);
  const state = path.join(folder, "state");
  mkdirSync(state, { mode: 0o700 });
  const provider = {
    baseUrl: `${base}/v1`,
    api: "openai-completions",
    models: [{ id: "x", name: "Scripted", contextWindow: 32000, maxTokens: 1000 }],
  };
  const config = {
    models: { providers: { scripted: provider } },
    agents: { defaults: { model: { primary: "scripted/x" } } },
  };
  writeFileSync(path.join(state, "instar.json"), JSON.stringify(config), { mode: 0o600 });
  const port = await freePort();
  const env = { INSTAR_STATE_DIR: state, INSTAR_GATEWAY_TOKEN: TOKEN };
  const instar = start(input.instar, ["gateway", "run", "--port", String(port)], env);
  const url = `http://127.0.0.1:${port}`;
  await until("the gateway", async () => {
    if (instar.exitCode !== null) throw new Error(instar.said);
    return fetch(`${url}/ready`).then((answer) => answer.ok, () => false);
  });
  return url;
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The owner lets in every device that waits. */
async function approve(url) {
  const made = await fetch(`${url}/api/v1/sign-in-codes`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: "{}",
  });
  const { url: link } = await made.json();
  const script = path.join(import.meta.dirname, "approve.mjs");
  const env = { ...process.env, INSTAR_CONTROL_INPUT: JSON.stringify({ modules: input.modules, url, token: TOKEN, link }) };
  return JSON.parse(execFileSync(input.node, [script], { env })).found.approved.length;
}

/** The client's own configuration: where the gateway is, and the shared secret or none. */
function configure(seen, token) {
  const state = path.join(folder, "client");
  mkdirSync(state, { recursive: true });
  const remote = { url: seen.url, ...(token ? { token } : {}) };
  writeFileSync(path.join(state, "openclaw.json"), JSON.stringify({ gateway: { mode: "remote", remote } }));
}

const env = () => ({ OPENCLAW_STATE_DIR: path.join(folder, "client"), NO_COLOR: "1" });

/** Runs a command of the client to its end and gives what it printed. */
async function client(...args) {
  const child = start(input.node, [input.client, ...args], env());
  child.stdin.end();
  const code = await Promise.race([
    new Promise((resolve) => child.once("close", resolve)),
    sleep(COMMAND_MS_MAX).then(() => "no end"),
  ]);
  child.kill("SIGKILL");
  if (code !== 0) throw new Error(`ended with ${code}: ${child.said.trim().slice(-300)}`);
  return child.said;
}

function expect(said, ...texts) {
  for (const text of texts) {
    if (!said.includes(text)) throw new Error(`${text} is not in: ${said.trim().slice(-300)}`);
  }
}

/** Talks JSON-RPC over the standard streams of a command; every message gets its answer. */
async function rpc(args, messages) {
  const child = start(input.node, [input.client, ...args], env());
  const answers = [];
  let rest = "";
  child.stdout.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      try {
        answers.push(JSON.parse(line));
      } catch {
        // Not a message.
      }
    }
  });
  for (const make of messages) {
    const message = make(answers);
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    if (message.id === undefined) continue;
    await until(`the answer to ${message.method}`, () => {
      if (child.exitCode !== null) throw new Error(child.said.trim().slice(-300));
      return answers.some((one) => one.id === message.id && (one.result || one.error));
    });
  }
  child.stdin.end();
  child.kill();
  return answers;
}

function answer(answers, id) {
  const found = answers.find((one) => one.id === id);
  if (!found?.result) throw new Error(JSON.stringify(found?.error ?? "no answer"));
  return found.result;
}

/** The terminal client in a terminal. */
async function tui(work) {
  const command = `OPENCLAW_STATE_DIR=${env().OPENCLAW_STATE_DIR} HOME=${folder} ${input.node} ${input.client} tui`;
  const tmux = (...args) => execFileSync("tmux", [...TMUX, ...args], { encoding: "utf8" });
  tmux("new-session", "-d", "-x", "120", "-y", "40", `${command}; sleep 600`);
  const screen = () => tmux("capture-pane", "-p");
  try {
    await work({
      screen,
      type: (text) => tmux("send-keys", "-l", text),
      enter: () => tmux("send-keys", "Enter"),
      shows: (text) => until(`"${text}" on the screen`, () => screen().includes(text)),
    });
  } catch (error) {
    throw new Error(`${error.message}: ${screen().split("\n").filter(Boolean).slice(-6).join(" / ")}`);
  } finally {
    tmux("kill-server");
  }
}

async function check(seen, command, how, what, work) {
  const before = seen.report().complaints.length;
  process.stderr.write(`${command} … `);
  let result = "works";
  try {
    await work();
    const complaints = seen.report().complaints.slice(before);
    if (complaints.length > 0) result = `frames against the schema: ${complaints[0].what}: ${complaints[0].why}`;
  } catch (error) {
    result = `fails: ${error.message}`;
  }
  process.stderr.write(`${result}\n`);
  rows.push({ command, how, what, result });
}

async function checks(url, seen) {
  const shared = "shared token";
  const device = "device and shared token";
  const direct = ["--url", seen.url, "--token", TOKEN];
  configure(seen, TOKEN);
  await check(seen, "gateway call health", shared, "the report is sound", async () =>
    expect(await client("gateway", "call", "health", ...direct), '"ok": true'));
  await check(seen, "gateway probe", shared, "connects and reads", async () =>
    expect(await client("gateway", "probe", ...direct), "Connect: ok", "Read probe: ok"));
  await check(seen, "gateway status", shared, "the connectivity probe passes", async () =>
    expect(await client("gateway", "status", ...direct), "Connectivity probe: ok"));
  await check(seen, "status --json", shared, "the gateway is reachable", async () => {
    const said = await client("status", "--json");
    const { gateway } = JSON.parse(said.slice(said.indexOf("{")));
    if (gateway?.reachable !== true) throw new Error(JSON.stringify(gateway));
  });
  await check(seen, "agent --message", shared, "the model's answer is printed", async () =>
    expect(await client("agent", "--agent", "main", "--message", "hello"), SAID));
  await check(seen, "sessions list", "none: it reads the client's own files", "ends well", async () =>
    expect(await client("sessions", "list"), "Sessions listed"));
  await check(seen, "gateway call sessions.list", shared, "the conversation from above is listed", async () =>
    expect(await client("gateway", "call", "sessions.list", ...direct), "agent:main:main"));
  await check(seen, "cron list", shared, "there are none, truthfully", async () =>
    expect(await client("cron", "list"), "No automations"));
  await check(seen, "models list", shared, "the configured model is listed", async () =>
    expect(await client("models", "list"), "scripted/x"));
  await check(seen, "logs", shared, "lines of the gateway's log", async () =>
    expect(await client("logs", "--plain"), "the gateway is ready"));
  await check(seen, "tui, unknown device", device, "it shows what the owner has to approve", () =>
    tui((screen) => screen.shows("pairing required")));
  await approve(url);
  await check(seen, "tui", device, "a message is answered, streaming", () =>
    tui(async (screen) => {
      await screen.shows("connected | idle");
      screen.type("good morning");
      await sleep(500);
      screen.enter();
      await screen.shows("good morning");
      await until("the answer", () => screen.screen().split("good morning").at(-1).includes(SAID));
    }));
  await check(seen, "acp", device, "initialize, a session, a prompt and its streamed answer", async () => {
    const answers = await rpc(["acp"], [
      () => ({ id: 1, method: "initialize", params: { protocolVersion: 1, clientCapabilities: {} } }),
      () => ({ id: 2, method: "session/new", params: { cwd: folder, mcpServers: [] } }),
      (so) => ({
        id: 3,
        method: "session/prompt",
        params: { sessionId: answer(so, 2).sessionId, prompt: [{ type: "text", text: "hello" }] },
      }),
    ]);
    expect(JSON.stringify(answers), SAID);
    if (answer(answers, 3).stopReason !== "end_turn") throw new Error(JSON.stringify(answers.at(-1)));
  });
  await check(seen, "mcp serve", device, "initialize, list tools, list conversations", async () => {
    const clientInfo = { name: "peers", version: "1" };
    const answers = await rpc(["mcp", "serve"], [
      () => ({ id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } }),
      () => ({ method: "notifications/initialized" }),
      () => ({ id: 2, method: "tools/list" }),
      () => ({ id: 3, method: "tools/call", params: { name: "conversations_list", arguments: {} } }),
    ]);
    if (answer(answers, 3).isError) throw new Error(JSON.stringify(answers.at(-1)));
  });
  configure(seen, "");
  await check(seen, "devices list", "device token alone", "the device itself is listed", async () =>
    expect(await client("devices", "list"), "Paired (1)"));
}

function table(seen) {
  const cell = (text) => text.replaceAll(folder, "…").replaceAll("|", "\\|").replace(/\s+/g, " ");
  const lines = rows.map(({ command, how, what, result }) =>
    `| \`${command}\` | ${how} | ${what} | ${cell(result)} |`);
  const { frames } = seen.report();
  const { client: entry, version } = input;
  const theirs = JSON.parse(readFileSync(path.join(path.dirname(entry), "package.json"), "utf8")).version;
  return `# Clients that exist

Written by \`cargo xtask test --peers\`: the command line client \`openclaw\` ${theirs} from npm, unmodified, against
Instar ${version} with the scripted model, on ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}.
Each command went through a witness that checked all ${frames} frames that the gateway sent against the published
schema (\`@openclaw/gateway-protocol\`).

| command | credential | checked | result |
| --- | --- | --- | --- |
${lines.join("\n")}

A shared token without a device may read and write, nothing more, whatever the client asks for: \`devices list\` needs
a device that the owner approved. See [control-plane.md](control-plane.md).
`;
}

let code = 0;
try {
  const url = await gateway();
  const seen = await witness(input.modules, url.replace("http", "ws"));
  await checks(url, seen);
  const text = table(seen);
  writeFileSync(input.out, text);
  process.stdout.write(text);
  seen.close();
  if (rows.some((row) => row.result !== "works")) code = 1;
} catch (error) {
  process.stderr.write(`${error?.stack ?? error}\n`);
  code = 1;
}
for (const child of started) child.kill("SIGTERM");
await sleep(1_000);
for (const child of started) child.kill("SIGKILL");
rmSync(folder, { recursive: true, force: true });
process.exit(code);
