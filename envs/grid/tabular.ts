/**
 * Environments given by a finite transition table. The problem is one pure function; the environment unrolls it
 * into flat arrays once, so that what a test reads through `transitions` is what runs.
 */
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentSpec } from "../../core/env/environment.js";
import type { Random } from "../../core/random.js";

/** One thing that can happen after an action. */
export interface Transition {
  readonly probability: number;
  readonly next: number;
  readonly reward: number;
  readonly terminated: boolean;
}

export interface TabularProblem {
  readonly states: number;
  readonly actions: number;
  /** An episode starts in one of these, each as likely as the others. */
  readonly starts: readonly number[];
  /** What can happen after `action` in `state`; the probabilities add up to 1. */
  transitions(state: number, action: number): readonly Transition[];
  /** The state that `action` in `state` leads to where nothing is left to chance; for a spec that says `postDecisionStates`. */
  postDecision?(state: number, action: number): number;
}

/** State: the number of the state. */
export class TabularEnvironment extends ArrayEnvironment {
  private readonly position: Float64Array;
  /** Transitions of (state, action) are first[row] … first[row+1]−1 with row = state·actions + action. */
  private readonly first: Uint32Array;
  /** Sum of the probabilities of a row up to and including this transition. */
  private readonly cumulative: Float64Array;
  private readonly next: Uint32Array;
  private readonly reward: Float64Array;
  private readonly ends: Uint8Array;
  /** [states · actions] 1 = the action can lead to another state */
  private readonly changes: Uint8Array;
  /** 0 = the action cannot lead to another state; for a spec that names it among its `stepExtras` */
  private readonly actionValid: Float64Array | undefined;

  constructor(
    spec: EnvironmentSpec,
    count: number,
    private readonly problem: TabularProblem,
  ) {
    super(spec, count, 1);
    this.actionValid = this.stepExtras["actionValid"];
    this.position = this.state[0]!;
    const rows = Array.from({ length: problem.states * problem.actions }, (_, row) =>
      problem.transitions(Math.floor(row / problem.actions), row % problem.actions),
    );
    const all = rows.flat();
    this.first = new Uint32Array(rows.length + 1);
    rows.forEach((row, r) => (this.first[r + 1] = this.first[r]! + row.length));
    this.cumulative = Float64Array.from(rows.flatMap((row) => runningSums(row.map((t) => t.probability))));
    this.next = Uint32Array.from(all, (t) => t.next);
    this.reward = Float64Array.from(all, (t) => t.reward);
    this.ends = Uint8Array.from(all, (t) => (t.terminated ? 1 : 0));
    this.changes = Uint8Array.from(rows, (row, r) =>
      row.some(({ next }) => next !== Math.floor(r / problem.actions)) ? 1 : 0,
    );
  }

  protected begin(i: number, random: Random): void {
    const { starts } = this.problem;
    this.position[i] = starts[random.integer(starts.length)]!;
  }

  protected override decide(i: number, actions: ActionArray, out: Float32Array, at: number): void {
    const state = this.position[i]!;
    out[at] = this.problem.postDecision?.(state, actions[i]!) ?? state;
  }

  advance(i: number, actions: ActionArray): void {
    const row = this.position[i]! * this.problem.actions + actions[i]!;
    const last = this.first[row + 1]! - 1;
    let t = this.first[row]!;
    // A row with one outcome takes nothing from the stream; rounding may leave the last sum just below 1.
    if (t < last) {
      const draw = this.random[i]!.uniform();
      while (t < last && this.cumulative[t]! <= draw) t++;
    }
    if (this.actionValid !== undefined) this.actionValid[i] = this.changes[row]!;
    this.position[i] = this.next[t]!;
    this.rewards[i] = this.reward[t]!;
    this.terminated[i] = this.ends[t]!;
  }

  observe(i: number, out: Float32Array, at: number): void {
    out[at] = this.position[i]!;
  }

  /** An action that cannot lead to another state is forbidden. */
  protected override allow(i: number, out: Uint8Array, at: number): void {
    const { actions } = this.problem;
    const row = this.position[i]! * actions;
    for (let a = 0; a < actions; a++) out[at + a] = this.changes[row + a]!;
  }
}

function runningSums(values: readonly number[]): number[] {
  let sum = 0;
  return values.map((value) => (sum += value));
}
