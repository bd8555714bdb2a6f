// Whom the owner wrote to first, on the page of policy, and one of them forgotten with its button, once
// by the script and once by the plain form.

import { again, browse, faults, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first, { javaScriptEnabled: input.script, bypassCSP: true });
  await page.goto(`${input.origin}/policy`);
  const row = page.locator("#known tbody tr", { hasText: input.who });
  const found = { row: await row.innerText(), faults: input.script ? await faults(page, "known") : [] };
  if (input.shots) await page.locator("#known").screenshot({ path: `${input.shots}/known.png` });
  await row.getByRole("button").click();
  await page.getByText("Nobody yet.").waitFor();
  found.after = await page.locator("#known").innerText();
  return found;
});
