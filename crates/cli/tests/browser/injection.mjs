// Text that would like to be code: as a person's words, a model's words, a title, a tool's name, a
// path and a parameter. Nothing of it may run.

import { browse, input, signIn, talk, visit } from "./lib.mjs";

/** Presses everything that a careless reader could press inside an entry. */
async function press(page) {
  for (const summary of await page.locator(".entry summary").all()) await summary.click();
  const links = await page.locator(".entry a").evaluateAll((all) => all.map((one) => one.href));
  for (const target of await page.locator(".entry p, .entry li").all()) {
    await target.hover({ timeout: 2_000 }).catch(() => {});
  }
  return links;
}

await browse(async (browser) => {
  const page = await signIn(browser);
  await page.context().addInitScript(() => { window.__pwned = undefined; });
  const found = { links: [], elements: [], pwned: [], titles: [], live: "" };
  const look = async (where) => {
    // A page that is led elsewhere while it is looked at has an element of theirs, too.
    const away = (error) => [`${where}: ${error.message}`];
    const ran = await page.evaluate(() => String(window.__pwned)).catch(away);
    if (ran !== "undefined") found.pwned.push(where);
    found.elements.push(...await page.evaluate(() => {
      const foreign = ".log :is(script, img, svg, iframe, object, embed, style, form, input, link, meta, base, video, audio, math)";
      const handlers = [...document.querySelectorAll("*")].filter((one) =>
        [...one.attributes].some((attribute) => attribute.name.startsWith("on")));
      return [...document.querySelectorAll(foreign), ...handlers].map((one) => one.outerHTML);
    }).catch(away));
  };
  for (const session of input.sessions) {
    await visit(page, session);
    found.links.push(...await press(page));
    await look(session);
  }
  found.titles = await page.locator("nav li a").allInnerTexts();
  await visit(page, "agent:main:live");
  for (const text of input.live) {
    await talk(page, text);
    await look(text);
  }
  found.live = await page.locator(".log").innerText();
  found.pages = [];
  for (const path of input.paths) {
    const response = await page.goto(`${input.origin}${path}`).catch(() => null);
    found.pages.push(response?.status() ?? 0);
    await look(path);
  }
  found.dialogs = page.seen.dialogs;
  found.requests = page.seen.requests;
  found.policyBreaks = page.seen.complaints.filter((one) => one.startsWith("policy:"));
  return found;
});
