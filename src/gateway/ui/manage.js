/** What an admin may do: drain workers, run dead letters again, remove them. The key is kept in memory only. */
import { find } from "./chat.js";
import { reasonOf } from "./stream.js";

const form = find("manage-form", HTMLFormElement);
const key = find("manage-key", HTMLInputElement);
const note = find("manage-note", HTMLElement);
const desk = find("manage-desk", HTMLElement);

/** Empty until a key was good. */
let adminKey = "";

/** @param {string} path @param {object} [body] @param {string} [withKey] */
async function ask(path, body, withKey = adminKey) {
  const headers = { authorization: `Bearer ${withKey}`, "content-type": "application/json" };
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { ...request, headers, cache: "no-store" });
  if (!response.ok) throw new Error(await reasonOf(response));
  return response.json();
}

/** @param {() => Promise<string>} work resolves with what is to be said */
async function doing(work) {
  try {
    note.textContent = await work();
  } catch (error) {
    note.textContent = error instanceof Error ? error.message : String(error);
  }
}

/** @param {string} name @param {string} label for screen readers @param {() => Promise<string>} work */
function button(name, label, work) {
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  element.ariaLabel = label;
  element.addEventListener("click", () => {
    element.disabled = true;
    void doing(work).finally(() => {
      element.disabled = false;
    });
  });
  return element;
}

/** @param {string | { text: string, kind?: string, pill?: string }} given */
function cellOf(given) {
  const { text, kind = "", pill } = typeof given === "string" ? { text: given } : given;
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
 * @param {readonly { cells: readonly Parameters<typeof cellOf>[0][], buttons: readonly HTMLButtonElement[] }[]} rows
 * @param {string} nothing
 */
function fill(id, rows, nothing) {
  const fresh = document.createElement("tbody");
  for (const { cells, buttons } of rows) {
    const row = fresh.insertRow();
    row.append(...cells.map(cellOf));
    const last = row.insertCell();
    last.className = "deeds";
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

let shownWorkers = "";

/** Shows the workers of a snapshot; buttons stay while nothing changes. @param {readonly any[]} nodes */
export function showWorkers(nodes) {
  const state = nodes.map(({ worker, draining }) => `${worker} ${draining}`).join("\n");
  if (adminKey === "" || state === shownWorkers) return;
  shownWorkers = state;
  const rows = nodes.map(({ worker, host, draining }) => {
    const verb = draining ? "undrain" : "drain";
    const name = draining ? "Undrain" : "Drain";
    const tell = async () => {
      await ask(`/admin/workers/${verb}`, { worker });
      return `${worker} is told to ${verb}.`;
    };
    return {
      cells: [
        { text: worker, kind: "code" },
        host,
        draining ? { text: "draining", pill: "warn" } : { text: "running", pill: "good" },
      ],
      buttons: [button(name, `${name} ${worker} of ${host}`, tell)],
    };
  });
  fill("workers", rows, "No worker is there.");
}

/** @param {any} letter */
function letterRow({ id, model, at, code, deliveries, request = "not a task" }) {
  const retry = async () => {
    note.textContent = `${request} runs again …`;
    const { code: how, message, totalMs, removed } = await ask("/admin/dead/retry", { id, model });
    // How it ended is told also when Redis is away by now.
    await showLetters().catch(() => undefined);
    if (how !== "ok") return `${request}: ${how}: ${message}`;
    const rest = removed ? "" : " Redis broke just then: if its letter is still there, drop it.";
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
    ],
    buttons: [button("Retry", `Retry ${request}`, retry), button("Drop", `Drop ${request}`, drop)],
  };
}

let shownCount = 0;

/** Looks again when their number has changed without us. @param {number} count */
export function showCount(count) {
  if (adminKey === "" || count === shownCount) return;
  shownCount = count;
  void doing(async () => {
    await showLetters();
    // More than are listed there may be.
    shownCount = count;
    return note.textContent ?? "";
  });
}

async function showLetters() {
  const { letters } = await ask("/admin/dead");
  fill("letters", letters.map(letterRow), "None.");
  // What is removed here and what comes meanwhile may leave the number as it was.
  shownCount = letters.length;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void doing(async () => {
    await ask("/admin/dead", undefined, key.value.trim());
    adminKey = key.value.trim();
    key.value = "";
    form.hidden = true;
    desk.hidden = false;
    await showLetters();
    return "";
  });
});
