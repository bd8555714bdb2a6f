// What a first visit of each page loads, and whether anything jumps.

import { again, browse, input, signIn, talk } from "./lib.mjs";
import { PAGES } from "./pages.mjs";

/** Bytes on the wire of one cold visit, and how far things moved while it came. */
async function cold(browser, first, path) {
  const page = await again(browser, first);
  const bodies = [];
  page.on("response", (response) => {
    const kind = response.request().resourceType();
    if (["document", "stylesheet", "script", "image"].includes(kind)) bodies.push(response.body());
  });
  await page.addInitScript(() => {
    window.__moved = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) window.__moved += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(`${input.origin}${path}`);
  await page.waitForLoadState("load");
  const moved = await page.evaluate(() => window.__moved);
  const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + body.length, 0);
  const { seen } = page;
  await page.context().close();
  return { path, bytes, moved, elsewhere: seen.requests.filter((url) => !url.startsWith(input.origin) && !url.startsWith("data:")), complaints: seen.complaints };
}

await browse(async (browser) => {
  const first = await signIn(browser);
  await talk(first, "hello");
  const visits = [];
  for (const path of ["/chat", ...PAGES]) visits.push(await cold(browser, first, path));
  return { visits };
});
