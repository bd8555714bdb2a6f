// MCP's own inspector, on its command line, over HTTP and over the pipes of `instar mcp serve`.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

const input = JSON.parse(process.env.INSTAR_CLIENT_INPUT);
const inspector = path.join(
  input.modules,
  "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
);
const run = promisify(execFile);

const http = ["--transport", "http", "--header", `Authorization: Bearer ${input.token}`];
const state = ["-e", `INSTAR_STATE_DIR=${input.env.INSTAR_STATE_DIR}`];
const ways = {
  http: [`${input.url}/mcp`, ...http],
  pipes: [input.binary, "mcp", "serve", ...state],
};

async function ask(way, method, ...more) {
  const { stdout, stderr } = await run(
    process.execPath,
    [inspector, "--cli", ...way, "--method", method, ...more],
    { env: input.env, maxBuffer: 16 << 20 },
  );
  return { answer: JSON.parse(stdout), complaints: stderr };
}

const found = {};
for (const [name, way] of Object.entries(ways)) {
  const conversation = `agent:main:inspected-${name}`;
  found[name] = {
    tools: await ask(way, "tools/list", "--strict"),
    sent: await ask(
      way,
      "tools/call",
      "--tool-name",
      "messages_send",
      "--tool-arg",
      `conversation=${conversation}`,
      "text=over the wire",
    ),
    resources: await ask(way, "resources/list"),
    prompts: await ask(way, "prompts/list"),
  };
}
console.log(JSON.stringify(found));
