// What the accessibility checker says about every page, in both colour schemes and both widths.

import { again, axe, browse, DESK, input, open, PHONE, signIn, talk } from "./lib.mjs";

async function check(page, name) {
  await page.evaluate(axe());
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, impact, nodes }) => ({
    page: name, id, impact, nodes: nodes.map((node) => node.html),
  }));
}

await browse(async (browser) => {
  const first = await signIn(browser);
  for (const text of ["show me markdown", "delete my files", "which sessions do I have?", "/status"]) {
    await first.fill("#say", text);
    if (text.startsWith("/")) {
      await first.press("#say", "Enter");
      await first.waitForSelector(".entry.notice[data-entry]");
    } else {
      await first.fill("#say", "");
      await talk(first, text);
    }
  }
  const found = [];
  let checked = 0;
  for (const colorScheme of ["light", "dark"]) {
    for (const viewport of [DESK, PHONE]) {
      const options = { colorScheme, viewport, bypassCSP: true };
      const name = `${colorScheme} ${viewport.width}`;
      const chat = await again(browser, first, options);
      await chat.goto(`${input.origin}/chat`);
      await chat.locator("details").evaluateAll((all) => all.forEach((one) => { one.open = true; }));
      found.push(...await check(chat, `chat ${name}`));
      await chat.goto(`${input.origin}/chat?session=agent:main:unspoken`);
      found.push(...await check(chat, `empty ${name}`));
      const door = await open(browser, options);
      await door.goto(`${input.origin}/sign-in`);
      found.push(...await check(door, `sign-in ${name}`));
      checked += 3;
      await chat.context().close();
      await door.context().close();
    }
  }
  return { checked, found };
});
