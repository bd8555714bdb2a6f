// Every page beside the chat: what the accessibility checker says in both themes and both widths, what a
// first visit loads, whether anything jumps, and what can be done there.

import { again, browse, DESK, faults, input, PHONE, signIn, talk } from "./lib.mjs";

const PAGES = ["/approvals", "/policy", "/audit", "/sessions", "/usage", "/releases", "/events", "/faults", "/agents", "/models", "/devices", "/config", "/config/key?path=gateway.bind", "/status?checks=1", "/logs"];

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
  const found = { faults: [], visits: [], wide: [], titles: [] };
  for (const path of ["/chat", ...PAGES]) found.visits.push(await cold(browser, first, path));
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [DESK, PHONE]) {
      const page = await again(browser, first, { colorScheme, viewport, bypassCSP: true });
      for (const path of PAGES) {
        await page.goto(`${input.origin}${path}`);
        await page.locator("main details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
        found.faults.push(...await faults(page, `${path} ${colorScheme} ${viewport.width}`));
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > viewport.width) found.wide.push(`${path} ${width}`);
      }
      await page.context().close();
    }
  }

  // By keyboard: the list of shortcuts, and from page to page.
  await first.goto(`${input.origin}/sessions`);
  await first.keyboard.press("?");
  found.shortcuts = await first.locator("dialog[open] kbd").count();
  await first.keyboard.press("Escape");
  await first.keyboard.press("g");
  await first.keyboard.press("u");
  await first.waitForURL((url) => url.pathname === "/usage");

  // A conversation is renamed, deleted and taken back.
  await first.goto(`${input.origin}/sessions`);
  await first.locator(".act > summary").click();
  await first.fill("input[name=title]", "<b>renamed</b>");
  await first.press("input[name=title]", "Enter");
  await first.waitForLoadState("load");
  await first.locator("td.main a", { hasText: "<b>renamed</b>" }).waitFor();
  await first.locator("button.bad").click();
  await first.locator("[data-undo]:not(.hidden) button").waitFor();
  found.hidden = await first.locator("tbody tr").first().isHidden();
  await first.locator("[data-undo] button").click();
  await first.locator("tbody tr").first().waitFor();
  await first.reload();
  found.rows = await first.locator("tbody tr").count();

  // A model is tried, and events come by themselves.
  await first.goto(`${input.origin}/models`);
  await first.locator("td form button").first().click();
  await first.locator(".mark[data-result]").waitFor();
  found.probed = await first.locator("[data-result]").first().innerText();
  const watching = await again(browser, first);
  await watching.goto(`${input.origin}/events`);
  const before = await watching.locator("tbody tr").count();
  await first.goto(`${input.origin}/chat`);
  await talk(first, "hello again");
  await watching.waitForFunction((rows) => document.querySelectorAll("tbody tr").length > rows, before);

  // In another language, which is remembered.
  await first.goto(`${input.origin}/language?to=ru&back=/usage`);
  found.titles.push(await first.locator("h1").innerText());
  await first.goto(`${input.origin}/language?to=zh&back=//elsewhere.example/`);
  found.back = new URL(first.url()).pathname;
  await first.goto(`${input.origin}/usage`);
  found.titles.push(await first.locator("h1").innerText(), await first.locator("html").getAttribute("lang"));
  return found;
});
