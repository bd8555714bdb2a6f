// The timeline of releases and the graph of where one comes from, as pictures.

import path from "node:path";
import { again, browse, DESK, faults, input, signIn } from "./lib.mjs";

await browse(async (browser) => {
  const first = await signIn(browser);
  const page = await again(browser, first, {
    locale: "en-US", viewport: { ...DESK, width: 1200 }, colorScheme: "light", reducedMotion: "reduce", bypassCSP: true,
  });
  const found = { faults: [], files: {} };
  for (const [name, address] of [["releases", "/releases"], ["lineage", `/releases/${input.release}/lineage`]]) {
    await page.goto(`${input.origin}${address}`);
    found.faults.push(...await faults(page, name));
    found[name] = await page.locator("main").innerText();
    const file = path.join(input.folder, `${name}.png`);
    await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    found.files[name] = file;
  }
  found.nodes = await page.locator("svg g.node").count();
  found.edges = await page.locator("svg path.edge").count();
  await page.goto(`${input.origin}/releases`);
  found.moves = await page.locator("ol.line li").count();
  return found;
});
