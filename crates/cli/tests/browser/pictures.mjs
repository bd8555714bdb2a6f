// The pictures of the documentation, taken from the running program.

import path from "node:path";
import { again, browse, input, signIn, talk, visit } from "./lib.mjs";

const DESK = { viewport: { width: 1200, height: 960 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true };

await browse(async (browser) => {
  const first = await signIn(browser);
  for (const [session, text] of [["models", "how do I connect a model?"], ["lessons", "what did you learn?"]]) {
    await visit(first, `agent:main:${session}`);
    await talk(first, text);
  }
  await visit(first);
  await talk(first, "hello");
  await talk(first, "delete my files");
  const views = [
    ["chat", DESK],
    ["chat-dark", { ...DESK, colorScheme: "dark" }],
    ["phone", PHONE],
  ];
  const found = {};
  for (const [name, options] of views) {
    const page = await again(browser, first, { ...options, reducedMotion: "reduce" });
    await visit(page);
    await page.evaluate(() => {
      document.activeElement.blur();
      const log = document.querySelector(".log");
      const asked = [...log.querySelectorAll(".entry.user")].pop();
      const above = asked.getBoundingClientRect().top - log.getBoundingClientRect().top;
      // All of it, or else from the question on.
      if (log.scrollTop > 0) log.scrollTop += above - 16;
    });
    const file = path.join(input.folder, `${name}.png`);
    await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    found[name] = file;
    await page.context().close();
  }
  const pages = [
    ["sessions", "/sessions", DESK],
    ["usage", "/usage", DESK],
    ["config", "/config", DESK],
    // Full of small words: less of it says as much.
    ["events-dark", "/events", { viewport: { width: 1200, height: 720 }, colorScheme: "dark" }],
    ["phone-config", "/config/key?path=gateway.bind", PHONE],
    ["phone-sessions", "/sessions", { ...PHONE, colorScheme: "dark" }],
  ];
  for (const [name, address, options] of pages) {
    const page = await again(browser, first, { ...options, reducedMotion: "reduce" });
    await page.goto(`${input.origin}${address}`);
    const file = path.join(input.folder, `${name}.png`);
    await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    found[name] = file;
    await page.context().close();
  }
  // Setting up can be begun again at any time.
  const page = await again(browser, first, { ...DESK, reducedMotion: "reduce" });
  await page.goto(`${input.origin}/setup`);
  const go = () => Promise.all([page.waitForEvent("load"), page.click("main form button.primary")]);
  await go();
  await page.check("input[name=value]");
  await go();
  await go();
  await page.waitForSelector("main fieldset");
  found.setup = path.join(input.folder, "setup.png");
  await page.screenshot({ path: found.setup, animations: "disabled", caret: "hide" });
  return found;
});
