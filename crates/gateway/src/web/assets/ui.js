// What pages share: shortcuts, changes sent as JSON, rows that come by themselves. Every page can be
// read without it.

import { call, element, parsed, words } from "./dom.js";

const GO_MS = 1500;
/** Rows that a live table keeps. */
const ROWS_MAX = 400;

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/* Shortcuts. */
const dialog = document.querySelector("dialog.shortcuts");
let goUntil = 0;

function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable]");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (goUntil > Date.now()) {
    const to = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    goUntil = 0;
    if (to) {
      event.preventDefault();
      location.assign(to.href);
      return;
    }
  }
  if (event.key === "?") {
    event.preventDefault();
    dialog?.showModal();
  } else if (event.key === "g") {
    goUntil = Date.now() + GO_MS;
  } else if (event.key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-shortcuts]")) dialog?.showModal();
  const open = document.querySelector("details.more[open]");
  if (open && !open.contains(event.target)) open.open = false;
});

document.addEventListener("keydown", (event) => {
  const open = document.querySelector("details.more[open]");
  if (event.key === "Escape" && open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

/* Changes. */
function complain(form, text) {
  form.querySelector(".wrong-note")?.remove();
  const note = element("p", "wrong-note", text);
  note.setAttribute("role", "alert");
  form.append(note);
}

/** What a plain form carries besides: its token, the call and the page that follows. */
const CARRIED = ["form", "act", "then"];

function offerUndo(form) {
  const notice = document.querySelector("[data-undo]");
  const row = form.closest("tr");
  row.hidden = true;
  notice.classList.remove("hidden");
  const button = notice.querySelector("button");
  button.onclick = async () => {
    const done = await call("POST", `${form.dataset.path}/restore`);
    if (!done.ok) return complain(notice, done.told);
    row.hidden = false;
    notice.classList.add("hidden");
    row.querySelector("a")?.focus();
  };
  button.focus();
}

function showProbe(form, answer) {
  const [row] = answer.read ?? [];
  const place = form.querySelector("[data-result]");
  const { wordsGood, wordsBad } = place.dataset;
  place.className = row?.ok ? "mark" : "mark wrong";
  place.textContent = row?.ok ? `${wordsGood} ${row.millis} ms` : `${wordsBad} ${row?.message ?? ""}`;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const { send, path, then } = form.dataset;
  if (!send) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button:not([type=button])");
  const fields = [...new FormData(form, event.submitter)].filter(([name]) => !CARRIED.includes(name));
  button.disabled = true;
  const place = form.querySelector("[data-result]");
  if (place) {
    place.className = "soft";
    place.textContent = place.dataset.wordsBusy;
  }
  const done = await call(send, path, Object.fromEntries(fields));
  button.disabled = false;
  if (!done.ok) {
    if (place) place.textContent = "";
    return complain(form, done.told);
  }
  if (then === "undo") offerUndo(form);
  else if (then === "probe") showProbe(form, done);
  else location.reload();
});

/* What waits for the owner: told on every page while it is looked at. */
const badges = all("[data-waiting]");
const questions = document.querySelector("[data-questions]");
let waiting = null;

function showWaiting(open) {
  const before = Number(badges[0].textContent);
  for (const badge of badges) {
    badge.textContent = open;
    badge.hidden = !open;
  }
  const told = document.querySelector("[data-waiting-told]");
  if (open > before) told.textContent = `${open} ${told.dataset.words}`;
}

/** Takes away what is answered and adds what is new; the cards between stay as they are. */
async function showQuestions(ids) {
  const shown = () => all("[data-question]", questions).map((one) => one.dataset.question);
  if (shown().join() === ids.join()) return;
  const answer = await fetch("/approvals/open").catch(() => null);
  if (!answer?.ok) return;
  const fresh = parsed(await answer.text());
  const kept = new Set(fresh.map((one) => one.dataset.question));
  for (const card of [...questions.children]) {
    if (kept.has(card.dataset.question)) continue;
    const held = card.contains(document.activeElement);
    const note = element("p", "soft", questions.dataset.wordsGone);
    note.setAttribute("role", "status");
    card.replaceWith(...(card.dataset.question && held ? [note] : []));
  }
  const known = new Set(shown());
  questions.append(...fresh.filter((one) => !known.has(one.dataset.question)));
}

function listen() {
  if (document.hidden || !badges.length) {
    waiting?.close();
    waiting = null;
  } else if (!waiting) {
    waiting = new EventSource("/api/v1/approvals");
    waiting.addEventListener("waiting", ({ data }) => {
      const { open, ids } = JSON.parse(data);
      showWaiting(open);
      if (questions) showQuestions(ids);
    });
  }
}
document.addEventListener("visibilitychange", listen);
addEventListener("pageshow", listen);
addEventListener("pagehide", () => {
  waiting?.close();
  waiting = null;
});

setInterval(() => {
  for (const left of all("[data-until]")) {
    const minutes = Math.ceil((Number(left.dataset.until) - Date.now()) / 60_000);
    left.textContent = `${Math.max(0, minutes)} ${left.dataset.words}`;
  }
}, 10_000);

/* A plain form that takes its time says so, and is sent once. */
for (const form of all("form[data-busy]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    form.querySelector("[data-busy-note]").textContent = form.dataset.busy;
  });
}
// A page that comes back from the browser's memory can be sent again.
addEventListener("pageshow", () => {
  for (const form of all("form[data-sent]")) {
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    form.querySelector("[data-busy-note]").textContent = "";
  }
});

/* Parts that are fetched when they are asked for. */
for (const link of all("[data-into]")) {
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    const place = document.querySelector("[data-place]");
    place.replaceChildren(element("p", "soft", link.dataset.wordsBusy));
    const answer = await fetch(link.dataset.into).catch(() => null);
    if (!answer?.ok) return place.replaceChildren(element("p", "wrong-note", words.unreachable));
    place.replaceChildren(...parsed(await answer.text()));
  });
}

