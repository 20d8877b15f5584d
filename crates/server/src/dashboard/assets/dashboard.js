// Makes the pages quicker; each of them works without it. Three parts: partial updates, keys, live rows.

// What a page of ours says becomes markup here and nowhere else: only replies of this origin are handed to it.
const policy = globalThis.trustedTypes?.createPolicy("agentflow", { createHTML: (text) => text });
const parse = (text) => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");

// ---- Partial updates: links and forms inside [data-swap] fetch the next page and put its main part in place.

let latest = 0;

async function visit(url, options, push) {
  const turn = ++latest;
  document.documentElement.setAttribute("aria-busy", "true");
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    say("The server cannot be reached. Nothing was changed; try again.");
    return;
  } finally {
    document.documentElement.removeAttribute("aria-busy");
  }
  const text = await response.text();
  if (turn !== latest) return;
  const next = parse(text);
  const [main, old] = [next.getElementById("main"), document.getElementById("main")];
  if (!main || !old || !next.querySelector(".side")) {
    // Signed out, or a page without the frame: shown as a whole.
    location.assign(response.redirected ? response.url : url);
    return;
  }
  const scroll = document.querySelector(".queue")?.scrollTop;
  const within = old.contains(document.activeElement);
  old.replaceWith(document.adoptNode(main));
  for (const part of [".notices", ".side nav"]) {
    const [from, to] = [next.querySelector(part), document.querySelector(part)];
    if (from && to) to.replaceWith(document.adoptNode(from));
  }
  document.title = next.title;
  if (push) history.pushState({}, "", response.url || url);
  const queue = document.querySelector(".queue");
  if (queue && scroll !== undefined) queue.scrollTop = scroll;
  const detail = document.getElementById("detail");
  if (detail) detail.scrollTop = 0;
  else if (push) scrollTo(0, 0);
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
  visit(link.href, {}, true);
});

addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.closest("[data-swap]") || form.hasAttribute("data-plain")) return;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  if (form.method === "get") {
    for (const [name, value] of [...fields]) if (!value) fields.delete(name);
    visit(`${form.action}?${fields}`, {}, true);
  } else {
    visit(form.action, { method: "POST", body: fields }, true);
  }
});

addEventListener("popstate", () => visit(location.href, {}, false));

function say(text) {
  const line = document.createElement("p");
  line.className = "notice bad";
  line.textContent = text;
  document.getElementById("notices")?.append(line);
  setTimeout(() => line.remove(), 6000);
}

// ---- Keys: j/k walk the list, a/r decide, x ticks, u takes back, / searches, ? tells them.

const KEYS = [
  ["j", "next lead"],
  ["k", "lead before"],
  ["a", "approve"],
  ["r", "reject"],
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
  const links = [...document.querySelectorAll(".rows a")];
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

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  const { target } = event;
  const typing = target.matches?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (document.querySelector("dialog[open]") && event.key !== "?") return;
  switch (event.key) {
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
      const control = document.querySelector(`[data-key="${event.key}"]`);
      if (!control) return;
      if (control.matches("input")) control.focus();
      else control.click();
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

// ---- What goes by with time: relative times, the seconds of an undo, who else is looking.

function distance(millis) {
  const seconds = Math.floor(Math.abs(millis) / 1000);
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
  const text = `${Math.floor(seconds / size)} ${unit}`;
  if (millis < 0) return seconds < 1 ? "now" : `in ${text}`;
  return seconds < 5 ? "just now" : `${text} ago`;
}



function ready() {
  source?.close();
  source = undefined;
  for (const button of document.querySelectorAll("[data-live]")) button.hidden = false;
  for (const notice of document.querySelectorAll(".notice[data-seconds]")) {
    setTimeout(() => notice.remove(), Number(notice.dataset.seconds) * 1000);
  }
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = distance(Date.now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}, 5000);

setInterval(async () => {
  const here = document.querySelector("[data-poll]");
  if (!here || document.hidden) return;
  const response = await fetch(here.dataset.poll, { credentials: "same-origin" }).catch(() => undefined);
  if (!response?.ok) return;
  const fresh = parse(await response.text()).querySelector("[data-poll]");
  if (fresh && here.isConnected) here.replaceWith(document.adoptNode(fresh));
}, 10000);

ready();
