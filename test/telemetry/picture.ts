import type { BackendAnnouncement, WorkerAnnouncement } from "../../src/core/fleet.ts";
import type { ModelCard } from "../../src/core/model.ts";
import type { FleetReadings } from "../../src/telemetry/fleet-metrics.ts";

const CARD: ModelCard = {
  key: "tiny",
  name: "tiny:latest",
  modifiedAt: 0,
  size: 5,
  digest: "",
  format: "gguf",
  family: "",
  parameterSize: "",
  quantization: "",
  contextLength: 0,
  capabilities: [],
  ownedBy: "",
  resident: true,
  load: { size: 7, sizeVram: 7, expiresAt: undefined, contextLength: 0 },
};

const BACKEND: BackendAnnouncement = {
  name: "ollama@a",
  kind: "ollama",
  url: "http://a",
  slots: 4,
  busy: 3,
  healthy: true,
  models: [CARD, { ...CARD, key: "cold", resident: false }],
};

const WORKER: WorkerAnnouncement = {
  id: "w1",
  version: "1.2.3",
  host: "a",
  pid: 1,
  startedAt: 60_000,
  seenAt: 90_000,
  draining: false,
  backends: [BACKEND],
};

/** A fleet of a good worker, one that drains, one whose backend is down, one whose backend is broken. */
export const PICTURE: FleetReadings = {
  gateways: [],
  workers: [
    WORKER,
    { ...WORKER, id: "w2", draining: true },
    { ...WORKER, id: "w3", backends: [{ ...BACKEND, healthy: false, models: [] }] },
    { ...WORKER, id: "w4", backends: [{ ...BACKEND, gates: [{ model: "tiny", state: "open" }] }] },
  ],
  queues: [
    { model: "tiny", waiting: 5, oldestWaitMs: 1500, claimed: 3, oldestIdleMs: 250, deadLetters: 2 },
    { model: "gone", waiting: 1, oldestWaitMs: 100, claimed: 0, oldestIdleMs: 0, deadLetters: 0 },
  ],
  redis: {
    usedMemoryBytes: 1000,
    maxMemoryBytes: 0,
    clients: 9,
    uptimeSeconds: 77,
    persistent: true,
    roundTripMs: 0.5,
  },
  reports: new Map(),
};
