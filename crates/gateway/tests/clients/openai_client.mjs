// Drives a running gateway with the official OpenAI client for JavaScript.
//
// INSTAR_BASE_URL and INSTAR_KEY say where and as whom, INSTAR_TEST_NODE_MODULES where the client is
// installed. Prints one line per check and ends with "all checks passed".

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.INSTAR_TEST_NODE_MODULES, "here.js"));
const { OpenAI } = require("openai");

const baseURL = `${process.env.INSTAR_BASE_URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.INSTAR_KEY, maxRetries: 0, timeout: 60_000 });

// One white pixel.
const PNG = Buffer.from(
  "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489" +
    "0000000d49444154789c63f8ffff3f0005fe02fea1399e1b0000000049454e44ae426082",
  "hex",
).toString("base64");
const parameters = {
  type: "object",
  properties: { a: { type: "number" }, b: { type: "number" } },
  required: ["a", "b"],
};
const chatTool = { type: "function", function: { name: "add", description: "adds", parameters } };
const responsesTool = { type: "function", name: "add", description: "adds", parameters, strict: false };

const ask = (content, more = {}) =>
  client.chat.completions.create({ model: "instar", messages: [{ role: "user", content }], ...more });

async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const checks = {
  async models() {
    const names = (await all(client.models.list())).map((model) => model.id);
    for (const name of ["instar", "instar/default", "instar/main"]) assert(names.includes(name), name);
    assert.equal((await client.models.retrieve("instar")).object, "model");
    assert.equal((await client.models.retrieve("instar/main")).id, "instar/main");
    await assert.rejects(client.models.retrieve("gpt-4o"), OpenAI.NotFoundError);
  },

  async chat() {
    const reply = await ask("hello");
    assert.equal(reply.choices[0].message.content, "one two three");
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.total_tokens, 10);
  },

  async chatStream() {
    const chunks = await all(await ask("hello", { stream: true, stream_options: { include_usage: true } }));
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    const texts = chunks.map((chunk) => chunk.choices[0]?.delta?.content).filter(Boolean);
    assert.deepEqual(texts, ["one ", "two ", "three"]);
    assert.equal(chunks.at(-1).usage.total_tokens, 10);
  },

  async chatTools() {
    const runner = client.chat.completions.runTools({
      model: "instar",
      messages: [{ role: "user", content: "add two numbers" }],
      tools: [
        {
          type: "function",
          function: {
            name: "add",
            description: "adds",
            parameters,
            parse: JSON.parse,
            function: ({ a, b }) => String(a + b),
          },
        },
      ],
    });
    assert.equal(await runner.finalContent(), "the sum is 5");
  },

  async chatToolsStream() {
    const stream = client.chat.completions.stream({
      model: "instar",
      messages: [{ role: "user", content: "add two numbers" }],
      tools: [chatTool],
    });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].finish_reason, "tool_calls");
    const call = final.choices[0].message.tool_calls[0];
    assert.deepEqual(JSON.parse(call.function.arguments), { a: 2, b: 3 });
  },

  async chatImages() {
    const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
    const text = { type: "text", text: "what is in the picture" };
    assert.equal((await ask([text, picture])).choices[0].message.content, "I see 1 pictures");
    const away = { type: "image_url", image_url: { url: "https://example.org/a.png" } };
    await assert.rejects(ask([text, away]), (error) => {
      assert(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "messages[0].content[1].image_url");
      return true;
    });
  },

  async errors() {
    const wrong = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
    await assert.rejects(ask("x", { temperature: 3 }), (error) => {
      assert(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "temperature");
      return true;
    });
    await assert.rejects(ask("broken"), OpenAI.InternalServerError);
    await assert.rejects(async () => all(await ask("broken", { stream: true })), OpenAI.APIError);
  },

  async responses() {
    const first = await client.responses.create({ model: "instar", input: "first" });
    assert.equal(first.output_text, "one two three");
    const second = await client.responses.create({
      model: "instar",
      input: "history",
      previous_response_id: first.id,
    });
    assert.equal(second.output_text, "user:first|assistant:one two three|user:history");
    assert.equal((await client.responses.retrieve(first.id)).output_text, "one two three");
  },

  async responsesStream() {
    const events = await all(await client.responses.create({ model: "instar", input: "hello", stream: true }));
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    const final = await client.responses.stream({ model: "instar", input: "think" }).finalResponse();
    assert.equal(final.output_text, "done");
  },

  async responsesTools() {
    const first = await client.responses.create({
      model: "instar",
      input: "add two numbers",
      tools: [responsesTool],
    });
    const call = first.output.find((item) => item.type === "function_call");
    const second = await client.responses.create({
      model: "instar",
      previous_response_id: first.id,
      tools: [responsesTool],
      input: [{ type: "function_call_output", call_id: call.call_id, output: "5" }],
    });
    assert.equal(second.output_text, "the sum is 5");
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log("ok", name);
}
console.log("all checks passed");
