// Letters of agents to their owner: on the page of approvals, counted in the bar, answered in words with a
// script and by an offered answer without one.

import { again, axe, browse, input, PHONE, signIn } from "./lib.mjs";

const badge = (page) => page.locator(".tabs [data-waiting]").innerText();
const cards = (page) => page.locator("[data-question]").count();
const with_option = (page) => page.locator("[data-question]").filter({ has: page.locator("textarea") });

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [] };
  for (const colorScheme of ["light", "dark"]) {
    const page = await again(browser, first, { colorScheme, viewport: PHONE, bypassCSP: true });
    await page.goto(`${input.origin}/approvals`);
    await page.evaluate(axe());
    const { violations } = await page.evaluate(() => window.axe.run());
    found.faults.push(...violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
      .map(({ id, nodes }) => ({ id, nodes: nodes.map((node) => node.html) })));
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > PHONE.width) found.wide.push(`${colorScheme} ${width}`);
    if (input.shots) await page.screenshot({ path: `${input.shots}/letters-${colorScheme}.png`, fullPage: true });
    await page.context().close();
  }

  const page = await again(browser, first);
  await page.goto(`${input.origin}/approvals`);
  found.before = [await cards(page), await badge(page)];
  const card = with_option(page).first();
  found.card = await card.innerText();
  found.markup = await page.locator("[data-question] pre b").count();
  if (input.shots) await page.screenshot({ path: `${input.shots}/letters.png`, fullPage: true });
  await card.locator("textarea").fill("on Sunday");
  await card.locator("textarea").locator("xpath=ancestor::form").locator("button").click();
  await page.waitForFunction(() => document.querySelectorAll("[data-question]").length === 2);
  await page.waitForFunction(() => document.querySelector(".tabs [data-waiting]").textContent === "2");
  found.typed = [await cards(page), await badge(page)];

  const plain = await again(browser, first, { javaScriptEnabled: false });
  await plain.goto(`${input.origin}/approvals`);
  await with_option(plain).first().getByRole("button", { name: "Friday" }).click();
  await plain.waitForURL(/\/approvals$/);
  found.plain = [await cards(plain), await badge(plain)];
  await plain.locator("[data-question] button").click();
  await plain.waitForURL(/\/approvals$/);
  found.read = await cards(plain);
  return found;
});
