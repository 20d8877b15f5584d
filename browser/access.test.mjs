// Who gets in: the second factor with an authenticator of the test's own, with script and without; and the password that is asked
// for again.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { api, request, sendLead, signedIn, startBrowser, startServer } from "./rig.mjs";

let server, browser;
before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server?.stop(), 0);
});

/** The code that an app shows at a step of thirty seconds: RFC 6238. */
function code(base32, step) {
  const bits = [...base32].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac("sha1", secret).update(counter).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}
const step = () => Math.floor(Date.now() / 30_000);

async function person(name, role = "operator") {
  const who = { admin_email: `${name}@stacklane.co`, admin_password: `the password of ${name}` };
  await api(server, "POST", "/operators", { email: who.admin_email, role, password: who.admin_password });
  return who;
}

for (const javaScriptEnabled of [true, false]) {
  test(`a second factor is set up, asked for, and switched off${javaScriptEnabled ? "" : ", without script"}`, async () => {
    const who = await person(javaScriptEnabled ? "ann" : "bob");
    const page = await signedIn(browser, server, { javaScriptEnabled }, who);
    await page.goto("/dashboard/account");
    const setUp = page.locator("form[action$='/factor']");
    await setUp.locator("[name=password]").fill(who.admin_password);
    await setUp.locator("button").click();
    const [base32, url] = await page.locator("pre[data-copy]").allTextContents();
    assert.match(url, new RegExp(`^otpauth://totp/.*secret=${base32}&`));
    const used = step();
    await page.fill("[name=code]", code(base32, used));
    await page.click("button.primary");
    const recovery = (await page.locator("pre[data-copy]").textContent()).split("\n");
    assert.equal(recovery.length, 10);
    await page.context().close();

    const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: server.url, javaScriptEnabled });
    const other = await context.newPage();
    await other.goto("/dashboard/leads?state=qualified");
    await other.fill("[name=email]", who.admin_email);
    await other.fill("[name=password]", who.admin_password);
    await other.click("button.primary");
    await other.waitForURL(/\/dashboard\/login\/code$/);
    await other.fill("[name=code]", code(base32, used));
    await other.click("button.primary");
    await other.locator("[role=alert]", { hasText: "used before" }).waitFor();
    // The next one counts already.
    await other.fill("[name=code]", code(base32, used + 1));
    await other.click("button.primary");
    await other.waitForURL(/\/dashboard\/leads\?state=qualified$/);

    await other.goto("/dashboard/account");
    const off = other.locator("form[action$='/factor/off']");
    await off.locator("[name=password]").fill(who.admin_password);
    await off.locator("[name=code]").fill(recovery[3]);
    await off.locator("button").click();
    await other.locator("form[action$='/factor']").waitFor();
    await context.close();
    await (await signedIn(browser, server, { javaScriptEnabled }, who)).context().close();
  });
}

test("a new token asks for the password again, and is made then", async () => {
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/settings/tokens");
  await page.fill("[name=name]", "deploys");
  await page.click("main button.primary");
  await page.locator("h1", { hasText: "Your password, please" }).waitFor();
  await page.fill("[name=password]", "not it");
  await page.click("main button.primary");
  await page.locator("[role=alert]", { hasText: "not your password" }).waitFor();
  await page.fill("[name=password]", server.first.admin_password);
  await page.click("main button.primary");
  assert.match(await page.locator("pre[data-copy]").textContent(), /^aft_/);
  await page.locator("td", { hasText: "deploys" }).waitFor();
  await page.context().close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`a change after the session's end is told to be undone${javaScriptEnabled ? "" : ", without script"}`, async () => {
    const name = `Late ${javaScriptEnabled ? "One" : "Two"}`;
    const lead = { name, email: `${name.replace(" ", ".")}@stacklane.co`, company: "Stacklane", message: "Please send prices for a team, this year." };
    const id = await sendLead(server, lead);
    const page = await signedIn(browser, server, { javaScriptEnabled });
    const over = async (path, change) => {
      await page.goto(path);
      await page.context().clearCookies();
      await change();
      await page.locator("[role=alert]", { hasText: "Your session had ended, and what you sent was not done." }).waitFor();
      await page.fill("[name=email]", server.first.admin_email);
      await page.fill("[name=password]", server.first.admin_password);
      await page.click("button.primary");
    };
    await over(`/dashboard/review?q=${name.replace(" ", "+")}`, async () => {
      if (!javaScriptEnabled) return page.click("#decide button[value=approved]");
      // Whatever else is asked for while it is under way.
      await page.evaluate(() => {
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
        document.querySelector(".orders a:last-child").click();
      });
    });
    await page.waitForURL(/\/dashboard\/review$/);
    assert.equal((await api(server, "GET", `/leads/${id}`)).state, "in_review");
    await over("/dashboard/settings", () => page.click("form[action$='/settings'] button.primary"));
    await page.waitForURL(/\/dashboard\/settings$/);
    await page.context().close();
  });
}

test("what an operator must be told is not lost to a program that asks with HEAD", async () => {
  const lead = { name: "Head Less", email: "head.less@stacklane.co", company: "Stacklane", message: "Please send prices for a team, this year." };
  await sendLead(server, lead);
  const page = await signedIn(browser, server);
  await page.goto("/dashboard/review?q=Head");
  await page.click("#decide button[value=approved]");
  await page.locator(".notice[data-seconds]").waitFor();
  await sendLead(server, { ...lead, plan: "big" });
  while (!server.log.some((line) => line.includes("decision was not taken"))) await new Promise(setImmediate);
  const cookies = await page.context().cookies();
  const cookie = cookies.map((one) => `${one.name}=${one.value}`).join("; ");
  assert.equal((await request(server, "HEAD", "/dashboard/review", { cookie })).status, 200);
  const told = async () => /Head Less<\/a> was not decided/.test((await request(server, "GET", "/dashboard/review", { cookie })).text);
  assert.equal(await told(), true);
  assert.equal(await told(), false, "once");
  await page.context().close();
});
