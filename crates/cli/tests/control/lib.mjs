// What the scripts share: the published client library as a real client behind the witness, a device
// of its own, and the owner at the gateway's page. A script prints one line of JSON; what it means is
// asserted in `peers.rs`.

import crypto from "node:crypto";

import { load } from "./schema.mjs";
import { witness } from "./witness.mjs";

/** What the test gave: modules, url, token, link, and whatever else this script needs. */
export const input = JSON.parse(process.env.INSTAR_CONTROL_INPUT);

/** How long a whole script and one wait in it may take, in milliseconds. */
const SCRIPT_MS_MAX = 100_000;
const WAIT_MS_MAX = 30_000;

export const SCOPES = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.questions",
  "operator.pairing",
];

const { GatewayClient } = await load(input.modules, "@openclaw/gateway-client/dist/index.mjs");

/** Runs a script behind a witness and prints what it found, with what the witness saw. */
export async function run(work) {
  const tooLong = setTimeout(() => fail("the script took too long"), SCRIPT_MS_MAX);
  const seen = await witness(input.modules, input.url.replace("http", "ws"));
  try {
    const found = await work(seen);
    const line = `${JSON.stringify({ found, witness: seen.report() })}\n`;
    // A pipe takes its time: the process ends when the line is through.
    await new Promise((resolve) => process.stdout.write(line, resolve));
  } catch (error) {
    fail(`${error?.stack ?? error}\n${JSON.stringify(seen.report())}`);
  }
  clearTimeout(tooLong);
  process.exit(0);
}

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

/** A device: a key of its own, and the tokens that it was given. */
export function device() {
  const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
  const raw = (pem) => crypto.createPublicKey(pem).export({ type: "spki", format: "der" }).subarray(-32);
  const publicKeyPem = publicKey.export({ type: "spki", format: "pem" });
  const tokens = new Map();
  return {
    tokens,
    identity: {
      deviceId: crypto.createHash("sha256").update(raw(publicKeyPem)).digest("hex"),
      publicKeyPem,
      privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
    },
    deps: {
      signDevicePayload: (pem, text) => crypto.sign(null, Buffer.from(text), pem).toString("base64url"),
      publicKeyRawBase64UrlFromPem: (pem) => raw(pem).toString("base64url"),
      loadDeviceAuthToken: ({ role }) => tokens.get(role) ?? null,
      storeDeviceAuthToken: ({ role, token, scopes }) => tokens.set(role, { token, scopes }),
      clearDeviceAuthToken: ({ role }) => tokens.delete(role),
    },
  };
}

/** Connects the published client. `first` resolves with the first hello or the first refusal. */
export function connect(seen, options) {
  const hellos = [];
  const errors = [];
  const events = [];
  const client = new GatewayClient({
    url: seen.url,
    mode: "test",
    clientName: "test",
    platform: "linux",
    scopes: SCOPES,
    ...options,
    onHelloOk: (hello) => hellos.push(hello),
    onConnectError: (error) => errors.push(error),
    onEvent: (event) => events.push(event),
  });
  client.start();
  return {
    hellos,
    errors,
    events,
    request: (method, params, more) => client.request(method, params, more),
    stop: () => client.stop(),
    first: () => until("an answer to connect", () => hellos[0] ?? errors[0]),
  };
}

/** The owner, signed in at the gateway's own page with the link that was made for that. */
export async function owner(seen) {
  const code = new URL(input.link).searchParams.get("code");
  const answer = await fetch(`${input.url}/sign-in`, {
    method: "POST",
    redirect: "manual",
    headers: { "content-type": "application/x-www-form-urlencoded", origin: input.url },
    body: new URLSearchParams({ code }),
  });
  const cookie = answer.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  const url = await seen.lend({ cookie, origin: input.url });
  const one = connect(seen, { url });
  const first = await one.first();
  if (first instanceof Error) throw first;
  return one;
}

/** Waits until something is there. */
export async function until(what, look) {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const found = look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited for ${what} in vain`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A refusal as a value. */
export function refusal(error) {
  return { code: error.gatewayCode ?? error.code, message: error.message, details: error.details };
}
