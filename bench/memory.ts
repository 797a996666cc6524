/** Resident memory of this process over many iterations: it must not grow. */
import { median } from "./alternate.js";

/** MiB */
export interface MemoryCurve {
  readonly start: number;
  readonly middle: number;
  readonly end: number;
}

/** Samples are taken this often over the iterations; each point of the curve is the median of a tenth of them. */
const SAMPLES = 100;

/** Warms up with a tenth of the iterations before the curve starts. */
export async function residentMemory(iterations: number, once: () => Promise<void>): Promise<MemoryCurve> {
  for (let i = 0; i < iterations / 10; i++) await once();
  const samples: number[] = [];
  for (let i = 1; i <= iterations; i++) {
    await once();
    if (i * SAMPLES >= (samples.length + 1) * iterations) samples.push(process.memoryUsage.rss() / 2 ** 20);
  }
  const tenth = Math.ceil(samples.length / 10);
  const middle = (samples.length - tenth) >> 1;
  return {
    start: median(samples.slice(0, tenth)),
    middle: median(samples.slice(middle, middle + tenth)),
    end: median(samples.slice(-tenth)),
  };
}
