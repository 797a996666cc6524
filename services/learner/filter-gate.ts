/** Which whole groups may enter a batch, as the recipe's filter says. Lets all in once too much was filtered in a row. */
import type { GroupFilter } from "../../core/slots/recipe.js";
import type { Rollout } from "../../core/types.js";
import type { Unit } from "./ready-queue.js";

/** Of the episode itself, the first row, without its branches. */
function scoreOf({ columns: { rewards, offsets } }: Rollout): number {
  return rewards.subarray(0, offsets[1]).reduce((sum, reward) => sum + reward, 0);
}

export class FilterGate {
  /** Filtered since the last batch began. */
  private steps = 0;
  private open = false;

  constructor(
    private readonly filter: GroupFilter,
    private readonly batchSteps: number,
    private readonly notice: (message: string) => void,
  ) {}

  get reason(): string {
    return this.filter.reason;
  }

  admits({ held, steps }: Unit): boolean {
    if (this.open) return true;
    const scores = held.map(({ rollout }) => scoreOf(rollout));
    if (this.filter.keep(Float64Array.from(scores))) return true;
    this.steps += steps;
    if (this.steps < this.filter.maxBatches * this.batchSteps) return false;
    this.open = true;
    this.notice(
      `no batch after ${this.steps} filtered steps (${this.filter.reason}): groups enter the next one as they are`,
    );
    return true;
  }

  batchBegins(): void {
    this.steps = 0;
    this.open = false;
  }
}
