// Changes without JavaScript: a conversation is renamed, deleted and taken back, devices are let in
// and removed, models are tried and chosen.

import { again, browse, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first, { javaScriptEnabled: false });
  const found = {};
  const at = () => new URL(page.url()).pathname;
  const row = (text) => page.locator("tbody tr", { hasText: text });

  await page.goto(`${input.origin}/sessions`);
  await row(input.kept).locator("summary").click();
  await row(input.kept).locator("input[name=title]").fill("<b>mine</b> & yours");
  await row(input.kept).locator("input[name=title]").press("Enter");
  found.renamed = [at(), await row(input.kept).locator("a").first().innerText()];
  await row(input.gone).locator("button.bad").click();
  found.deleted = [at(), await row(input.gone).count(), await page.locator(".undo button").count()];
  await page.locator("div.undo button").click();
  found.undone = [at(), await row(input.gone).count()];
  await row(input.gone).locator("button.bad").click();
  await page.goto(`${input.origin}/sessions?deleted=1`);
  await row(input.gone).locator("button").click();
  found.restored = [at(), await row(input.gone).count()];

  // A refusal is a page that says why and leads back.
  const form = await page.locator("tbody form input[name=form]").first().inputValue();
  const send = (fields, origin = input.origin) => page.context().request.post(`${input.origin}/act`, {
    form: fields, headers: { Origin: origin }, maxRedirects: 0,
  });
  const act = "DELETE /api/v1/sessions/agent:main:nobody";
  const refused = await send({ form, act, then: "/sessions" });
  found.refused = [refused.status(), await refused.text()];
  found.forged = [
    (await send({ form: "0".repeat(64), act, then: "/sessions" })).status(),
    (await send({ act, form, then: "/sessions" })).status(),
    (await send({ form, act, then: "/sessions" }, "http://elsewhere.example")).status(),
  ];
  found.wrong = [
    (await send({ form, act: "DELETE /v1/models", then: "/sessions" })).status(),
    (await send({ form, act, then: "//elsewhere.example/" })).status(),
  ];

  await page.goto(`${input.origin}/devices`);
  found.waiting = await page.locator(".wait").count();
  await page.locator(".wait button.primary").first().click();
  found.approved = [at(), await page.locator("tbody tr").count()];
  await page.locator(".wait button:not(.primary)").first().click();
  found.rejected = await page.locator(".wait").count();
  await page.locator("tbody button.bad").click();
  found.removed = await page.locator("tbody tr").count();

  await page.goto(`${input.origin}/models`);
  await row("demo/guide").locator("form button").click();
  found.tried = await page.locator("main").innerText();
  await page.goto(`${input.origin}/models`);
  await row(input.other).locator("a.button").click();
  found.proposed = [at(), await page.inputValue("#value")];
  await page.click("button[value=set]");
  found.preview = await page.locator("pre.diff").innerText();
  await page.click("main form button.primary");
  found.written = await page.locator("main").innerText();
  return found;
});