/* Rows that come by themselves. */
const HIDDEN = new Set(["id", "at", "session", "run", "release", "arm", "label", "kind"]);
const NAMES = ["log", "message_in", "message_out", "turn", "model_call", "tool_call", "feedback",
  "exposure", "exposure_end", "window", "compaction", "rewind", "branch", "release", "episode", "shadow", "rollout", "config",
  "gateway"];
const LEVELS = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const two = (number) => String(number).padStart(2, "0");

function clock(millis) {
  const at = new Date(millis);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);

/** A value in words, as the server tells the rows that were there before. */
function inWords(value) {
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (!isObject(value)) return String(value);
  const rest = Object.entries(value).filter(([name, one]) => name !== "model" && one && inWords(one))
    .map(([name, one]) => (name === "millis" ? `${one} ms` : `${name.replaceAll("_", " ")} ${inWords(one)}`));
  return [value.model, ...rest].filter(Boolean).join(" ");
}
const plain = (value) => (typeof value === "string" ? value : JSON.stringify(value));

const shapes = {
  event(text) {
    const event = JSON.parse(text);
    const told = Object.entries(event).filter(([name]) => !HIDDEN.has(name))
      .flatMap(([name, value]) => (isObject(value) ? Object.entries(value) : [[name, value]]))
      .filter(([, value]) => value && !(Array.isArray(value) && !value.length))
      .map(([name, value]) => `${name.replaceAll("_", " ")} ${inWords(value).slice(0, 160)}`).join(" · ");
    const details = element("details");
    details.append(element("summary", "", told), element("pre", "", JSON.stringify(event, null, 2)));
    return [clock(event.at), element("code", "", event.kind), details];
  },
  log(text, table) {
    const worst = LEVELS.indexOf(table.dataset.level);
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      return ["", "", text];
    }
    const { timestamp = "", level = "", message = "", ...rest } = line;
    const rank = LEVELS.indexOf(String(level).toUpperCase());
    if (worst >= 0 && rank > worst) return null;
    const fields = Object.entries(rest).map(([name, value]) => `${name}=${plain(value)}`).join(" ");
    const mark = element("span", `mark ${String(level).toLowerCase()}`, String(level).toUpperCase());
    return [String(timestamp).slice(0, 19).replace("T", " "), mark, `${message} ${fields}`.trim()];
  },
};

function grow(table) {
  const body = table.tBodies[0];
  const held = [];
  const button = document.querySelector("[data-pause]");
  const state = document.querySelector("[data-live-state]");
  let paused = false;
  const put = (text) => {
    const cells = shapes[table.dataset.shape](text, table);
    if (!cells) return;
    document.querySelector(".nothing")?.remove();
    const row = element("tr", "new");
    cells.forEach((cell, at) => {
      const made = element("td", at === 2 ? "main" : "");
      made.append(cell);
      row.append(made);
    });
    body.prepend(row);
    setTimeout(() => row.classList.remove("new"), 1200);
    while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
  };
  const told = () => {
    const { wordsPaused, wordsFollowing } = state.dataset;
    state.textContent = paused ? `${wordsPaused} (${held.length})` : wordsFollowing;
  };
  const source = new EventSource(table.dataset.live);
  const take = (message) => {
    if (!paused) return put(message.data);
    held.push(message.data);
    if (held.length > ROWS_MAX) held.shift();
    told();
  };
  for (const name of NAMES) source.addEventListener(name, take);
  // An event of the kind `error` comes under the same name as a failure of the connection.
  source.onerror = (event) => {
    if (event.data === undefined) state.textContent = words.unreachable;
    else take(event);
  };
  source.onopen = told;
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? button.dataset.wordsResume : button.dataset.wordsPause;
    if (!paused) held.splice(0).forEach(put);
    told();
  });
}

for (const table of all("table[data-live]")) grow(table);

// A part that changes by itself is drawn anew while somebody looks, and left alone while he is in it.
for (const part of all("[data-fresh]")) {
  const again = async () => {
    const here = document.getElementById(part.id);
    if (!here?.dataset.fresh) return;
    const busy = document.hidden || here.contains(document.activeElement);
    const answer = busy ? null : await fetch(location.href).catch(() => null);
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById(part.id);
      if (next && next.innerHTML !== here.innerHTML) here.replaceWith(document.adoptNode(next));
    }
    setTimeout(again, 1_000 * Number(part.dataset.fresh));
  };
  setTimeout(again, 1_000 * Number(part.dataset.fresh));
}
