// Makes the pages quicker; each of them works without it. Partial updates, keys, live rows, copying, what goes by with time.

// What a page of ours says becomes markup here and nowhere else: only replies of this origin are handed to it.
const policy = globalThis.trustedTypes?.createPolicy("agentflow", { createHTML: (text) => text });
const parse = (text) => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");
const all = (selector) => [...document.querySelectorAll(selector)];

// ---- Partial updates: links and forms inside [data-swap] fetch the next page and put its main part in place.

let latest = 0;
let underWay = 0;

async function visit(url, options = {}, push = true) {
  const turn = ++latest;
  const posts = options.method === "POST";
  underWay += 1;
  document.documentElement.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(url, { credentials: "same-origin", ...options });
    const text = await response.text();
    const next = parse(text);
    // That a change met the end of the session is told, whatever was asked for since.
    const undone = posts && response.redirected && !next.querySelector(".side");
    if (undone) latest += 1;
    if (undone || turn === latest) show(next, response, url, posts, push);
  } catch {
    say(posts ? "The server cannot be reached. Whether it was done is not known; reload the page." : "The server cannot be reached; try again.");
  } finally {
    underWay -= 1;
    if (!underWay) document.documentElement.removeAttribute("aria-busy");
  }
}

// What is typed about a lead stays while others are looked at.
const notes = new Map();
const note = () => document.querySelector("#decide [name=note]");
const subject = (field) => field.form.elements.pick.value.split(".")[0];
const keepNote = () => note() && notes.set(subject(note()), note().value);
const putNoteBack = () => note() && (note().value ||= notes.get(subject(note())) ?? "");

function show(next, response, url, posts, push) {
  const [main, old] = [next.getElementById("main"), document.getElementById("main")];
  // A refusal is told here, so that what was typed stays.
  if (posts && next.querySelector("#main[data-fault]")) return say(next.querySelector("#main p").textContent);
  if (!main || !old || !next.querySelector(".side")) {
    // Signed out, or a page without the frame: shown as a whole.
    location.assign(response.redirected || posts ? response.url : url);
    return;
  }
  const scroll = document.querySelector(".queue")?.scrollTop;
  const within = old.contains(document.activeElement);
  keepNote();
  const ticked = new Set(all(".rows input:checked").map((box) => box.value));
  old.replaceWith(document.adoptNode(main));
  for (const part of [".notices", ".side nav"]) {
    const [from, to] = [next.querySelector(part), document.querySelector(part)];
    if (from && to) to.replaceWith(document.adoptNode(from));
  }
  for (const box of all(".rows input")) box.checked = ticked.has(box.value);
  putNoteBack();
  document.title = next.title;
  // The address of a form that was posted is no page: only where it led to is one.
  if (push && (!posts || response.redirected)) {
    if (response.url === location.href) history.replaceState({}, "", response.url);
    else history.pushState({}, "", response.url || url);
  }
  const queue = document.querySelector(".queue");
  if (queue && scroll !== undefined) queue.scrollTop = scroll;
  const detail = document.getElementById("detail");
  if (detail) detail.scrollTop = 0;
  if (push) scrollTo(0, 0);
  if (within) {
    const focus = document.querySelector(".rows a[aria-current]") ?? document.querySelector("#main h1");
    if (focus) {
      if (!focus.matches("a")) focus.tabIndex = -1;
      focus.focus({ preventScroll: true });
    }
  }
  document.querySelector(".rows a[aria-current]")?.scrollIntoView({ block: "nearest" });
  ready();
}

addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || !link.closest("[data-swap]") || link.hasAttribute("data-plain")) return;
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.origin !== location.origin || !link.pathname.startsWith("/dashboard")) return;
  event.preventDefault();
  visit(link.href);
});

// A second click posts nothing: a form is on its way until its answer is here, or its page is shown anew.
const onItsWay = new Set();
addEventListener("pageshow", () => onItsWay.clear());

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "post") {
    if (onItsWay.has(form)) return event.preventDefault();
    onItsWay.add(form);
  }
  if (!form.closest("[data-swap]") || form.hasAttribute("data-plain")) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  if (form.method === "get") {
    for (const [name, value] of [...fields]) if (!value) fields.delete(name);
    visit(`${form.action}?${fields}`);
  } else {
    const url = event.submitter?.hasAttribute("formaction") ? event.submitter.formAction : form.action;
    visit(url, { method: "POST", body: fields }).then(() => onItsWay.delete(form));
  }
});

addEventListener("popstate", () => visit(location.href, {}, false));

function say(text) {
  const line = document.createElement("p");
  line.className = "notice bad";
  line.textContent = text;
  document.getElementById("notices")?.append(line);
  setTimeout(() => line.remove(), 8000);
}

// ---- Keys: j/k walk the list, a/r decide, x ticks, u takes back, / searches, ? tells them.

const KEYS = [
  ["j", "next lead"],
  ["k", "lead before"],
  ["a", "approve: the ticked leads, or the one that is shown"],
  ["r", "reject, likewise"],
  ["x", "tick, to decide several at once"],
  ["u", "undo, for five seconds"],
  ["/", "search"],
  ["?", "this list"],
];

