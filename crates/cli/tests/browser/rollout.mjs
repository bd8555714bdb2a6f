// The rollout page: both arms, the evidence, and the button that takes the candidate back.

import { again, browse, DESK, faults, input, PHONE, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [], pages: {} };
  const whole = `${input.origin}/rollouts/${input.rollout}`;
  if (input.take) {
    const page = await again(browser, first, { locale: "en-US", viewport: DESK });
    await page.goto(whole);
    await page.waitForFunction(() => document.querySelector("#rollout").innerText.includes("9 ·"));
    found.fresh = await page.locator("#rollout").innerText();
    // With the keyboard alone.
    await page.locator("button.bad").focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.body.innerText.includes("the owner took it back"));
    found.after = await page.locator("main").innerText();
    return found;
  }
  for (const [locale, viewport, colorScheme] of [
    ["en-US", DESK, "light"], ["en-US", PHONE, "dark"], ["ru-RU", PHONE, "light"], ["zh-CN", DESK, "dark"],
  ]) {
    const page = await again(browser, first, { locale, viewport, colorScheme, bypassCSP: true });
    for (const [name, url] of [["rollout", whole], ["rollouts", `${input.origin}/rollouts`], ["releases", `${input.origin}/releases`]]) {
      await page.goto(url);
      found.faults.push(...await faults(page, `${name} ${locale} ${viewport.width}`));
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) found.wide.push(`${name} ${locale} ${width}`);
      if (input.shots) {
        await page.screenshot({ path: `${input.shots}/${name}-${locale}-${viewport.width}.png`, fullPage: true });
      }
    }
    await page.goto(whole);
    found.pages[locale] = await page.locator("main").innerText();
    found.numbers ??= await page.locator("#rollout").evaluate((whole) => whole.textContent);
    found.charts = await page.locator("figure.chart").count();
    await page.context().close();
  }
  return found;
});
