/** Axes, texts and lines of plots as SVG, legible on light and on dark pages. */
import { tickLabels, ticksCovering, ticksWithin } from "./ticks.js";

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Range {
  readonly low: number;
  readonly high: number;
}

export const WIDTH = 720;
export const HEIGHT = 380;
/** The plot's edges, pixels. */
export const LEFT = 68;
export const RIGHT = 656;
export const TOP = 56;
export const BOTTOM = 320;
/** Mid-tones with contrast on white and on near-black alike. */
const INK = "#737c87";
const GRID = "#8b949e";

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

export function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${pixel(x1)}" y1="${pixel(y1)}" x2="${pixel(x2)}" y2="${pixel(y2)}" ${attributes}/>`;
}

export class Axes {
  readonly xTicks: readonly number[];
  readonly yTicks: readonly number[];
  private readonly x: Range;
  private readonly y: Range;

  /** Around `points` and, where there is one, the value `threshold`. */
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

  marks(): string[] {
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
}

/** The whole SVG: `body` under a title and, smaller, what the heights are. */
export function plotSvg(title: string, subtitle: string, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img"`,
    `  font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escapeXml(title)}</title>`,
    text(LEFT, 24, title.length > 72 ? `${title.slice(0, 71)}…` : title, 'font-size="15" font-weight="600"'),
    text(LEFT, 42, subtitle),
    ...body,
    "</svg>",
    "",
  ].join("\n");
}
