// Ways on from what was said: another answer, a message in another form, the other versions. The
// buttons are those of a plain form; here they send the same without leaving the page.

import { box, session } from "./composer.js";
import { call, parsed, words } from "./dom.js";
import { following, inner, insert, log, remark } from "./log.js";

const form = document.querySelector("#ways");
const here = `/api/v1/sessions/${encodeURIComponent(session)}`;
const query = `session=${encodeURIComponent(session)}`;
const entry = (id) => inner.querySelector(`[data-entry="${CSS.escape(id)}"]`);

/** Set by the page: sends a message as the box would. */
let send = () => {};
export function sends(how) { send = how; }

/** Takes away what is stored behind an entry, or everything. */
function cut(after) {
  let found = after === null;
  for (const one of [...inner.querySelectorAll("[data-entry]")]) {
    if (found) one.remove();
    else found = one === after;
  }
}

/** The button between versions that the keyboard is at. */
function held() {
  const button = document.activeElement?.closest?.("[data-way]");
  return button && { id: button.closest("[data-entry]").dataset.entry, way: button.dataset.way };
}

/** Puts the keyboard there, or at the other button where that one leads nowhere any more. */
function hold({ id, way }) {
  const now = entry(id);
  const same = now?.querySelector(`[data-way="${way}"]:enabled`) ?? now?.querySelector("[data-way]:enabled");
  same?.focus({ preventScroll: true });
}

/** Shows the open branch in the place of what is shown. */
async function whole() {
  const answer = await fetch(`/chat/entries?${query}`).catch(() => null);
  if (!answer?.ok) return;
  const html = await answer.text();
  following(() => {
    const where = held();
    cut(null);
    insert(html, inner.querySelector(".live, .mine"));
    if (where) hold(where);
  });
}

/** The conversation goes on behind `leaf`. */
export function moved({ leaf }) {
  const last = leaf === null ? null : entry(leaf);
  // On another branch: it is stored, and can be had.
  if (last === undefined || (leaf !== null && !last)) return whole();
  following(() => cut(last));
}

async function change(path, body, otherwise) {
  const done = await call("POST", `${here}/${path}`, body);
  if (!done.ok) remark(done.told, "error");
  else await otherwise?.();
}

/** Another version, shown where the reader was. */
async function over(button) {
  const { way } = button.dataset;
  const to = button.value;
  const place = button.closest("[data-entry]").getBoundingClientRect().top;
  await change("switch", { entry: to }, whole);
  const now = entry(to);
  if (!now) return;
  log.scrollTop += now.getBoundingClientRect().top - place;
  hold({ id: to, way });
}

form.addEventListener("submit", (event) => {
  const button = event.submitter;
  // It leads to another page, with a script or without.
  if (button.dataset.fork !== undefined) return;
  event.preventDefault();
  if (button.dataset.way) over(button);
  else change("retry", { entry: button.value, idempotencyKey: crypto.randomUUID() });
});

/** Opens the form for a message in its place. */
async function open(id) {
  const bubble = entry(id);
  if (!bubble || bubble.querySelector("form")) return;
  const answer = await fetch(`/chat/anew?${query}&entry=${encodeURIComponent(id)}`).catch(() => null);
  if (!answer?.ok) return remark(words.unreachable, "error");
  const [edit] = parsed(await answer.text());
  bubble.classList.add("editing");
  bubble.append(edit);
  const text = edit.querySelector("textarea");
  text.focus();
  text.setSelectionRange(text.value.length, text.value.length);
}

function leave(edit) {
  const bubble = edit.closest("[data-entry]");
  bubble.classList.remove("editing");
  edit.remove();
  (bubble.querySelector("[data-edit]") ?? box).focus();
}

log.addEventListener("click", (event) => {
  const link = event.target.closest("[data-edit], [data-leave]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.dataset.edit) open(link.dataset.edit);
  else leave(link.closest("form"));
});

log.addEventListener("submit", (event) => {
  const edit = event.target;
  if (edit.dataset.anew === undefined) return;
  event.preventDefault();
  const text = edit.querySelector("textarea").value.trim();
  const { anew, parent, files } = edit.dataset;
  if (!text && files === undefined) return;
  leave(edit);
  const more = { parent: parent ?? null, attachmentsOf: files === undefined ? undefined : anew };
  send({ text, files: [], more });
});

log.addEventListener("keydown", (event) => {
  const edit = event.target.closest?.("form[data-anew]");
  if (edit && event.key === "Escape") {
    event.stopPropagation();
    leave(edit);
  } else if (edit && event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches("textarea")) {
    event.preventDefault();
    edit.requestSubmit();
  }
  const way = { ArrowLeft: "before", ArrowRight: "behind" }[event.key];
  const versions = event.target.closest?.(".versions");
  if (way && versions) {
    event.preventDefault();
    versions.querySelector(`[data-way="${way}"]:enabled`)?.click();
  }
});

// As in many chats: up from an empty box goes to the last message.
box.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowUp" || box.value || event.shiftKey || event.altKey) return;
  const last = [...inner.querySelectorAll("[data-edit]")].pop();
  if (!last) return;
  event.preventDefault();
  open(last.dataset.edit);
});
