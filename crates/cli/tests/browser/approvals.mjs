// Five questions wait for the owner: the badge on every page, the cards, answers by mouse and keyboard,
// what the checker says, phones and languages.

import { again, browse, DESK, faults, input, PHONE, signIn } from "./lib.mjs";

const badge = (page) => page.locator(".tabs [data-waiting]").innerText();
const cards = (page) => page.locator("[data-question]").count();

await browse(async (browser) => {
  const first = await signIn(browser);
  const found = { faults: [], wide: [], languages: [] };
  found.badges = [await badge(first)];
  const other = await again(browser, first);
  await other.goto(`${input.origin}/sessions`);
  found.badges.push(await badge(other));

  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [DESK, PHONE]) {
      const page = await again(browser, first, { colorScheme, viewport, bypassCSP: true });
      for (const path of input.pages) {
        await page.goto(`${input.origin}${path}`);
        await page.locator("main details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
        found.faults.push(...await faults(page, `${path} ${colorScheme} ${viewport.width}`));
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > viewport.width) found.wide.push(`${path} ${width}`);
        if (input.shots) {
          const name = `${path.replace(/\W+/g, "")}-${colorScheme}-${viewport.width}.png`;
          await page.screenshot({ path: `${input.shots}/${name}` });
        }
      }
      await page.context().close();
    }
  }
  for (const locale of ["en-US", "ru-RU", "zh-CN"]) {
    const page = await again(browser, first, { locale });
    await page.goto(`${input.origin}/approvals`);
    found.languages.push(await page.locator("h1").innerText());
    if (input.shots) await page.screenshot({ path: `${input.shots}/${locale}.png` });
    await page.context().close();
  }

  const page = await again(browser, first);
  await page.goto(`${input.origin}/approvals`);
  found.cards = await cards(page);
  const card = (number) => page.locator(`[data-question="ask_000${number}"]`);
  found.card = await card(1).innerText();
  found.images = await page.locator("main img, main b").count();
  found.offered = [await card(1).locator("details.act").count() > 0, await card(2).locator("details.act").count() > 0];

  // By keyboard: the first button of a card is no.
  await card(1).locator("button").first().focus();
  // The page is loaded anew behind each answer.
  await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  await page.waitForFunction(() => document.querySelectorAll("[data-question]").length === 4);
  found.afterNo = [await cards(page), await badge(page)];
  await other.waitForFunction(() => document.querySelector(".tabs [data-waiting]").textContent === "4");
  found.elsewhere = await badge(other);

  // The rule is read before it is kept.
  await card(2).locator("details.act summary").click();
  found.ruleBefore = await card(2).locator("details.act").innerText();
  await Promise.all([page.waitForEvent("load"), card(2).locator("button[value=always]").click()]);
  await page.waitForFunction(() => document.querySelectorAll("[data-question]").length === 3);
  const section = page.locator("section", { hasText: "Standing rules" });
  found.rules = await section.innerText();
  await section.locator("button.bad").click();
  await page.waitForFunction(() => !document.querySelector("main button.bad"));
  found.revoked = await section.innerText();

  // Answered at the command line meanwhile: the card goes by itself.
  const before = await cards(page);
  const { execFileSync } = await import("node:child_process");
  execFileSync(input.binary, ["approvals", "approve", "ask_0003"], { env: input.env, stdio: "pipe" });
  await page.waitForFunction((count) => document.querySelectorAll("[data-question]").length < count, before);
  found.removedLive = await cards(page) + 1;

  await page.goto(`${input.origin}/audit`);
  await page.locator("a.button", { hasText: "whole chain" }).click();
  found.chain = await page.locator("main").innerText();
  await page.goto(`${input.origin}/audit`);
  await page.locator("a.button", { hasText: "Look now" }).click();
  found.score = await page.locator(".big").innerText();
  await page.goto(`${input.origin}/policy`);
  found.rights = await page.locator("#rights table").innerText();
  await page.fill("#tool", "sessions_list");
  await page.selectOption("#role", "stranger");
  await page.click("[data-call] button.primary");
  found.explained = await page.locator("[data-explained]").innerText();
  found.complaints = [...page.seen.complaints, ...other.seen.complaints];
  return found;
});
