/** Requests and tables of an admin. The key is kept in memory only. */
import { find } from "./chat.js";
import { reasonOf } from "./stream.js";

const note = find("manage-note", HTMLElement);

/** Empty until the gateway has accepted a key. */
let adminKey = "";

export function hasAdminKey() {
  return adminKey !== "";
}

/** @param {string} key one that the gateway has accepted */
export function keepAdminKey(key) {
  adminKey = key;
}

/**
 * Sends a request; POST when it has a body and no method.
 * @param {string} path @param {object} [body] @param {{ method?: string, key?: string }} [how]
 */
export async function ask(path, body, { method = body === undefined ? "GET" : "POST", key = adminKey } = {}) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(path, { method, ...sent, headers, cache: "no-store" });
  if (!response.ok) throw new Error(await reasonOf(response));
  return response.json();
}

/** Tells the admin something. @param {string} text */
export function tell(text) {
  note.textContent = text;
}

/** Runs work and shows its result, or its error. @param {() => Promise<string>} work resolves with the text to show */
export async function showResult(work) {
  try {
    tell(await work());
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} name @param {string} label for screen readers @param {() => Promise<string>} work */
export function button(name, label, work) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  element.ariaLabel = label;
  element.addEventListener("click", () => {
    element.disabled = true;
    void showResult(work).finally(() => {
      element.disabled = false;
    });
  });
  return element;
}

/**
 * A button for an action that cannot be undone: its second click does it.
 * @param {string} name @param {string} label @param {() => Promise<string>} work
 */
export function finalButton(name, label, work) {
  let isAsked = false;
  const element = button(name, label, async () => {
    if (isAsked) return work();
    isAsked = true;
    element.textContent = `${name} for good`;
    element.ariaLabel = `${label} for good`;
    return `Click ${name} for good to do it.`;
  });
  return element;
}

/** @param {string | { text: string, kind?: string, pill?: string }} content */
function cellOf(content) {
  const { text, kind = "", pill } = typeof content === "string" ? { text: content } : content;
  const cell = Object.assign(document.createElement("td"), { className: kind });
  const label = document.createElement("span");
  label.textContent = text;
  if (pill !== undefined) {
    label.className = "pill";
    label.dataset["state"] = pill;
  }
  cell.append(label);
  return cell;
}

/**
 * @param {string} id
 * @param {readonly { cells: readonly Parameters<typeof cellOf>[0][], buttons?: readonly HTMLButtonElement[] }[]} rows
 * @param {string} nothing
 */
export function fill(id, rows, nothing) {
  const fresh = document.createElement("tbody");
  for (const { cells, buttons } of rows) {
    const row = fresh.insertRow();
    row.append(...cells.map(cellOf));
    if (buttons === undefined) continue;
    const last = row.insertCell();
    last.className = "actions";
    last.append(...buttons);
  }
  if (rows.length === 0) {
    const cell = fresh.insertRow().insertCell();
    cell.colSpan = 99;
    cell.className = "empty";
    cell.textContent = nothing;
  }
  find(id, HTMLTableElement).tBodies[0]?.replaceWith(fresh);
}
