// Every parameter by which a page could be told to talk to somebody else. The test listens there.

import { browse, input, open, signIn, visit } from "./lib.mjs";

await browse(async (browser) => {
  const page = await signIn(browser);
  const stranger = await open(browser);
  const { elsewhere } = input;
  const names = ["gatewayUrl", "gateway", "gateway_url", "url", "ws", "wsUrl", "host", "server", "endpoint",
    "api", "apiBase", "baseUrl", "origin", "remote", "redirect", "next", "return", "session"];
  const values = [`ws://${elsewhere}`, `http://${elsewhere}/`, `//${elsewhere}/`];
  let loaded = 0;
  const load = async (one, path) => {
    await one.goto(`${input.origin}${path}`, { waitUntil: "load" }).catch(() => null);
    loaded += 1;
  };
  for (const value of values) {
    const text = encodeURIComponent(value);
    const all = names.map((name) => `${name}=${text}`).join("&");
    for (const path of ["/", "/chat", "/sign-in"]) {
      for (const one of [page, stranger]) {
        await load(one, `${path}?${all}&token=stolen`);
        await load(one, `${path}#${all}&token=stolen`);
      }
    }
    for (const name of names.filter((name) => name !== "session")) {
      await load(page, `/chat?${name}=${text}#token=stolen`);
    }
  }
  // The page still works, and has had the time to do what it would have done.
  await visit(page);
  return { loaded, requests: [...page.seen.requests, ...stranger.seen.requests], sockets: [...page.seen.sockets, ...stranger.seen.sockets] };
});
