import { Engine } from "../../../bench/engine/engine.ts";
import type { AnswerReport, EngineRequest, EngineCall } from "../../../bench/engine/engine.ts";
import { USUAL_ENGINE } from "../../../bench/engine/spec.ts";
import type { EngineSpec } from "../../../bench/engine/spec.ts";
import { Timeline } from "../../../bench/engine/timeline.ts";

/** A request as a test sees it; times in simulated ms. */
export interface Seen {
  readonly model: string;
  readonly visit: EngineCall;
  tokens: number[];
  endedAt: number | undefined;
  report: AnswerReport | undefined;
  refusal: string | undefined;
}

/** An engine on a clock that the test moves. */
export class EngineRig {
  readonly timeline: Timeline = new Timeline();
  readonly engine: Engine;

  constructor(change: Partial<EngineSpec> = {}) {
    this.engine = new Engine({ ...USUAL_ENGINE, ...change }, this.timeline);
  }

  ask(model: string, change: Partial<EngineRequest> = {}, onEnd: () => void = () => undefined): Seen {
    const found = this.engine.modelOf(model);
    if (found === undefined) throw new Error(`no model ${model}`);
    const seen = { model, tokens: [] as number[] } as Seen;
    const request: EngineRequest = {
      kind: "generate",
      model: found,
      prompt: "hi",
      tokens: undefined,
      options: {},
      keepAliveMs: undefined,
      ...change,
    };
    const visit = this.engine.ask(request, {
      onToken: () => seen.tokens.push(this.timeline.nowMs),
      onEnd: (report) => {
        Object.assign(seen, { report, endedAt: this.timeline.nowMs });
        onEnd();
      },
      onRefusal: (refusal) => Object.assign(seen, { refusal }),
    });
    return Object.assign(seen, { visit });
  }

  /** A client that asks again as soon as it is answered. */
  keepAsking(model: string, seen: Seen[], change: Partial<EngineRequest> = {}): void {
    seen.push(this.ask(model, change, () => this.keepAsking(model, seen, change)));
  }

  /** Names of the models in memory. */
  get loaded(): readonly string[] {
    return this.engine.runners.map(({ model }) => model.name.replace(":latest", "")).toSorted();
  }
}
