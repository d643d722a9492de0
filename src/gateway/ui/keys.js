/** Keys, tenants and the audit log, for an admin. A new secret is shown until it is put away, and kept nowhere. */
import { ask, button, fill, finalButton, showResult, tell } from "./admin.js";
import { find } from "./chat.js";

/** Most entries of the audit log that are shown. */
const MOST_ENTRIES = 50;

/** Members that a form has as texts; all others are numbers. */
const TEXTS = new Set(["name", "tenant", "role", "models", "class", "ceiling", "budget", "expires"]);

const secretBox = find("new-secret", HTMLElement);
const secretText = find("secret", HTMLOutputElement);

/** @param {string} name @param {string} secret */
function showSecret(name, secret) {
  find("secret-of", HTMLElement).textContent = name;
  secretText.value = secret;
  secretBox.hidden = false;
  secretText.focus();
}

find("secret-copy", HTMLButtonElement).addEventListener("click", () => {
  void showResult(async () => {
    await navigator.clipboard.writeText(secretText.value);
    return "The secret is in the clipboard.";
  });
});

find("secret-done", HTMLButtonElement).addEventListener("click", () => {
  secretText.value = "";
  secretBox.hidden = true;
});

/** Controls of a form that set members of a record. @param {HTMLFormElement} form */
function controlsOf(form) {
  return [...form.elements].filter(
    (element) =>
      (element instanceof HTMLInputElement || element instanceof HTMLSelectElement) && element.name !== "",
  );
}

/** Reads a form. An empty control removes its member. @param {HTMLFormElement} form */
function readForm(form) {
  return Object.fromEntries(
    controlsOf(form).map((control) => {
      const { name, value: given } = /** @type {HTMLInputElement} */ (control);
      const value = given.trim();
      if (value === "") return [name, null];
      if (name === "models") return [name, value.split(",").map((pattern) => pattern.trim())];
      return [name, TEXTS.has(name) ? value : Number(value)];
    }),
  );
}

/** @param {HTMLFormElement} form @param {any} record */
function fillForm(form, record) {
  for (const control of controlsOf(form)) {
    const field = /** @type {HTMLInputElement} */ (control);
    const value = record[field.name];
    if (field.name === "expires" && value !== undefined) field.value = new Date(value).toISOString();
    else field.value = Array.isArray(value) ? value.join(", ") : String(value ?? "");
  }
}

/**
 * A form that creates records, or changes the one that was chosen last.
 * @param {string} id @param {{ path: string, nameOf: (record: any) => string, show: () => Promise<void>, made: (record: any) => string }} kind
 */
function recordForm(id, { path, nameOf, show, made }) {
  const form = find(id, HTMLFormElement);
  const submit = find(`${id}-submit`, HTMLButtonElement);
  const cancel = find(`${id}-cancel`, HTMLButtonElement);
  /** @type {any} */
  let chosen;
  /** @param {any} record */
  const choose = (record) => {
    chosen = record;
    if (record === undefined) form.reset();
    else fillForm(form, record);
    submit.textContent = record === undefined ? "Create" : `Save ${record.name}`;
    cancel.hidden = record === undefined;
  };
  cancel.addEventListener("click", () => choose(undefined));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void showResult(async () => {
      const fields = readForm(form);
      if (chosen === undefined) {
        const record = await ask(path, withoutNulls(fields));
        choose(undefined);
        await show();
        return made(record);
      }
      const body = { ...changesOf(fields, chosen), version: chosen.version };
      const { name, warning } = await ask(`${path}/${encodeURIComponent(nameOf(chosen))}`, body, {
        method: "PATCH",
      });
      choose(undefined);
      await show();
      return warning ?? `${name} is changed.`;
    });
  });
  return choose;
}

/** @param {Readonly<Record<string, unknown>>} fields */
function withoutNulls(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** The members that differ from a record's. @param {Readonly<Record<string, unknown>>} fields @param {any} record */
function changesOf(fields, record) {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => {
      const before =
        name === "expires" && record[name] !== undefined
          ? new Date(record[name]).toISOString()
          : record[name];
      return JSON.stringify(value) !== JSON.stringify(before ?? null);
    }),
  );
}

