import { runTogether } from "./together.ts";

// Runs the tests of this room in one process.
runTogether("gateway");
