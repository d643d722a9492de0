import { dayOf } from "../../src/core/access/calendar.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import type { Stores } from "../../src/redis/stores.ts";
import type { ClientKey } from "./history.ts";

/** Open requests of one key: as many as its clients. A gateway that died holds its own for a while. */
export const MAX_OPEN = 5;

const DAY_MS = 86_400_000;

const TENANTS = ["family", "lab"];
const KEYS_PER_TENANT = 2;

/** Limits that no client reaches, yet all of them are counted. */
const WIDE = { rpm: 1_000_000, itpm: 1_000_000_000, otpm: 1_000_000_000 };

/** Requests, and the tokens of answers whose backends counted them. */
export interface UsedByKey {
  readonly requests: number;
  readonly tokens: number;
}

/** Makes the keys of the clients, and limits of their tenants. */
export async function issueKeys(stores: Stores): Promise<ClientKey[]> {
  const admin = new KeyAdministration(stores.access, Date.now);
  const keys: ClientKey[] = [];
  for (const tenant of TENANTS) {
    await admin.createTenant(tenant, { ...WIDE, maxOpen: 100, budgetMonth: 1_000_000_000 });
    for (let index = 0; index < KEYS_PER_TENANT; index += 1) {
      const name = `${tenant}-${index}`;
      const limits = { ...WIDE, maxOpen: MAX_OPEN, budgetDay: 1_000_000_000 };
      const { key, secret } = await admin.create({ name, tenant, ...limits });
      keys.push({ id: key.id, tenant, secret });
    }
  }
  return keys;
}

/** The use of a key in the last two days: a run may meet midnight. */
export async function usedBy({ usage }: Stores, { id, tenant }: ClientKey): Promise<UsedByKey> {
  const now = await usage.now();
  const days = [dayOf(now - DAY_MS), dayOf(now)];
  const records = (await Promise.all(days.map((day) => usage.usageOn(tenant, day)))).flat();
  const own = records.filter(({ key }) => key === id);
  return {
    requests: own.reduce((sum, { requests }) => sum + requests, 0),
    tokens: own.reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0),
  };
}
