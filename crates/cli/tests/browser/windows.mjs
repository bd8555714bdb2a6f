// Two windows on one conversation, a page loaded in the middle of an answer, and messages typed
// faster than they are answered.

import { again, answered, browse, signIn, streamed, talk, type, visit } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const second = await again(browser, first);
  await visit(second);
  const watching = streamed(second, 20);
  await talk(first, "hello");
  await watching;
  await answered(second, 1);
  const found = {
    asked: await second.locator(".entry.user").allInnerTexts(),
    same: await first.locator(".log").innerText() === await second.locator(".log").innerText(),
  };

  await type(first, "tell me a long story");
  await streamed(first, 60);
  await visit(second);
  await second.click("[data-stop] button");
  await answered(first, 2);
  await answered(second, 2);
  found.metas = [
    await first.locator(".entry.assistant .meta").last().innerText(),
    await second.locator(".entry.assistant .meta").last().innerText(),
  ];
  found.stopShown = await second.locator("[data-stop]").isVisible();

  // Three messages at once: the first is answered while the others wait; none is lost or doubled.
  for (const text of ["hello", "who are you?", "thanks"]) await type(first, text);
  await first.waitForFunction(() => !document.querySelector(".live, .mine"));
  found.typed = (await first.locator(".entry.user").allInnerTexts()).slice(2);
  await visit(second);
  found.stored = (await second.locator(".entry.user").allInnerTexts()).slice(2);
  return found;
});
