"use strict";
const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

/** Runs the command line: a checkout its sources, whose types Node strips, the package what was compiled of them. */
module.exports = function start() {
  const source = join(__dirname, "../src/cli.ts");
  const entry = existsSync(source) ? source : join(__dirname, "../dist/cli.js");
  void import(pathToFileURL(entry).href);
};
