import type { Cause } from "../core/cause.ts";
import type { CircuitState } from "../core/fleet.ts";
import type { Usage } from "../core/usage.ts";
import { DURATIONS, openMetricFactory, tokenCounter } from "./metrics.ts";
import type { Metrics, MetricsOptions, MetricFactory } from "./metrics.ts";

/** End of an attempt, as the worker saw it. */
export interface AttemptOutcome {
  /** Bounded by what the worker's backends offer. */
  readonly model: string;
  readonly backend: string;
  /** `ok` or a fault code. */
  readonly code: string;
  readonly totalSeconds: number;
  readonly usage?: Usage;
  /** Time that the backend reports for loading the model; absent where it reports none. */
  readonly loadSeconds?: number | undefined;
}

/** Shorter times are no load: a backend with the model in memory reports a few ms, too. */
const LEAST_LOAD_SECONDS = 0.5;

export interface WorkerMetrics extends Metrics {
  claimed(count: number): void;
  ended(outcome: AttemptOutcome): void;
  /** Tasks were taken over from a worker whose lease ran out. */
  readonly reclaimed: (count: number) => void;
  /** A task was requeued, to run on another worker first. */
  requeued(backend: string, reason: string): void;
  /** The circuit of a model on a backend changed its state. */
  circuitChanged(backend: string, model: string, state: CircuitState): void;
  /** An attempt failed, with the party to which it is put down. */
  attemptFailed(backend: string, cause: Cause): void;
  /** The worker sent a probe of its own to a backend, with the result. */
  probed(backend: string, answer: string): void;
  /** A task became a dead letter. */
  deadLettered(): void;
  /** A backend has loaded a model. */
  loaded(backend: string, model: string): void;
  /**
   * A backend loads a model and unloads another for it. @param waitedSeconds waiting time of the first task in the
   * queue of the loaded model
   */
  swapped(backend: string, waitedSeconds: number): void;
  /** Redis refused a frame because another worker has the task. */
  fenced(): void;
  /** Redis accepted one batch of frames. */
  emitted(frames: number, bytes: number): void;
}

export function openWorkerMetrics(options: MetricsOptions): WorkerMetrics {
  const factory = openMetricFactory(options);
  const { counter, metrics } = factory;
  const claimed = counter("worker_claims_total", "Tasks claimed", []).at();
  const reclaimed = counter("worker_reclaims_total", "Tasks taken over from silent workers", []).at();
  const requeued = counter("worker_handbacks_total", "Requeued tasks by reason", ["backend", "reason"]);
  const circuitChanges = counter(
    "worker_gate_changes_total",
    "State changes of the circuit of a model on a backend",
    ["backend", "model", "state"],
  );
  const deadLetters = counter("worker_dead_letters_total", "Tasks that became dead letters", []).at();
  const loaded = counter("worker_model_loads_total", "Model loads seen on a backend", ["backend", "model"]);
  const ended = counter("worker_attempts_ended_total", "Ended attempts by result", [
    "model",
    "backend",
    "code",
  ]);
  const total = factory.histogram(
    "worker_attempt_duration_seconds",
    "Time from claim to the end of an attempt",
    {
      labels: ["model", "backend"],
      buckets: DURATIONS,
    },
  );
  const loading = loadHistogram(factory);
  const swapped = swapCounters(factory);
  const count = tokenCounter(factory, "worker_tokens_total");
  return {
    ...metrics,
    claimed: (tasks) => claimed.inc(tasks),
    reclaimed: (tasks) => reclaimed.inc(tasks),
    requeued: (backend, reason) => requeued.at(backend, reason).inc(),
    circuitChanged: (backend, model, state) => circuitChanges.at(backend, model, state).inc(),
    deadLettered: () => deadLetters.inc(),
    loaded: (backend, model) => loaded.at(backend, model).inc(),
    ...blameCounters(factory),
    ...frameCounters(factory),
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

function blameCounters({ counter }: MetricFactory): Pick<WorkerMetrics, "attemptFailed" | "probed"> {
  const failed = counter("worker_attempts_failed_total", "Failed attempts by cause", ["backend", "cause"]);
  const probes = counter("worker_probes_total", "Probes that the worker sent to a suspected backend", [
    "backend",
    "answer",
  ]);
  return {
    attemptFailed: (backend, cause) => failed.at(backend, cause).inc(),
    probed: (backend, answer) => probes.at(backend, answer).inc(),
  };
}

function frameCounters({ counter }: MetricFactory): Pick<WorkerMetrics, "fenced" | "emitted"> {
  const fenced = counter(
    "worker_fenced_total",
    "Frames that Redis refused because another worker has the task",
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

function loadHistogram(factory: MetricFactory): (outcome: AttemptOutcome) => void {
  const help = "Load time of models, as backends report it";
  const labelled = { labels: ["model", "backend"], buckets: DURATIONS };
  const seconds = factory.histogram("worker_model_load_seconds", help, labelled);
  return ({ model, backend, loadSeconds = 0 }) => {
    if (loadSeconds >= LEAST_LOAD_SECONDS) seconds.at(model, backend).observe(loadSeconds);
  };
}

function swapCounters(factory: MetricFactory): WorkerMetrics["swapped"] {
  const swaps = factory.counter("swaps_total", "Model loads that unloaded another model", ["backend"]);
  const help = "Waiting time of the first task of a model at the start of such a load";
  const waits = factory.histogram("swap_wait_seconds", help, { labels: ["backend"], buckets: DURATIONS });
  return (backend, waitedSeconds) => {
    swaps.at(backend).inc();
    waits.at(backend).observe(waitedSeconds);
  };
}
