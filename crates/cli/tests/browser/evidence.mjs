// Gates with their buttons, reports side by side, and where a release comes from.

import { again, browse, DESK, faults, input, PHONE, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [], pages: {} };
  const desk = await again(browser, first, { locale: "en-US", viewport: DESK, bypassCSP: true });
  // The gates are asked and answered with the page's own buttons.
  await desk.goto(`${input.origin}/candidates/${input.candidate}`);
  await desk.getByRole("button", { name: "Ask the gates" }).click();
  await says(desk, "It may go to shadow");
  await desk.getByRole("button", { name: "Say yes to it" }).click();
  await says(desk, "It may go to stable");
  found.gates = await desk.locator("main").innerText();
  await desk.goto(`${input.origin}/reports`);
  found.pages.reports = await desk.locator("main").innerText();
  await desk.locator("td.main a").first().click();
  await desk.waitForURL(/\/reports\/[0-9a-f]{64}/);
  found.report = desk.url();
  found.first = await desk.locator("article.case h3").first().innerText();
  found.sides = await desk.locator("article.case .sides section").count();
  await desk.locator("p.filters a", { hasText: "Got worse" }).click();
  await desk.waitForURL(/show=worse/);
  found.worse = await desk.locator("article.case").count();
  found.diff = await desk.locator("article.case pre.diff span").count();
  await desk.goto(`${input.origin}/reports/${input.changed}`);
  found.changed = await desk.locator("main").innerText();
  for (const [locale, viewport, colorScheme] of [
    ["en-US", DESK, "light"], ["en-US", PHONE, "dark"], ["ru-RU", PHONE, "light"], ["zh-CN", DESK, "dark"],
  ]) {
    const page = await again(browser, first, { locale, viewport, colorScheme, bypassCSP: true });
    for (const [name, url] of [
      ["reports", `${input.origin}/reports`], ["report", found.report],
      ["lineage", `${input.origin}/releases/${input.release}/lineage`],
    ]) {
      await page.goto(url);
      found.faults.push(...await faults(page, `${name} ${locale} ${viewport.width}`));
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) found.wide.push(`${name} ${locale} ${width}`);
      if (input.shots) {
        await page.setViewportSize({ width: viewport.width, height: 1600 });
        await page.screenshot({ path: `${input.shots}/${name}-${locale}-${viewport.width}.png` });
        await page.setViewportSize(viewport);
      }
      found.pages[`${name} ${locale}`] = await page.locator("main").innerText();
    }
    found.nodes = await page.locator("svg g.node").count();
    found.edges = await page.locator("svg path.edge").count();
    await page.context().close();
  }
  return found;
});

/** Waits until a page that is loaded again after its button was pressed says so. */
async function says(page, text) {
  await page.getByText(text).waitFor({ timeout: 120_000 });
  await page.waitForLoadState();
}
