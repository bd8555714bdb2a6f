// Every page without JavaScript, and a setting changed with plain forms.

import { again, browse, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first, { javaScriptEnabled: false });
  const found = { pages: [] };
  for (const path of input.pages) {
    await page.goto(`${input.origin}${path}`);
    found.pages.push({ path, text: await page.locator("main").innerText() });
  }
  await page.goto(`${input.origin}/config`);
  await page.fill("[data-search]", input.key);
  await page.press("[data-search]", "Enter");
  await page.click(`main a:has-text("${input.key}")`);
  await page.fill("#value", input.wrong);
  await page.click("button[value=set]");
  found.refused = { text: await page.locator("[role=alert]").innerText(), kept: await page.inputValue("#value") };
  await page.fill("#value", input.right);
  await page.click("button[value=set]");
  found.preview = await page.locator("pre.diff").innerText();
  const twin = await again(browser, first, { javaScriptEnabled: false });
  await twin.goto(`${input.origin}/config/key?path=${input.key}`);
  await twin.fill("#value", input.late);
  await twin.click("button[value=set]");
  await page.click("main form button.primary");
  found.written = { path: new URL(page.url()).pathname, text: await page.locator("main").innerText() };
  await twin.click("main form button.primary");
  found.stale = await twin.locator("[role=alert]").innerText();
  await page.goto(`${input.origin}/config?set=1`);
  found.listed = await page.locator("main").innerText();
  return found;
});
