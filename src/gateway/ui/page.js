/** The live page: shows each snapshot of /ui/events (`Snapshot` of src/gateway/monitor/live-feed.ts). */
import { drawChart } from "./chart.js";
import { find, offerModels } from "./chat.js";
import { keyOf, onAdminKey, showCount, showKeyColumn, showWorkers } from "./manage.js";
import { readEvents, Refusal, useKey } from "./stream.js";
import { showTenants } from "./usage.js";

/** Pause before the next attempt to connect (ms). */
const RETRY_MS = 2000;

const link = find("link", HTMLElement);
const health = find("health", HTMLElement);
const keyForm = find("key-form", HTMLFormElement);
const key = find("key", HTMLInputElement);

/** @typedef {{ text: string | number, kind?: "head" | "number" | "code", pill?: string, meter?: readonly [number, number] }} Cell */

/** Changes a text only when it differs, since screen readers announce changes of live regions. @param {Element} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {string} id @param {string} text */
function setTextOf(id, text) {
  setText(find(id, HTMLElement), text);
}

/** @param {number} ms */
function duration(ms) {
  if (ms < 950) return `${Math.round(ms)} ms`;
  if (ms < 59_500) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  if (ms < 3_570_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

/** @param {number} rate tokens per second */
function rounded(rate) {
  if (rate < 0.05) return "0";
  return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}

/** @param {Cell} cell */
function cellElement({ text, kind, pill, meter }) {
  const element = document.createElement(kind === "head" ? "th" : "td");
  if (kind === "head") element.scope = "row";
  else if (kind !== undefined) element.className = kind;
  if (meter !== undefined) {
    const bar = document.createElement("meter");
    [bar.value, bar.max] = meter;
    bar.ariaLabel = "slots busy";
    element.append(bar);
  }
  if (pill === undefined) {
    element.append(String(text));
  } else {
    const badge = document.createElement("span");
    badge.className = "pill";
    badge.dataset["state"] = pill;
    badge.textContent = String(text);
    element.append(badge);
  }
  return element;
}

/** @param {string} id @param {readonly (readonly Cell[])[]} rows @param {string} nothing shown when there are no rows */
function fillTable(id, rows, nothing) {
  const table = find(id, HTMLTableElement);
  const fresh = document.createElement("tbody");
  for (const cells of rows) fresh.insertRow().append(...cells.map(cellElement));
  if (rows.length === 0) {
    const cell = fresh.insertRow().insertCell();
    cell.colSpan = 99;
    cell.className = "empty";
    cell.textContent = nothing;
  }
  // An unchanged table keeps its selection.
  if (table.tBodies[0]?.innerHTML !== fresh.innerHTML) table.tBodies[0]?.replaceWith(fresh);
}

/** @param {any} snapshot */
function showHealth({ fleet, unready, gateway }) {
  const problems = [...(unready === undefined ? [] : [`${unready}.`]), ...(fleet?.problems ?? [])];
  const bad = unready !== undefined || fleet?.totals.nodes === 0;
  health.dataset["state"] = bad ? "bad" : problems.length > 0 ? "warn" : "good";
  const line = bad ? "Requests cannot be served" : problems.length > 0 ? "Needs a look" : "All is well";
  setTextOf("health-line", line);
  document.title = `${line} · Stargazer`;
  setTextOf("about", `gateway ${gateway.tag}, version ${gateway.version}`);
  const list = find("problems", HTMLElement);
  list.hidden = problems.length === 0;
  if (problems.join("\n") !== [...list.children].map((item) => item.textContent).join("\n")) {
    list.replaceChildren(
      ...problems.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
    );
  }
}

/** @param {any} totals */
function showTotals(totals) {
  const numbers = [
    ["Nodes", totals.nodes],
    ["Slots busy", `${totals.busy} / ${totals.slots}`],
    ...(totals.finishing > 0 ? [["Finishing", totals.finishing]] : []),
    ["Waiting", totals.waiting],
    ["Running", totals.claimed],
    ["Tokens/s", rounded(totals.tokensPerSecond)],
    ["Gateways", totals.gateways],
  ];
  const items = numbers.map(([name, value]) => {
    const group = document.createElement("div");
    group.append(
      Object.assign(document.createElement("dt"), { textContent: name }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    );
    return group;
  });
  find("totals", HTMLElement).replaceChildren(...items);
}

/** @param {any} fleet */
function showFleet({ totals, models, nodes, tenants }) {
  showTotals(totals);
  offerModels(
    models.filter((/** @type {any} */ it) => it.nodes.length > 0).map((/** @type {any} */ it) => it.model),
  );
  const modelRows = models.map((/** @type {any} */ it) => [
    { text: it.model, kind: "head" },
    { text: it.waiting, kind: "number" },
    { text: it.waiting > 0 ? duration(it.oldestWaitMs) : "–", kind: "number" },
    { text: it.claimed, kind: "number" },
    { text: it.slots, kind: "number" },
    { text: `${it.resident} of ${it.backends}`, kind: "number" },
    { text: rounded(it.tokensPerSecond), kind: "number" },
    it.nodes.length === 0 ? { text: "none", pill: "bad" } : { text: it.nodes.join(", ") },
  ]);
  fillTable("models", modelRows, "No model is offered.");
  const nodeRows = nodes.flatMap((/** @type {any} */ node) =>
    node.backends.map((/** @type {any} */ backend) => [
      { text: node.host, kind: "head" },
      { text: backend.name },
      stateCell(backend),
      { text: `${backend.busy} of ${backend.slots}`, meter: [backend.busy, backend.slots] },
      { text: backend.models, kind: "number" },
      { text: [backend.resident.join(", ") || "–", ...(backend.placed ? [backend.placed] : [])].join("; ") },
    ]),
  );
  fillTable("nodes", nodeRows, "No node is running.");
  showWorkers(nodes);
  showTenants(tenants);
  showCount(totals.deadLetters);
}

/** @type {Record<string, string>} */
const STATE_PILLS = { down: "bad", failing: "bad", silent: "warn", draining: "warn", healthy: "good" };

/** @param {any} backend */
function stateCell({ state, broken }) {
  const text = state === "failing" ? `failing: ${broken.join(", ")}` : state;
  return { text, pill: STATE_PILLS[state] };
}

/** @param {any} requests */
function showRequests({ open, oldest }) {
  const hasKeys = showKeyColumn("requests", oldest);
  const more = open > oldest.length ? `, the oldest ${oldest.length} are shown` : "";
  setTextOf("requests-count", `at this gateway: ${open}${more}`);
  const rows = oldest.map((/** @type {any} */ it) => [
    { text: it.request, kind: "code" },
    { text: it.endpoint },
    { text: it.model },
    ...(hasKeys ? [{ text: keyOf(it) }] : []),
    it.stalled
      ? { text: "client is slow", pill: "warn" }
      : { text: it.phase, pill: it.phase === "answering" ? "good" : "waiting" },
    { text: duration(it.ageMs), kind: "number" },
    { text: it.tokens > 0 ? `≈ ${it.tokens}` : "–", kind: "number" },
    { text: `${it.worker ?? "–"}${it.attempts > 1 ? `, attempt ${it.attempts}` : ""}`, kind: "code" },
  ]);
  fillTable("requests", rows, "None.");
}

/** Lists the attempts of a failed request: worker, backend, code and cause. @param {any} it */
function attemptsOf(it) {
  const before = (it.tries ?? []).map(
    (/** @type {any} */ note) => `${note.worker} ${note.backend ?? ""} ${note.code} (${note.cause})`,
  );
  const last = it.worker || it.backend ? `${it.worker ?? ""} ${it.backend ?? ""}`.trim() : "";
  return [...before, last].filter((text) => text !== "").join("; ") || "–";
}

/** @param {any} faults @param {number} now */
function showFaults({ windowMs, counts, latest }, now) {
  setTextOf("faults-window", `all gateways, last ${duration(windowMs)}`);
  const items = counts.map((/** @type {[string, number]} */ [code, count]) => {
    const item = Object.assign(document.createElement("li"), {
      className: "pill",
      textContent: `${code} × ${count}`,
    });
    item.dataset["state"] = "bad";
    return item;
  });
  find("fault-counts", HTMLElement).replaceChildren(...items);
  const hasKeys = showKeyColumn("faults", latest);
  const rows = latest.map((/** @type {any} */ it) => [
    { text: `${duration(Math.max(0, now - it.at - it.totalMs))} ago` },
    { text: it.code, kind: "code" },
    { text: it.status, kind: "number" },
    { text: it.cause ?? "–" },
    { text: it.model || "–" },
    { text: it.endpoint },
    { text: attemptsOf(it), kind: "code" },
    ...(hasKeys ? [{ text: keyOf(it) }] : []),
    { text: it.request, kind: "code" },
  ]);
  fillTable("faults", rows, "None.");
}

/** @param {any} snapshot */
function show(snapshot) {
  showHealth(snapshot);
  if (snapshot.fleet !== undefined) showFleet(snapshot.fleet);
  showRequests(snapshot.requests);
  showFaults(snapshot.faults, snapshot.at);
  const { now, most } = drawChart(find("chart", HTMLElement), snapshot.seconds);
  setTextOf("chart-words", `now ${rounded(now)}, at most ${rounded(most)}`);
}

/** @param {"good" | "waiting" | "bad"} state @param {string} text */
function linkIs(state, text) {
  link.dataset["state"] = state;
  setText(link, text);
}

/** Hides what a key may not use. @param {string} role empty for any but an observer */
function showPartsOf(role) {
  for (const id of ["chat", "manage"]) find(id, HTMLElement).hidden = role === "observer";
}

/** Reads the events. Starts again when they end, unless a key is needed. */
async function follow() {
  try {
    await readEvents("/ui/events", {
      onOpen: (role) => {
        keyForm.hidden = true;
        showPartsOf(role);
        linkIs("good", "live");
      },
      onData: (data) => show(JSON.parse(data)),
    });
    linkIs("bad", "the gateway is gone, trying again");
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      askForKey();
      return;
    }
    linkIs("bad", error instanceof Refusal ? error.message : "no connection, trying again");
  }
  setTimeout(follow, RETRY_MS);
}

function askForKey() {
  linkIs("waiting", "needs a key");
  setTextOf("key-note", key.value === "" ? "" : "That key is not one of them.");
  setTextOf("health-line", "An API key is needed");
  keyForm.hidden = false;
  key.focus();
}

/** @param {string} text */
function followWith(text) {
  useKey(text);
  keyForm.hidden = true;
  linkIs("waiting", "connecting");
  void follow();
}

keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  followWith(key.value.trim());
});

// An admin key opens the page too: it need not be entered twice.
onAdminKey((accepted) => {
  if (!keyForm.hidden) followWith(accepted);
});

void follow();
