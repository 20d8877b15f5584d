// The operator's day: the queue by keyboard alone, with script off, with somebody else at the same lead.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, sendLead, signedIn, startBrowser, startServer } from "./rig.mjs";

const MESSAGE = "Please send prices for a team, we would like to compare offers this year.";
const lead = (name, more = {}) => ({
  name,
  email: `${name.toLowerCase().replaceAll(" ", ".")}@stacklane.co`,
  company: "Stacklane",
  message: MESSAGE,
  ...more,
});

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server?.stop(), 0);
});

const names = (page) => page.locator(".rows .who b").allTextContents();
const shown = (page) => page.locator("#detail h2").first();
async function stateOf(id, state) {
  for (;;) {
    const found = await api(server, "GET", `/leads/${id}`);
    if (found.state === state) return found;
    assert.equal(found.state, "in_review", "decided otherwise");
  }
}

test("the whole review by keyboard alone", async () => {
  const ids = {};
  for (const name of ["Key One", "Key Two", "Key Three", "Key Four"]) ids[name] = await sendLead(server, lead(name));
  const page = await signedIn(browser, server);
  assert.deepEqual(await names(page), ["Key One", "Key Two", "Key Three", "Key Four"], "whoever waits longest comes first");
  await page.click(".orders a:has-text('Newest first')");
  await page.waitForURL(/order=newest/);
  assert.deepEqual((await names(page)).slice(0, 4), ["Key Four", "Key Three", "Key Two", "Key One"]);
  await page.keyboard.press("j");
  await shown(page).filter({ hasText: "Key Three" }).waitFor();
  await page.keyboard.press("k");
  await shown(page).filter({ hasText: "Key Four" }).waitFor();
  // A note that was begun is there when the lead is looked at again, and not with another one.
  const note = page.locator("#decide [name=note]");
  await note.fill("call first");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await shown(page).filter({ hasText: "Key Three" }).waitFor();
  assert.equal(await note.inputValue(), "");
  await page.keyboard.press("k");
  await shown(page).filter({ hasText: "Key Four" }).waitFor();
  assert.equal(await note.inputValue(), "call first");
  await page.keyboard.press("?");
  await page.locator("dialog[open]").waitFor();
  await page.keyboard.press("Escape");

  // Approved, and the next lead is there by itself.
  await page.keyboard.press("a");
  await shown(page).filter({ hasText: "Key Three" }).waitFor();
  // Rejected, and taken back: the lead is open again.
  await page.keyboard.press("r");
  await shown(page).filter({ hasText: "Key Two" }).waitFor();
  await page.locator(".notice", { hasText: "Rejected Key Three" }).waitFor();
  await page.keyboard.press("u");
  await shown(page).filter({ hasText: "Key Three" }).waitFor();

  // Two ticked, both rejected with one click.
  await page.keyboard.press("j");
  await shown(page).filter({ hasText: "Key Two" }).waitFor();
  await page.keyboard.press("x");
  assert.equal(await page.locator(".rows input:checked").count(), 1);
  await page.keyboard.press("/");
  await page.keyboard.type("Key O");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=Key\+O/);
  assert.match(page.url(), /order=newest/);
  assert.deepEqual(await names(page), ["Key One"]);
  await page.keyboard.press("a");
  await page.locator(".notice", { hasText: "Approved Key One" }).waitFor();

  const approved = await stateOf(ids["Key Four"], "qualified");
  assert.equal(approved.decision.outcome, "approved");
  assert.equal((await stateOf(ids["Key One"], "qualified")).decision.by, "operator");
  assert.equal((await api(server, "GET", `/leads/${ids["Key Three"]}`)).state, "in_review", "the undo was in time");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("ticked leads are decided together, and taken back together", async () => {
  const ids = [await sendLead(server, lead("Bulk One")), await sendLead(server, lead("Bulk Two"))];
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Bulk");
  for (const box of await page.locator(".rows input").all()) await box.check();
  await page.click(".bulk button[value=rejected]");
  await page.locator(".notice", { hasText: "Rejected 2 leads" }).waitFor();
  await page.click(".undo");
  await shown(page).filter({ hasText: "Bulk" }).waitFor();
  await page.goto("/dashboard/review?q=Bulk");
  for (const box of await page.locator(".rows input").all()) await box.check();
  await page.click(".bulk button[value=rejected]");
  for (const id of ids) await stateOf(id, "rejected");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("ticks stay while the leads are looked at, and keys act on them", async () => {
  const ids = {};
  for (const name of ["Tick One", "Tick Two", "Tick Three"]) ids[name] = await sendLead(server, lead(name));
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Tick");
  const ticked = () => page.locator(".rows input:checked");
  assert.equal(await page.locator(".bulk").isVisible(), false, "nothing is ticked");
  await page.keyboard.press("x");
  await page.keyboard.press("j");
  await shown(page).filter({ hasText: "Tick Two" }).waitFor();
  await page.keyboard.press("x");
  assert.equal(await ticked().count(), 2);
  await page.keyboard.press("j");
  await shown(page).filter({ hasText: "Tick Three" }).waitFor();
  assert.equal(await ticked().count(), 2, "the detail has changed, the ticks have not");
  await page.locator("[data-ticked]", { hasText: "2 leads ticked" }).waitFor();
  assert.match(await page.locator(".bulk button[value=rejected]").textContent(), /^Reject 2\s*r$/);
  assert.equal(await page.locator("#decide kbd").first().isVisible(), false, "the keys act on what is ticked");
  await page.keyboard.press("r");
  await page.locator(".notice", { hasText: "Rejected 2 leads" }).waitFor();
  await shown(page).filter({ hasText: "Tick Three" }).waitFor();
  assert.deepEqual(await names(page), ["Tick Three"], "the one that was looked at is open still");
  for (const name of ["Tick One", "Tick Two"]) await stateOf(ids[name], "rejected");
  assert.equal((await api(server, "GET", `/leads/${ids["Tick Three"]}`)).state, "in_review");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a key that is held down, or pressed while its request is under way, decides one lead", async () => {
  for (const name of ["Repeat One", "Repeat Two", "Repeat Three"]) await sendLead(server, lead(name));
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Repeat");
  let asked = 0;
  let answer;
  const held = new Promise((resolve) => (answer = resolve));
  await page.route("**/review/decide", async (route) => {
    asked += 1;
    await held;
    await route.continue();
  });
  await page.keyboard.down("a");
  await page.keyboard.down("a");
  await page.keyboard.up("a");
  await page.keyboard.press("a");
  await page.keyboard.press("x");
  answer();
  await shown(page).filter({ hasText: "Repeat Two" }).waitFor();
  assert.deepEqual([asked, await page.locator(".rows input:checked").count()], [1, 0]);
  assert.deepEqual(await names(page), ["Repeat Two", "Repeat Three"]);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the way back leads over pages, never over forms", async () => {
  for (const name of ["Back One", "Back Two"]) await sendLead(server, lead(name));
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/leads");
  await page.goto("/dashboard/review?q=Back");
  await page.keyboard.press("a");
  await shown(page).filter({ hasText: "Back Two" }).waitFor();
  assert.match(page.url(), /\/review\?/);
  await page.click(".undo");
  await page.locator(".notice", { hasText: "Taken back" }).waitFor();
  await page.reload();
  assert.equal(await page.locator(".notice", { hasText: "Taken back" }).count(), 0, "told once");
  // Whatever is walked back over can be loaded anew.
  for (;;) {
    assert.doesNotMatch(page.url(), /decide|undo/);
    if (page.url().endsWith("/leads")) break;
    await page.goBack();
    await page.locator("#main").waitFor();
  }
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("new leads are told of, and the list stays until it is asked for", async () => {
  await sendLead(server, lead("News One"));
  const page = await signedIn(browser, server);
  await page.clock.install();
  await page.goto("/dashboard/review?q=News");
  assert.deepEqual(await names(page), ["News One"]);
  await page.locator(".rows input").check();
  await sendLead(server, lead("News Two"));
  await page.clock.fastForward(15_000);
  const news = page.locator("#news a", { hasText: "1 new lead" });
  await news.waitFor();
  assert.deepEqual(await names(page), ["News One"]);
  await news.click();
  await page.locator(".rows .who b", { hasText: "News Two" }).waitFor();
  assert.deepEqual(await names(page), ["News One", "News Two"]);
  assert.equal(await page.locator(".rows input:checked").count(), 1);
  assert.equal(await news.count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("the buttons that decide are in view on every screen", async () => {
  await sendLead(server, lead("Long Read", { message: `${MESSAGE}\n`.repeat(100) }));
  for (const [width, height] of [[1280, 1200], [1280, 720], [1280, 420], [390, 844], [390, 500]]) {
    const page = await signedIn(browser, server, { viewport: { width, height } });
    await page.goto("/dashboard/review?q=Long");
    await page.locator(".rows a").first().click();
    await page.waitForURL(/lead=/);
    const inView = async () => {
      const box = await page.locator("#decide button[value=rejected]").boundingBox();
      assert.ok(box.y >= 0 && box.y + box.height <= height, `${JSON.stringify(box)} on ${width} x ${height}`);
    };
    await inView();
    await page.locator(".history").scrollIntoViewIfNeeded();
    await inView();
    await page.context().close();
  }
});

test("everything works with script off", async () => {
  const id = await sendLead(server, lead("No Script"));
  const page = await signedIn(browser, server, { javaScriptEnabled: false });
  await page.goto("/dashboard/review?q=No+Script");
  await page.fill("textarea[name=note]", "called them");
  await page.click("#decide button[value=approved]");
  await page.locator(".notice", { hasText: "Approved No Script" }).waitFor();
  await page.click(".undo");
  await shown(page).filter({ hasText: "No Script" }).waitFor();
  await page.fill("textarea[name=note]", "called them twice");
  await page.click("#decide button[value=approved]");
  assert.equal((await stateOf(id, "qualified")).decision.note, "called them twice");
  for (const path of ["leads?state=qualified&q=No", "inbound?status=received", "outbound?state=pending", "overview"]) {
    const answer = await page.goto(`/dashboard/${path}`);
    assert.equal(answer.status(), 200, path);
  }
  await page.goto("/dashboard/leads?q=No+Script");
  await page.click("td.who a");
  await page.locator("q.note", { hasText: "called them twice" }).waitFor();
  await page.context().close();
});

test("a lead that has changed meanwhile is not decided, and what changed is told", async () => {
  const id = await sendLead(server, lead("Change Ling", { plan: "small" }));
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Change");
  await sendLead(server, lead("Change Ling", { plan: "big", message: `${MESSAGE} Soon.` }));
  await page.click("#decide button[value=approved]");
  await page.locator("h1", { hasText: "Not decided" }).waitFor();
  const cells = await page.locator("section.notice td").allTextContents();
  assert.deepEqual(cells, ["message", MESSAGE, `${MESSAGE} Soon.`, "plan", "small", "big"]);
  assert.equal((await api(server, "GET", `/leads/${id}`)).state, "in_review");

  // Another operator was faster.
  await page.goto("/dashboard/review?q=Change");
  await api(server, "POST", `/leads/${id}/decision`, { outcome: "rejected" });
  await page.click("#decide button[value=approved]");
  await page.locator("section.notice", { hasText: "Change Ling was already rejected by admin@localhost" }).waitFor();

  // A submission that arrives while the decision is held: told on the next page.
  const held = await sendLead(server, lead("Held Back"));
  await page.goto("/dashboard/review?q=Held");
  await page.click("#decide button[value=approved]");
  await page.locator(".notice", { hasText: "Approved Held Back" }).waitFor();
  await sendLead(server, lead("Held Back", { plan: "big" }));
  await page.locator(".notice[data-seconds]").waitFor({ state: "detached" });
  for (let told = 0; told === 0; ) {
    await page.goto("/dashboard/review");
    told = await page.locator(".notice", { hasText: "Held Back was not decided" }).count();
  }
  assert.equal((await api(server, "GET", `/leads/${held}`)).state, "in_review");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a conflict keeps the operator's place, and names what went through", async () => {
  const ids = {};
  for (const name of ["Place One", "Place Two", "Place Three"]) ids[name] = await sendLead(server, lead(name));
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Place&order=newest");
  await api(server, "POST", `/leads/${ids["Place Three"]}/decision`, { outcome: "approved" });
  await page.click("#decide button[value=rejected]");
  await page.locator("section.notice", { hasText: "Your rejection was not applied." }).waitFor();
  await page.click("text=Back to the queue");
  await page.waitForURL((url) => url.searchParams.get("q") === "Place" && url.searchParams.get("order") === "newest" && url.searchParams.get("lead") === ids["Place Two"]);

  for (const box of await page.locator(".rows input").all()) await box.check();
  await api(server, "POST", `/leads/${ids["Place Two"]}/decision`, { outcome: "approved" });
  await page.click(".bulk button[value=rejected]");
  await page.locator(".notice", { hasText: "1 other lead went through, rejected: Place One." }).waitFor();
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a lead that is decided under one's eyes says so, and its buttons go", async () => {
  const ids = [await sendLead(server, lead("Eyes One")), await sendLead(server, lead("Eyes Two"))];
  const page = await signedIn(browser, server);
  await page.clock.install();
  await page.goto("/dashboard/review?q=Eyes");
  await api(server, "POST", `/leads/${ids[0]}/decision`, { outcome: "approved" });
  await page.clock.fastForward(10_000);
  await page.locator("#others", { hasText: "This lead was approved by admin@localhost" }).waitFor();
  assert.equal(await page.locator("#decide").isVisible(), false);
  await page.keyboard.press("a");
  await page.click("#others a");
  await shown(page).filter({ hasText: "Eyes Two" }).waitFor();
  assert.equal(await page.locator("#decide").isVisible(), true);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("who else is looking at a lead is shown", async () => {
  await sendLead(server, lead("Shared View"));
  const invited = await api(server, "POST", "/operators", { email: "second@example.com", role: "operator", password: "a long enough password" });
  assert.equal(invited.role, "operator");
  const first = await signedIn(browser, server);
  const second = await signedIn(browser, server, {}, { admin_email: "second@example.com", admin_password: "a long enough password" });
  await first.goto("/dashboard/review?q=Shared");
  await second.goto("/dashboard/review?q=Shared");
  await second.locator("#others", { hasText: "admin@localhost" }).waitFor();
  await first.locator("#others", { hasText: "second@example.com" }).waitFor();
  await first.context().close();
  await second.context().close();
});
