// Signs leads by the guide and sends them, with nothing but Node's standard library. The lines are those of send.py.
"use strict";
const { createHmac } = require("node:crypto");
const { readFileSync } = require("node:fs");
const https = require("node:https");
const { answerLines } = require("./lines.cjs");

function sign(secret, timestamp, body) {
  return "sha256=" + createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex");
}

function send({ url, ca, sent }, timestamp, signature) {
  return new Promise((resolve, reject) => {
    const headers = {
      "Content-Type": "application/json",
      "X-AgentFlow-Timestamp": timestamp,
      "X-AgentFlow-Signature": signature,
    };
    const request = https.request(url, { method: "POST", headers, ca: readFileSync(ca) }, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      resolve({ status: response.statusCode, answer: JSON.parse(Buffer.concat(chunks)) });
    });
    request.on("error", reject);
    request.end(Buffer.from(sent, "hex"));
  });
}

answerLines(async (job) => {
  const timestamp = String(job.at);
  const signature = sign(job.secret, timestamp, Buffer.from(job.body, "hex"));
  const { status, answer } = job.url ? await send(job, timestamp, signature) : { status: null, answer: null };
  return { timestamp, signature, status, answer };
});
