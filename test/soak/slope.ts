/** How fast a noisy quantity grows, with an interval that does not pretend to know more than it can. */

export interface Sample {
  /** Seconds */
  readonly at: number;
  readonly value: number;
}

/** Per second. */
export interface Slope {
  readonly slope: number;
  /** 95 % confidence interval. */
  readonly low: number;
  readonly high: number;
}

/** Blocks that the samples are joined into. Memory a second apart is nearly the same memory; blocks are less so. */
const BLOCKS = 20;
/** 97.5 % quantile of Student's t with BLOCKS − 2 = 18 degrees of freedom. */
const T_QUANTILE = 2.101;

const mean = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0) / numbers.length;

/** Least squares over the means of 20 blocks of samples; null where there are too few for that. */
export function slopeOf(samples: readonly Sample[]): Slope | null {
  if (samples.length < 2 * BLOCKS) return null;
  const blocks = Array.from({ length: BLOCKS }, (_, k) => {
    const block = samples.slice(
      Math.floor((k * samples.length) / BLOCKS),
      Math.floor(((k + 1) * samples.length) / BLOCKS),
    );
    return { at: mean(block.map(({ at }) => at)), value: mean(block.map(({ value }) => value)) };
  });
  const centre = mean(blocks.map(({ at }) => at));
  const level = mean(blocks.map(({ value }) => value));
  const spread = blocks.reduce((sum, { at }) => sum + (at - centre) ** 2, 0);
  const slope = blocks.reduce((sum, { at, value }) => sum + (at - centre) * (value - level), 0) / spread;
  const residual = blocks.reduce(
    (sum, { at, value }) => sum + (value - level - slope * (at - centre)) ** 2,
    0,
  );
  const margin = T_QUANTILE * Math.sqrt(residual / (BLOCKS - 2) / spread);
  return { slope, low: slope - margin, high: slope + margin };
}
