// JSON on standard input, a line each, and a line of JSON in answer.
"use strict";
const { createInterface } = require("node:readline");

exports.answerLines = async (answer) => {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
  }
};
