// The official conformance suite against `/mcp`. It cannot send a credential: a proxy adds it.
import { spawn } from "node:child_process";
import { createServer, request } from "node:http";

const input = JSON.parse(process.env.INSTAR_CLIENT_INPUT);
const target = new URL(input.url);

const proxy = createServer((asked, answer) => {
  // The host that was asked for is judged by the gateway, so that the suite can try foreign ones.
  const host = asked.headers.host.replace(`:${proxy.address().port}`, `:${target.port}`);
  const headers = { ...asked.headers, host, authorization: `Bearer ${input.token}` };
  if (headers.origin) {
    headers.origin = headers.origin.replace(`:${proxy.address().port}`, `:${target.port}`);
  }
  const passed = request(
    { host: target.hostname, port: target.port, path: asked.url, method: asked.method, headers },
    (found) => {
      answer.writeHead(found.statusCode, found.headers);
      found.pipe(answer);
    },
  );
  passed.on("error", () => answer.destroy());
  asked.pipe(passed);
});
await new Promise((ready) => proxy.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${proxy.address().port}/mcp`;

const suite = `${input.modules}/@modelcontextprotocol/conformance/dist/index.js`;
const run = (scenario) =>
  new Promise((done) => {
    const child = spawn(
      process.execPath,
      [suite, "server", "--url", url, "--scenario", scenario],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let said = "";
    child.stdout.on("data", (data) => (said += data));
    child.stderr.on("data", (data) => (said += data));
    child.on("close", (code) => done({ passed: code === 0, said }));
  });

const found = {};
for (const scenario of input.scenarios) {
  found[scenario] = await run(scenario);
}
proxy.close();
console.log(JSON.stringify(found));
