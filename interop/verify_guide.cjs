// The guide's verify_agentflow_signature in Node, with nothing but its standard library. The lines on standard input are
// those of src/main.rs.
"use strict";
const { createHmac, timingSafeEqual } = require("node:crypto");
const { answerLines } = require("./lines.cjs");

function hmacSha256(key, message) {
  return createHmac("sha256", key).update(message).digest("hex");
}

function constantTimeCompare(left, right) {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

function verifyAgentflowSignature(requestBody, timestamp, signatureHeader, secret, currentUnixTime) {
  if (Math.abs(currentUnixTime - Number(timestamp)) > 300) return false;
  // No byte may be replaced or left out on the way to text, as `toString` would.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const signedContent = `${timestamp}.${decoder.decode(requestBody)}`;
  const expected = "sha256=" + hmacSha256(secret, signedContent);
  return constantTimeCompare(expected, signatureHeader);
}

answerLines(({ body, timestamp, signature, secret, now }) =>
  verifyAgentflowSignature(Buffer.from(body, "hex"), timestamp, signature, secret, now),
);
