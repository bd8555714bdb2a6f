// Stands between a client and the gateway, passes every frame on unchanged, and checks each one that
// the gateway sends against the published schema. Any client can be put behind it.
//
// As a program: `node witness.mjs` with INSTAR_CONTROL_INPUT={modules, target}. It prints the port
// that it listens on; when its standard input ends it prints what it saw, as one line of JSON.

import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { loadSchema } from "./schema.mjs";

/** Complaints that are kept; one is enough to fail a test. */
const COMPLAINTS_MAX = 40;
/** The part of an offending frame that is shown. */
const SHOWN_MAX = 600;
/** Errors of the gateway that are kept for the reader. */
const REFUSALS_MAX = 200;

/** Starts a witness before the gateway at `target`, a ws:// address. */
export async function witness(modules, target) {
  const { WebSocket, WebSocketServer } = createRequire(path.join(modules, "index.js"))("ws");
  const schema = await loadSchema(modules);
  const seen = { frames: 0, methods: {}, events: {}, unpublished: new Set(), complaints: [], refusals: [] };

  function complain(what, complaints, frame) {
    for (const why of complaints) {
      if (seen.complaints.length >= COMPLAINTS_MAX) return;
      seen.complaints.push({ what, why, frame: JSON.stringify(frame).slice(0, SHOWN_MAX) });
    }
  }

  function judge(calls, text) {
    seen.frames += 1;
    let frame;
    try {
      frame = JSON.parse(text);
    } catch {
      complain("frame", ["not JSON"], text);
      return;
    }
    complain("frame", schema.frame(frame), frame);
    if (frame.type === "event") {
      seen.events[frame.event] = (seen.events[frame.event] ?? 0) + 1;
      weigh(`event ${frame.event}`, schema.event(frame.event, frame.payload), frame);
    } else if (frame.type === "res") {
      const method = calls.get(frame.id) ?? "unknown";
      seen.methods[method] = (seen.methods[method] ?? 0) + 1;
      if (frame.ok) {
        weigh(method, schema.result(method, frame.payload), frame);
      } else if (seen.refusals.length < REFUSALS_MAX) {
        seen.refusals.push({ method, error: frame.error });
      }
    }
  }

  function weigh(what, { published, complaints }, frame) {
    if (!published) seen.unpublished.add(what);
    complain(what, complaints, frame);
  }

  const servers = [];

  /** Listens for clients; what they cannot send themselves goes with the upgrade. */
  async function listen(headers = {}) {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
    await new Promise((resolve) => server.once("listening", resolve));
    server.on("connection", (client, request) => join(client, request, headers));
    servers.push(server);
    return server.address().port;
  }

  function join(client, request, more) {
    const calls = new Map();
    const early = [];
    const { origin, cookie } = request.headers;
    const headers = { ...(origin ? { origin } : {}), ...(cookie ? { cookie } : {}), ...more };
    const gateway = new WebSocket(target, { perMessageDeflate: false, headers });
    gateway.on("open", () => early.splice(0).forEach((text) => gateway.send(text)));
    gateway.on("message", (data) => {
      const text = data.toString();
      judge(calls, text);
      if (client.readyState === WebSocket.OPEN) client.send(text);
    });
    client.on("message", (data) => {
      const text = data.toString();
      note(calls, text);
      if (gateway.readyState === WebSocket.OPEN) gateway.send(text);
      else early.push(text);
    });
    client.on("close", () => gateway.close());
    gateway.on("close", (code, reason) => close(client, code, reason));
    client.on("error", () => gateway.close());
    gateway.on("error", () => client.terminate());
  }

  const everybody = () => servers.flatMap((server) => [...server.clients]);
  const port = await listen();
  return {
    port,
    url: `ws://127.0.0.1:${port}`,
    /** An address whose clients are given these headers. */
    lend: async (headers) => `ws://127.0.0.1:${await listen(headers)}`,
    /** Cuts every connection, as a network that goes away does. */
    cut: () => everybody().forEach((client) => client.terminate()),
    report: () => ({ ...seen, unpublished: [...seen.unpublished].sort() }),
    close: () => {
      everybody().forEach((client) => client.terminate());
      servers.forEach((server) => server.close());
    },
  };
}

/** Remembers which method a reply will answer. */
function note(calls, text) {
  try {
    const frame = JSON.parse(text);
    if (frame.type === "req") calls.set(frame.id, frame.method);
  } catch {
    // What is not JSON is for the gateway to refuse.
  }
}

/** Codes that only the library itself may use cannot be sent on. */
function close(client, code, reason) {
  const sendable = code === 1000 || (code >= 1001 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || code >= 3000;
  if (sendable) client.close(code, reason);
  else client.terminate();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { modules, target } = JSON.parse(process.env.INSTAR_CONTROL_INPUT);
  const one = await witness(modules, target);
  process.stdout.write(`${one.port}\n`);
  process.stdin.resume();
  process.stdin.on("end", () => {
    process.stdout.write(`${JSON.stringify(one.report())}\n`);
    one.close();
    process.exit(0);
  });
}
