/** A training batch: rollouts side by side, in float64 columns that recipes read and add to. */
import { splitAnchorTexts } from "../anchor-texts.js";
import type { EngineInputs } from "../engine/engine.js";
import { SkeinError } from "../errors.js";
import type { Rollout, RolloutColumns } from "../types.js";
import { rowCount, stepCount } from "../types.js";

export type ColumnSet = Readonly<Record<string, Float64Array>>;

export type StepInputs = Required<Pick<EngineInputs, "steps" | "observations" | "actions" | "actionMasks">> &
  Pick<EngineInputs, "postObservations">;

/**
 * N steps in R ragged rows. Always present: step columns `rewards`, `behaviorLogprobs` (of the policy that acted),
 * `oldLogprobs` (those that ratios are taken to: the same, unless a derive says otherwise), `versions` (of the policy
 * that acted), `policyLags` (how many versions older that is than the weights at hand); row columns `trajectory` (same
 * number = same trajectory in the whole fleet), `group` (same number = same task and initial state), `member`, `task`
 * (same number = same task), `score` (sum of the row's rewards), `truncated`. Beside them whatever actors emitted: step
 * extras and row counters that all rollouts have.
 */
export interface Batch {
  /** [R+1] */
  readonly offsets: Uint32Array;
  /** [N] 1 = chosen by the policy */
  readonly mask: Uint8Array;
  /** [R] */
  readonly terminated: Uint8Array;
  /** What was seen, done and allowed at each of the N steps. */
  readonly inputs: StepInputs;
  /** [R·S] the network's memory before each row; [0] where it has none */
  readonly initialStates: Float32Array;
  /** [R·O] */
  readonly finalObservations: Float32Array;
  /** What the environment calls the states of the steps; the step column `anchor`, where there is one, points here. */
  readonly anchorTexts?: readonly string[];
  /** [N] each */
  readonly step: ColumnSet;
  /** [R] each */
  readonly row: ColumnSet;
}