const chooseKey = recordForm("key-fields", {
  path: "/admin/keys",
  nameOf: ({ id }) => id,
  show: showRecords,
  made: ({ name, secret }) => {
    showSecret(name, secret);
    return `${name} is created. Requests without a key get 401 once a client key exists.`;
  },
});

const chooseTenant = recordForm("tenant-fields", {
  path: "/admin/tenants",
  nameOf: ({ name }) => name,
  show: showRecords,
  made: ({ name }) => `${name} is created.`,
});

const AMOUNTS = [
  "rpm",
  "rpmBurst",
  "itpm",
  "itpmBurst",
  "otpm",
  "otpmBurst",
  "maxOpen",
  "maxRunning",
  "budgetDay",
  "budgetMonth",
  "budget",
];

/** @param {any} record */
function limitsOf(record) {
  const set = AMOUNTS.filter((name) => record[name] !== undefined);
  return set.map((name) => `${name} ${record[name]}`).join(", ") || "none";
}

/** @param {any} key */
function stateOf({ disabled, expires }) {
  if (disabled !== undefined) return { text: "revoked", pill: "bad" };
  if (expires !== undefined && expires <= Date.now()) return { text: "expired", pill: "warn" };
  return { text: "works", pill: "good" };
}

/** @param {any} key */
function keyRow(key) {
  const { id, name, tenant, role, models, hint, expires, disabled } = key;
  const path = `/admin/keys/${id}`;
  const change = async () => {
    chooseKey(key);
    find("key-fields-name", HTMLInputElement).focus();
    return `Change ${name} in the form, and save it.`;
  };
  const rotate = async () => {
    const { secret } = await ask(`${path}/rotate`, {});
    showSecret(name, secret);
    await showRecords();
    return `${name} has a new secret. The old one works for one more day.`;
  };
  const revoke = async () => {
    const { warning } = await ask(path, undefined, { method: "DELETE" });
    await showRecords();
    return warning ?? `${name} is revoked.`;
  };
  return {
    cells: [
      name,
      tenant === id ? "its own" : tenant,
      role,
      models.join(", "),
      limitsOf(key),
      { text: `…${hint}`, kind: "code" },
      expires === undefined ? "never" : new Date(expires).toLocaleString(),
      stateOf(key),
    ],
    buttons:
      disabled === undefined
        ? [
            button("Change", `Change ${name}`, change),
            button("Rotate", `Rotate ${name}`, rotate),
            finalButton("Revoke", `Revoke ${name}`, revoke),
          ]
        : [],
  };
}

/** @param {any} tenant */
function tenantRow(tenant) {
  const { name, weight = 1 } = tenant;
  const change = async () => {
    chooseTenant(tenant);
    return `Change ${name} in the form, and save it.`;
  };
  const remove = async () => {
    await ask(`/admin/tenants/${name}`, undefined, { method: "DELETE" });
    await showRecords();
    return `${name} is removed.`;
  };
  return {
    cells: [name, { text: String(weight), kind: "number" }, limitsOf(tenant)],
    buttons: [
      button("Change", `Change tenant ${name}`, change),
      finalButton("Remove", `Remove tenant ${name}`, remove),
    ],
  };
}

/** @param {any} entry */
function entryRow({ at, who, from, action, target, changes = {}, outcome, more = 0 }) {
  const texts = Object.entries(changes).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return {
    cells: [
      new Date(at).toLocaleString(),
      who,
      { text: from, kind: "code" },
      { text: action, kind: "code" },
      target || "–",
      texts.join(" ") || "–",
      more > 0 ? `${outcome}, and ${more} more` : outcome,
    ],
  };
}

/** Reads keys, tenants and the audit log again. */
export async function showRecords() {
  const [{ keys, next }, { tenants }, { entries }] = await Promise.all([
    ask("/admin/keys?limit=1000"),
    ask("/admin/tenants?limit=1000"),
    ask(`/admin/audit?limit=${MOST_ENTRIES}`),
  ]);
  fill("keys", keys.map(keyRow), "None: everyone is served, but for keys of SGNET_API_KEY.");
  fill("tenants", tenants.map(tenantRow), "None.");
  fill("audit", entries.map(entryRow), "None.");
  if (next !== undefined) tell("The first 1000 keys are shown: sgnet keys list has all.");
}

find("audit-refresh", HTMLButtonElement).addEventListener("click", () => {
  void showResult(async () => {
    await showRecords();
    return "";
  });
});
