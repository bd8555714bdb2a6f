// A fresh start: the printed link signs in, the first message is answered while one watches, and
// the link is worth nothing afterwards.

import { browse, input, open, signIn, type, answered } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  const empty = await page.locator(".empty").isVisible();
  const address = page.url();

  await page.evaluate(() => {
    window.lengths = new Set();
    const look = () => {
      const text = document.querySelector(".live .text");
      if (text) window.lengths.add(text.textContent.length);
    };
    new MutationObserver(look).observe(document.querySelector(".log"), {
      childList: true, subtree: true, characterData: true,
    });
  });
  await type(page, "hello");
  await answered(page, 1);
  const answer = page.locator(".entry.assistant").last();
  const found = {
    empty,
    address,
    lengths: await page.evaluate(() => [...window.lengths].sort((one, two) => one - two)),
    asked: await page.locator(".entry.user").allInnerTexts(),
    answer: await answer.innerText(),
    strong: await answer.locator("strong").allInnerTexts(),
    points: await answer.locator("li").count(),
    emptyAfter: await page.locator(".empty").count(),
    cookies: await page.context().cookies(),
    kept: await page.evaluate(() => [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie]),
  };

  const other = await open(browser);
  const refusal = other.waitForResponse((response) => response.request().method() === "POST");
  await other.goto(input.link);
  found.second = { status: (await refusal).status() };
  await other.waitForSelector("[role=alert]");
  found.second.words = await other.locator("[role=alert]").innerText();
  found.second.cookies = (await other.context().cookies()).length;
  found.second.chat = (await other.goto(`${input.origin}/chat`)).url();
  return found;
});
