// Events come by themselves, are filtered, and wait while the page is paused; the charts of what was
// spent.

import { again, browse, input, signIn, talk } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  await talk(page, "first");
  const events = await again(browser, page);
  await events.goto(`${input.origin}/events`);
  const kinds = (one) => one.locator("tbody tr code").allInnerTexts();
  const rows = () => events.locator("tbody tr").count();
  const found = { before: [...new Set(await kinds(events))] };
  let count = await rows();
  await talk(page, "second");
  await events.waitForFunction((rows) => document.querySelectorAll("tbody tr").length > rows, count);

  // Paused, by keyboard: nothing moves, and nothing is lost.
  await events.locator("[data-pause]").focus();
  await events.keyboard.press("Enter");
  count = await rows();
  await talk(page, "third");
  await events.waitForFunction(() => /[1-9]/.test(document.querySelector("[data-live-state]").textContent));
  found.paused = [await rows() - count, await events.locator("[data-pause]").getAttribute("aria-pressed")];
  await events.keyboard.press("Enter");
  await events.waitForFunction((rows) => document.querySelectorAll("tbody tr").length > rows, count);

  // Of one kind only, also what comes by itself.
  await events.selectOption("select[name=kind]", "model_call");
  await Promise.all([events.waitForEvent("load"), events.click("form.tools button:not([type])")]);
  count = await rows();
  await talk(page, "fourth");
  await events.waitForFunction((rows) => document.querySelectorAll("tbody tr").length > rows, count);
  found.filtered = [...new Set(await kinds(events))];
  await events.locator("tbody summary").first().click();
  found.whole = JSON.parse(await events.locator("tbody pre").first().innerText()).kind;

  await events.goto(`${input.origin}/usage`);
  found.charts = await events.locator("figure.chart").evaluateAll((all) => all.map((one) => ({
    name: one.querySelector("figcaption").textContent,
    label: one.querySelector("svg").getAttribute("aria-label"),
    values: [...one.querySelectorAll("rect title")].map((title) => title.textContent).filter((text) => !/: (\$0\.00|0)$/.test(text)).length,
    limit: one.querySelector("text.limit")?.textContent ?? null,
    tall: Math.max(...[...one.querySelectorAll("rect")].map((rect) => rect.getBoundingClientRect().height)),
  })));
  found.complaints = [...page.seen.complaints, ...events.seen.complaints];
  return found;
});
