// Setting up without JavaScript and by keyboard alone, left in the middle, gone on with, and put off.

import { browse, input, open } from "./lib.mjs";

await browse(async (browser) => {
  const found = { steps: [] };
  const page = await open(browser, { javaScriptEnabled: false });
  const title = () => page.locator("h2").innerText();
  const press = async (key) => {
    await Promise.all([page.waitForEvent("load"), page.keyboard.press(key)]);
    found.steps.push(await title());
  };

  await page.goto(input.link);
  await page.click("button.primary");
  found.first = new URL(page.url()).pathname;
  found.steps.push(await title());
  await page.focus("button[value=begin]");
  await press("Enter");
  // The box has the focus already.
  await page.keyboard.press("Space");
  await press("Enter");
  await press("Enter");
  const half = page.url();

  // A second window knows where the first stands; one that was left is over, and says so.
  const twin = await open(browser, { javaScriptEnabled: false, storageState: await page.context().storageState() });
  await twin.goto(half);
  found.twin = await twin.locator("h2").innerText();
  await page.focus('input[value="later"]');
  await page.keyboard.press("Space");
  await press("Enter");
  await twin.click("button.primary");
  found.late = await twin.locator("h2").innerText();
  found.back = await Promise.all([page.waitForEvent("load"), page.click("button[value=back]")]).then(title);
  await page.click(".leave button");
  found.left = new URL(page.url()).pathname;
  await twin.goto(half);
  found.over = await twin.locator("[role=alert]").innerText();

  // A form that no page of ours made is refused.
  const forged = await page.context().request.post(half, {
    form: { action: "answer", step: "port", value: "1" }, headers: { Origin: input.origin },
  });
  found.forged = forged.status();

  // In another language, and put off.
  await twin.goto(`${input.origin}/language?to=ru&back=/setup`);
  await twin.click("button.primary");
  found.russian = await twin.locator("h2").innerText();
  await twin.goto(`${input.origin}/setup`);
  await twin.click("button[value=skip]");
  found.skipped = new URL(twin.url()).pathname;
  await twin.goto(`${input.origin}/`);
  found.later = new URL(twin.url()).pathname;
  return found;
});