function help() {
  let dialog = document.getElementById("keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "keys";
    dialog.setAttribute("aria-label", "Keys");
    const list = document.createElement("dl");
    for (const [key, what] of KEYS) {
      const [term, text, cap] = ["dt", "dd", "kbd"].map((name) => document.createElement(name));
      cap.textContent = key;
      term.append(cap);
      text.textContent = what;
      list.append(term, text);
    }
    const title = document.createElement("h2");
    title.textContent = "Keys";
    const close = document.createElement("button");
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    dialog.append(title, list, close);
    document.body.append(dialog);
  }
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function step(by) {
  const links = all(".rows a");
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const to = links[at < 0 ? 0 : at + by];
  if (to) {
    to.focus();
    to.click();
  } else if (by > 0) {
    document.querySelector(".queue .pager a[rel=next]")?.click();
  }
}

function current(selector) {
  return document.querySelector(".rows li:has(a[aria-current])")?.querySelector(selector);
}

/** What a key stands for: with leads ticked, their buttons. */
function control(key) {
  const outcome = { a: "approved", r: "rejected" }[key];
  const bulk = outcome && document.querySelector(".rows input:checked") && document.querySelector(`.bulk button[value=${outcome}]`);
  const found = bulk || document.querySelector(`[data-key="${key}"]`);
  return found?.checkVisibility() ? found : null;
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  const { target, key } = event;
  const typing = target.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing) {
    if (key === "Escape") target.blur();
    return;
  }
  if (document.querySelector("dialog[open]") && key !== "?") return;
  // A key that is held down, or pressed once more while its first press is under way, must not decide the next lead too.
  const changes = ["a", "r", "u", "x"].includes(key);
  if (changes && (event.repeat || underWay)) return event.preventDefault();
  switch (key) {
    case "j":
      step(1);
      break;
    case "k":
      step(-1);
      break;
    case "x":
      current("input[type=checkbox]")?.click();
      break;
    case "?":
      help();
      break;
    case "a":
    case "r":
    case "u":
    case "/": {
      const found = control(key);
      if (!found) return;
      if (found.matches("input")) found.focus();
      else found.click();
      break;
    }
    default:
      return;
  }
  event.preventDefault();
});

addEventListener("click", (event) => {
  if (event.target.closest('[data-key="?"]')) help();
});

addEventListener("change", (event) => {
  if (event.target.matches(".rows input")) tellTicked();
});

function tellTicked() {
  const ticked = all(".rows input:checked").length;
  const line = document.querySelector("[data-ticked]");
  if (line) line.textContent = ticked === 1 ? "1 lead ticked" : `${ticked} leads ticked`;
  for (const verb of all("[data-verb]")) verb.textContent = `${verb.dataset.verb} ${ticked}`;
}

// ---- Live rows: server-sent events bring rows of the list that is shown.

let source;

function follow(button) {
  const stop = button.getAttribute("aria-pressed") === "true";
  source?.close();
  source = undefined;
  button.setAttribute("aria-pressed", String(!stop));
  button.textContent = stop ? "Follow live" : "Pause";
  if (stop) return;
  const rows = document.getElementById("rows");
  const url = new URL(button.dataset.live, location.href);
  if (rows.firstElementChild) url.searchParams.set("after", rows.firstElementChild.id);
  source = new EventSource(url);
  source.addEventListener("message", (event) => {
    const row = parse(`<table><tbody>${event.data}</tbody></table>`).querySelector("tr");
    if (!row || document.getElementById(row.id)) return;
    row.classList.add("fresh");
    rows.prepend(document.adoptNode(row));
    rows.closest("[hidden]")?.removeAttribute("hidden");
    document.querySelector("#main .empty")?.remove();
    while (rows.children.length > 500) rows.lastElementChild.remove();
  });
  source.addEventListener("error", () => {
    if (source?.readyState === EventSource.CLOSED) {
      follow(button);
      say("The live tail has ended; sign in again or reload the page.");
    }
  });
}

addEventListener("click", (event) => {
  const button = event.target.closest("[data-live]");
  if (button) follow(button);
});

// ---- Copying: whatever has [data-copy] gets a button that copies its text.

function offerCopies() {
  for (const text of all("[data-copy]:not([data-copy=offered])")) {
    text.dataset.copy = "offered";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      const copied = await navigator.clipboard.writeText(text.textContent).then(() => true, () => false);
      button.textContent = copied ? "Copied" : "Select it and copy";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    text.after(button);
  }
}

// ---- What goes by with time: relative times, notices, who else is looking, what is new.

function distance(millis, isAge) {
  const seconds = Math.floor(Math.abs(millis) / 1000);
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
  const text = `${Math.floor(seconds / size)} ${unit}`;
  if (isAge) return millis < 0 ? "0 s" : text;
  if (millis < 0) return seconds < 1 ? "now" : `in ${text}`;
  return seconds < 5 ? "just now" : `${text} ago`;
}

function ready() {
  source?.close();
  source = undefined;
  for (const button of all("[data-live]")) button.hidden = false;
  for (const notice of all(".notice[data-seconds]")) {
    setTimeout(() => notice.remove(), Number(notice.dataset.seconds) * 1000);
  }
  offerCopies();
  tellTicked();
}

setInterval(() => {
  for (const time of all("time[datetime]")) {
    const text = distance(Date.now() - Date.parse(time.dateTime), "age" in time.dataset);
    if (time.textContent !== text) time.textContent = text;
  }
}, 5000);

/** Asks for an element anew, at the address that its attribute names, every so often while the page is seen. */
function poll(attribute, every) {
  setInterval(async () => {
    const here = document.querySelector(`[${attribute}]`);
    if (!here || document.hidden) return;
    const response = await fetch(here.getAttribute(attribute), { credentials: "same-origin" }).catch(() => undefined);
    if (!response?.ok || response.redirected) return;
    const fresh = parse(await response.text()).querySelector(`[${attribute}]`);
    if (fresh && here.isConnected) here.replaceWith(document.adoptNode(fresh));
  }, every);
}

poll("data-poll", 10000);
poll("data-news", 15000);
ready();
