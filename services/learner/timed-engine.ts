/** An engine that knows how long it has computed: forward, and updates without the loss that they call back for. */
import type {
  Columns,
  Cotangents,
  Engine,
  EngineInputs,
  LiveColumn,
  OptimizerState,
  OptimizerStep,
  UpdateStats,
} from "../../core/engine/engine.js";
import type { OutputColumn } from "../../core/model/model.js";
import type { WeightsSnapshot } from "../../core/types.js";

export class TimedEngine implements Engine {
  /** Since the start. */
  forwardSeconds = 0;
  updateSeconds = 0;

  /** `now` in seconds of a steady clock. */
  constructor(
    private readonly engine: Engine,
    private readonly now: () => number,
  ) {}

  get id(): string {
    return this.engine.id;
  }

  async forward<K extends OutputColumn>(
    inputs: EngineInputs,
    want: readonly K[],
  ): Promise<Record<K, Float32Array>> {
    const from = this.now();
    const columns = await this.engine.forward(inputs, want);
    this.forwardSeconds += this.now() - from;
    return columns;
  }

  async update(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<UpdateStats> {
    let lossSeconds = 0;
    const from = this.now();
    const timed = (live: Columns<LiveColumn>): Cotangents => {
      const calledAt = this.now();
      const result = cotangents(live);
      lossSeconds += this.now() - calledAt;
      return result;
    };
    const stats = await this.engine.update(inputs, want, timed, step);
    this.updateSeconds += this.now() - from - lossSeconds;
    return stats;
  }

  weights(version: number): WeightsSnapshot {
    return this.engine.weights(version);
  }

  load(weights: WeightsSnapshot): void {
    this.engine.load(weights);
  }

  optimizerState(): OptimizerState {
    return this.engine.optimizerState();
  }

  loadOptimizerState(state: OptimizerState): void {
    this.engine.loadOptimizerState(state);
  }

  close(): void {
    this.engine.close();
  }
}
