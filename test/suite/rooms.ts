/** Rooms of pure functions. Their tests share one process: its start takes longer than most of their files. */
export const PURE_ROOMS: readonly string[] = ["core", "wire", "protocols"];
