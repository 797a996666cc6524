/** Learning curves of several arms: means over seeds and the 95 % intervals of the means. */
import { Axes, LEFT, line, pixel, plotSvg, text, TOP, type Point } from "../../core/telemetry/plot.js";
import { interval } from "./statistics.js";

/** Mid-tones that stay apart for most kinds of colour vision, on white and on near-black. */
const COLORS = ["#3b82f6", "#e0782f", "#22a06b", "#a855f7", "#d1467f", "#8a7a3d"];
/** Of the lines of each next round of colours. */
const DASHES = ["", "7 3", "2 3"];
const POINTS = 60;

export interface ArmCurves {
  readonly name: string;
  /** Seed by seed, each in order of x. */
  readonly curves: readonly (readonly Point[])[];
}

/** The last value at or before x; NaN before the first. */
function at(curve: readonly Point[], x: number): number {
  let value = Number.NaN;
  for (const point of curve) {
    if (point.x > x) break;
    value = point.y;
  }
  return value;
}

interface Band {
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

function bandsOf(curves: ArmCurves["curves"], end: number): Band[] {
  return Array.from({ length: POINTS }, (_, k) => ((k + 1) / POINTS) * end).flatMap((x) => {
    const values = curves.map((curve) => at(curve, x)).filter(Number.isFinite);
    if (values.length < curves.length) return [];
    const { mean, margin } = interval(values);
    const spread = Number.isNaN(margin) ? 0 : margin;
    return [{ x, mean, low: mean - spread, high: mean + spread }];
  });
}

export function studySvg(title: string, subtitle: string, arms: readonly ArmCurves[]): string {
  const ends = arms.flatMap(({ curves }) => curves.map((curve) => curve[curve.length - 1]?.x ?? 0));
  const end = Math.min(...ends);
  const bands = arms.map(({ curves }) => bandsOf(curves, end));
  const axes = new Axes(
    bands.flat().flatMap(({ x, low, high }) => [
      { x, y: low },
      { x, y: high },
    ]),
    null,
  );
  const place = (x: number, y: number): string => `${pixel(axes.px(x))},${pixel(axes.py(y))}`;
  const body = arms.flatMap(({ name }, k) => {
    const color = COLORS[k % COLORS.length]!;
    const band = bands[k]!;
    const dash = DASHES[Math.floor(k / COLORS.length) % DASHES.length]!;
    const dashed = dash === "" ? "" : ` stroke-dasharray="${dash}"`;
    const outline = [
      ...band.map(({ x, high }) => place(x, high)),
      ...band.map(({ x, low }) => place(x, low)).reverse(),
    ];
    const y = TOP + 8 + 16 * k;
    return [
      `<polygon points="${outline.join(" ")}" fill="${color}" fill-opacity="0.18"/>`,
      `<polyline points="${band.map(({ x, mean }) => place(x, mean)).join(" ")}" fill="none" stroke="${color}" stroke-width="2.25" stroke-linejoin="round"${dashed}/>`,
      line(LEFT + 12, y, LEFT + 34, y, `stroke="${color}" stroke-width="3"${dashed}`),
      text(LEFT + 42, y + 4, name, `fill="${color}" font-weight="600"`),
    ];
  });
  return plotSvg(title, subtitle, [...axes.marks(), ...body]);
}
