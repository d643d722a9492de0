/** Writes grafana/dashboards: `node grafana/source/write.ts`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dashboardFiles } from "./files.ts";

const FOLDER = join(import.meta.dirname, "../dashboards");

mkdirSync(FOLDER, { recursive: true });
for (const [name, text] of dashboardFiles()) writeFileSync(join(FOLDER, name), text);
