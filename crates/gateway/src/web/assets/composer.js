// Where a message is written: drafts, commands that complete themselves, attachments.

import { element, words } from "./dom.js";

export const form = document.querySelector("form[data-session]");
export const box = form.querySelector("textarea");
export const session = form.dataset.session;

const menu = document.querySelector("#commands");
const options = [...menu.querySelectorAll("[role=option]")];
const picker = form.querySelector("[data-files]");
const shelf = document.querySelector("[data-shelf]");
const trouble = document.querySelector("[data-attach-trouble]");
const limits = Object.fromEntries(
  ["imagesMax", "filesMax", "imageBytesMax", "fileBytesMax", "totalBytesMax"].map((name) => [name, Number(shelf.dataset[name])]),
);

/* The box. */
export function grow() {
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, window.innerHeight * 0.4)}px`;
}

/* Drafts: in this tab only, and gone with the sign-in. */
const DRAFT = `draft:${session}`;

function keepDraft() {
  if (box.value) sessionStorage.setItem(DRAFT, box.value);
  else sessionStorage.removeItem(DRAFT);
}

for (const out of document.querySelectorAll("form[action='/sign-out']")) {
  out.addEventListener("submit", () => sessionStorage.clear());
}

/* Commands. */
let chosen = -1;

const matching = () => (/^\/\S*$/.test(box.value)
  ? options.filter((option) => option.dataset.command.startsWith(box.value.toLowerCase()))
  : []);

function showMenu(open) {
  const found = open ? matching() : [];
  for (const option of options) option.hidden = !found.includes(option);
  menu.hidden = found.length === 0;
  choose(menu.hidden ? -1 : 0);
}

function choose(at) {
  const found = options.filter((option) => !option.hidden);
  chosen = found.length ? (at + found.length) % found.length : -1;
  if (menu.hidden) chosen = -1;
  options.forEach((option) => option.setAttribute("aria-selected", String(option === found[chosen])));
  if (chosen < 0) box.removeAttribute("aria-activedescendant");
  else box.setAttribute("aria-activedescendant", found[chosen].id);
}

function complete(option) {
  box.value = option.dataset.command + (option.dataset.argument ? " " : "");
  showMenu(false);
  keepDraft();
  box.focus();
}

menu.addEventListener("mousedown", (event) => {
  // The box keeps the focus.
  event.preventDefault();
  const option = event.target.closest("[role=option]");
  if (option) complete(option);
});

/** Keys that belong to the open menu; true if one was taken. */
function menuKey(event) {
  if (menu.hidden) return false;
  const option = options.filter((one) => !one.hidden)[chosen];
  if (event.key === "ArrowDown") choose(chosen + 1);
  else if (event.key === "ArrowUp") choose(chosen - 1);
  else if (event.key === "Escape") showMenu(false);
  else if (event.key === "Tab" || (event.key === "Enter" && option.dataset.command !== box.value.trim())) complete(option);
  else return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}

box.addEventListener("input", () => {
  grow();
  keepDraft();
  showMenu(true);
});
box.addEventListener("blur", () => showMenu(false));
box.addEventListener("keydown", (event) => {
  if (event.isComposing || menuKey(event)) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    form.requestSubmit();
  }
});

/* Attachments. */
let files = [];

const size = (bytes) => (bytes < 1_048_576 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1_048_576).toFixed(1)} MB`);
const isImage = (file) => file.type.startsWith("image/");

/** Why a file cannot go along, in words; nothing if it can. */
function refused(file) {
  const same = files.filter((one) => isImage(one) === isImage(file));
  const sum = files.reduce((sum, one) => sum + one.size, file.size);
  const each = isImage(file) ? limits.imageBytesMax : limits.fileBytesMax;
  if (same.length >= (isImage(file) ? limits.imagesMax : limits.filesMax)) return words.attachMany;
  if (file.size > each) return `${words.attachLarge} ${size(each)}`;
  if (sum > limits.totalBytesMax) return `${words.attachTogether} ${size(limits.totalBytesMax)}`;
  return "";
}

function showFiles() {
  shelf.replaceChildren(...files.map((file) => {
    const chip = element("li", "", "");
    const remove = element("button", "", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `${words.detach} ${file.name}`);
    remove.addEventListener("click", () => {
      files = files.filter((one) => one !== file);
      showFiles();
      box.focus();
    });
    chip.append(element("span", "", file.name), element("small", "", size(file.size)), remove);
    return chip;
  }));
}

export function attach(list) {
  const problems = [];
  for (const file of list) {
    const why = refused(file);
    if (why) problems.push(`${file.name}: ${why}`);
    else files.push(file);
  }
  trouble.textContent = problems.join(" · ");
  showFiles();
}

function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result).replace(/^[^,]*,/, ""));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

/** As the server takes them. */
export const encoded = (list) => Promise.all(list.map(async (file) => ({
  name: file.name, mime: file.type || "text/plain", data: await base64(file),
})));

picker.addEventListener("change", () => {
  attach(picker.files);
  picker.value = "";
  box.focus();
});
form.querySelector("[data-attach]").addEventListener("click", () => picker.click());
box.addEventListener("paste", (event) => {
  if (!event.clipboardData.files.length) return;
  event.preventDefault();
  attach(event.clipboardData.files);
});
const main = document.querySelector(".shell > main");
main.addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  main.classList.add("dropping");
});
main.addEventListener("dragleave", (event) => {
  if (!main.contains(event.relatedTarget)) main.classList.remove("dropping");
});
main.addEventListener("drop", (event) => {
  main.classList.remove("dropping");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  attach(event.dataTransfer.files);
});

/* Taking what was written, and giving it back. */

/** The message, with the box empty again; nothing if there is none. */
export function take() {
  const message = { text: box.value.trim(), files };
  if (!message.text && !files.length) return null;
  box.value = "";
  files = [];
  trouble.textContent = "";
  showFiles();
  showMenu(false);
  keepDraft();
  grow();
  return message;
}

/** Nothing that was written is lost, and nothing written since is overwritten. */
export function giveBack(message) {
  box.value = box.value ? `${message.text}\n${box.value}` : message.text;
  files = [...message.files, ...files];
  showFiles();
  keepDraft();
  grow();
}

if (!box.value) box.value = sessionStorage.getItem(DRAFT) ?? "";
grow();
