/** Monte-Carlo returns over ragged rows. */
import { expectLength } from "../errors.js";
import { expectOffsets } from "./arrays.js";

export interface ReturnsInput {
  /** [N] */
  readonly rewards: Float64Array;
  /** [R] value of the observation after each row's last step; not read where the row terminated */
  readonly bootstrapValues: Float64Array;
  /** [R] 1 = the episode reached an end state; a truncated or unfinished row bootstraps */
  readonly terminated: Uint8Array;
  /** [N] 1 = chosen by the policy */
  readonly mask: Uint8Array;
  /** [R+1] */
  readonly offsets: Uint32Array;
}

/**
 * Discounted reward-to-go, [N]:
 *
 *   G_t = r_t + γ·G_{t+1},   G_T = 0 if the row terminated, else the bootstrap value.
 *
 * Masked steps take no time: they are neither rewarded nor discounted, and show the return that follows them.
 * Equals GAE's return target with λ = 1.
 */
export function discountedReturns(input: ReturnsInput, gamma: number): Float64Array {
  const { rewards, bootstrapValues, terminated, offsets } = input;
  checkColumns("discountedReturns", input);
  const returns = new Float64Array(rewards.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    rowReturns(input, gamma, i, terminated[i] === 1 ? 0 : bootstrapValues[i]!, returns);
  }
  return returns;
}

/** `discountedReturns` of rows that nothing follows, however they ended. rewards, mask [N], offsets [R+1] → [N] */
export function returnsWithinRows(
  input: Pick<ReturnsInput, "rewards" | "mask" | "offsets">,
  gamma: number,
): Float64Array {
  expectOffsets("returnsWithinRows", input.offsets, input.rewards.length);
  const rows = input.offsets.length - 1;
  const ends = { terminated: new Uint8Array(rows).fill(1), bootstrapValues: new Float64Array(rows) };
  return discountedReturns({ ...input, ...ends }, gamma);
}

/** S_t = x_t + γ·S_{t−1} over each row's chosen steps; masked steps get 0. x, mask [N], offsets [R+1] → [N] */
export function discountedPast(
  x: Float64Array,
  mask: Uint8Array,
  offsets: Uint32Array,
  gamma: number,
): Float64Array {
  expectOffsets("discountedPast", offsets, x.length);
  expectLength("discountedPast", "mask", x.length, mask.length);
  const sums = new Float64Array(x.length);
  for (let i = 0; i + 1 < offsets.length; i++) {
    let sum = 0;
    for (let t = offsets[i]!; t < offsets[i + 1]!; t++) {
      if (mask[t] === 1) sums[t] = sum = gamma * sum + x[t]!;
    }
  }
  return sums;
}

function checkColumns(
  where: string,
  { rewards, bootstrapValues, terminated, mask, offsets }: ReturnsInput,
): void {
  const rows = offsets.length - 1;
  expectOffsets(where, offsets, rewards.length);
  expectLength(where, "mask", rewards.length, mask.length);
  expectLength(where, "bootstrapValues", rows, bootstrapValues.length);
  expectLength(where, "terminated", rows, terminated.length);
}

/** Writes the returns of row i, which `following` follows; gives that of its first step. */
function rowReturns(
  { rewards, mask, offsets }: ReturnsInput,
  gamma: number,
  i: number,
  following: number,
  returns: Float64Array,
): number {
  for (let t = offsets[i + 1]! - 1; t >= offsets[i]!; t--) {
    if (mask[t] === 1) following = rewards[t]! + gamma * following;
    returns[t] = following;
  }
  return following;
}

export interface TrajectoryReturnsInput extends ReturnsInput {
  /** [R] same number = rows of one trajectory */
  readonly trajectories: Float64Array;
  /** [R] the row's number within its trajectory: the row that goes on has the next one */
  readonly parts: Float64Array;
  /** [R] 1 = a time limit cut the trajectory after the row */
  readonly truncated: Float64Array;
}

/**
 * `discountedReturns` of trajectories that are cut into rows: what follows a row is the return of the row that goes on, and
 * the bootstrap value only after a time limit. `finished` [N] is 1 at rows from which on a trajectory is there to its
 * end; elsewhere returns mean nothing.
 */
export function trajectoryReturns(
  input: TrajectoryReturnsInput,
  gamma: number,
): { readonly returns: Float64Array; readonly finished: Float64Array } {
  const { rewards, bootstrapValues, terminated, offsets, trajectories, parts, truncated } = input;
  const rows = offsets.length - 1;
  checkColumns("trajectoryReturns", input);
  for (const [name, column] of Object.entries({ trajectories, parts, truncated })) {
    expectLength("trajectoryReturns", name, rows, column.length);
  }
  const returns = new Float64Array(rewards.length);
  const finished = new Float64Array(rewards.length);
  const lastFirst = Array.from(parts, (_, row) => row).sort((a, b) => parts[b]! - parts[a]!);
  /** Of each trajectory, the earliest row so far from which on it is whole. */
  const whole = new Map<number, { readonly part: number; readonly value: number }>();
  for (const i of lastFirst) {
    const next = whole.get(trajectories[i]!);
    const goesOn = next?.part === parts[i]! + 1;
    const ended = terminated[i] === 1 || truncated[i] === 1;
    if (!ended && !goesOn) continue;
    const following = terminated[i] === 1 ? 0 : goesOn ? next.value : bootstrapValues[i]!;
    const value = rowReturns(input, gamma, i, following, returns);
    finished.fill(1, offsets[i], offsets[i + 1]);
    whole.set(trajectories[i]!, { part: parts[i]!, value });
  }
  return { returns, finished };
}
