// Every screen: no violation that axe knows of in light and dark, nothing wider than a phone, no word of complaint.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { api, request, sendLead, signedIn, startBrowser, startServer } from "./rig.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PICTURES = process.env.PICTURES;

let server, browser, screens;
before(async () => {
  server = await startServer('[delivery]\nallow_networks = ["127.0.0.0/8"]\n');
  browser = await startBrowser();
  await api(server, "POST", "/destinations", {
    url: "https://127.0.0.1:9/hooks/agentflow",
    event_types: ["lead.qualified", "lead.rejected", "lead.review_requested"],
  });
  const people = [
    ["Jordan Ellis", "Stacklane", "We're evaluating tools to handle inbound demo requests at scale. Currently doing it manually."],
    ["Priya Raman", "Northwind Labs", "Please send prices for 40 seats. We have a budget of 20,000 euros and want to start next month."],
    ["Tomás Herrera", "Cobalt Freight", "Could you tell us whether you integrate with our CRM? We are comparing three vendors."],
    ["Mia Fischer", "Fischer & Söhne", "We would like a demo for our sales team in the coming weeks, please."],
    ["Wei Zhang", "Lumen Health", "Looking for a quote for our clinics, about 120 employees, decision this quarter."],
    ["Sam Okafor", "Brightpath", "Hi, tell me more."],
  ];
  let last;
  for (const [name, company, message] of people) {
    const email = `${name.toLowerCase().normalize("NFD").replace(/[^a-z ]/g, "").replaceAll(" ", ".")}@${company.toLowerCase().replace(/[^a-z]/g, "")}.com`;
    last = await sendLead(server, { name, email, company, message, source: "website_contact_form", plan: "team", seats: 40 });
  }
  await sendLead(server, { name: "x", email: "x@mailinator.com", message: "buy now" });
  await request(server, "POST", new URL(server.first.inbound_url).pathname, { "content-type": "application/json" }, "{}");
  const deliveries = await api(server, "GET", "/deliveries");
  const destinations = await api(server, "GET", "/destinations");
  screens = {
    review: "/dashboard/review",
    leads: "/dashboard/leads",
    lead: `/dashboard/leads/${last}`,
    inbound: "/dashboard/inbound",
    outbound: "/dashboard/outbound",
    delivery: `/dashboard/outbound/${deliveries.items[0].id}`,
    overview: "/dashboard/overview",
    destinations: "/dashboard/destinations",
    destination: `/dashboard/destinations/${destinations.items[0].id}`,
    settings: "/dashboard/settings",
    inbound_settings: "/dashboard/settings/inbound",
    outbound_settings: "/dashboard/settings/outbound",
    scoring: "/dashboard/settings/scoring",
    operators: "/dashboard/settings/operators",
    tokens: "/dashboard/settings/tokens",
    account: "/dashboard/account",
    audit: "/dashboard/audit",
  };
});
after(async () => {
  await browser?.close();
  assert.equal(await server?.stop(), 0);
});

for (const colorScheme of ["light", "dark"]) {
  test(`no screen has a violation that axe knows of, ${colorScheme}`, async () => {
    // The page's policy keeps foreign script out, axe included; the test alone may pass it.
    const page = await signedIn(browser, server, { colorScheme, bypassCSP: true, viewport: { width: 1280, height: 800 } });
    for (const [name, path] of Object.entries(screens)) {
      const answer = await page.goto(path);
      assert.equal(answer.status(), 200, path);
      await page.evaluate(AXE);
      const found = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
      const told = found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
      assert.deepEqual(told, [], `${name} (${colorScheme})`);
    }
    await page.context().close();
  });
}

