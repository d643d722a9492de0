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

/**
 * @param {string} id @param {readonly { texts: readonly string[], buttons: readonly HTMLButtonElement[] }[]} rows
 * @param {string} nothing
 */
function fill(id, rows, nothing) {
  const fresh = document.createElement("tbody");
  for (const { texts, buttons } of rows) {
    const row = fresh.insertRow();
    for (const text of texts) row.insertCell().textContent = text;
    row.insertCell().append(...buttons);
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
      texts: [worker, host, draining ? "draining" : "running"],
      buttons: [button(name, `${name} ${worker} of ${host}`, tell)],
    };
  });
  fill("workers", rows, "No worker is there.");
}

/** @param {any} letter */
function letterRow({ id, model, at, code, deliveries, request = "not a task" }) {
  const retry = async () => {
    note.textContent = `${request} runs again …`;
    const { code: how, message, totalMs } = await ask("/admin/dead/retry", { id, model });
    await showLetters();
    return how === "ok" ? `${request} was answered in ${totalMs} ms.` : `${request}: ${how}: ${message}`;
  };
  const drop = async () => {
    await ask("/admin/dead/drop", { id, model });
    await showLetters();
    return `${request} is removed.`;
  };
  return {
    texts: [request, model, new Date(at).toLocaleString(), code, String(deliveries)],
    buttons: [button("Retry", `Retry ${request}`, retry), button("Drop", `Drop ${request}`, drop)],
  };
}

async function showLetters() {
  const { letters } = await ask("/admin/dead");
  fill("letters", letters.map(letterRow), "None.");
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
