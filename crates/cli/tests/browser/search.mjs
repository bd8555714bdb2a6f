// Words are looked for on the page of conversations: in names, and in what was said.

import { axe, browse, input, again, signIn, talk, visit } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  const found = { faults: [], wide: [] };
  await talk(page, "the heron stands in the reeds");
  for (const text of ["one", "two", "three"]) await talk(page, text);
  await talk(page, input.hostile);
  await visit(page, "agent:main:herons");
  await talk(page, "nothing of the kind");
  const hits = () => page.locator(".said li").evaluateAll((all) => all.map((one) => [
    one.querySelector("a").textContent.trim(),
    [...one.querySelectorAll("mark")].map((mark) => mark.textContent),
  ]));

  // From the keyboard: g s, /, words, Enter.
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.waitForURL((url) => url.pathname === "/sessions");
  await page.keyboard.press("/");
  await page.keyboard.type("HERON");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.searchParams.get("search") === "HERON");
  found.names = await page.locator("tbody tr .key").allInnerTexts();
  found.hits = await hits();
  await page.locator(".said a").last().click();
  await page.waitForSelector("body[data-ready]");
  found.target = await page.locator(".entry:target").innerText();
  found.seen = await page.locator(".entry:target").evaluate((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return top >= 0 && bottom <= window.innerHeight;
  });

  const search = (text) => page.goto(`${input.origin}/sessions?search=${encodeURIComponent(text)}`);
  await search("reeds");
  found.onlySaid = [await page.locator("tbody tr").count(), (await hits()).length, await page.locator(".nothing").count()];
  await search("nowhere at all");
  found.none = [await page.locator(".said").count(), await page.locator("main").innerText()];
  await search(input.hostile.slice(0, 20));
  found.hostile = (await hits()).length;
  found.pwned = await page.evaluate(() => String(window.__pwned));

  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 860 }, { width: 390, height: 844 }]) {
      const one = await again(browser, page, { colorScheme, viewport, bypassCSP: true });
      await one.goto(`${input.origin}/sessions?search=heron`);
      await one.evaluate(axe());
      const { violations } = await one.evaluate(() => window.axe.run());
      found.faults.push(...violations.filter(({ impact }) => impact !== "minor").map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.html) })));
      if (await one.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)) found.wide.push(viewport.width);
      if (input.pictures) await one.screenshot({ path: `${input.pictures}/search-${colorScheme}-${viewport.width}.png` });
      await one.context().close();
    }
  }
  const plain = await again(browser, page, { javaScriptEnabled: false, locale: "ru-RU" });
  await plain.goto(`${input.origin}/sessions?search=heron`);
  found.plain = await plain.locator("#said").innerText();
  found.complaints = page.seen.complaints;
  return found;
});
