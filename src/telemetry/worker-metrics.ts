import type { Cause } from "../core/cause.ts";
import type { GateState } from "../core/fleet.ts";
import type { Usage } from "../core/usage.ts";
import { DURATIONS, openWorkshop, tokenCounter } from "./metrics.ts";
import type { Metrics, MetricsOptions, Workshop } from "./metrics.ts";

/** How an attempt ended, as its worker saw it. */
export interface AttemptOutcome {
  /** Bounded by what the worker's backends offer. */
  readonly model: string;
  readonly backend: string;
  /** `ok` or a fault code. */
  readonly code: string;
  readonly totalSeconds: number;
  readonly usage?: Usage;
  /** How long the backend says it took to get the model ready; absent where it does not tell. */
  readonly loadSeconds?: number | undefined;
}

/** A backend that has the model in memory tells a few ms too: less than this is no load. */
const LEAST_LOAD_SECONDS = 0.5;

export interface WorkerMetrics extends Metrics {
  claimed(count: number): void;
  ended(outcome: AttemptOutcome): void;
  /** Tasks were taken over from a worker whose lease ran out. */
  readonly reclaimed: (count: number) => void;
  /** A task was given back to be run again, by another worker first. */
  handedBack(backend: string, reason: string): void;
  /** A backend serves a model otherwise than before. */
  gateChanged(backend: string, model: string, state: GateState): void;
  /** An attempt failed, by whose doing. */
  attemptFailed(backend: string, cause: Cause): void;
  /** The worker asked a backend itself, and how that ended. */
  probed(backend: string, answer: string): void;
  /** A task was given up as a dead letter. */
  buried(): void;
  /** A backend has got a model into its memory. */
  loaded(backend: string, model: string): void;
  /** A model is loaded for which another had to go. @param waitedSeconds how long the first of its queue has waited */
  swapped(backend: string, waitedSeconds: number): void;
  /** Redis refused a frame because another worker has the task. */
  fenced(): void;
  /** One flush of frames was accepted by Redis. */
  emitted(frames: number, bytes: number): void;
}

export function openWorkerMetrics(options: MetricsOptions): WorkerMetrics {
  const workshop = openWorkshop(options);
  const { counter, metrics } = workshop;
  const claimed = counter("worker_claims_total", "Tasks claimed", []).at();
  const reclaimed = counter("worker_reclaims_total", "Tasks taken over from a silent worker", []).at();
  const handedBack = counter("worker_handbacks_total", "Tasks given back to be run again, by reason", [
    "backend",
    "reason",
  ]);
  const gates = counter("worker_gate_changes_total", "Changes of how a backend serves a model", [
    "backend",
    "model",
    "state",
  ]);
  const buried = counter("worker_dead_letters_total", "Tasks given up as dead letters", []).at();
  const loaded = counter("worker_model_loads_total", "Models a backend was seen to have loaded", [
    "backend",
    "model",
  ]);
  const ended = counter("worker_attempts_ended_total", "Attempts ended, by how", [
    "model",
    "backend",
    "code",
  ]);
  const total = workshop.histogram("worker_attempt_duration_seconds", "Claim to the end of an attempt", {
    labels: ["model", "backend"],
    buckets: DURATIONS,
  });
  const loading = loadHistogram(workshop);
  const swapped = swapCounters(workshop);
  const count = tokenCounter(workshop, "worker_tokens_total");
  return {
    ...metrics,
    claimed: (tasks) => claimed.inc(tasks),
    reclaimed: (tasks) => reclaimed.inc(tasks),
    handedBack: (backend, reason) => handedBack.at(backend, reason).inc(),
    gateChanged: (backend, model, state) => gates.at(backend, model, state).inc(),
    buried: () => buried.inc(),
    loaded: (backend, model) => loaded.at(backend, model).inc(),
    ...blameCounters(workshop),
    ...frameCounters(workshop),
    swapped,
    ended(outcome) {
      const { model, backend, code } = outcome;
      ended.at(model, backend, code).inc();
      total.at(model, backend).observe(outcome.totalSeconds);
      loading(outcome);
      count(model, outcome.usage);
    },
  };
}

function blameCounters({ counter }: Workshop): Pick<WorkerMetrics, "attemptFailed" | "probed"> {
  const failed = counter("worker_attempts_failed_total", "Attempts that failed, by whose doing", [
    "backend",
    "cause",
  ]);
  const probes = counter("worker_probes_total", "Requests of the worker's own to a backend in doubt", [
    "backend",
    "answer",
  ]);
  return {
    attemptFailed: (backend, cause) => failed.at(backend, cause).inc(),
    probed: (backend, answer) => probes.at(backend, answer).inc(),
  };
}

function frameCounters({ counter }: Workshop): Pick<WorkerMetrics, "fenced" | "emitted"> {
  const fenced = counter(
    "worker_fenced_total",
    "Frames refused because another worker has the task",
    [],
  ).at();
  const flushes = counter("worker_flushes_total", "Batches of frames accepted by Redis", []).at();
  const frames = counter("worker_frames_total", "Frames accepted by Redis", []).at();
  const bytes = counter("worker_frame_bytes_total", "Bytes of frames accepted by Redis", []).at();
  return {
    fenced: () => fenced.inc(),
    emitted(accepted, size) {
      flushes.inc();
      frames.inc(accepted);
      bytes.inc(size);
    },
  };
}

function loadHistogram(workshop: Workshop): (outcome: AttemptOutcome) => void {
  const help = "Time backends say they took to load a model";
  const labelled = { labels: ["model", "backend"], buckets: DURATIONS };
  const seconds = workshop.histogram("worker_model_load_seconds", help, labelled);
  return ({ model, backend, loadSeconds = 0 }) => {
    if (loadSeconds >= LEAST_LOAD_SECONDS) seconds.at(model, backend).observe(loadSeconds);
  };
}

function swapCounters(workshop: Workshop): WorkerMetrics["swapped"] {
  const swaps = workshop.counter("swaps_total", "Loads of a model for which another had to go", ["backend"]);
  const help = "How long the first task of a model had waited when its load began, where another had to go";
  const waits = workshop.histogram("swap_wait_seconds", help, { labels: ["backend"], buckets: DURATIONS });
  return (backend, waitedSeconds) => {
    swaps.at(backend).inc();
    waits.at(backend).observe(waitedSeconds);
  };
}