function concat<T extends Float32Array | Int32Array | Uint8Array | Float64Array>(
  make: (length: number) => T,
  parts: readonly ArrayLike<number>[],
): T {
  const out = make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const WIDTHS = ["observationWidth", "actionWidth", "actionMaskWidth", "stateWidth"] as const;

const TRAJECTORIES_PER_SEAT = 2 ** 32;

/**
 * Joins rollouts in the order given. They must come from one environment. `version`: of the weights that are to train
 * on them.
 */
export function assembleBatch(rollouts: readonly Rollout[], version = 0): Batch {
  const columns = rollouts.map((rollout) => rollout.columns);
  const first = columns[0];
  if (first === undefined)
    throw new SkeinError("INTERNAL", "assembleBatch: expected at least one rollout, got none");
  for (const c of columns) {
    for (const width of WIDTHS) {
      if (c[width] !== first[width]) {
        throw new SkeinError(
          "SHAPE",
          `assembleBatch: expected ${width} ${first[width]}, got ${c[width]}; ` +
            "do all actors run the same environment and model?",
        );
      }
    }
  }
  const f32 = (n: number): Float32Array => new Float32Array(n);
  const f64 = (n: number): Float64Array => new Float64Array(n);
  const u8 = (n: number): Uint8Array => new Uint8Array(n);
  const all = (pick: (c: RolloutColumns) => ArrayLike<number>): ArrayLike<number>[] => columns.map(pick);
  const steps = columns.reduce((sum, c) => sum + stepCount(c), 0);
  const offsets = new Uint32Array(columns.reduce((sum, c) => sum + rowCount(c), 0) + 1);
  let row = 0;
  let step = 0;
  for (const c of columns) {
    for (let i = 0; i < rowCount(c); i++) offsets[++row] = step + c.offsets[i + 1]!;
    step += stepCount(c);
  }
  const anchors = anchorsOf(columns);
  const integerActions = first.actions instanceof Int32Array;
  const behaviorLogprobs = concat(
    f64,
    all((c) => c.behaviorLogprobs),
  );
  const versions = concat(f64, columns.map(versionsOf));
  const ofRows = (value: (rollout: Rollout) => number): Float64Array =>
    concat(
      f64,
      rollouts.map((rollout) => new Array<number>(rowCount(rollout.columns)).fill(value(rollout))),
    );
  return {
    offsets,
    mask: concat(
      u8,
      all((c) => c.mask),
    ),
    terminated: concat(
      u8,
      all((c) => c.terminated),
    ),
    inputs: {
      steps,
      observations: concat(
        f32,
        all((c) => c.observations),
      ),
      ...(columns.every((c) => c.postObservations.length > 0)
        ? {
            postObservations: concat(
              f32,
              all((c) => c.postObservations),
            ),
          }
        : {}),
      actions: concat<Float32Array | Int32Array>(
        integerActions ? (n) => new Int32Array(n) : f32,
        all((c) => c.actions),
      ),
      actionMasks:
        first.actionMaskWidth === 0
          ? null
          : concat(
              u8,
              all((c) => c.actionMasks),
            ),
    },
    initialStates: concat(
      f32,
      all((c) => c.initialStates),
    ),
    finalObservations: concat(
      f32,
      all((c) => c.finalObservations),
    ),
    ...(anchors === null ? {} : { anchorTexts: anchors.texts }),
    step: {
      ...extras(columns.map(({ stepExtras }) => stepExtras)),
      ...(anchors === null ? {} : { anchor: anchors.indices }),
      rewards: concat(
        f64,
        all((c) => c.rewards),
      ),
      behaviorLogprobs,
      oldLogprobs: behaviorLogprobs,
      versions,
      policyLags: versions.map((ofStep) => version - ofStep),
    },
    row: {
      ...extras(columns.map(({ rowCounters }) => rowCounters)),
      truncated: concat(
        f64,
        all((c) => c.truncated),
      ),
      group: ofRows(({ group }) => group),
      member: ofRows(({ member }) => member),
      task: ofRows(({ task }) => numberOf(task)),
      score: concat(f64, columns.map(scoresOf)),
      trajectory: concat(
        f64,
        rollouts.map(({ seat, columns: c }) =>
          Array.from(c.trajectoryIds, (id) => seat * TRAJECTORIES_PER_SEAT + id),
        ),
      ),
    },
  };
}

/** Columns by name, of those names that all rollouts have. */
function extras(columns: readonly Readonly<Record<string, Float32Array>>[]): Record<string, Float64Array> {
  const names = Object.keys(columns[0] ?? {}).filter((name) => columns.every((c) => c[name] !== undefined));
  return Object.fromEntries(
    names.map((name) => [
      name,
      concat(
        (n) => new Float64Array(n),
        columns.map((c) => c[name]!),
      ),
    ]),
  );
}

/** All rollouts' names of states as one table, and each step's place in it; null where steps go without. */
function anchorsOf(
  columns: readonly RolloutColumns[],
): { readonly texts: readonly string[]; readonly indices: Float64Array } | null {
  if (columns.some((c) => c.anchorIndices.length === 0)) return null;
  const places = new Map<string, number>();
  const indices = columns.flatMap(({ anchorTexts, anchorIndices }) => {
    const own = splitAnchorTexts(anchorTexts).map((text) => {
      const place = places.get(text) ?? places.size;
      places.set(text, place);
      return place;
    });
    return Array.from(anchorIndices, (index) => own[index]!);
  });
  return { texts: [...places.keys()], indices: Float64Array.from(indices) };
}

function versionsOf({ versionRunLengths, versionRunValues, behaviorLogprobs }: RolloutColumns): Float64Array {
  const versions = new Float64Array(behaviorLogprobs.length);
  let at = 0;
  versionRunLengths.forEach((length, k) => {
    versions.fill(versionRunValues[k]!, at, at + length);
    at += length;
  });
  return versions;
}

/** A number that is the same for the same text, in every process (FNV-1a, 32 bits). */
function numberOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Σ rewards of each row, one rollout after the other. */
function scoresOf({ offsets, rewards }: RolloutColumns): number[] {
  return Array.from({ length: offsets.length - 1 }, (_, row) =>
    rewards.subarray(offsets[row], offsets[row + 1]).reduce((sum, reward) => sum + reward, 0),
  );
}

export function withColumns(
  batch: Batch,
  added: { readonly step?: ColumnSet; readonly row?: ColumnSet },
): Batch {
  return { ...batch, step: { ...batch.step, ...added.step }, row: { ...batch.row, ...added.row } };
}

/** A row column, or RECIPE_INVALID naming what is missing. */
export function rowColumn(batch: Batch, name: string): Float64Array {
  return present(batch.row, "row", name);
}

/** A step column, or RECIPE_INVALID naming what is missing. */
export function stepColumn(batch: Batch, name: string): Float64Array {
  return present(batch.step, "step", name);
}

/** [N] the batch's mask, and 0 where the step column named is 0. */
export function selectedMask(batch: Batch, select: string | undefined): Uint8Array {
  if (select === undefined) return batch.mask;
  const selected = stepColumn(batch, select);
  return batch.mask.map((m, t) => (selected[t] === 0 ? 0 : m));
}

/** One of the live columns that a derive lists, or RECIPE_INVALID naming what is missing. */
export function liveColumn(live: ColumnSet, name: string): Float64Array {
  return present(live, "live", name);
}

function present(columns: ColumnSet, kind: "row" | "step" | "live", name: string): Float64Array {
  const column = columns[name];
  if (column === undefined) {
    const there = Object.keys(columns).join(", ") || "none";
    throw new SkeinError("RECIPE_INVALID", `recipe: needs the ${kind} column "${name}"; present: ${there}`);
  }
  return column;
}