test("every screen fits a phone", async () => {
  const page = await signedIn(browser, server, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  for (const [name, path] of Object.entries(screens)) {
    await page.goto(path);
    const [inner, wide] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
    assert.ok(wide <= inner, `${name} is ${wide} px wide on a screen of ${inner}`);
  }
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("no screen breaks its own policy", async () => {
  const page = await signedIn(browser, server, { viewport: { width: 1360, height: 860 } });
  for (const [name, path] of Object.entries(screens)) {
    const answer = await page.goto(path);
    const policy = answer.headers()["content-security-policy"];
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/, name);
    assert.match(policy, /require-trusted-types-for 'script'/);
    if (PICTURES && ["review", "overview", "inbound", "delivery", "destinations"].includes(name)) {
      await page.screenshot({ path: `${PICTURES}/${name}.png` });
    }
  }
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("ids and secrets are copied with a click, and without script there is no button for it", async () => {
  const page = await signedIn(browser, server, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(screens.delivery);
  const id = await page.locator("code[data-copy]").first().textContent();
  await page.locator("code[data-copy] + button.copy").first().click();
  await page.locator("button.copy", { hasText: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
  const plain = await signedIn(browser, server, { javaScriptEnabled: false });
  await plain.goto(screens.delivery);
  assert.equal(await plain.locator("button.copy").count(), 0);
  await plain.context().close();
});

test("on a phone each row of a list is a card that names its cells", async () => {
  const page = await signedIn(browser, server, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  for (const name of ["leads", "inbound", "outbound", "destinations", "audit", "operators", "tokens", "inbound_settings"]) {
    await page.goto(screens[name]);
    const found = await page.evaluate(() => {
      const cells = [...document.querySelectorAll("table.cards tbody tr:first-child td")];
      return cells.map((cell) => [getComputedStyle(cell, "::before").content, cell.getBoundingClientRect().right]);
    });
    assert.ok(found.length > 2, name);
    for (const [label, right] of found) assert.ok(/^"[A-Z]/.test(label) && right <= 390, `${name}: ${label} ${right}`);
  }
  await page.context().close();
});

test("on a phone the queue says that it is empty, and the lead comes when it is asked for", async () => {
  const page = await signedIn(browser, server, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await page.goto("/dashboard/review?q=nobody-has-this");
  assert.equal(await page.locator(".empty h2", { hasText: "No lead in review has this text" }).isVisible(), true);
  assert.equal(await page.locator(".back").isVisible(), false);
  await page.goto("/dashboard/review");
  assert.equal(await page.locator("#detail").isVisible(), false);
  await page.locator(".rows a").first().click();
  await page.waitForURL(/lead=/);
  assert.deepEqual([await page.locator("#detail").isVisible(), await page.locator(".back").isVisible()], [true, true]);
  await page.context().close();
});

test("on a phone the navigation keeps its order, and all of it is in view", async () => {
  const page = await signedIn(browser, server, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  const places = () => page.locator(".side nav a").evaluateAll((links) => links.map((link) => [link.offsetTop, link.offsetLeft]));
  const expected = await places();
  assert.deepEqual(expected, expected.toSorted(([top, left], [otherTop, otherLeft]) => top - otherTop || left - otherLeft));
  assert.ok(expected.every(([, left]) => left < 390));
  for (const name of ["overview", "audit"]) {
    await page.goto(screens[name]);
    const lines = await places();
    assert.deepEqual(lines.map(([top]) => top), expected.map(([top]) => top), name);
  }
  await page.context().close();
});

test("a second click on a form's button posts nothing, and the form is there again when its page is", async () => {
  const page = await signedIn(browser, server);
  let posted = 0;
  page.on("request", (request) => (posted += request.method() === "POST" ? 1 : 0));
  await page.goto("/dashboard/destinations");
  await page.fill("[name=url]", "https://hooks.example.com/twice");
  await page.locator("button.primary").dblclick();
  await page.locator(".notice", { hasText: "Destination added." }).waitFor();
  assert.equal(posted, 1);
  assert.equal((await api(server, "GET", "/destinations")).items.length, 2);
  await page.goto("/dashboard/settings");
  const save = page.locator("form[action$='/delivery'] button.primary");
  await save.dblclick();
  await page.locator(".notice", { hasText: "Delivery and retention saved." }).waitFor();
  assert.equal(posted, 2);
  await save.click();
  await page.locator(".notice", { hasText: "Delivery and retention saved." }).waitFor();
  assert.equal(posted, 3);
  // As a browser shows a page that it has kept.
  await page.evaluate(() => {
    addEventListener("submit", (event) => event.preventDefault(), { once: true });
    document.querySelector("form[action$='/delivery']").requestSubmit();
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await save.click();
  await page.locator(".notice", { hasText: "Delivery and retention saved." }).waitFor();
  assert.equal(posted, 4);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the live tail shows what arrives, and pauses", async () => {
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/inbound");
  const before = await page.locator("#rows tr").count();
  await page.click("[data-live]");
  await page.locator("[data-live]", { hasText: "Pause" }).waitFor();
  const id = await sendLead(server, { name: "Live One", email: "live.one@stacklane.co", message: "hello there" });
  await page.locator(`#rows a[href="/dashboard/leads/${id}"]`).waitFor();
  assert.equal(await page.locator("#rows tr").count(), before + 1);
  await page.click("[data-live]");
  await page.locator("[data-live]", { hasText: "Follow live" }).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
