// The chat page: sends messages, shows the answer as it streams, stops it. Everything that stays on
// the page was rendered by the server; finished entries are fetched from it as HTML again.

const log = document.querySelector(".log");
const inner = log.querySelector(".inner");
const form = document.querySelector(".say form");
const box = form.querySelector("textarea");
const send = form.querySelector("[data-send]");
const stop = form.querySelector("[data-stop]");
const status = document.querySelector("[data-status]");
const session = form.dataset.session;
const words = document.body.dataset;

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

/** True if the reader is at the end, so that new text may scroll the page. */
const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
const toEnd = () => { log.scrollTop = log.scrollHeight; };

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Puts something at the end and stays there if the reader was there. */
function add(entry) {
  const follow = atEnd();
  inner.append(entry);
  if (follow) toEnd();
  return entry;
}

function say(text) { status.textContent = text; }

function setRunning(now) {
  running = now;
  stop.classList.toggle("hidden", !now);
  say(now ? words.working : "");
}

/** A passing remark; what matters of it is stored, and comes back from the server. */
function remark(text, kind = "") {
  return add(element("div", `entry notice live ${kind}`, text));
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
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const follow = atEnd();
  const place = passing.find((one) => one.isConnected) ?? inner.querySelector(".live, .mine");
  for (const entry of [...page.body.children]) {
    if (!inner.querySelector(`[data-entry="${CSS.escape(entry.dataset.entry || "")}"]`)) {
      inner.insertBefore(document.importNode(entry, true), place);
    }
  }
  for (const one of passing) one.remove();
  if (inner.querySelector("[data-entry]")) inner.querySelector(".empty")?.remove();
  if (follow) toEnd();
}

/** Learns what happened while nobody listened. */
async function catchUp() {
  await settle([]);
  const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(session)}?limit=1`, {
    headers: { "Accept": "application/json" },
  }).catch(() => null);
  // A conversation in its first turn is not stored yet; the turn's end will be heard.
  if (answer?.ok) setRunning((await answer.json()).session.running);
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
  started() { setRunning(true); },
  text({ delta }) {
    if (!running) setRunning(true);
    const follow = atEnd();
    liveText().append(delta);
    if (follow) toEnd();
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
function submit(text) {
  const entry = element("div", "entry user mine", text);
  inner.querySelector(".empty")?.remove();
  inner.append(entry);
  toEnd();
  sending = sending.then(() => post(entry, text));
}

async function post(entry, text) {
  const answer = await fetch("/api/v1/messages", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Accept": "application/json" },
    body: JSON.stringify({ session, text, idempotencyKey: crypto.randomUUID() }),
  }).catch(() => null);
  const body = await answer?.json().catch(() => null);
  if (answer?.ok) {
    entry.dataset.inbound = body?.inbound ?? "";
    if (over.has(entry.dataset.inbound)) entry.remove();
    return;
  }
  entry.remove();
  // Nothing that was written is lost, and nothing written since is overwritten.
  box.value = box.value ? `${text}\n${box.value}` : text;
  grow();
  const error = body?.error;
  add(element("div", "entry notice error", error ? `${error.message} ${error.nextStep || ""}` : words.unreachable));
}

function grow() {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, window.innerHeight * 0.4)}px`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = box.value.trim();
  if (!text) return;
  box.value = "";
  grow();
  submit(text);
});

box.addEventListener("input", grow);
box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

stop.addEventListener("click", () => {
  fetch(`/api/v1/sessions/${encodeURIComponent(session)}/stop`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  }).catch(() => say(words.unreachable));
  box.focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running) stop.click();
  if (event.key === "/" && document.activeElement === document.body) {
    event.preventDefault();
    box.focus();
  }
});

document.addEventListener("click", (event) => {
  const text = event.target.closest?.("[data-try]")?.dataset.try;
  if (text) {
    box.focus();
    submit(text);
  }
});

send.disabled = false;
setRunning(form.dataset.running === "true");
box.focus();
toEnd();
listen();
