// Writing on the chat page: commands that complete themselves, attachments, drafts, the model menu.

import { answered, browse, input, signIn, talk, type, visit } from "./lib.mjs";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const shown = (page) => page.locator("#commands [role=option]:visible").evaluateAll(
  (all) => all.map((one) => one.dataset.command));

await browse(async (browser) => {
  const page = await signIn(browser);
  const box = page.locator("#say");
  const found = {};

  await box.pressSequentially("/");
  found.all = await shown(page);
  await box.pressSequentially("st");
  found.some = await shown(page);
  found.first = await page.locator("#commands [aria-selected=true]").getAttribute("data-command");
  await page.keyboard.press("ArrowDown");
  found.second = await box.getAttribute("aria-activedescendant");
  await page.keyboard.press("Enter");
  found.completed = [await box.inputValue(), await page.locator("#commands").isVisible()];
  await page.keyboard.press("Enter");
  await page.waitForSelector(".entry.notice[data-entry]");
  found.status = await page.locator(".entry.notice[data-entry]").last().innerText();
  await box.pressSequentially("/he");
  await page.keyboard.press("Escape");
  found.escaped = [await box.inputValue(), await page.locator("#commands").isVisible()];
  await box.fill("");
  await box.pressSequentially("a/b");
  found.within = await page.locator("#commands").isVisible();
  await box.fill("");

  // A draft stays over a reload and goes with the message.
  await box.pressSequentially("half a thou");
  await page.reload();
  await page.waitForSelector("body[data-ready]");
  found.draft = await box.inputValue();
  await box.fill("");

  // Files: chosen, pasted and dropped; what is too much is said before anything is sent.
  const text = (name, length) => ({ name, mimeType: "text/plain", buffer: Buffer.alloc(length, "x") });
  const image = { name: "dot.png", mimeType: "image/png", buffer: Buffer.from(PIXEL, "base64") };
  await page.setInputFiles("[data-files]", [text("big.txt", 6 << 20), text(input.hostile, 20), image]);
  found.shelf = await page.locator("[data-shelf] li > span").allInnerTexts();
  found.trouble = await page.locator("[data-attach-trouble]").innerText();
  await page.setInputFiles("[data-files]", [text("second.txt", 5)]);
  await page.locator("[data-shelf] button").last().click();
  found.without = await page.locator("[data-shelf] li").count();
  for (const [kind, name] of [["paste", "pasted.txt"], ["drop", "dropped.txt"]]) {
    await page.evaluate(([kind, name]) => {
      const carried = new DataTransfer();
      carried.items.add(new File([`${kind} content`], name, { type: "text/plain" }));
      const target = kind === "paste" ? document.querySelector("#say") : document.querySelector(".log");
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: carried, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true });
      target.dispatchEvent(event);
    }, [kind, name]);
  }
  found.added = (await page.locator("[data-shelf] li > span").allInnerTexts()).slice(2);
  await type(page, "look at these");
  await answered(page, 1);
  found.shelfAfter = await page.locator("[data-shelf] li").count();
  const message = page.locator(".entry.user").last();
  await message.locator("img").scrollIntoViewIfNeeded();
  await page.waitForFunction(() => document.querySelector(".entry.user img")?.naturalWidth > 0);
  const links = await message.locator(".attached a, a.attached").evaluateAll((all) => all.map((one) => one.href));
  found.fetched = [];
  for (const link of links) {
    const answer = await page.request.get(link);
    const headers = answer.headers();
    found.fetched.push({
      status: answer.status(), kind: headers["content-type"], place: headers["content-disposition"],
      sniff: headers["x-content-type-options"], policy: headers["content-security-policy"], length: (await answer.body()).length,
    });
  }
  found.elsewhere = [];
  for (const [name, value] of [["session", "agent:main:other"], ["entry", "ent_other"], ["part", "99"]]) {
    const link = new URL(links[0]);
    link.searchParams.set(name, value);
    found.elsewhere.push((await page.request.get(link.href)).status());
  }
  found.pwned = await page.evaluate(() => String(window.__pwned));

  // Another model for this conversation.
  found.models = await page.locator("#model option").evaluateAll((all) => all.map((one) => one.value));
  await page.selectOption("#model", found.models.find((model) => model !== input.model && model !== "default") ?? "default");
  await page.waitForFunction(() => !document.querySelector(".live, .mine"));
  found.chosen = await page.locator(".entry.notice[data-entry]").last().innerText();

  // Nothing of a draft is left for the next person.
  await box.pressSequentially("secret");
  await page.locator(".more > summary").click();
  await page.locator("form[action='/sign-out'] button").click();
  await page.waitForURL((url) => url.pathname === "/sign-in");
  found.left = await page.evaluate(() => sessionStorage.length);
  return found;
});
