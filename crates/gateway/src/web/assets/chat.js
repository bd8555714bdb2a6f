// The chat page: sends messages, shows the answer as it streams, stops it. Everything that stays on
// the page was rendered by the server; finished entries are fetched from it as HTML again.

import { box, encoded, form, giveBack, session, take } from "./composer.js";
import { call, element, words } from "./dom.js";
import { add, following, inner, insert, log, remark, toEnd } from "./log.js";
import { moved, sends } from "./ways.js";

const stop = document.querySelector("[data-stop]");
const status = document.querySelector("[data-status]");

/** How long to wait before listening again when the server turned us away, in milliseconds. */
const LISTEN_AGAIN_MS = 3000;
/** Messages whose turn is over, remembered because their acknowledgement may come later. */
const OVER_MAX = 200;

let live = null;
let running = false;
let heardBefore = false;
/** Messages go one after the other, so that they arrive in the order in which they were typed. */
let sending = Promise.resolve();
const over = new Set();

function say(text) { status.textContent = text; }

function setRunning(now) {
  running = now;
  stop.hidden = !now;
  // A reader of the screen hears the whole answer when it is there, not each word of it.
  log.setAttribute("aria-busy", String(now));
  say(now ? words.working : "");
}

function liveText() {
  if (!live) {
    const entry = element("div", "entry assistant live");
    live = element("div", "text");
    entry.append(element("div", "who", words.agent), live);
    add(entry);
  }
  return live;
}

/** Replaces what was shown in passing by what was stored, rendered by the server. */
async function settle(passing) {
  const last = [...inner.querySelectorAll("[data-entry]")].pop();
  const after = last ? `&after=${encodeURIComponent(last.dataset.entry)}` : "";
  const answer = await fetch(`/chat/entries?session=${encodeURIComponent(session)}${after}`)
    .catch(() => null);
  if (!answer?.ok) return;
  const html = await answer.text();
  following(() => {
    // Somebody went over to another branch: what is shown of this one goes.
    if (answer.headers.has("instar-branch")) for (const one of inner.querySelectorAll("[data-entry]")) one.remove();
    insert(html, passing.find((one) => one.isConnected) ?? inner.querySelector(".live, .mine"));
    for (const one of passing) one.remove();
    if (inner.querySelector("[data-entry]")) inner.querySelector(".empty")?.remove();
  });
}

/** Learns what happened while nobody listened. */
async function catchUp() {
  await settle([]);
  const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(session)}?limit=1`, {
    headers: { "Accept": "application/json" },
  }).catch(() => null);
  // A conversation in its first turn is not stored yet; the turn's end will be heard.
  if (!answer?.ok) return;
  const now = (await answer.json()).session.running;
  setRunning(now);
  if (!now) {
    // The turn that was followed is over or was cut: what is stored of it is shown by now.
    live = null;
    for (const one of inner.querySelectorAll(".live, .mine[data-inbound]")) one.remove();
  }
}

/** What the page shows in passing for a turn that is over. */
function passing(outcome) {
  for (const { body } of outcome.entries) {
    if (body.inbound) over.add(body.inbound);
  }
  for (const id of [...over].slice(0, -OVER_MAX)) over.delete(id);
  const mine = [...inner.querySelectorAll(".mine")];
  const done = mine.filter((one) => over.has(one.dataset.inbound) || one.textContent.startsWith("/"));
  return [...done, ...inner.querySelectorAll(".live")];
}

const handlers = {
  moved,
  started() { setRunning(true); },
  text({ delta }) {
    if (!running) setRunning(true);
    following(() => liveText().append(delta));
  },
  tool_call({ call }) {
    live = null;
    remark(`${words.asks} ${call.name}`, "tool").dataset.call = call.id;
  },
  tool_result(event) {
    if (event.decision.decision !== "denied") return;
    const asked = inner.querySelector(`.live[data-call="${CSS.escape(event.call_id)}"]`);
    asked?.classList.add("denied");
    asked?.append(` · ${words.refused} ${event.decision.reason}`);
  },
  notice({ kind, text }) { remark(text, kind === "error" ? "error" : ""); },
  done({ outcome }) {
    setRunning(false);
    live = null;
    const gone = passing(outcome);
    const stored = outcome.entries.some(({ body }) => body.type === "notice" && body.kind === "error");
    if (outcome.error && !stored) {
      const { message, next_step: next } = outcome.error;
      add(element("div", "entry notice error", `${message} ${next}`));
    }
    settle(gone);
  },
  // Too much came at once to follow; what was stored can be had again.
  lagged() { catchUp(); },
};

function listen() {
  const source = new EventSource(`/api/v1/live?session=${encodeURIComponent(session)}`);
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, (message) => handle(JSON.parse(message.data)));
  }
  source.onopen = () => {
    if (!running) say("");
    if (heardBefore || running) catchUp();
    heardBefore = true;
  };
  source.onerror = () => {
    say(words.lost);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, LISTEN_AGAIN_MS);
  };
}

/** Shows a message at once and sends it when those before it have been taken. */
function submit(message) {
  const names = message.files.map((file) => file.name);
  const entry = element("div", "entry user mine", [message.text, ...names].filter(Boolean).join("\n"));
  if (running && message.more) entry.append(element("p", "meta", words.editWaits));
  inner.querySelector(".empty")?.remove();
  inner.append(entry);
  toEnd();
  sending = sending.then(() => post(entry, message));
}

async function post(entry, message) {
  const done = await encoded(message.files).then(
    (attachments) => call("POST", "/api/v1/messages", {
      session, text: message.text, attachments, idempotencyKey: crypto.randomUUID(), ...message.more,
    }),
    // A file that is gone by now.
    (error) => ({ ok: false, told: String(error?.message ?? error) }),
  );
  if (done.ok) {
    entry.dataset.inbound = done.read?.inbound ?? "";
    if (over.has(entry.dataset.inbound)) entry.remove();
    return;
  }
  entry.remove();
  giveBack(message);
  add(element("div", "entry notice error", done.told));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const message = take();
  if (message) submit(message);
});

stop.addEventListener("submit", (event) => {
  event.preventDefault();
  call("POST", `/api/v1/sessions/${encodeURIComponent(session)}/stop`)
    .then((done) => { if (!done.ok) say(done.told); });
  box.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) stop.requestSubmit();
  if (event.key === "/" && document.activeElement === document.body) {
    event.preventDefault();
    box.focus();
  }
});

document.addEventListener("click", (event) => {
  const text = event.target.closest?.("[data-try]")?.dataset.try;
  if (text) {
    box.focus();
    submit({ text, files: [] });
  }
});

const model = document.querySelector("form[data-model] select");
model?.addEventListener("change", () => submit({ text: `/model ${model.value}`, files: [] }));

sends(submit);
setRunning(form.dataset.running === "true");

document.body.dataset.ready = "";
// A link may lead to an entry; the address of a page after a form names the box.
const named = inner.querySelector(`[data-entry="${CSS.escape(location.hash.slice(1))}"]`);
box.focus({ preventScroll: true });
if (named) named.scrollIntoView({ block: "center" });
else toEnd();
listen();
