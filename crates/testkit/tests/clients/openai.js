const assert = require("node:assert");
const { OpenAI, RateLimitError } = require("openai");

const client = new OpenAI({ baseURL: process.env.BASE + "/v1", apiKey: "right", maxRetries: 0 });
const says = (content) => [{ role: "user", content }];

async function main() {
  const whole = await client.chat.completions.create({ model: "m", messages: says("hello") });
  assert.equal(whole.choices[0].message.content, "Hello from the script.");

  const parameters = { type: "object", properties: {} };
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  const runner = client.chat.completions.stream({ model: "m", messages: says("the weather?"), tools });
  const pieces = [];
  runner.on("content", (delta) => pieces.push(delta));
  const final = await runner.finalChatCompletion();
  assert.deepEqual(pieces, ["I will look."]);
  const call = final.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "weather");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris", days: 3 });
  const told = await client.chat.completions.create({
    model: "m",
    tools,
    messages: [
      ...says("the weather?"),
      final.choices[0].message,
      { role: "tool", tool_call_id: call.id, content: "sunny" },
    ],
  });
  assert.equal(told.choices[0].message.content, "It is sunny.");

  const stream = client.responses.stream({ model: "m", input: "hello" });
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(text, "Hello from the script.");
  assert.equal((await stream.finalResponse()).output_text, text);

  await assert.rejects(
    client.chat.completions.create({ model: "m", messages: says("busy") }),
    (error) => error instanceof RateLimitError && error.code === "rate_limit_exceeded",
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
