// Questions without JavaScript: answered with plain forms, and nothing is taken from elsewhere.

import { again, browse, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first, { javaScriptEnabled: false });
  const found = {};
  const at = () => new URL(page.url()).pathname;
  const cards = () => page.locator("[data-question]").count();
  const badge = () => page.locator(".tabs [data-waiting]").innerText();
  const card = (number) => page.locator(`[data-question="ask_000${number}"]`);
  await page.goto(`${input.origin}/usage`);
  found.badge = await badge();
  await page.goto(`${input.origin}/approvals`);

  // A form that was made elsewhere, and one that answers something that was not shown.
  const send = (form) => page.context().request.post(`${input.origin}/act`, {
    form, headers: { Origin: input.origin }, maxRedirects: 0,
  });
  const token = await card(1).locator("input[name=form]").first().inputValue();
  const act = "POST /api/v1/approvals/ask_0001/answer";
  const digest = await card(1).locator("input[name=digest]").first().inputValue();
  found.forged = [
    (await send({ form: "0".repeat(64), act, then: "/approvals", digest, answer: "once" })).status(),
    (await send({ form: token, act, then: "/approvals", digest: digest.replace(/1$/, "2"), answer: "once" })).status(),
  ];

  await card(1).locator("button[value=once]").click();
  found.once = [at(), await cards(), await badge()];
  await card(2).locator("details.act summary").click();
  await card(2).locator("button[value=always]").click();
  found.always = [at(), await cards(), await badge()];
  await page.locator("section button.bad").click();
  found.revoked = [at(), await page.locator("section button.bad").count()];
  await card(3).locator("button[value=no]").click();
  found.no = [at(), await cards()];
  return found;
});
