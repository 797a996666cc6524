/** A learning curve as one self-contained SVG, legible on light and on dark pages. */
import { Axes, BOTTOM, LEFT, line, pixel, plotSvg, RIGHT, text, TOP, type Point } from "./plot.js";

export interface CurvePoint {
  readonly envSteps: number;
  /** NaN, or null as JSON has it, while no episode has ended: leaves a gap. */
  readonly meanReturn100: number | null;
}

export interface CurveOptions {
  readonly title: string;
  /** Mean return that counts as solved; drawn dashed. */
  readonly threshold?: number | null;
}

/** Points drawn at most: more than one a pixel shows nothing more. */
const MAX_POINTS = 600;
const LINE = "#3b82f6";
const GOAL = "#22a06b";

/** Stretches of finite points in order; where there are too many points, each stands for a few neighbours' mean. */
function stretches(points: readonly CurvePoint[]): Point[][] {
  const group = Math.max(1, Math.ceil(points.length / MAX_POINTS));
  const result: Point[][] = [];
  let open: Point[] | null = null;
  for (let i = 0; i < points.length; i += group) {
    const some: Point[] = [];
    for (const { envSteps, meanReturn100 } of points.slice(i, i + group)) {
      if (meanReturn100 !== null && Number.isFinite(meanReturn100) && Number.isFinite(envSteps)) {
        some.push({ x: envSteps, y: meanReturn100 });
      }
    }
    if (some.length === 0) {
      open = null;
      continue;
    }
    if (open === null) result.push((open = []));
    const y = some.reduce((sum, point) => sum + point.y, 0) / some.length;
    open.push({ x: some[some.length - 1]!.x, y });
  }
  return result;
}

function lastPoint(points: readonly CurvePoint[]): Point | null {
  for (let i = points.length - 1; i >= 0; i--) {
    const { envSteps, meanReturn100 } = points[i]!;
    if (meanReturn100 !== null && Number.isFinite(meanReturn100)) return { x: envSteps, y: meanReturn100 };
  }
  return null;
}

/** Four significant digits: 476.2, 0.734, 12,345. */
function valueText(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 4 }).replace("-", "−");
}

class Plot extends Axes {
  curve(points: readonly Point[]): string[] {
    const at = points.map(({ x, y }) => `${pixel(this.px(x))},${pixel(this.py(y))}`);
    const first = points[0]!;
    const last = points[points.length - 1]!;
    if (points.length === 1) return [this.dot(first)];
    const down = `${pixel(this.px(last.x))},${BOTTOM} ${pixel(this.px(first.x))},${BOTTOM}`;
    return [
      `<polygon points="${at.join(" ")} ${down}" fill="${LINE}" fill-opacity="0.1"/>`,
      `<polyline points="${at.join(" ")}" fill="none" stroke="${LINE}" stroke-width="2.25" stroke-linejoin="round" stroke-linecap="round"/>`,
    ];
  }

  dot({ x, y }: Point): string {
    return `<circle cx="${pixel(this.px(x))}" cy="${pixel(this.py(y))}" r="4" fill="${LINE}"/>`;
  }

  threshold(value: number): string[] {
    const y = this.py(value);
    return [
      line(LEFT, y, RIGHT, y, `stroke="${GOAL}" stroke-width="1.5" stroke-dasharray="6 5"`),
      text(LEFT + 8, y + 16 < BOTTOM ? y + 16 : y - 6, `solved at ${valueText(value)}`, `fill="${GOAL}"`),
    ];
  }
}

/** The SVG's text. Without any finite point it shows empty axes and says so. */
export function learningCurveSvg(points: readonly CurvePoint[], options: CurveOptions): string {
  const threshold = options.threshold ?? null;
  const parts = stretches(points);
  const plot = new Plot(parts.flat(), threshold);
  const last = lastPoint(points);
  const body = [...plot.marks()];
  if (threshold !== null) body.push(...plot.threshold(threshold));
  for (const part of parts) body.push(...plot.curve(part));
  if (last === null) {
    body.push(
      text((LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2 + 24, "no episode has ended yet", 'text-anchor="middle"'),
    );
  } else {
    const label = 'font-weight="600"';
    body.push(
      plot.dot(last),
      text(plot.px(last.x) + 10, plot.py(last.y) + 4, valueText(last.y), `fill="${LINE}" ${label}`),
    );
  }
  return plotSvg(options.title, "mean return of the last 100 episodes", body);
}
