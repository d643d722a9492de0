/** Actions of an admin: drain workers, retry dead letters, remove them. The key is kept in memory only. */
import { ask, button, fill, hasAdminKey, keepAdminKey, showResult } from "./admin.js";
import { find } from "./chat.js";
import { showRecords } from "./keys.js";
import { showUsage } from "./usage.js";

const form = find("manage-form", HTMLFormElement);
const key = find("manage-key", HTMLInputElement);
const note = find("manage-note", HTMLElement);
const actions = find("manage-actions", HTMLElement);

/** The name of a request's key with its tenant. @param {any} it */
export function keyOf({ keyName, tenant }) {
  return keyName === undefined ? "–" : `${keyName} (${tenant})`;
}

/** Shows the column of keys while a row has one. Returns whether it is shown. @param {string} id @param {readonly any[]} rows */
export function showKeyColumn(id, rows) {
  const hasKeys = rows.some(({ keyName }) => keyName !== undefined);
  const head = find(id, HTMLTableElement).querySelector("th.key");
  if (head instanceof HTMLElement) head.hidden = !hasKeys;
  return hasKeys;
}

let shownWorkers = "";

/** Shows the workers of a snapshot; buttons stay while nothing changes. @param {readonly any[]} nodes */
export function showWorkers(nodes) {
  const state = nodes.map(({ worker, draining }) => `${worker} ${draining}`).join("\n");
  if (!hasAdminKey() || state === shownWorkers) return;
  shownWorkers = state;
  const rows = nodes.map(({ worker, host, draining }) => {
    const verb = draining ? "undrain" : "drain";
    const name = draining ? "Undrain" : "Drain";
    const send = async () => {
      await ask(`/admin/workers/${verb}`, { worker });
      return `${name} sent to ${worker}.`;
    };
    return {
      cells: [
        { text: worker, kind: "code" },
        host,
        draining ? { text: "draining", pill: "warn" } : { text: "running", pill: "good" },
      ],
      buttons: [button(name, `${name} ${worker} of ${host}`, send)],
    };
  });
  fill("workers", rows, "No worker is running.");
}

let hasKeyColumn = false;

/** @param {any} letter */
function letterRow(letter) {
  const { id, model, at, code, deliveries, request = "not a task" } = letter;
  const retry = async () => {
    note.textContent = `${request} is being retried …`;
    const { code: result, message, totalMs, removed } = await ask("/admin/dead/retry", { id, model });
    // The result is shown even if Redis is away by now.
    await showLetters().catch(() => undefined);
    if (result !== "ok") return `${request}: ${result}: ${message}`;
    const rest = removed ? "" : " Redis failed just then. Drop the letter if it is still listed.";
    return `${request} was answered in ${totalMs} ms.${rest}`;
  };
  const drop = async () => {
    await ask("/admin/dead/drop", { id, model });
    await showLetters();
    return `${request} is removed.`;
  };
  return {
    cells: [
      { text: request, kind: "code" },
      model,
      new Date(at).toLocaleString(),
      { text: code, kind: "code" },
      { text: String(deliveries), kind: "number" },
      ...(hasKeyColumn ? [keyOf(letter)] : []),
    ],
    buttons: [button("Retry", `Retry ${request}`, retry), button("Drop", `Drop ${request}`, drop)],
  };
}

let shownCount = 0;

/** Reads the letters again when others have changed their number. @param {number} count */
export function showCount(count) {
  if (!hasAdminKey() || count === shownCount) return;
  shownCount = count;
  void showResult(async () => {
    await showLetters();
    // The count may be larger than the list.
    shownCount = count;
    return note.textContent ?? "";
  });
}

async function showLetters() {
  const { letters } = await ask("/admin/dead");
  hasKeyColumn = showKeyColumn("letters", letters);
  fill("letters", letters.map(letterRow), "None.");
  // A removal here and a new letter meanwhile may leave the number as it was.
  shownCount = letters.length;
}

/** @type {(key: string) => void} */
let onKey = () => {};

/** Calls back with an admin key that the gateway has accepted. @param {(key: string) => void} listener */
export function onAdminKey(listener) {
  onKey = listener;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void showResult(async () => {
    const accepted = key.value.trim();
    await ask("/admin/dead", undefined, { key: accepted });
    keepAdminKey(accepted);
    showUsage(accepted);
    onKey(accepted);
    key.value = "";
    form.hidden = true;
    actions.hidden = false;
    await showLetters();
    await showRecords();
    return "";
  });
});
