// The verifier for Node of the Standard Webhooks project, found by NODE_PATH. The lines are those of src/main.rs.
"use strict";
const { Webhook, WebhookVerificationError } = require("standardwebhooks");
const { answerLines } = require("./lines.cjs");

answerLines(({ secret, body, headers }) => {
  try {
    new Webhook(secret).verify(Buffer.from(body, "hex"), headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
});
