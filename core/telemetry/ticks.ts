/** Where axes carry marks, and what is written beside them. */

/** The step among 1, 2, 2.5 and 5 times a power of ten that cuts `span` > 0 into about `count` parts. */
export function niceStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  const nice = lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 2.5 ? 2.5 : lead <= 5 ? 5 : 10;
  return nice * power;
}

function multiples(first: number, last: number, step: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => {
    // Through text, so that 3 × 0.1 is 0.3; adding 0 makes −0 into 0.
    return Number(((first + i) * step).toPrecision(12)) + 0;
  });
}

/** A range of some height around `low` … `high`, which may be one value. */
function widened(low: number, high: number): [number, number] {
  if (high > low) return [low, high];
  const margin = Math.max(Math.abs(low) * 0.1, 0.5);
  return [low - margin, high + margin];
}

/** Marks of which the first is at or below `low` and the last at or above `high`; at least two. */
export function ticksCovering(low: number, high: number, count: number): number[] {
  const [a, b] = widened(low, high);
  const step = niceStep(b - a, count);
  const slack = 1e-9;
  return multiples(Math.floor(a / step + slack), Math.ceil(b / step - slack), step);
}

/** Marks that lie inside `low` … `high`. */
export function ticksWithin(low: number, high: number, count: number): number[] {
  const [a, b] = widened(low, high);
  const step = niceStep(b - a, count);
  const slack = 1e-9;
  return multiples(Math.ceil(a / step - slack), Math.floor(b / step + slack), step);
}

const SCALES: readonly (readonly [from: number, unit: number, suffix: string])[] = [
  [1e9, 1e9, "B"],
  [1e6, 1e6, "M"],
  [1e4, 1e3, "k"],
];

/** Short labels in one common scale: 0, 50k, 100k; 0, 0.5M, 1M; −0.25, 0, 0.25. */
export function tickLabels(ticks: readonly number[]): string[] {
  const largest = Math.max(0, ...ticks.map(Math.abs));
  const [, unit, suffix] = SCALES.find(([from]) => largest >= from) ?? [0, 1, ""];
  return ticks.map((tick) => {
    const scaled = Number((tick / unit).toPrecision(10));
    return scaled === 0 ? "0" : `${String(scaled).replace("-", "−")}${suffix}`;
  });
}
