/** What Gymnasium 1.3.0 did: the whole record where the shared folder is there, a small copy of it always. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** [probability, next state, reward, terminated], as Gymnasium's `P` tables hold it. */
export type GoldenOutcome = readonly [number, number, number, boolean];

export interface GoldenTable {
  /** state → action → what can happen */
  readonly P: Readonly<Record<string, Readonly<Record<string, readonly GoldenOutcome[]>>>>;
  /** state → probability to start there; the sample leaves states out */
  readonly isd: Readonly<Record<string, number>> | readonly number[];
}

export interface GoldenStep {
  readonly s: readonly number[];
  readonly a: number | readonly [number];
  readonly ns: readonly number[];
  readonly obs: readonly number[];
  readonly r: number;
  readonly term: boolean;
}

/** A bound of a box is written "inf" or "-inf" where JSON has no number for it. */
export interface GoldenSpace {
  readonly kind: string;
  readonly n?: number;
  readonly sizes?: readonly number[];
  readonly shape?: readonly number[];
  readonly low?: readonly (number | string)[];
  readonly high?: readonly (number | string)[];
}

export interface GoldenSpec {
  readonly maxEpisodeSteps: number | null;
  readonly rewardThreshold: number | null;
  readonly observationSpace: GoldenSpace;
  readonly actionSpace: GoldenSpace;
}

/** [player's cards, dealer's cards, natural, sab, observation, reward of standing]; the dealer draws no card. */
export type GoldenStand = readonly [number[], number[], boolean, boolean, number[], number];

export interface Sample {
  readonly specs: Readonly<Record<string, GoldenSpec>>;
  readonly classic: Readonly<Record<string, readonly GoldenStep[]>>;
  readonly tables: Readonly<Record<string, GoldenTable>>;
  readonly blackjack: readonly GoldenStand[];
}

function read(relative: string): unknown {
  const path = fileURLToPath(new URL(relative, import.meta.url));
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : null;
}

export const sample = read("../data/gymnasium-sample.json") as Sample;

const whole = read("../../../shared/goldens/gymnasium-1.3.0.json") as Record<string, unknown> | null;

/** The sample, and the whole record unless it is missing: [name, transitions or table of an id]. */
export function goldens<T>(part: "classic" | "tables", id: string): readonly (readonly [string, T])[] {
  const small = ["the sample", sample[part][id] as T] as const;
  if (whole !== null) return [small, ["the whole record", whole[id] as T]];
  console.log(`skipped: ${id} against the whole record, ../shared/goldens/gymnasium-1.3.0.json is not there`);
  return [small];
}
