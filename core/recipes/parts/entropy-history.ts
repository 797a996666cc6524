/**
 * How random the policy was at each step of an episode in earlier batches (EPO). The mean of −log π of the actions that
 * were taken stands for the mean entropy, which it estimates without bias and which the record has.
 */
import { stepColumn, type Batch } from "../../slots/batch.js";
import type { Readings, Tracker } from "../../slots/recipe.js";

/** Of the episode's steps 0, 1, …; the last of `steps` also stands for all that follow. */
interface Sums {
  readonly counts: readonly number[];
  readonly sums: readonly number[];
}

interface EntropyHistory {
  readonly batches: number;
  readonly past: Sums;
  /** Of the newest batch, which is not its own past. */
  readonly newest: Sums;
}

const NOTHING: Sums = { counts: [], sums: [] };

/** The number of each step in its row. Rows of groups are whole episodes. [N] */
function episodeSteps({ offsets, mask }: Batch): Uint32Array {
  const numbers = new Uint32Array(mask.length);
  for (let row = 0; row + 1 < offsets.length; row++) {
    for (let t = offsets[row]!; t < offsets[row + 1]!; t++) numbers[t] = t - offsets[row]!;
  }
  return numbers;
}

function sumsOf(batch: Batch, steps: number): Sums {
  const logprobs = stepColumn(batch, "behaviorLogprobs");
  const counts: number[] = [];
  const sums: number[] = [];
  episodeSteps(batch).forEach((number, t) => {
    const at = Math.min(number, steps - 1);
    while (counts.length <= at) {
      counts.push(0);
      sums.push(0);
    }
    if (batch.mask[t] === 0) return;
    counts[at]!++;
    sums[at]! -= logprobs[t]!;
  });
  return { counts, sums };
}

function together(a: Sums, b: Sums): Sums {
  const length = Math.max(a.counts.length, b.counts.length);
  const add = (x: readonly number[], y: readonly number[]): number[] =>
    Array.from({ length }, (_, k) => (x[k] ?? 0) + (y[k] ?? 0));
  return { counts: add(a.counts, b.counts), sums: add(a.sums, b.sums) };
}

/**
 * Shows, for each step that came in the batches before the newest one, `step<n>`: its mean entropy in them, nats; and what
 * `also` makes of the number of those batches.
 */
export function entropyHistoryTracker(
  steps: number,
  also: (batches: number) => Readonly<Record<string, number>>,
): Tracker<EntropyHistory> {
  return {
    initial: { batches: 0, past: NOTHING, newest: NOTHING },
    observe: ({ batches, past, newest }, batch) => ({
      batches: batches + 1,
      past: together(past, newest),
      newest: sumsOf(batch, steps),
    }),
    read: ({ batches, past: { counts, sums } }) => ({
      ...also(Math.max(0, batches - 1)),
      ...Object.fromEntries(
        counts.flatMap((count, k) => (count === 0 ? [] : [[`step${k}`, sums[k]! / count]])),
      ),
    }),
  };
}

/** [N] the mean entropy at each step in earlier batches, as `tracker` shows it; NaN where there was none. */
export function pastEntropies(
  batch: Batch,
  readings: Readings,
  tracker: string,
  steps: number,
): Float64Array {
  return Float64Array.from(
    episodeSteps(batch),
    (number) => readings[tracker]?.[`step${Math.min(number, steps - 1)}`] ?? NaN,
  );
}
