import type { LockEntries, LockEntry } from "../src/backends/embedded/library-lock.ts";

/** The part of the lock file that the embedded model's library needs, for the package to install it from. */

/** Fields that npm writes for an entry's place in the whole project: it has another place here. */
const OF_THE_PROJECT: ReadonlySet<string> = new Set(["dev", "devOptional", "optional", "peer"]);

/** The entries that a package needs, itself included, without what only the project around them says. */
export function entriesOf(name: string, entries: LockEntries): LockEntries {
  const top = `node_modules/${name}`;
  const all = reached(top, entries, (entry) => ({ ...entry.dependencies, ...entry.optionalDependencies }));
  const needed = reached(top, entries, (entry) => entry.dependencies ?? {});
  return Object.fromEntries(
    [...all].toSorted().map((path) => [path, atHome(entries[path] ?? {}, !needed.has(path))]),
  );
}

type Names = Readonly<Record<string, string>>;

function reached(
  top: string,
  entries: LockEntries,
  namesOf: (entry: LockEntry) => Names,
): ReadonlySet<string> {
  const found = new Set([top]);
  for (const path of found) {
    for (const name of Object.keys(namesOf(entries[path] ?? {}))) {
      const target = resolved(name, path, entries);
      if (target !== undefined) found.add(target);
    }
  }
  return found;
}

/** The folder in which Node finds a package, seen from another: the nearest one above. */
function resolved(name: string, from: string, entries: LockEntries): string | undefined {
  for (let place = from; place !== ""; place = parentOf(place)) {
    const path = `${place}/node_modules/${name}`;
    if (Object.hasOwn(entries, path)) return path;
  }
  const top = `node_modules/${name}`;
  return Object.hasOwn(entries, top) ? top : undefined;
}

function parentOf(path: string): string {
  const cut = path.lastIndexOf("/node_modules/");
  return cut < 0 ? "" : path.slice(0, cut);
}

function atHome(entry: LockEntry, optional: boolean): LockEntry {
  const kept = Object.entries(entry).filter(([field]) => !OF_THE_PROJECT.has(field));
  return Object.fromEntries(optional ? [...kept, ["optional", true]] : kept);
}
