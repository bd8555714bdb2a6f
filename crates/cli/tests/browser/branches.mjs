// Another answer, a message in another form, and the versions of both: with the mouse, with the
// keyboard, in a second window, on a phone, without a script, and under the accessibility checker.

import { again, answered, axe, browse, input, signIn, talk, visit } from "./lib.mjs";

const said = (page) => page.evaluate(() => [...document.querySelectorAll(".entry.user, .entry.assistant")]
  .map((one) => one.querySelector(".text, p")?.textContent.trim() ?? one.textContent.trim()));
const versions = (page) => page.locator(".versions").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")));

/** Waits until this is what the page shows. */
async function shows(page, texts) {
  await page.waitForFunction((wanted) => {
    const all = [...document.querySelectorAll(".entry.user, .entry.assistant")];
    const now = all.map((one) => one.querySelector(".text, p")?.textContent.trim() ?? "");
    return !document.querySelector(".live, .mine") && JSON.stringify(now) === JSON.stringify(wanted);
  }, texts);
}

async function check(page) {
  await page.evaluate(axe());
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.filter(({ impact }) => impact !== "minor").map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map((node) => node.html) }));
}

await browse(async (browser) => {
  const page = await signIn(browser);
  const found = {};
  await talk(page, "first");
  await talk(page, "second");
  const other = await again(browser, page);
  await visit(other);

  // Another answer. The other window goes along.
  await page.locator("[data-retry]").last().click();
  await shows(page, ["first", "answer 1", "second", "answer 3"]);
  await shows(other, ["first", "answer 1", "second", "answer 3"]);
  found.retried = await versions(page);

  // The version before and back, by keyboard; the focus stays where it was.
  await page.locator("[data-way=before]:enabled").focus();
  await page.keyboard.press("Enter");
  await shows(page, ["first", "answer 1", "second", "answer 2"]);
  await shows(other, ["first", "answer 1", "second", "answer 2"]);
  await page.waitForFunction(() => document.activeElement.dataset.way === "behind");
  found.before = await versions(page);
  await page.keyboard.press("ArrowRight");
  await shows(page, ["first", "answer 1", "second", "answer 3"]);
  await page.waitForFunction(() => document.activeElement.dataset.way === "before");

  // A message in another form: up from the empty box, and Escape leaves it.
  await page.focus("#say");
  await page.keyboard.press("ArrowUp");
  await page.waitForSelector("form.anew");
  found.opened = await page.inputValue("form.anew textarea");
  await page.keyboard.press("Escape");
  found.left = [await page.locator("form.anew").count(), await page.evaluate(() => document.activeElement.dataset.edit !== undefined)];
  await page.locator("[data-edit]").last().click();
  await page.waitForSelector("form.anew");
  await page.fill("form.anew textarea", `better ${input.hostile}`);
  await page.keyboard.press("Enter");
  await answered(page, 2);
  await page.waitForFunction(() => document.querySelectorAll(".versions").length === 1
    && document.querySelector(".entry.user .versions"));
  found.edited = await said(page);
  found.editedVersions = await versions(page);
  found.pwned = await page.evaluate(() => String(window.__pwned));

  // The first message in another form begins anew.
  await page.locator("[data-edit]").first().click();
  await page.fill("form.anew textarea", "another beginning");
  await page.locator("form.anew button").click();
  await shows(page, ["another beginning", "answer 5"]);
  await shows(other, ["another beginning", "answer 5"]);
  await page.locator(".entry.user [data-way=before]").click();
  await page.waitForFunction(() => document.querySelectorAll(".entry.assistant").length === 2);
  found.back = (await said(page)).slice(0, 2);

  // A picture that was attached stays with the message.
  await page.setInputFiles("[data-files]", { name: "note.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
  await talk(page, "with a file");
  await page.locator("[data-edit]").last().click();
  await page.fill("form.anew textarea", "with the same file");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => {
    const last = [...document.querySelectorAll(".entry.user[data-entry]")].pop();
    return last?.textContent.includes("with the same file") && !document.querySelector(".live, .mine");
  });
  found.file = await page.locator(".entry.user").last().locator(".attached a").count();

  // A conversation of its own goes on from an answer.
  const forked = await again(browser, page);
  await visit(forked);
  const whole = await said(forked);
  await forked.locator("[data-fork]").first().focus();
  await forked.keyboard.press("Enter");
  await forked.waitForURL((url) => url.searchParams.get("session")?.includes(":fork:"));
  await forked.waitForSelector("body[data-ready]");
  found.forked = await said(forked);
  await talk(forked, "only here");
  await forked.goto(`${input.origin}/chat`);
  found.untouched = JSON.stringify(await said(forked)) === JSON.stringify(whole);
  await forked.context().close();

  // Accessible, and not wider than a phone.
  found.complaints = [];
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [{ width: 1280, height: 860 }, { width: 390, height: 844 }]) {
      const one = await again(browser, page, { colorScheme, viewport, bypassCSP: true });
      await visit(one);
      await one.locator("[data-edit]").last().click();
      await one.waitForSelector("form.anew");
      found.complaints.push(...await check(one));
      const wide = await one.evaluate(() => {
        const log = document.querySelector(".log");
        return [document.documentElement.scrollWidth > window.innerWidth, log.scrollWidth > log.clientWidth];
      });
      if (wide.includes(true)) found.complaints.push({ wide, viewport });
      if (input.pictures) await one.screenshot({ path: `${input.pictures}/ways-${colorScheme}-${viewport.width}.png` });
      await one.context().close();
    }
  }

  // Without a script: the same buttons, and a form in the place of the message.
  const plain = await again(browser, page, { javaScriptEnabled: false });
  await plain.goto(`${input.origin}/chat`);
  await plain.locator("[data-fork]").first().click();
  await plain.waitForURL((url) => url.searchParams.get("session")?.includes(":fork:"));
  found.plainForked = await plain.locator(".entry.user, .entry.assistant").count();
  await plain.goto(`${input.origin}/chat`);
  await plain.locator(".entry.user [data-way=before]").last().click();
  await plain.waitForURL((url) => url.hash === "#say");
  found.plainSwitch = (await plain.locator(".entry.user").last().innerText()).split("\n")[0];
  const answers = await plain.locator(".entry.assistant").count();
  await plain.locator("[data-retry]").last().click();
  await plain.waitForURL((url) => url.hash === "#say");
  found.plainRetry = [await plain.locator(".entry.assistant").count() - answers, (await plain.locator(".entry.assistant .versions").last().getAttribute("aria-label"))];
  await plain.locator("[data-edit]").last().click();
  await plain.fill("form.anew textarea", "plainly");
  await plain.locator("form.anew button.primary").click();
  await plain.waitForURL((url) => url.hash === "#say");
  found.plainEdit = [(await plain.locator(".entry.user").last().innerText()).split("\n")[0], await plain.locator(".entry.user").last().locator(".attached a").count()];

  // While an answer is made, the form says that it waits.
  await visit(page);
  await page.fill("#say", "slowly");
  await page.press("#say", "Enter");
  await page.waitForSelector(".live .text:not(:empty)");
  await page.locator("[data-edit]").last().click();
  found.waits = await page.locator("form.anew .meta").last().innerText();
  await page.fill("form.anew textarea", "beside it");
  await page.keyboard.press("Enter");
  found.waiting = await page.locator(".mine .meta").last().innerText();
  await page.click("[data-stop] button");
  await page.waitForFunction(() => {
    const last = [...document.querySelectorAll(".entry.user[data-entry]")].pop();
    return last?.textContent.includes("beside it") && !document.querySelector(".live, .mine");
  });
  found.seen = { ...page.seen, requests: page.seen.requests.length };
  return found;
});
