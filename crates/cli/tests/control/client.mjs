// One life of a client: turned away as an unknown device, approved by the owner, talking with
// streaming, reading what was said, and coming back with its device token after the network was cut.

import { connect, device, input, owner, refusal, run, until } from "./lib.mjs";

await run(async (seen) => {
  const found = {};
  const phone = device();
  const identity = { deviceIdentity: phone.identity, hostDeps: phone.deps };

  const stranger = connect(seen, { ...identity, token: input.token });
  const turned = await stranger.first();
  found.turned = turned instanceof Error ? refusal(turned) : turned;
  stranger.stop();

  const boss = await owner(seen);
  found.owner = boss.hellos[0].auth;
  const { pending } = await boss.request("device.pair.list", {});
  found.pending = pending.map((one) => one.deviceId === phone.identity.deviceId);
  await boss.request("device.pair.approve", { requestId: pending[0].requestId });

  const client = connect(seen, { ...identity, token: input.token, caps: ["tool-events"] });
  const hello = await client.first();
  if (hello instanceof Error) throw hello;
  found.auth = { role: hello.auth.role, scopes: hello.auth.scopes };
  found.stored = [...phone.tokens.keys()];

  await client.request("sessions.subscribe", {});
  found.sent = await client.request("chat.send", {
    sessionKey: "main",
    message: "hello",
    idempotencyKey: "first-message",
  });
  const ended = await until("the final event", () =>
    client.events.find((one) => one.event === "chat" && one.payload.state === "final"),
  );
  const chat = client.events.filter((one) => one.event === "chat").map((one) => one.payload);
  found.chat = {
    runs: [...new Set(chat.map((one) => one.runId))],
    deltas: chat.filter((one) => one.state === "delta").map((one) => one.deltaText).join(""),
    said: ended.payload.message.content[0].text,
    inOrder: chat.every((one, at) => at === 0 || one.seq > chat[at - 1].seq),
  };
  const numbers = client.events.filter((one) => one.seq !== undefined).map((one) => one.seq);
  found.numbered = numbers.every((one, at) => one === at + 1);
  found.changed = client.events.filter((one) => one.event === "sessions.changed").length;

  found.again = await client.request("chat.send", {
    sessionKey: "main",
    message: "hello",
    idempotencyKey: "first-message",
  });
  const history = await client.request("chat.history", { sessionKey: "main" });
  found.roles = history.messages.map((one) => one.role);
  found.agent = await client.request(
    "agent",
    { sessionKey: "agent:main:second", message: "and now", idempotencyKey: "second" },
    { expectFinal: true },
  );

  const { hash } = await boss.request("config.get", {});
  const raw = "{ agents: { defaults: { maxToolCalls: 9 } } }";
  await boss.request("config.patch", { raw, baseHash: hash });
  const edit = await until("word of the edit", () =>
    client.events.find((one) => one.event === "config.changed"),
  );
  found.edit = edit.payload.hash === (await client.request("config.get", {})).hash;

  seen.cut();
  await until("the client's return", () => client.hellos.length > 1);
  found.back = {
    auth: client.hellos[1].auth.role,
    sessions: (await client.request("sessions.list", {})).sessions.length,
  };

  await boss.request("device.pair.remove", { deviceId: phone.identity.deviceId });
  await until("the end of the removed device", () => client.errors.length > 0);
  found.removed = refusal(client.errors.at(-1));
  client.stop();
  boss.stop();
  return found;
});
