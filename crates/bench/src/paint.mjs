// When each page is first painted, in a browser of its own that has nothing in its cache. Prints one
// line of JSON: the page and its times in milliseconds.

import { createRequire } from "node:module";
import path from "node:path";

const input = JSON.parse(process.env.INSTAR_BENCH_INPUT);
const { chromium } = createRequire(path.join(input.modules, "index.js"))("playwright-core");

const browser = await chromium.launch({
  executablePath: input.chromium,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
});
const found = {};
for (const page of input.pages) {
  const times = [];
  for (let visit = 0; visit < input.visits; visit += 1) {
    const context = await browser.newContext({ extraHTTPHeaders: { Authorization: `Bearer ${input.token}` } });
    const tab = await context.newPage();
    await tab.goto(`${input.origin}${page}`);
    const paint = await tab.waitForFunction(() => {
      const [entry] = performance.getEntriesByName("first-contentful-paint");
      return entry?.startTime;
    });
    times.push(await paint.jsonValue());
    await context.close();
  }
  found[page] = times;
}
await browser.close();
process.stdout.write(`${JSON.stringify(found)}\n`);
