// A tool call that policy allows and one that it refuses, as the owner sees them.

import { browse, signIn, talk } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  await talk(page, "hello");
  await talk(page, "which sessions do I have?");
  await talk(page, "delete my files");
  const cards = page.locator("details.tool");
  const found = [];
  for (const card of await cards.all()) {
    const isOpen = await card.evaluate((details) => {
      const before = details.open;
      details.open = true;
      return before;
    });
    found.push({
      summary: await card.locator("summary").innerText(),
      text: await card.innerText(),
      denied: await card.evaluate((details) => details.classList.contains("denied")),
      isOpen,
    });
  }
  return { cards: found, answers: await page.locator(".entry.assistant").allInnerTexts() };
});
