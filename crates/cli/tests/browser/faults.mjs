// Faults: the map and the list, and the page of one with its trial, in both lights and both widths.

import { again, browse, DESK, faults, input, PHONE, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [], pages: {} };
  const whole = `${input.origin}/faults/${input.fault}`;
  if (input.wait) {
    const page = await again(browser, first, { locale: "en-US", viewport: DESK });
    await page.goto(whole);
    found.before = await page.locator("#fault").innerText();
    // Nobody loads the page anew.
    await page.waitForFunction(
      (before) => document.querySelector("#fault").innerText !== before, found.before, { timeout: 60_000 },
    );
    found.after = await page.locator("#fault").innerText();
    await page.goto(`${input.origin}/faults`);
    await page.locator("svg a").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/faults\/flt_/);
    await page.locator("input[name=name]").fill("a number as a word");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("h1").innerText.includes("a number as a word"));
    found.named = await page.locator("h1").innerText();
    return found;
  }
  for (const [locale, viewport, colorScheme] of [
    ["en-US", DESK, "light"], ["en-US", PHONE, "dark"], ["ru-RU", PHONE, "light"], ["zh-CN", DESK, "dark"],
  ]) {
    const page = await again(browser, first, { locale, viewport, colorScheme, bypassCSP: true });
    for (const [name, url] of [["fault", whole], ["faults", `${input.origin}/faults`]]) {
      await page.goto(url);
      found.faults.push(...await faults(page, `${name} ${locale} ${viewport.width}`));
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) found.wide.push(`${name} ${locale} ${width}`);
      if (input.shots) {
        await page.setViewportSize({ width: viewport.width, height: 2600 });
        await page.screenshot({ path: `${input.shots}/${name}-${locale}-${viewport.width}.png`, fullPage: true });
        await page.setViewportSize(viewport);
      }
      found.pages[`${name} ${locale}`] = await page.locator("main").innerText();
    }
    await page.goto(whole);
    found.curves = await page.locator("polyline.curve").count();
    found.bounds = await page.locator("figure.curves line.limit").count();
    found.rates = await page.locator("article.trial circle").count();
    await page.context().close();
  }
  return found;
});
