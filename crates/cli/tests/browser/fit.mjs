// What the accessibility checker says about every page in one theme, wide and narrow.

import { again, browse, DESK, faults, input, PHONE, signIn, talk } from "./lib.mjs";
import { PAGES } from "./pages.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  await talk(first, "hello");
  const found = { faults: [], looked: 0, wide: [] };
  for (const viewport of [DESK, PHONE]) {
    const page = await again(browser, first, { colorScheme: input.theme, viewport, bypassCSP: true });
    for (const path of PAGES) {
      await page.goto(`${input.origin}${path}`);
      await page.locator("main details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
      found.faults.push(...await faults(page, `${path} ${input.theme} ${viewport.width}`));
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      if (width > viewport.width) found.wide.push(`${path} ${width}`);
      found.looked += 1;
    }
    await page.context().close();
  }
  return found;
});
