// Without JavaScript the link still signs in, with one press of a button, and everything that was
// said can be read.

import { browse, input, open, signIn, talk, again } from "./lib.mjs";

await browse(async (browser) => {
  const scripted = await signIn(browser);
  await talk(scripted, "show me markdown");

  const page = await again(browser, scripted, { javaScriptEnabled: false });
  await page.goto(`${input.origin}/chat`);
  const found = {
    asked: await page.locator(".entry.user").allInnerTexts(),
    answer: await page.locator(".entry.assistant").last().innerText(),
    tables: await page.locator(".entry.assistant table").count(),
    hint: await page.locator(".hint noscript").innerText(),
  };

  // Writing, stopping and choosing are plain forms.
  await page.fill("#say", "hello");
  await page.click("[data-send]");
  await page.waitForURL((url) => url.hash === "#say");
  found.written = await page.locator(".entry.user").allInnerTexts();
  found.answers = await page.locator(".entry.assistant").count();
  await page.click("a.fresh");
  found.fresh = new URL(page.url()).searchParams.get("session");
  await page.fill("#say", "tell me a long story");
  await page.click("[data-send]");
  await page.waitForURL((url) => url.hash === "#say");
  found.reloads = await page.locator("noscript meta[http-equiv=refresh]").count();
  await page.click("[data-stop] button");
  // Stopped before its first word it leaves this notice alone.
  found.stopped = await page.locator(".entry.notice", { hasText: "stopped" }).innerText();
  await page.selectOption("#model", "default");
  await page.click("form[data-model] button");
  found.chosen = await page.locator(".entry.notice", { hasText: "model" }).last().innerText();

  const plain = await open(browser, { javaScriptEnabled: false });
  await plain.goto(input.secondLink);
  await plain.click("button.primary");
  await plain.waitForURL((url) => url.pathname === "/chat");
  found.pressed = await plain.locator(".entry.user").allInnerTexts();
  await plain.locator(".more > summary").click();
  await plain.locator("form[action='/sign-out'] button").click();
  found.signedOut = new URL(plain.url()).pathname;
  found.cookies = (await plain.context().cookies()).filter((cookie) => cookie.value !== "").length;
  return found;
});
