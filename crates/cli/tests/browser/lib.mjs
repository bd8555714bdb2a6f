// What the browser tests share: one Chromium, pages that write down what they do, and the few
// things that people do on the chat page. A test is a script that prints one line of JSON; what it
// means is asserted in `browser.rs`.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** What the test gave: modules, chromium, origin, link, and whatever else this script needs. */
export const input = JSON.parse(process.env.INSTAR_BROWSER_INPUT);

const { chromium } = createRequire(path.join(input.modules, "index.js"))("playwright-core");

/** How long a whole script and one step of it may take, in milliseconds: on a machine that does much beside. */
const SCRIPT_MS_MAX = 330_000;
const STEP_MS_MAX = 60_000;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  // Names lead nowhere, so a page that wants to reach another host fails and is seen trying.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** Runs a script in a browser of its own and prints what it found. */
export async function browse(work) {
  const tooLong = setTimeout(() => {
    process.stderr.write("the script took too long\n");
    process.exit(1);
  }, SCRIPT_MS_MAX);
  const browser = await chromium.launch({ executablePath: input.chromium, args: FLAGS });
  try {
    const found = await work(browser);
    process.stdout.write(`${JSON.stringify(found)}\n`);
  } finally {
    await browser.close();
    clearTimeout(tooLong);
  }
}

/** A page that records requests, complaints and dialogs in `page.seen`. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-US", ...options });
  context.setDefaultTimeout(STEP_MS_MAX);
  const seen = { requests: [], sockets: [], complaints: [], dialogs: [], policies: [] };
  await context.exposeBinding("__complain", (_source, text) => { seen.complaints.push(text); });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.__complain?.(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("websocket", (socket) => seen.sockets.push(socket.url()));
  page.on("pageerror", (error) => seen.complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.complaints.push(`console: ${message.text()}`);
  });
  page.on("dialog", (dialog) => {
    seen.dialogs.push(dialog.message());
    dialog.dismiss();
  });
  page.on("response", (response) => {
    if (response.request().resourceType() === "document") {
      seen.policies.push(response.headers()["content-security-policy"] ?? "");
    }
  });
  page.seen = seen;
  return page;
}

/** Opens the link and waits until the chat page is there and its script has run. Where nothing is set
 * up, that is put off. */
export async function signIn(browser, options = {}) {
  const page = await open(browser, options);
  await page.goto(input.link);
  await page.waitForURL((url) => ["/setup", "/chat"].includes(url.pathname));
  if (new URL(page.url()).pathname === "/setup") await page.click("button[value=skip]");
  await ready(page);
  return page;
}

/** The same person in a second window, without another link. */
export async function again(browser, page, options = {}) {
  return open(browser, { storageState: await page.context().storageState(), ...options });
}

export async function ready(page) {
  await page.waitForURL((url) => url.pathname === "/chat");
  await page.waitForSelector("body[data-ready]");
}

/** Opens a conversation and waits until its script has run. */
export async function visit(page, session) {
  const query = session ? `?session=${encodeURIComponent(session)}` : "";
  await page.goto(`${input.origin}/chat${query}`);
  await page.waitForSelector("body[data-ready]");
}

export async function type(page, text) {
  await page.fill("#say", text);
  await page.press("#say", "Enter");
}

/** Waits until as many answers are stored as are named, and nothing streams any more. */
export async function answered(page, count) {
  await page.waitForFunction((wanted) => {
    const stored = document.querySelectorAll(".entry.assistant[data-entry] .meta");
    return stored.length >= wanted && !document.querySelector(".live, .mine");
  }, count);
}

/** The text that has streamed so far is longer than this. */
export async function streamed(page, longerThan) {
  await page.waitForFunction((length) => {
    const text = document.querySelector(".live .text");
    return text !== null && text.textContent.length > length;
  }, longerThan);
}

/** Says something and waits for the stored answer. */
export async function talk(page, text) {
  const before = await page.locator(".entry.assistant[data-entry] .meta").count();
  await type(page, text);
  await answered(page, before + 1);
}

/** The accessibility checker's source. Pages refuse it; only a context with `bypassCSP` runs it. */
export const axe = () => readFileSync(path.join(input.modules, "axe-core/axe.min.js"), "utf8");

// A screen on a desk, and one in a hand.
export const DESK = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };

// What keeps somebody from using a page, and where.
export async function faults(page, name) {
  await page.evaluate(axe());
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => ({ page: name, id, nodes: nodes.map((node) => node.html) }));
}
