// Calls methods one after the other as the owner and prints every answer. A text like `$3.hash` in
// the parameters stands for that part of the answer to call number 3, counted from 0.

import { input, owner, refusal, run } from "./lib.mjs";

await run(async (seen) => {
  const boss = await owner(seen);
  const answers = [];
  for (const [method, params] of input.calls) {
    try {
      answers.push(await boss.request(method, filled(params, answers), { expectFinal: true }));
    } catch (error) {
      answers.push({ refused: refusal(error) });
    }
  }
  return { answers, hello: boss.hellos[0] };
});

function filled(value, answers) {
  if (Array.isArray(value)) return value.map((one) => filled(one, answers));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, answers)]));
  }
  const reference = typeof value === "string" && /^\$(\d+)\.(.+)$/.exec(value);
  if (!reference) return value;
  return reference[2].split(".").reduce((from, name) => from?.[name], answers[Number(reference[1])]);
}
