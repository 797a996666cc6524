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
  /** In the losses that updates called back for. */
  lossSeconds = 0;

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

  update(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    step: OptimizerStep,
  ): Promise<UpdateStats> {
    return this.timed(cotangents, (timed) => this.engine.update(inputs, want, timed, step));
  }

  gradient(
    inputs: EngineInputs,
    want: readonly LiveColumn[],
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
  ): Promise<Float32Array> {
    return this.timed(cotangents, (timed) => this.engine.gradient(inputs, want, timed));
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

  /** Adds the seconds of `run` to those of updates, but for those of the loss that it calls back for. */
  private async timed<T>(
    cotangents: (live: Columns<LiveColumn>) => Cotangents,
    run: (timed: (live: Columns<LiveColumn>) => Cotangents) => Promise<T>,
  ): Promise<T> {
    let lossSeconds = 0;
    const from = this.now();
    const timed = (live: Columns<LiveColumn>): Cotangents => {
      const calledAt = this.now();
      const result = cotangents(live);
      lossSeconds += this.now() - calledAt;
      return result;
    };
    const result = await run(timed);
    this.updateSeconds += this.now() - from - lossSeconds;
    this.lossSeconds += lossSeconds;
    return result;
  }
}
