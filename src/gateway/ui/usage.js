/** The use of keys and tenants: now, today, this month, and their budgets. The key is kept in memory only. */
import { find } from "./chat.js";
import { reasonOf } from "./stream.js";

const section = find("usage", HTMLElement);
const form = find("usage-form", HTMLFormElement);
const key = find("usage-key", HTMLInputElement);
const note = find("usage-note", HTMLElement);
const tables = find("usage-tables", HTMLElement);
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;

/** Ms between two readings. */
const REFRESH_MS = 5000;

/** Most rows of a table. */
const MOST_ROWS = 100;

/** Share of a budget from which on it is marked. */
const NEAR = 0.9;

/** Empty until the gateway has accepted a key. */
let usageKey = "";

/** Open requests and tokens per second by tenant. @type {Map<string, { open: number, tokensPerSecond: number }>} */
let tenantsNow = new Map();

/** @param {string} withKey */
async function read(withKey) {
  const headers = { authorization: `Bearer ${withKey}` };
  const response = await fetch("/admin/usage?by=tenant,model", { headers, cache: "no-store" });
  if (!response.ok) throw new Error(await reasonOf(response));
  return response.json();
}

/** @param {number} count */
function amount(count) {
  return count.toLocaleString();
}

/** @param {string} id @param {readonly (readonly { text: string, kind?: string, pill?: string | undefined }[])[]} rows */
function fill(id, rows) {
  const fresh = document.createElement("tbody");
  for (const cells of rows.slice(0, MOST_ROWS)) {
    const row = fresh.insertRow();
    for (const { text, kind = "", pill } of cells) {
      const label = document.createElement("span");
      label.textContent = text;
      if (pill !== undefined) Object.assign(label, { className: "pill" }).dataset["state"] = pill;
      const cell = row.insertCell();
      cell.className = kind;
      cell.append(label);
    }
  }
  const left = rows.length - MOST_ROWS;
  if (rows.length === 0 || left > 0) {
    const cell = fresh.insertRow().insertCell();
    cell.colSpan = 99;
    cell.className = "empty";
    cell.textContent = rows.length === 0 ? "None." : `and ${left} more: sgnet usage shows all.`;
  }
  find(id, HTMLTableElement).tBodies[0]?.replaceWith(fresh);
}

/** The fuller budget of a row, as a pill. @param {any} row */
function budgetCell({ today, month, budgetDay, budgetMonth, budget }) {
  const budgets = [
    { period: "day", used: today, of: budgetDay },
    { period: "month", used: month, of: budgetMonth },
  ].filter(({ of }) => of !== undefined);
  const parts = budgets.map(({ period, used, of }) => {
    const share = of === 0 ? 1 : used / of;
    return { share, text: `${Math.floor(share * 100)} % of ${amount(of)} per ${period}` };
  });
  if (parts.length === 0) return { text: "none" };
  const most = Math.max(...parts.map(({ share }) => share));
  const full = budget === "warn" ? "warn" : "bad";
  const pill = most >= 1 ? full : most >= NEAR ? "warn" : "good";
  return { text: parts.map(({ text }) => text).join(", "), pill };
}

/** @param {any} row */
function budgetRow(row) {
  const now = row.key === undefined ? tenantsNow.get(row.tenant) : undefined;
  return [
    { text: row.tenant },
    { text: row.key === undefined ? "all" : (row.keyName ?? row.key) },
    { text: now === undefined ? "" : `${now.open} open, ${now.tokensPerSecond} tokens/s`, kind: "number" },
    { text: amount(row.today), kind: "number" },
    { text: amount(row.month), kind: "number" },
    budgetCell(row),
  ];
}

/** @param {any} row */
function usedRow({ tenant, model, inputTokens, outputTokens, requests, errors }) {
  const counts = [inputTokens, outputTokens, requests, errors];
  return [
    { text: tenant },
    { text: model },
    ...counts.map((count) => ({ text: amount(count), kind: "number" })),
  ];
}

/** Reads and shows the usage. A key that is refused shows the reason. @param {string} withKey */
async function show(withKey) {
  try {
    const { rows, budgets } = await read(withKey);
    usageKey = withKey;
    // Without a key nothing is read again.
    timer ??= setInterval(readAgain, REFRESH_MS);
    section.hidden = false;
    form.hidden = true;
    tables.hidden = false;
    note.textContent = "";
    fill("budgets", budgets.map(budgetRow));
    fill("used", rows.map(usedRow));
  } catch (error) {
    note.textContent = error instanceof Error ? error.message : String(error);
  }
}

function readAgain() {
  if (usageKey !== "" && document.visibilityState === "visible") void show(usageKey);
}

/** Shows usage with a key that the gateway has accepted elsewhere on the page. @param {string} accepted */
export function showUsage(accepted) {
  void show(accepted);
}

/** Takes the tenants of a snapshot. @param {readonly { tenant: string, open: number, tokensPerSecond: number }[]} tenants */
export function showTenants(tenants = []) {
  tenantsNow = new Map(tenants.map((one) => [one.tenant, one]));
  if (tenants.length > 0) section.hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = key.value.trim();
  key.value = "";
  void show(given);
});
