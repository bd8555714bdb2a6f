// What is done on the pages beside the chat: shortcuts, changes that are taken back, models that are tried,
// events that come by themselves, and other languages.

import { again, browse, input, signIn, talk } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  await talk(first, "hello");
  const found = { titles: [] };

  // By keyboard: the list of shortcuts, and from page to page.
  await first.goto(`${input.origin}/sessions`);
  await first.keyboard.press("?");
  found.shortcuts = await first.locator("dialog[open] kbd").count();
  await first.keyboard.press("Escape");
  await first.keyboard.press("g");
  await first.keyboard.press("u");
  await first.waitForURL((url) => url.pathname === "/usage");

  // A conversation is renamed, deleted and taken back.
  await first.goto(`${input.origin}/sessions`);
  await first.locator(".act > summary").click();
  await first.fill("input[name=title]", "<b>renamed</b>");
  await first.press("input[name=title]", "Enter");
  await first.waitForLoadState("load");
  await first.locator("td.main a", { hasText: "<b>renamed</b>" }).waitFor();
  await first.locator("button.bad").click();
  await first.locator("[data-undo]:not(.hidden) button").waitFor();
  found.hidden = await first.locator("tbody tr").first().isHidden();
  await first.locator("[data-undo] button").click();
  await first.locator("tbody tr").first().waitFor();
  await first.reload();
  found.rows = await first.locator("tbody tr").count();

  // A model is tried, and events come by themselves.
  await first.goto(`${input.origin}/models`);
  await first.locator("td form button").first().click();
  await first.locator(".mark[data-result]").waitFor();
  found.probed = await first.locator("[data-result]").first().innerText();
  const watching = await again(browser, first);
  await watching.goto(`${input.origin}/events`);
  const before = await watching.locator("tbody tr").count();
  await first.goto(`${input.origin}/chat`);
  await talk(first, "hello again");
  await watching.waitForFunction((rows) => document.querySelectorAll("tbody tr").length > rows, before);

  // In another language, which is remembered.
  await first.goto(`${input.origin}/language?to=ru&back=/usage`);
  found.titles.push(await first.locator("h1").innerText());
  await first.goto(`${input.origin}/language?to=zh&back=//elsewhere.example/`);
  found.back = new URL(first.url()).pathname;
  await first.goto(`${input.origin}/usage`);
  found.titles.push(await first.locator("h1").innerText(), await first.locator("html").getAttribute("lang"));
  return found;
});
