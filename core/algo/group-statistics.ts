/** Mean and spread of a row value inside its group (rows with the same key), as GRPO and its relatives need. */
import { expectLength } from "../errors.js";

/**
 * What a group of one row reports, since it has no spread:
 * `raw` — mean 0, std 1, the row keeps its raw value (verl's GRPO, RLOO, OPO);
 * `zero` — mean = the value itself, std 1, the row gets 0 (GiGPO's step level).
 */
export type SingletonRule = "raw" | "zero";

export type GroupKeys = Int32Array | Uint32Array | Float64Array;

/** Rows of each group in their order, groups in the order in which they first appear. groups [R]. */
export function rowsByGroup(groups: GroupKeys): number[][] {
  const rows = new Map<number, number[]>();
  for (let i = 0; i < groups.length; i++) {
    const group = rows.get(groups[i]!);
    if (group === undefined) rows.set(groups[i]!, [i]);
    else group.push(i);
  }
  return [...rows.values()];
}

/** Whether not all are equal; false for one or none. */
export function differ(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return true;
  return false;
}

/** Share of the groups in which values differ: from the others a method that compares learns nothing. values, groups [R] */
export function informativeShare(values: Float64Array, groups: GroupKeys): number {
  expectLength("informativeShare", "groups", values.length, groups.length);
  const all = rowsByGroup(groups);
  return all.filter((rows) => differ(rows.map((i) => values[i]!))).length / all.length;
}

export interface GroupStatistics {
  /** [R] mean of the row's group */
  readonly means: Float64Array;
  /** [R] Bessel-corrected standard deviation of the row's group */
  readonly stds: Float64Array;
  /** [R] rows in the row's group */
  readonly sizes: Uint32Array;
}

/** Statistics of values [R] by group key [R] (whole numbers, in any order), given back per row. */
export function groupStatistics(
  values: Float64Array,
  groups: GroupKeys,
  singleton: SingletonRule,
): GroupStatistics {
  expectLength("groupStatistics", "groups", values.length, groups.length);
  const rows = values.length;
  const slots = new Uint32Array(rows);
  const slotOf = new Map<number, number>();
  for (let i = 0; i < rows; i++) {
    const key = groups[i]!;
    let slot = slotOf.get(key);
    if (slot === undefined) slotOf.set(key, (slot = slotOf.size));
    slots[i] = slot;
  }
  const count = new Uint32Array(slotOf.size);
  const mean = new Float64Array(slotOf.size);
  const squares = new Float64Array(slotOf.size);
  for (let i = 0; i < rows; i++) {
    count[slots[i]!]!++;
    mean[slots[i]!]! += values[i]!;
  }
  for (let k = 0; k < count.length; k++) mean[k]! /= count[k]!;
  for (let i = 0; i < rows; i++) squares[slots[i]!]! += (values[i]! - mean[slots[i]!]!) ** 2;

  const means = new Float64Array(rows);
  const stds = new Float64Array(rows);
  const sizes = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) {
    const slot = slots[i]!;
    const size = count[slot]!;
    sizes[i] = size;
    means[i] = size === 1 ? (singleton === "raw" ? 0 : values[i]!) : mean[slot]!;
    stds[i] = size === 1 ? 1 : Math.sqrt(squares[slot]! / (size - 1));
  }
  return { means, stds, sizes };
}

/**
 * (x − mean_g) / (std_u,g + eps), epsilon outside (GRPO with outcome rewards, Shao et al. 2024).
 * eps in the wild: verl 1e-6, TRL 1e-4, AReaL 1e-5. values, groups [R] → [R]. Detached.
 */
export function standardizeByGroup(
  values: Float64Array,
  groups: GroupKeys,
  options: { readonly singleton: SingletonRule; readonly eps: number },
): Float64Array {
  const { means, stds } = groupStatistics(values, groups, options.singleton);
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = (values[i]! - means[i]!) / (stds[i]! + options.eps);
  return out;
}

export interface RelativeOptions {
  readonly singleton: SingletonRule;
  /** Added to the standard deviation that differences are divided by; null = they are not divided. */
  readonly eps: number | null;
  /** [N] 1 = counts in the statistics of its group */
  readonly counted: Uint8Array;
}

/** Values of a group that are this near to one another, relative to the largest, are equal. */
const EQUAL = 1e-9;

/**
 * (x − μ_g)[/(σ_g + eps)], μ and σ (Bessel-corrected) over what counts of the group, given to all of it (GiGPO, Feng et
 * al. 2025, eq. 3 and 6). A group whose counted values are equal gives exactly 0, but for what was never counted.
 * values, groups [N] → [N].
 */
export function relativeToGroup(
  values: Float64Array,
  groups: GroupKeys,
  { singleton, eps, counted }: RelativeOptions,
): Float64Array {
  expectLength("relativeToGroup", "groups", values.length, groups.length);
  expectLength("relativeToGroup", "counted", values.length, counted.length);
  const members = new Map<number, number[]>();
  values.forEach((value, t) => {
    const there = members.get(groups[t]!) ?? [];
    members.set(groups[t]!, there);
    if (counted[t] === 1) there.push(value);
  });
  const moments = new Map<
    number,
    { readonly mean: number; readonly scale: number; readonly equal: number | null }
  >();
  for (const [group, there] of members) {
    const mean = there.reduce((sum, x) => sum + x, 0) / Math.max(1, there.length);
    const squares = there.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    const lone = there.length === 1;
    const std = lone ? 1 : Math.sqrt(squares / (there.length - 1));
    const [low, high] = [Math.min(...there), Math.max(...there)];
    const equal = !lone && high - low <= EQUAL * Math.max(Math.abs(low), Math.abs(high));
    moments.set(group, {
      mean: lone && singleton === "raw" ? 0 : mean,
      scale: eps === null ? 1 : 1 / (std + eps),
      equal: equal ? low : null,
    });
  }
  return values.map((value, t) => {
    const { mean, scale, equal } = moments.get(groups[t]!)!;
    return equal !== null && Math.abs(value - equal) <= EQUAL * Math.abs(equal) ? 0 : (value - mean) * scale;
  });
}
