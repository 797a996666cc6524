/**
 * Times several programs that do the same work, in turn: block of A, block of B, block of A … so that what the
 * machine does meanwhile falls on both. While one works, the others are idle.
 */
import { setTimeout as pause } from "node:timers/promises";

export interface Side {
  /** Numbers that its network is made of: both sides must have as many. */
  readonly parameters: number;
  /** Does the work `iterations` times; resolves with the seconds that took. */
  run(iterations: number): Promise<number>;
  close(): Promise<void>;
}

export interface Plan {
  /** Blocks of each side. */
  readonly repeats: number;
  /** Length of one block, about. */
  readonly blockSeconds: number;
}

/** Seconds for one iteration, over blocks. */
export interface Timing {
  readonly median: number;
  readonly best: number;
}

/** Threads of a runtime spin for a while after their last work; by then they sleep. */
const SETTLE_MS = 50;

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Warms a side up for at least a block, and finds how many iterations fill one; the quicker of two tries counts, so
 * that first calls and the machine's hiccups do not.
 */
async function warmUp(side: Side, { blockSeconds }: Plan): Promise<number> {
  let iterations = 1;
  for (;;) {
    const seconds = Math.min(await side.run(iterations), await side.run(iterations));
    if (seconds >= blockSeconds) return Math.max(1, Math.round((iterations * blockSeconds) / seconds));
    iterations *= 2;
  }
}

/** One timing for each side, in their order. */
export async function alternate(sides: readonly Side[], plan: Plan): Promise<Timing[]> {
  const iterations: number[] = [];
  for (const side of sides) iterations.push(await warmUp(side, plan));
  const seconds: number[][] = sides.map(() => []);
  for (let repeat = 0; repeat < plan.repeats; repeat++) {
    for (const [k, side] of sides.entries()) {
      await pause(SETTLE_MS);
      seconds[k]!.push((await side.run(iterations[k]!)) / iterations[k]!);
    }
  }
  return seconds.map((blocks) => ({ median: median(blocks), best: Math.min(...blocks) }));
}
