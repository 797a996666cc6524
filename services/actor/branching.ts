/** Which states of one episode branches begin from, and the branches in the order in which they are played. */
import { deriveSeed, Random } from "../../core/random.js";
import type { BranchPlan } from "../../core/types.js";

export interface BranchState {
  /** Step of the episode before which it was kept. */
  readonly at: number;
  /** Of the environment's instance. */
  readonly snapshot: Uint8Array;
  /** [S] the policy's memory before that step */
  readonly memory: Float32Array;
}

export interface Branch {
  readonly state: BranchState;
  /** 0 … count−1 */
  readonly number: number;
  /** Its place among the rows of the rollout, from 1. */
  readonly row: number;
  /** What its randomness comes from. */
  readonly seed: number;
}

export class Branching {
  private readonly states: BranchState[] = [];
  private readonly random: Random;
  private taken = 0;

  /** `seed`: of the member alone. */
  constructor(
    private readonly plan: BranchPlan,
    private readonly seed: number,
  ) {
    this.random = new Random(deriveSeed(seed, "branch states"));
  }

  /** Steps of one branch; 0 = as many as its episode has. */
  get maxSteps(): number {
    return this.plan.maxSteps;
  }

  /**
   * Under which number to keep the state before step t, whatever was kept under it; null = it is not wanted. To be asked
   * once for each step, in order: a reservoir of `states` (Vitter 1985, "Random sampling with a reservoir", algorithm R).
   */
  slotOf(t: number): number | null {
    const { at, states } = this.plan;
    const slot = at === "random" ? (t < states ? t : this.random.integer(t + 1)) : at.indexOf(t);
    return slot >= 0 && slot < states ? slot : null;
  }

  keep(slot: number, state: BranchState): void {
    this.states[slot] = state;
  }

  /** The next branch, once the episode is over: state by state as the episode met them; null = there is none. */
  take(): Branch | null {
    const { count } = this.plan;
    if (this.taken === 0) this.states.sort((a, b) => a.at - b.at);
    const state = this.states[Math.floor(this.taken / count)];
    if (state === undefined) return null;
    const number = this.taken++ % count;
    return { state, number, row: this.taken, seed: deriveSeed(this.seed, "branch", state.at, number) };
  }
}
