// The official MCP client, over HTTP and over the pipes of `instar mcp serve`: the same questions,
// and the answers of both on standard output.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const input = JSON.parse(process.env.INSTAR_CLIENT_INPUT);
const require = createRequire(pathToFileURL(`${input.modules}/x.js`));
const load = async (name) => import(pathToFileURL(require.resolve(name)).href);

const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await load(
  "@modelcontextprotocol/sdk/client/streamableHttp.js",
);
const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");

const http = () =>
  new StreamableHTTPClientTransport(new URL(`${input.url}/mcp`), {
    requestInit: { headers: { authorization: `Bearer ${input.token}` } },
  });
const pipes = () =>
  new StdioClientTransport({ command: input.binary, args: ["mcp", "serve"], env: input.env });

async function ask(transport, key) {
  const client = new Client({ name: "instar-test", version: "1" });
  await client.connect(transport);
  const call = (name, args = {}) => client.callTool({ name, arguments: args });
  const found = {};
  found.server = client.getServerVersion();
  found.tools = (await client.listTools()).tools;
  const before = (await call("events_wait", { waitSeconds: 0 })).structuredContent;
  const sent = await call("messages_send", { conversation: key, text: "over the wire" });
  found.sent = sent.structuredContent;
  const id = found.sent.conversation;
  found.read = (await call("messages_read", { conversation: id })).structuredContent;
  found.first = (await call("messages_read", { conversation: id, limit: 1 })).structuredContent;
  found.second = (
    await call("messages_read", { conversation: id, limit: 1, cursor: found.first.next })
  ).structuredContent;
  found.events = (
    await call("events_wait", { after: before.next, conversation: id, waitSeconds: 30 })
  ).structuredContent;
  found.listed = (await call("conversations_list", { limit: 1 })).structuredContent;
  found.status = (await call("status")).structuredContent;
  found.models = (await call("models_list")).structuredContent;
  found.refused = await call("messages_read", { conversation: "ses_nothing" });
  found.strict = await call("status", { surplus: 1 });
  found.reserved = await call("messages_send", { conversation: "agent:main:acp:x", text: "no" });
  found.resources = (await client.listResources()).resources;
  found.transcript = await client.readResource({ uri: `instar://conversations/${id}` });
  found.prompt = await client.getPrompt({
    name: "conversation_summary",
    arguments: { conversation: id },
  });
  found.unknown = await call("nothing").then(
    () => "answered",
    (error) => error.message,
  );
  await client.close();
  return found;
}

const answers = {
  http: await ask(http(), "agent:main:test:http"),
  pipes: await ask(pipes(), "agent:main:test:pipes"),
};
console.log(JSON.stringify(answers));
