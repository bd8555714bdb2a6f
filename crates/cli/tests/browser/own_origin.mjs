// Everything that the pages load comes from where they were loaded, and they break none of their
// own rules.

import { browse, input, open, signIn, talk, visit } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  await talk(page, "hello");
  await talk(page, "show me markdown");
  await talk(page, "delete my files");
  await visit(page);
  const stranger = await open(browser);
  await stranger.goto(`${input.origin}/sign-in`);
  const all = [page.seen, stranger.seen];
  return {
    requests: all.flatMap((seen) => seen.requests),
    sockets: all.flatMap((seen) => seen.sockets),
    complaints: all.flatMap((seen) => seen.complaints),
    policies: all.flatMap((seen) => seen.policies),
  };
});
