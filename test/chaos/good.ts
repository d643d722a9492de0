import type { Asked, Wish } from "./history.ts";

const WISH: Wish = {
  id: "c1-1",
  dialect: "openai-chat",
  stream: true,
  tokens: 10,
  firstTokenMs: 0,
  tokenMs: 10,
  padding: 0,
  ballast: 0,
  readPauseMs: 0,
};

/** A request that was answered in 200 ms, as it should be. */
export const GOOD: Asked = {
  wish: WISH,
  seat: 0,
  sentAt: 100_000,
  reused: false,
  status: 200,
  firstTokenAt: 100_050,
  tokens: 10,
  deviation: undefined,
  ending: "complete",
  endedAt: 100_200,
  detail: "",
  code: "ok",
};
