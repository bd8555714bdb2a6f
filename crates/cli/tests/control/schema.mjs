// The published schema of the gateway protocol, as checks for what a gateway sends: whole frames,
// the payload of each event and the result of each method. Compiled with the validator that the
// schema's own package uses.

import path from "node:path";
import { pathToFileURL } from "node:url";

/** Results whose definition is not named after the method. */
const RESULTS = {
  connect: "HelloOk",
  "agent.identity.get": "AgentIdentityResult",
  "config.schema": "ConfigSchemaResponse",
  "device.token.rotate": "DeviceTokenRotateResult",
};

/** Payloads of events, by the event's name. */
const EVENTS = {
  agent: "AgentEvent",
  chat: "ChatEvent",
  "device.pair.requested": "DevicePairRequestedEvent",
  "device.pair.resolved": "DevicePairResolvedEvent",
  shutdown: "ShutdownEvent",
  tick: "TickEvent",
};

/** The most differences that one complaint names. */
const ERRORS_MAX = 6;

/** A module of a package below `modules`, by its file. */
export function load(modules, file) {
  return import(pathToFileURL(path.join(modules, file)).href);
}

/** Reads the schema; the answer's functions return a list of complaints, empty when all is well. */
export async function loadSchema(modules) {
  const { ProtocolSchemas } = await load(modules, "@openclaw/gateway-protocol/dist/schema.mjs");
  const { Compile } = await load(modules, "typebox/build/compile/index.mjs");
  const compiled = new Map();

  function differences(key, schema, value) {
    if (!compiled.has(key)) compiled.set(key, Compile(schema));
    const validator = compiled.get(key);
    if (validator.Check(value)) return [];
    const found = [...validator.Errors(value)].slice(0, ERRORS_MAX);
    return found.map((one) => {
      const params = one.params ? ` ${JSON.stringify(one.params)}` : "";
      return `${key}${one.instancePath ?? ""}: ${one.message}${params}`;
    });
  }

  const named = (name, value) => differences(name, ProtocolSchemas[name], value);
  const health = ProtocolSchemas.Snapshot.properties.health;
  const rows = (value) => value.flatMap((row) => named("SessionRow", row));

  /** Shapes that the schema defines within others, or for part of a payload. */
  const partial = {
    "event health": (payload) => differences("health", health, payload),
    "event presence": (payload) => payload.presence.flatMap((one) => named("PresenceEntry", one)),
    "event sessions.changed": (payload) => (payload.session ? named("SessionRow", payload.session) : []),
    "result health": (payload) => differences("health", health, payload),
    "result system-presence": (payload) => payload.flatMap((one) => named("PresenceEntry", one)),
    "result sessions.list": (payload) => rows(payload.sessions),
    "result sessions.describe": (payload) => (payload.session ? named("SessionRow", payload.session) : []),
    "result cron.list": (payload) => payload.jobs.flatMap((one) => named("CronJob", one)),
    "result cron.get": (payload) => named("CronJob", payload),
    "result cron.runs": (payload) => payload.entries.flatMap((one) => named("CronRunLogEntry", one)),
    "result chat.history": (payload) => (payload.kind ? named("ChatHistoryCursorResult", payload) : []),
  };

  function judged(kind, name, definition, payload) {
    if (definition in ProtocolSchemas) return { published: true, complaints: named(definition, payload) };
    const rule = partial[`${kind} ${name}`];
    if (rule) return { published: true, complaints: rule(payload) };
    return { published: false, complaints: [] };
  }

  return {
    frame: (frame) => named(frame?.type === "event" ? "EventFrame" : "ResponseFrame", frame),
    event: (name, payload) => judged("event", name, EVENTS[name] ?? "", payload),
    result: (method, payload) => judged("result", method, RESULTS[method] ?? `${camel(method)}Result`, payload),
  };
}

function camel(method) {
  return method
    .split(/[.-]/)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join("");
}
