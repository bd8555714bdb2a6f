// Reading on the chat page: copying, times, the latest, words about an answer, and what happened
// while the gateway was gone.

import { answered, browse, input, signIn, streamed, talk, type, visit } from "./lib.mjs";
import { existsSync, writeFileSync } from "node:fs";

await browse(async (browser) => {
  const page = await signIn(browser, { permissions: ["clipboard-read", "clipboard-write"], viewport: { width: 1000, height: 520 } });
  const found = {};
  await talk(page, "show me markdown");
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await page.locator(".entry.assistant .code .copy").first().click();
  found.code = await clipboard();
  found.pressed = await page.locator(".entry.assistant .code .copy").first().innerText();
  await page.locator(".entry.assistant .foot .copy").first().click();
  found.answer = await clipboard();
  const time = page.locator(".entry.assistant time").first();
  found.time = [await time.innerText(), await time.getAttribute("title")];

  await page.locator("[data-verdict=bad]").first().click();
  await page.waitForSelector("[data-verdict=bad][aria-pressed=true]");
  await page.locator("[data-verdict=good]").first().click();
  await page.waitForSelector("[data-verdict=good][aria-pressed=true]");
  await visit(page);
  found.judged = await page.locator("[data-verdict]").first().evaluate(
    (one) => [...one.parentElement.children].map((button) => button.getAttribute("aria-pressed")));

  // What comes while the reader is further up is counted, and one press leads to it.
  found.latestAtEnd = await page.locator("[data-latest]").isVisible();
  await page.evaluate(() => { document.querySelector(".log").scrollTop = 0; });
  await page.waitForSelector("[data-latest]:not([hidden])");
  await page.evaluate((session) => fetch("/api/v1/messages", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ session, text: "hello" }),
  }), "main");
  await answered(page, 2);
  found.latest = await page.locator("[data-latest]").innerText();
  found.stayed = await page.evaluate(() => document.querySelector(".log").scrollTop);
  await page.locator("[data-latest]").click();
  await page.waitForSelector("[data-latest][hidden]", { state: "attached" });
  found.atEnd = await page.evaluate(() => {
    const log = document.querySelector(".log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  });

  // Busy while words stream, so that a screen reader waits for the whole.
  await type(page, "tell me a long story");
  await streamed(page, 40);
  found.busy = await page.locator(".log").getAttribute("aria-busy");
  // Now the test kills the gateway, starts it again, and waits until the answer is given: the page,
  // without a network meanwhile, hears nothing of it.
  await page.context().setOffline(true);
  writeFileSync(input.ready, "");
  await page.waitForFunction((words) => document.querySelector("[data-status]").textContent.includes(words), "trying again");
  found.lost = await page.locator("[data-status]").innerText();
  while (!existsSync(input.back)) await new Promise((next) => setTimeout(next, 50));
  await page.context().setOffline(false);
  await page.waitForFunction(() => document.querySelector("[data-status]").textContent === ""
    && !document.querySelector(".live, .mine"), null, { timeout: 60_000 });
  found.asked = await page.locator(".entry.user").allInnerTexts();
  found.last = await page.locator(".entry[data-entry]").last().innerText();
  await talk(page, "hello");
  found.idle = await page.locator(".log").getAttribute("aria-busy");
  return found;
});
