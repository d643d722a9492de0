/** Rooms of pure functions. Their tests share one process: its start takes longer than most of their files. */
export const PURE_ROOMS: readonly string[] = ["core", "wire", "protocols"];

/**
 * Rooms whose tests share one process per room, each file as a suite of its own. A process per file takes twice the
 * processor time: 24 s instead of 19 for gateway, 11 instead of 4 for worker.
 */
export const SHARED_ROOMS: readonly string[] = ["gateway", "worker", "redis"];
