// A narrow screen shows everything without scrolling sideways, and the keyboard alone is enough.

import { again, answered, browse, signIn, streamed, talk, type, visit } from "./lib.mjs";

const focused = (page) => page.evaluate(() => {
  const one = document.activeElement;
  return one.id || one.dataset.send !== undefined && "send" || one.className || one.tagName.toLowerCase();
});

await browse(async (browser) => {
  const desk = await signIn(browser);
  await talk(desk, "show me markdown");
  await talk(desk, `delete my files ${"x".repeat(400)} https://example.com/${"y".repeat(400)}`);

  const phone = await again(browser, desk, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  await visit(phone);
  const found = await phone.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    screen: window.innerWidth,
    log: [document.querySelector(".log").scrollWidth, document.querySelector(".log").clientWidth],
    sendHeight: document.querySelector("[data-send]").getBoundingClientRect().height,
    sendRight: document.querySelector("[data-send]").getBoundingClientRect().right,
  }));
  await phone.tap("#say");
  await phone.fill("#say", "hello");
  await phone.tap("[data-send]");
  await answered(phone, 3);
  found.phoneAnswer = await phone.locator(".entry.assistant").last().innerText();

  const page = await again(browser, desk);
  await visit(page);
  found.focusedAtFirst = await focused(page);
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("/");
  found.slash = [await focused(page), await page.inputValue("#say")];
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  await page.evaluate(() => {
    document.activeElement.blur();
    window.getSelection().removeAllRanges();
    document.body.tabIndex = -1;
    document.body.focus();
  });
  found.order = [];
  for (let step = 0; step < 80 && found.order.at(-1) !== "send"; step += 1) {
    await page.keyboard.press("Tab");
    found.order.push(await focused(page));
  }
  await page.keyboard.press("Shift+Tab");
  found.back = await focused(page);
  await page.keyboard.type("one");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  found.lines = await page.inputValue("#say");
  await page.fill("#say", "");
  const before = await page.locator(".entry.assistant[data-entry] .meta").count();
  await page.keyboard.type("tell me a long story");
  await page.keyboard.press("Enter");
  await streamed(page, 60);
  await page.keyboard.press("Escape");
  await answered(page, before + 1);
  found.stopped = await page.locator(".entry.assistant[data-entry] .meta").last().innerText();
  return found;
});
