/** A learning curve as one self-contained SVG, legible on light and on dark pages. */
import { tickLabels, ticksCovering, ticksWithin } from "./ticks.js";

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

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
}

const WIDTH = 720;
const HEIGHT = 380;
/** The plot's edges, pixels. */
const LEFT = 68;
const RIGHT = 656;
const TOP = 56;
const BOTTOM = 320;
/** Points drawn at most: more than one a pixel shows nothing more. */
const MAX_POINTS = 600;
/** Mid-tones with contrast on white and on near-black alike. */
const INK = "#737c87";
const GRID = "#8b949e";
const LINE = "#3b82f6";
const GOAL = "#22a06b";

function escapeXml(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
  };
  // Control characters are not allowed in XML, not even as entities.
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f]/g, " ").replace(/[&<>"']/g, (c) => entities[c] ?? c);
}

function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}

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

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${pixel(x1)}" y1="${pixel(y1)}" x2="${pixel(x2)}" y2="${pixel(y2)}" ${attributes}/>`;
}

class Plot {
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  private readonly x: Range;
  private readonly y: Range;

  constructor(points: readonly Point[], threshold: number | null) {
    const xs = points.map((point) => point.x);
    const ys = points.map((point) => point.y);
    if (ys.length === 0) ys.push(0, threshold ?? 1);
    if (threshold !== null) ys.push(threshold);
    const low = Math.min(...xs);
    const high = Math.max(1, ...xs);
    // Runs begin at step 0; one that resumed far from there is shown from where it resumed.
    const resumed = xs.length > 1 && low > 0.5 * high && low < high;
    this.x = { low: resumed ? low : 0, high };
    this.yTicks = ticksCovering(Math.min(...ys), Math.max(...ys), 5);
    this.y = { low: this.yTicks[0]!, high: this.yTicks[this.yTicks.length - 1]! };
    this.xTicks = xs.length === 0 ? [] : ticksWithin(this.x.low, this.x.high, 6).filter(Number.isInteger);
  }

  px(x: number): number {
    return LEFT + ((x - this.x.low) / (this.x.high - this.x.low)) * (RIGHT - LEFT);
  }

  py(y: number): number {
    return BOTTOM - ((y - this.y.low) / (this.y.high - this.y.low)) * (BOTTOM - TOP);
  }

  axes(): string[] {
    const parts: string[] = [];
    const yLabels = tickLabels(this.yTicks);
    this.yTicks.forEach((tick, i) => {
      const y = this.py(tick);
      parts.push(line(LEFT, y, RIGHT, y, `stroke="${GRID}" stroke-opacity="${i === 0 ? "0.9" : "0.25"}"`));
      parts.push(text(LEFT - 10, y + 4, yLabels[i]!, 'text-anchor="end"'));
    });
    const xLabels = tickLabels(this.xTicks);
    this.xTicks.forEach((tick, i) => {
      const x = this.px(tick);
      parts.push(line(x, BOTTOM, x, BOTTOM + 5, `stroke="${GRID}" stroke-opacity="0.9"`));
      parts.push(text(x, BOTTOM + 20, xLabels[i]!, 'text-anchor="middle"'));
    });
    parts.push(text((LEFT + RIGHT) / 2, HEIGHT - 16, "environment steps", 'text-anchor="middle"'));
    return parts;
  }

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
  const body = [...plot.axes()];
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
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img"`,
    `  font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escapeXml(options.title)}</title>`,
    text(
      LEFT,
      24,
      options.title.length > 72 ? `${options.title.slice(0, 71)}…` : options.title,
      'font-size="15" font-weight="600"',
    ),
    text(LEFT, 42, "mean return of the last 100 episodes"),
    ...body,
    "</svg>",
    "",
  ].join("\n");
}
