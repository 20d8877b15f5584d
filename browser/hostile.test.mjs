// 500 hostile strings in every field of a lead: no script runs, nothing is loaded, no policy is broken.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, sendLead, signedIn, startBrowser, startServer } from "./rig.mjs";

const SCRIPT = "globalThis.stolen=1";
const SEEDS = [
  `<script>${SCRIPT}</script>`, `<img src=x onerror=${SCRIPT}>`, `<svg onload=${SCRIPT}>`, `"><script>${SCRIPT}</script>`, `'><img src=x onerror=${SCRIPT}>`,
  `</textarea><script>${SCRIPT}</script>`, `</title><script>${SCRIPT}</script>`, `</pre><script>${SCRIPT}</script>`, `javascript:${SCRIPT}`,
  `<iframe srcdoc="<script>${SCRIPT}</script>">`, `<a href="javascript:${SCRIPT}">x</a>`, `<form action="https://evil.example/"><button>x`,
  `<base href="https://evil.example/">`, `<meta http-equiv=refresh content="0;url=https://evil.example/">`, `<style>*{display:none}</style>`,
  `<link rel=stylesheet href="https://evil.example/x.css">`, `<math><mtext><table><mglyph><style><img src=x onerror=${SCRIPT}>`,
  `<details open ontoggle=${SCRIPT}>`, `<body onload=${SCRIPT}>`, `<input autofocus onfocus=${SCRIPT}>`, `<video><source onerror=${SCRIPT}>`,
  `<object data="javascript:${SCRIPT}">`, `<embed src="javascript:${SCRIPT}">`, "{{constructor.constructor('globalThis.stolen=1')()}}", "${globalThis.stolen=1}",
  `<noscript><p title="</noscript><img src=x onerror=${SCRIPT}>">`, `<!--<img src="--><img src=x onerror=${SCRIPT}>">`, `\u202e<script>${SCRIPT}</script>`, `<ScRiPt>${SCRIPT}</sCrIpT>`,
  `&lt;script&gt;${SCRIPT}&lt;/script&gt;`, `%3Cscript%3E${SCRIPT}%3C/script%3E`, `<button id=main name=notices data-key=a>x</button>`, `"onmouseover="${SCRIPT}`,
  `' onfocus='${SCRIPT}' autofocus='`, `<tr><td><script>${SCRIPT}</script>`, `</tbody></table><img src=x onerror=${SCRIPT}>`,
];
const WRAPS = [(s) => s, (s) => `a${s}b`, (s) => ` ${s} ${s}`, (s) => s.toUpperCase(), (s) => `${s}\n\n${s}`, (s) => `\u0301${s}`, (s) => s.replaceAll(" ", "/"), (s) => s.replaceAll("<", "<\u200b<"), (s) => `data: ${s}\n\nid: 1\n\n${s}`, (s) => s.replaceAll(">", " >"), (s) => `=${s}`, (s) => s.replaceAll('"', "'"), (s) => `<${s}`, (s) => `${s}<!--`];
const STRINGS = WRAPS.flatMap((wrap) => SEEDS.map(wrap)).slice(0, 500);

let server, browser;
before(async () => {
  server = await startServer('[delivery]\nallow_networks = ["127.0.0.0/8"]\n');
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server?.stop(), 0);
});

test("500 hostile strings stay text on every page", async () => {
  assert.equal(STRINGS.length, 500);
  await api(server, "POST", "/destinations", { url: "https://127.0.0.1:9/", event_types: ["lead.qualified", "lead.rejected", "lead.review_requested"] });
  const ids = [];
  for (const [index, text] of STRINGS.entries()) {
    const short = [...text].slice(0, 190).join("");
    ids.push(await sendLead(server, { name: short, email: `h${index}@stacklane.co`, company: short, message: text, source: short, [`k${short}`]: text }));
  }
  const page = await signedIn(browser, server);
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  const check = async (where) => {
    assert.equal(await page.evaluate(() => globalThis.stolen), undefined, where);
    assert.equal(await page.locator("#main").count(), 1, where);
  };
  const walk = async (path) => {
    while (path) {
      await page.goto(path);
      await check(path);
      if (path.startsWith("/dashboard/review")) await page.keyboard.press("j");
      const next = page.locator("a[rel=next]");
      path = (await next.count()) ? await next.getAttribute("href") : undefined;
    }
  };
  for (const id of ids.slice(-50)) {
    const found = await api(server, "GET", `/leads/${id}`);
    if (found.state === "in_review") await api(server, "POST", `/leads/${id}/decision`, { outcome: "approved", note: found.message });
  }
  for (const list of ["leads", "review", "outbound", "audit"]) await walk(`/dashboard/${list}`);
  for (const id of ids) {
    await page.goto(`/dashboard/leads/${id}`);
    await check(id);
  }
  assert.deepEqual(asked.filter((url) => !url.startsWith(server.url)), []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
