// The transcript on the chat page: staying at its end, copying, times, and words about an answer.

import { call, element, parsed, words } from "./dom.js";

export const log = document.querySelector(".log");
export const inner = log.querySelector(".inner");
const latest = document.querySelector("[data-latest]");

/** How long a button says that it has copied. */
const COPIED_MS = 1500;
/** How often "five minutes ago" is told anew. */
const TIMES_MS = 30_000;
const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/* The end, and what came while the reader was elsewhere. */
let unread = 0;

/** True if the reader is at the end, so that new text may scroll the page. */
export const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
export const toEnd = () => { log.scrollTop = log.scrollHeight; };

function showLatest() {
  if (atEnd()) unread = 0;
  latest.hidden = atEnd();
  latest.querySelector("[data-unread]").textContent = unread ? ` (${unread})` : "";
}

log.addEventListener("scroll", showLatest, { passive: true });
new ResizeObserver(showLatest).observe(log);
latest.addEventListener("click", () => {
  toEnd();
  document.querySelector("#say").focus();
});

/** Does something that makes the log longer, and stays at its end if the reader was there. */
export function following(change) {
  const follow = atEnd();
  change();
  if (follow) toEnd();
  showLatest();
}

/** Puts something at the end. */
export function add(entry) {
  following(() => inner.append(entry));
  return entry;
}

/** A passing remark; what matters of it is stored, and comes back from the server. */
export function remark(text, kind = "") {
  return add(element("div", `entry notice live ${kind}`, text));
}

/** Puts stored entries before `place`, or at the end; what is there already stays as it is. */
export function insert(html, place) {
  for (const entry of parsed(html)) {
    if (inner.querySelector(`[data-entry="${CSS.escape(entry.dataset.entry || "")}"]`)) continue;
    if (!atEnd() && entry.matches(".assistant, .notice")) unread += 1;
    inner.insertBefore(entry, place);
    decorate(entry);
  }
}

/* Copying. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context there is only the old way.
    const field = element("textarea", "skip");
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function copyButton(source) {
  const button = element("button", "copy", words.copy);
  button.type = "button";
  button.addEventListener("click", async () => {
    if (!await copy(source.textContent)) return;
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = words.copy; }, COPIED_MS);
  });
  return button;
}

/* Times. */
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });

/** Tells how long ago something was; the exact time stays behind it. */
function tellTime(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["minute", 60];
  time.textContent = relative.format(-Math.floor(Math.max(seconds, 0) / length), unit);
}

setInterval(() => log.querySelectorAll("time").forEach(tellTime), TIMES_MS);

/** Adds to stored entries what only a script can do. */
export function decorate(root) {
  root.querySelectorAll("time").forEach(tellTime);
  for (const code of root.querySelectorAll(".text pre > code, .entry.tool pre > code")) {
    const pre = code.parentElement;
    const frame = element("div", "code");
    pre.replaceWith(frame);
    frame.append(pre, copyButton(code));
  }
  for (const place of root.querySelectorAll("[data-copy]")) {
    place.replaceChildren(copyButton(place.closest(".entry").querySelector(".text")));
  }
}

/* Words about an answer. */
async function judge(button) {
  const { run, verdict } = button.dataset;
  const both = button.parentElement.querySelectorAll("[data-verdict]");
  const done = await call("POST", "/api/v1/feedback", { run, verdict });
  if (!done.ok) return remark(done.told, "error");
  for (const one of both) one.setAttribute("aria-pressed", String(one === button));
}

log.addEventListener("click", (event) => {
  const button = event.target.closest("[data-verdict]");
  if (button) judge(button);
});

decorate(log);
