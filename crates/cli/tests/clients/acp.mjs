// The official client of the Agent Client Protocol, talking to `instar acp` as an editor does.
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";
import { pathToFileURL } from "node:url";

const input = JSON.parse(process.env.INSTAR_CLIENT_INPUT);
const acp = await import(
  pathToFileURL(`${input.modules}/@agentclientprotocol/sdk/dist/v1/stable/acp.js`).href
);

function editor() {
  const child = spawn(input.binary, ["acp"], {
    env: input.env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const updates = [];
  const waiting = [];
  const stream = acp.ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout));
  const agent = acp
    .client({ name: "instar-test" })
    .onNotification(acp.methods.client.session.update, async ({ params }) => {
      updates.push(params);
      waiting.splice(0).forEach((wake) => wake());
    })
    .connect(stream).agent;
  const { agent: methods } = acp.methods;
  const connection = {
    initialize: (asked) => agent.request(methods.initialize, asked),
    newSession: (asked) => agent.request(methods.session.new, asked),
    loadSession: (asked) => agent.request(methods.session.load, asked),
    setSessionConfigOption: (asked) => agent.request(methods.session.setConfigOption, asked),
    prompt: (asked) => agent.request(methods.session.prompt, asked),
    cancel: (asked) => agent.notify(methods.session.cancel, asked),
  };
  const until = async (what) => {
    while (!updates.some(what)) {
      await new Promise((wake) => waiting.push(wake));
    }
  };
  const end = () =>
    new Promise((done) => {
      child.on("close", done);
      child.stdin.end();
    });
  return { connection, updates, until, end };
}

const kind = (name) => (told) => told.update.sessionUpdate === name;
const text = (updates, name) =>
  updates
    .filter(kind(name))
    .map((told) => told.update.content.text ?? "")
    .join("");
const failure = (promise) =>
  promise.then(
    () => "answered",
    (error) => ({ code: error.code, message: error.message }),
  );
const say = (sessionId, words) => ({ sessionId, prompt: [{ type: "text", text: words }] });
const place = { cwd: "/tmp", mcpServers: [] };

const found = {};
const one = editor();
found.greeting = await one.connection.initialize({ protocolVersion: 1, clientCapabilities: {} });
const opened = await one.connection.newSession(place);
found.opened = opened;
const id = opened.sessionId;
await one.until(kind("available_commands_update"));
found.commands = one.updates
  .find(kind("available_commands_update"))
  .update.availableCommands.map((command) => command.name);

found.prompt = await one.connection.prompt({
  sessionId: id,
  prompt: [
    { type: "text", text: "look at this" },
    { type: "resource", resource: { uri: "file:///x/note.rs", text: "fn note() {}" } },
    { type: "image", mimeType: "image/png", data: input.image },
  ],
});
found.said = text(one.updates, "agent_message_chunk");
one.updates.length = 0;
found.command = await one.connection.prompt(say(id, "/status"));
found.commandSaid = text(one.updates, "agent_message_chunk");
one.updates.length = 0;
found.tool = await one.connection.prompt(say(id, "use a tool"));
found.toolUpdates = one.updates.map((told) => told.update);
one.updates.length = 0;
const slow = one.connection.prompt(say(id, "take long"));
await one.until(kind("agent_message_chunk"));
await one.connection.cancel({ sessionId: id });
found.cancelled = await slow;
const chosen = opened.configOptions[0].options.at(-1).value;
found.chosen = await one.connection.setSessionConfigOption({
  sessionId: id,
  configId: "model",
  value: chosen,
});
found.wrongModel = await failure(
  one.connection.setSessionConfigOption({ sessionId: id, configId: "model", value: "no/such" }),
);
found.ended = await one.end();

const two = editor();
await two.connection.initialize({ protocolVersion: 1, clientCapabilities: {} });
await two.connection.loadSession({ sessionId: id, ...place });
found.replayed = two.updates.map((told) => told.update);
found.foreign = await failure(two.connection.loadSession({ sessionId: "agent:main:main", ...place }));
found.unknown = await failure(two.connection.prompt(say("agent:main:acp:none", "hello")));
await two.end();
console.log(JSON.stringify(found));
