// A server in a fresh data folder, a sender of signed leads, and a browser: what every test of the pages stands on.
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const BINARY = process.env.AGENTFLOW_BINARY ?? new URL("../target/debug/agentflow-server", import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts a server; `settings` is appended to its configuration file. */
export async function startServer(settings = "") {
  const folder = mkdtempSync(join(tmpdir(), "agentflow-browser-"));
  const config = join(folder, "config.toml");
  writeFileSync(config, settings);
  const options = ["--config", config, "--data-dir", join(folder, "data"), "--listen", "127.0.0.1:0"];
  const first = JSON.parse(execFileSync(BINARY, ["init", "--json", ...options], { stdio: ["ignore", "pipe", "inherit"], env: { PATH: process.env.PATH } }));
  const process_ = spawn(BINARY, options, { stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH } });
  const log = [];
  const url = await new Promise((resolve, reject) => {
    const seen = (line) => {
      log.push(line);
      const found = /https:\/\/127\.0\.0\.1:\d+/.exec(line);
      if (found && !found[0].endsWith(":0")) resolve(found[0]);
    };
    createInterface({ input: process_.stdout }).on("line", seen);
    createInterface({ input: process_.stderr }).on("line", seen);
    process_.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${log.join("\n")}`)));
  });
  const ca = readFileSync(first.certificate_path);
  const server = { folder, first, url, log, ca, process: process_ };
  server.stop = () =>
    new Promise((resolve) => {
      process_.removeAllListeners("exit");
      process_.once("exit", (code) => {
        rmSync(folder, { recursive: true, force: true });
        resolve(code);
      });
      process_.kill("SIGTERM");
    });
  return server;
}

/** One HTTPS request; answers `{status, headers, text}`. */
export function request(server, method, path, headers = {}, body = "") {
  return new Promise((resolve, reject) => {
    const sent = https.request(new URL(path, server.url), { method, headers, ca: server.ca, agent: false }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(parts).toString() }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Sends a lead as a form's backend would; answers the lead's id. */
export async function sendLead(server, lead) {
  const body = JSON.stringify(lead);
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac("sha256", server.first.inbound_secret).update(`${timestamp}.${body}`).digest("hex");
  const headers = {
    "content-type": "application/json",
    "x-agentflow-timestamp": timestamp,
    "x-agentflow-signature": `sha256=${signature}`,
  };
  const answer = await request(server, "POST", new URL(server.first.inbound_url).pathname, headers, body);
  if (answer.status !== 202 && answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return JSON.parse(answer.text).lead_id;
}

/** A request to the management API as the first admin. */
export async function api(server, method, path, body) {
  const headers = { authorization: `Bearer ${server.first.api_token}`, "content-type": "application/json" };
  const answer = await request(server, method, `/api/v1${path}`, headers, body === undefined ? "" : JSON.stringify(body));
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.text ? JSON.parse(answer.text) : undefined;
}

export async function startBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  });
}

/** A page in a context of its own, signed in. Whatever breaks the policy or throws lands in `page.complaints`. */
export async function signedIn(browser, server, options = {}, who = server.first) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: server.url, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(`page: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error" || /Content.Security.Policy|TrustedHTML/i.test(message.text())) {
      page.complaints.push(`console: ${message.text()}`);
    }
  });
  page.on("dialog", (dialog) => {
    page.complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto("/dashboard");
  await page.fill("[name=email]", who.admin_email);
  await page.fill("[name=password]", who.admin_password);
  await page.click("button.primary");
  await page.waitForURL(/\/dashboard\/review/);
  return page;
}
