#!/usr/bin/env node
"use strict";
/* eslint-disable no-var -- every Node reads this file, however old, to tell that it is too old: ES5 only */
var version = process.versions.node;
var major = Number(version.split(".")[0]);
var minor = Number(version.split(".")[1]);
var found = version + " (" + process.execPath + ")";
var needed = "sgnet needs Node.js 22 (from 22.19 on), 24 or 25, and this is ";
var advice = ": install Node.js 24 from https://nodejs.org/en/download, or with `nvm install 24`.\n";

if ((major === 22 && minor >= 19) || major === 24 || major === 25) {
  require("./start.cjs")();
} else {
  process.stderr.write(needed + found + advice);
  process.exitCode = 1;
}
