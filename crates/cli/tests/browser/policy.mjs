// The policy page: rules in words, rights in every posture, a call and a decision explained, what
// another posture would have changed; with the keyboard alone, on a phone, in three languages.

import { again, browse, DESK, faults, input, PHONE, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [], languages: {} };
  const whole = `/policy?compare=1&decision=${input.receipt}`;
  for (const [locale, viewport, colorScheme] of [
    ["en-US", DESK, "light"], ["en-US", PHONE, "dark"], ["ru-RU", PHONE, "light"], ["zh-CN", DESK, "dark"],
  ]) {
    const page = await again(browser, first, { locale, viewport, colorScheme, bypassCSP: true });
    await page.goto(`${input.origin}${whole}`);
    await page.locator("main details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
    found.faults.push(...await faults(page, `${locale} ${viewport.width}`));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > viewport.width) found.wide.push(`${locale} ${width}`);
    found.languages[locale] = await page.locator("#rules").innerText();
    if (input.shots) {
      await page.setViewportSize({ width: viewport.width, height: 3600 });
      await page.screenshot({ path: `${input.shots}/policy-${locale}-${viewport.width}.png` });
    }
    await page.context().close();
  }

  const page = await again(browser, first);
  await page.goto(`${input.origin}/policy`);
  found.rights = await page.locator("#rights table").innerText();
  found.owners = await page.locator("#rules tr[data-owners]").innerText();
  // With the keyboard alone: from the form's first field to its button.
  await page.locator("#tool").focus();
  await page.keyboard.type("write");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type('{"path":"drafts/<b>x</b>.md","content":"x"}');
  await page.keyboard.press("Tab");
  await page.keyboard.type("Write it");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-explained]");
  found.explained = await page.locator("[data-explained]").innerText();
  found.elements = await page.locator("[data-explained] b").count();
  found.kept = [await page.locator("#tool").inputValue(), await page.locator("input[name=tainted]").isChecked()];

  // No arguments at all, and what is none.
  await page.goto(`${input.origin}/policy?tool=write&arguments=%7Bx`);
  found.wrong = await page.locator(".trouble").innerText();
  await page.goto(`${input.origin}/policy?decision=999999`);
  found.missing = await page.locator(".trouble").innerText();

  await page.goto(`${input.origin}/policy`);
  await page.locator("a.button", { hasText: "Compare now" }).click();
  found.compared = await page.locator("[data-compared]").innerText();
  await page.locator("#compare details summary").first().click();
  await page.locator("#compare details a").first().click();
  found.decision = await page.locator("[data-explained]").innerText();
  found.complaints = page.seen.complaints;
  return found;
});
