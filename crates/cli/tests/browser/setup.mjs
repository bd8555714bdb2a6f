// A first visit with nothing set up: the questions, what goes wrong on the way, and what comes of it.

import { axe, browse, input, open, talk } from "./lib.mjs";

const DESK = { width: 1200, height: 860 };
const PHONE = { width: 390, height: 844 };

await browse(async (browser) => {
  const found = { faults: [], wide: [], steps: [], verdicts: [] };
  const page = await open(browser, { viewport: DESK, bypassCSP: true });

  /** What the checker says of the page as it stands, in both themes and both widths. */
  async function check(name) {
    await page.evaluate(axe());
    for (const colorScheme of ["light", "dark"]) {
      for (const viewport of [DESK, PHONE]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        if (input.folder) await page.screenshot({ path: `${input.folder}/${name}-${colorScheme}-${viewport.width}.png` });
        const { violations } = await page.evaluate(() => window.axe.run());
        found.faults.push(...violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
          .map(({ id, nodes }) => ({ name, id, nodes: nodes.map((node) => node.html) })));
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        if (width > viewport.width) found.wide.push(`${name} ${width}`);
      }
    }
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(DESK);
  }

  const title = () => page.locator("h2").innerText();
  const alert = () => page.locator("[role=alert]").innerText();
  const go = () => Promise.all([page.waitForEvent("load"), page.click("main form button.primary")]);
  async function say(text) {
    await page.fill("#value", text);
    await go();
  }
  async function choose(value) {
    await page.check(`input[value="${value}"]`);
    await go();
  }

  await page.goto(input.link);
  await page.waitForURL((url) => url.pathname === "/setup");
  await check("welcome");
  await go();
  await check("risk");
  found.steps.push(await title());
  await page.check("input[name=value]");
  await go();
  found.steps.push(await title());
  await say("agent");
  found.folder = { told: await alert(), kept: await page.inputValue("#value") };
  await say(input.workspace);
  await check("model");
  found.steps.push(await title());
  await choose("custom");
  await say("not an address");
  found.address = { told: await alert(), kept: await page.inputValue("#value") };
  await check("address");
  await say(input.nobody);
  await choose("openai");
  found.hidden = await page.getAttribute("#value", "type");
  await say(input.wrongKey);
  await say("x");
  await say("mine");

  // Nobody listens there; then another path than the server's; then a wrong key. What was typed
  // stands each time.
  found.verdicts.push(await alert());
  await check("verdict");
  await choose("correct");
  found.prefilled = [await page.inputValue("#value")];
  await say(input.elsewhere);
  found.prefilled.push(await page.isChecked('input[value="openai"]'));
  await go();
  found.keyBox = { value: await page.inputValue("#value"), told: await page.locator("#about").innerText() };
  await go();
  found.prefilled.push(await page.inputValue("#value"));
  await go();
  found.prefilled.push(await page.inputValue("#value"));
  await go();
  found.verdicts.push(await alert());
  await choose("correct");
  await say(input.good);
  await go();
  await go();
  await go();
  await go();
  found.verdicts.push(await alert());
  await choose("correct");
  await go();
  await go();
  await say(input.key);
  await go();
  await go();
  await check("port");
  found.steps.push(await title());
  await say("99999");
  found.port = await alert();
  await say(input.port);
  found.steps.push(await title());
  await go();
  await check("done");
  found.steps.push(await title());
  found.done = await page.locator("main").innerText();
  found.shown = (await page.content()).includes(input.key);
  await page.click("main a.primary");
  await page.waitForURL((url) => url.pathname === "/chat");
  await page.waitForSelector("[data-send]:not([disabled])");
  await talk(page, "hello");
  found.answer = await page.locator(".entry.assistant .text").last().innerText();
  await page.goto(`${input.origin}/`);
  found.later = new URL(page.url()).pathname;
  found.secretsInAddresses = page.seen.requests.filter((url) => url.includes("sk-"));
  found.elsewhere = page.seen.requests.filter((url) => !url.startsWith(input.origin));
  return found;
});
