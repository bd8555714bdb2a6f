// What scripts of all pages share: making elements, and changes sent as JSON.

/** The words that a script may need, in the reader's language. */
export const words = document.body.dataset;

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Elements of a fragment of HTML that the server rendered. */
export function parsed(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  return [...page.body.children].map((one) => document.importNode(one, true));
}

/** A change: what the server said, or words for the reader why it did not. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "Accept": "application/json" },
    body: JSON.stringify(body ?? {}),
  }).catch(() => null);
  const read = await answer?.json().catch(() => null);
  if (answer?.ok) return { ok: true, read };
  const error = read?.error;
  return { ok: false, told: error ? [error.message, error.nextStep].filter(Boolean).join(" ") : words.unreachable };
}
