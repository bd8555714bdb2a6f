// The pages by keyboard alone, and in other languages.

import { again, browse, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first);
  await page.goto(`${input.origin}/sessions`);
  const found = { letters: [] };
  await page.keyboard.press("Tab");
  found.firstStop = await page.evaluate(() => document.activeElement.className);
  await page.keyboard.press("Enter");
  found.skippedTo = await page.evaluate(() => document.activeElement.id);
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  found.shortcuts = await page.locator("dialog").innerText();
  await page.keyboard.press("Escape");
  found.closed = await page.locator("dialog[open]").count();
  await page.keyboard.press("/");
  found.slash = await page.evaluate(() => document.activeElement.type);
  const tabs = await page.locator("nav.fold a").evaluateAll((all) => all.map((one) => [one.dataset.go, one.pathname]));
  for (const [letter, path] of tabs.filter(([, path]) => path !== "/chat")) {
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("g");
    await page.keyboard.press(letter);
    await page.waitForURL((url) => url.pathname === path);
    await page.waitForSelector("main h1");
    found.letters.push(path);
  }
  found.languages = [];
  found.wide = [];
  for (const [tag, locale] of [["en", "fr-FR"], ["ru", "ru-RU"], ["zh-Hans", "zh-CN"]]) {
    const asked = await again(browser, first, { locale, viewport: { width: 920, height: 800 } });
    for (const page of input.pages) {
      await asked.goto(`${input.origin}${page}`);
      const wide = await asked.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      if (wide) found.wide.push(`${tag} ${page}`);
    }
    await asked.goto(`${input.origin}/sessions`);
    found.languages.push([tag, await asked.evaluate(() => document.documentElement.lang), await asked.locator("h1").innerText()]);
    await asked.context().close();
  }
  await page.click("details.more summary");
  await page.click(".languages a[lang=ru]");
  await page.waitForSelector("html[lang=ru]");
  await page.goto(`${input.origin}/usage`);
  found.kept = await page.evaluate(() => document.documentElement.lang);
  return found;
});
