// Runs in a world of its own beside the page's scripts: the page cannot see or change what is here.
// One function over requests; `request.op` says what is wanted. Gives plain values.
(request) => {
  const TEXT_MAX = 200000, ELEMENTS_MAX = 1500, NODES_MAX = 60000, DEPTH_MAX = 250, NAME_MAX = 100;
  const state = (globalThis.instarState ??= { next: request.next || 1, byRef: new Map(), refs: new WeakMap() });
  // A page that came back out of the cache goes on with numbers that no other page has had.
  state.next = Math.max(state.next, request.next || 1);

  const clean = (text) =>
    String(text || "")
      .replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\u{e0000}-\u{e007f}]/gu, "")
      .replace(/\s+/g, " ")
      .trim();
  const short = (text, max = NAME_MAX) => {
    const all = Array.from(clean(text));
    return all.length > max ? all.slice(0, max).join("") + "…" : all.join("");
  };
  const tag = (el) => el.localName;
  const styleOf = (el) => el.ownerDocument.defaultView.getComputedStyle(el);

  const roleOf = (el) => {
    const name = tag(el);
    const said = (el.getAttribute("role") || "").trim().toLowerCase().split(/\s+/)[0];
    if (name === "a" && el.hasAttribute("href")) return "link";
    if (name === "button" || name === "summary") return "button";
    if (name === "select") return "list";
    if (name === "textarea") return "field";
    if (name === "input") {
      const type = (el.type || "text").toLowerCase();
      if (type === "hidden") return null;
      if (["button", "submit", "reset", "image"].includes(type)) return "button";
      if (["checkbox", "radio", "password", "file"].includes(type)) return type;
      return "field";
    }
    if (el.isContentEditable && !(el.parentElement && el.parentElement.isContentEditable)) return "field";
    const known = ["button", "link", "checkbox", "radio", "tab", "menuitem", "option", "switch", "combobox", "textbox"];
    if (known.includes(said)) return said === "textbox" ? "field" : said;
    if (el.hasAttribute("onclick")) return "button";
    return null;
  };

  // A field for a secret, whatever it looks like at the moment.
  const isSecret = (el) =>
    (tag(el) === "input" && el.type === "password") ||
    /password|one-time-code|cc-(number|csc)/.test((el.getAttribute("autocomplete") || "").toLowerCase());

  // What stands beside a field, without what stands in it.
  const labelText = (label) => {
    const words = [], walker = label.ownerDocument.createTreeWalker(label, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && words.length < 50) {
      const node = walker.currentNode;
      if (!node.parentElement.closest("select, textarea, script, style")) words.push(node.nodeValue);
    }
    return words.join(" ");
  };

  const nameOf = (el, role) => {
    const shown = ["field", "list", "password", "file", "checkbox", "radio"].includes(role) ? "" : el.innerText;
    const labels = el.labels ? Array.from(el.labels, labelText).join(" ") : "";
    const isButton = tag(el) === "input" && role === "button";
    const image = el.querySelector ? el.querySelector("img[alt]") : null;
    const candidates = [shown, isButton ? el.value : "", labels, el.getAttribute("aria-label"),
      el.getAttribute("placeholder"), image && image.alt, el.getAttribute("alt"), el.getAttribute("title"),
      el.getAttribute("name")];
    return short(candidates.find((text) => clean(text)) || "");
  };

  const target = (el, role) => {
    if (role === "link" && /^https?:$/.test(el.protocol || "")) return el.href;
    const submits = el.form && ((tag(el) === "button" && el.type === "submit") ||
      (tag(el) === "input" && ["submit", "image"].includes(el.type)));
    if (!submits) return "";
    // Fields of a form can lie over its own properties.
    const attribute = (of, name) => Element.prototype.getAttribute.call(of, name);
    const given = attribute(el, "formaction") || attribute(el.form, "action") || "";
    try { return new URL(given, el.ownerDocument.baseURI).href; } catch { return given; }
  };

  const describe = (el) => {
    const role = isSecret(el) ? "password" : roleOf(el) || tag(el);
    const to = target(el, role);
    return `${role} "${nameOf(el, role)}"` + (to ? ` to ${short(to, 300)}` : "");
  };

  const refOf = (el) => {
    let ref = state.refs.get(el);
    if (!ref) {
      ref = "e" + state.next++;
      state.refs.set(el, ref);
      state.byRef.set(ref, new WeakRef(el));
    }
    return ref;
  };

  // Whether a person sees what is in this box, as far as styles say it.
  const hides = (el, style) => {
    if (el.getAttribute("aria-hidden") === "true") return true;
    if (el.checkVisibility && !el.checkVisibility()) return true;
    if (style.display === "none" || parseFloat(style.opacity) < 0.05) return true;
    if (/inset\((50|[6-9]\d|100)%|circle\(0/.test(style.clipPath)) return true;
    const rect = el.getBoundingClientRect();
    const small = rect.width <= 1 || rect.height <= 1;
    if (small && style.overflow !== "visible" && style.display !== "contents") return true;
    if (style.position === "absolute" && /^rect\(/.test(style.clip)) return true;
    if (style.position !== "static" || style.transform !== "none") {
      const view = el.ownerDocument.defaultView;
      const away = rect.right + view.scrollX <= 0 || rect.bottom + view.scrollY <= 0;
      if (away && rect.width > 0) return true;
    }
    return false;
  };
  const hidesWords = (style, ground) =>
    style.visibility !== "visible" || parseFloat(style.fontSize) < 3 || parseFloat(style.textIndent) < -500 ||
    /, 0\)$/.test(style.color.startsWith("rgba") ? style.color : "") || style.color === ground;

  const BLOCKS = /^(address|article|aside|blockquote|dd|details|dialog|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|summary|table|tr|ul)$/;
  const SKIPPED = /^(script|style|template|noscript|head|title|svg|canvas|object|embed|audio|video|map)$/;

  const read = () => {
    const out = [], elements = [];
    let length = 0, nodes = 0, cut = false, line = true;
    const put = (text) => {
      if (!text) return;
      if (length + text.length > TEXT_MAX) { cut = true; return; }
      out.push(text);
      length += text.length;
      line = text.endsWith("\n");
    };
    const newline = () => { if (!line) put("\n"); };
    const mark = (el, role) => {
      if (elements.length >= ELEMENTS_MAX) { cut = true; return; }
      const secret = isSecret(el);
      const ref = refOf(el), shown = secret ? "password" : role, name = nameOf(el, role);
      elements.push({ ref, role: shown, name, what: describe(el) });
      let more = "";
      if (shown === "field" && el.value) more = ` = "${short(el.value, 200)}"`;
      if (shown === "list") {
        const chosen = Array.from(el.options || []);
        more = ": " + chosen.slice(0, 40).map((one) => (one.selected ? "*" : "") + short(one.label, 60)).join(" | ");
      }
      if (["checkbox", "radio", "switch"].includes(shown)) more = el.checked ? " (on)" : " (off)";
      if (el.disabled) more += " (disabled)";
      const called = ["link", "button", "tab", "menuitem", "option", "summary"].includes(role) && clean(el.innerText) ? "" : ` "${name}"`;
      put(` [${ref} ${shown}${called}${more}]`);
      if (role === "link" && /^https?:$/.test(el.protocol || "")) put(` <${short(el.href, 300)}>`);
    };
    const walk = (node, depth, ground, pre) => {
      if (cut || depth > DEPTH_MAX || ++nodes > NODES_MAX) { cut = true; return; }
      if (node.nodeType === 3) {
        const parent = node.parentElement || (node.parentNode && node.parentNode.host);
        if (!parent || hidesWords(styleOf(parent), ground)) return;
        const raw = node.nodeValue.replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\u{e0000}-\u{e007f}]/gu, "");
        if (pre) { put(raw); return; }
        const text = raw.replace(/\s+/g, " ");
        put(line ? text.trimStart() : text);
        return;
      }
      if (node.nodeType !== 1) return;
      const name = tag(node);
      if (SKIPPED.test(name)) return;
      const style = styleOf(node);
      if (hides(node, style)) return;
      const isSeen = style.visibility === "visible";
      const image = style.backgroundImage !== "none";
      const color = style.backgroundColor;
      const under = image ? null : /rgba\(.*, 0\)$/.test(color) ? ground : color;
      const role = roleOf(node);
      const block = BLOCKS.test(name) || style.display === "block";
      if (name === "br") { put("\n"); return; }
      if (name === "hr") { newline(); put("---\n"); return; }
      if (block) newline();
      if (/^h[1-6]$/.test(name)) put("#".repeat(Number(name[1])) + " ");
      if (name === "li") put("- ");
      if ((name === "td" || name === "th") && node.previousElementSibling) put(" | ");
      if (name === "img") { if (isSeen && clean(node.alt)) put(`[image: ${short(node.alt)}]`); if (role && isSeen) mark(node, role); return; }
      if (name === "iframe") {
        let inner = null;
        try { inner = node.contentDocument; } catch { inner = null; }
        newline();
        if (inner && inner.body) walk(inner.body, depth + 1, "rgb(255, 255, 255)", false);
        else if (isSeen) put(`[a frame of another site: ${short(node.src, 200)}]`);
        newline();
        return;
      }
      const form = ["input", "select", "textarea"].includes(name);
      if (!form) {
        const first = name === "details" && !node.open ? node.querySelector(":scope > summary") : null;
        const children = name === "details" && !node.open ? [first].filter(Boolean) : node.shadowRoot ? node.shadowRoot.childNodes :
          name === "slot" && node.assignedNodes().length ? node.assignedNodes() : node.childNodes;
        const kept = pre || name === "pre" || /^pre/.test(style.whiteSpace);
        for (const child of children) {
          // A form whose fields are called like properties can be read by nobody.
          try { walk(child, depth + 1, under, kept); } catch { put(" [a part that cannot be read] "); }
        }
      }
      if (role && isSeen) mark(node, role);
      if (block) newline();
    };
    if (document.body) {
      const color = styleOf(document.documentElement).backgroundColor;
      walk(document.body, 0, /, 0\)$/.test(color) ? "rgb(255, 255, 255)" : color, false);
    }
    const about = performance.getEntriesByType("navigation")[0];
    return {
      text: out.join("").replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").trim(),
      elements, cut, next: state.next, url: location.href, title: short(document.title, 300), status: about ? about.responseStatus : 0,
    };
  };

  const find = () => {
    const held = state.byRef.get(request.ref);
    const el = held && held.deref();
    return el && el.isConnected ? el : null;
  };

  // Where the middle of an element is on the screen, through the frames that it is in.
  const place = (el) => {
    el.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const rects = Array.from(el.getClientRects());
    const rect = rects.find((one) => one.width > 0 && one.height > 0);
    if (!rect) return { error: "it has no place on the page" };
    let x = rect.left + rect.width / 2, y = rect.top + rect.height / 2;
    const root = el.getRootNode();
    const hit = (root.elementFromPoint ? root : el.ownerDocument).elementFromPoint(x, y);
    const label = hit && hit.closest && hit.closest("label");
    if (!hit || !(hit === el || el.contains(hit) || (el.shadowRoot && el.shadowRoot.contains(hit)) || (label && label.control === el))) {
      return { error: "something else lies over it" };
    }
    for (let view = el.ownerDocument.defaultView; view !== window; view = view.parent) {
      const frame = view.frameElement;
      if (!frame) return { error: "it is in a frame that cannot be reached" };
      const outer = frame.getBoundingClientRect();
      x += outer.left + frame.clientLeft;
      y += outer.top + frame.clientTop;
    }
    return { x, y };
  };

  if (request.op === "read") return read();
  if (request.op === "scroll") {
    const step = window.innerHeight * 0.85;
    const to = { up: scrollY - step, down: scrollY + step, top: 0, bottom: document.documentElement.scrollHeight }[request.to];
    window.scrollTo({ top: to, behavior: "instant" });
    return { at: Math.round(scrollY), of: document.documentElement.scrollHeight };
  }
  const el = find();
  if (!el) return { error: "it is not on the page any more" };
  const what = describe(el);
  if (request.what && request.what !== what) return { error: `it says ${what} now` };
  if (request.op === "locate") return { what, ...(el.disabled ? { error: "it is disabled" } : place(el)) };
  if (request.op === "show") { el.scrollIntoView({ block: "center", behavior: "instant" }); return { what }; }
  if (request.op === "focus") {
    if (isSecret(el)) return { error: "it is for a password or a code, which only the owner types" };
    if (tag(el) === "input" && el.type === "file") return { error: "files are not handed to pages" };
    if (el.disabled || el.readOnly) return { error: "it cannot be written in" };
    el.focus();
    if (el.select) el.select();
    else if (el.isContentEditable) {
      const range = el.ownerDocument.createRange();
      range.selectNodeContents(el);
      const selection = el.ownerDocument.defaultView.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
    }
    return { what };
  }
  if (request.op === "choose") {
    if (tag(el) !== "select") return { error: "it is no list to choose from" };
    const wanted = clean(request.option);
    const found = Array.from(el.options).find((one) => clean(one.label) === wanted || one.value === wanted);
    if (!found || found.disabled) return { error: `it has no ${short(request.option)}; it has ${Array.from(el.options).slice(0, 30).map((one) => short(one.label, 40)).join(", ")}` };
    found.selected = true;
    el.dispatchEvent(new Event("input", { bubbles: true }));
    el.dispatchEvent(new Event("change", { bubbles: true }));
    return { what };
  }
  return { error: "that is not known here" };
}
