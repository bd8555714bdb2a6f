// A long answer is stopped in the middle; what had come is kept, and the conversation goes on.

import { browse, signIn, streamed, talk, type, answered } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  const stop = page.locator("[data-stop]");
  const shownBefore = await stop.isVisible();
  await type(page, "tell me a long story");
  await streamed(page, 60);
  const shownDuring = await stop.isVisible();
  await stop.click();
  await answered(page, 1);
  const stopped = page.locator(".entry.assistant[data-entry]").last();
  const found = {
    shownBefore,
    shownDuring,
    shownAfter: await stop.isVisible(),
    text: await stopped.locator(".text").innerText(),
    meta: await stopped.locator(".meta").innerText(),
  };
  await talk(page, "hello");
  found.next = await page.locator(".entry.assistant[data-entry]").last().innerText();
  return found;
});
