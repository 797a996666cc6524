/** The live view's picture: pure functions from what is known to lines that fit the terminal. */
import type { NoticeEvent, ProgressEvent } from "../../core/progress.js";
import { curveSection } from "./curve-section.js";
import { formatCount, formatDuration, formatEta, formatPercent, formatRate, formatValue } from "./format.js";
import { noticeText } from "./notice.js";
import type { ViewState } from "./state.js";
import {
  fit,
  flow,
  lineWidth,
  paint,
  sanitise,
  span,
  wrap,
  type Line,
  type Span,
  type Style,
} from "./text.js";
import { verdict } from "./verdict.js";

export interface FrameOptions {
  /** Lines there are room for; Infinity by default. */
  readonly rows?: number;
  readonly color?: boolean;
}

/** How much is shown; the first that fits is taken. */
interface Density {
  /** Rows of the chart; 0 = no curve. */
  readonly curve: number;
  readonly notices: number;
  /** Lines of each notice. */
  readonly noticeLines: number;
  readonly gaps: boolean;
  readonly services: boolean;
  /** false = of each row only the first line, the most important pieces. */
  readonly wrapped: boolean;
}

const DENSITIES: readonly Density[] = [
  { curve: 8, notices: 3, noticeLines: 20, gaps: true, services: true, wrapped: true },
  { curve: 8, notices: 3, noticeLines: 3, gaps: true, services: false, wrapped: true },
  { curve: 8, notices: 2, noticeLines: 2, gaps: false, services: false, wrapped: true },
  { curve: 6, notices: 2, noticeLines: 2, gaps: false, services: false, wrapped: true },
  { curve: 6, notices: 1, noticeLines: 1, gaps: false, services: false, wrapped: true },
  { curve: 4, notices: 1, noticeLines: 1, gaps: false, services: false, wrapped: true },
  { curve: 6, notices: 1, noticeLines: 2, gaps: false, services: false, wrapped: false },
  { curve: 4, notices: 1, noticeLines: 1, gaps: false, services: false, wrapped: false },
  { curve: 3, notices: 1, noticeLines: 1, gaps: false, services: false, wrapped: false },
  { curve: 0, notices: 1, noticeLines: 1, gaps: false, services: false, wrapped: false },
];

/** Wider than this, lines are hard to follow. */
const MAX_COLUMNS = 100;
const NOTICE_STYLE: Record<NoticeEvent["level"], Style> = { info: "plain", warn: "warn", error: "bad" };

/** Stats by the names people use, in the order they are read. */
const STAT_LABELS: readonly (readonly [key: string, label: string])[] = [
  ["loss", "total"],
  ["policyLoss", "policy"],
  ["valueLoss", "value"],
  ["entropy", "entropy"],
  ["klK3", "KL"],
  ["clipFraction", "clip"],
];
const MAX_STATS = 6;

function titleSection({ header, latest, finished }: ViewState, columns: number, wrapped: boolean): Line[] {
  const name = [span("skein ", "dim"), span(sanitise(header.runName), "strong")];
  const status = finished
    ? `${finished.reason} · ${formatDuration(finished.wallSeconds)}`
    : latest
      ? `running · ${formatDuration(latest.wallSeconds)}`
      : "starting";
  const gap = columns - lineWidth(name) - status.length;
  const title =
    gap >= 2 ? [[...name, span(" ".repeat(gap)), span(status, "dim")]] : [name, [span(status, "dim")]];
  const facts = [header.environment, header.recipe, header.engine, `seed ${header.seed}`, header.runFolder];
  const pieces = facts.map((fact) => fit([span(sanitise(fact))], columns));
  const lines = flow(pieces, columns, " · ");
  return [...title, ...(wrapped ? lines : lines.slice(0, 1))];
}

function progressBar({ header, finished }: ViewState, latest: ProgressEvent, columns: number): Line[] {
  const share = Math.min(1, latest.envSteps / header.stopEnvSteps);
  const note = `${formatPercent(share)}${finished ? "" : ` · ETA ${formatEta(latest.etaSeconds)}`}`;
  const width = columns - note.length - 2;
  if (width < 4) return [[span(note)]];
  const half = Math.floor(share * width * 2);
  const full = "━".repeat(half >> 1) + (half % 2 === 1 ? "╸" : "");
  return [[span(full, "curve"), span("─".repeat(width - full.length), "dim"), span(`  ${note}`)]];
}

function statPieces(stats: ProgressEvent["stats"]): Line[] {
  const piece = (key: string, label: string): Line => {
    const value = stats[key] ?? Number.NaN;
    const text =
      key.endsWith("Fraction") && Number.isFinite(value)
        ? `${(value * 100).toFixed(1)} %`
        : formatValue(value);
    return [span(`${label} `, "dim"), span(text)];
  };
  const known = STAT_LABELS.filter(([key]) => key in stats);
  const named = known.length > 0 ? known : Object.keys(stats).map((key) => [key, sanitise(key)] as const);
  return named.slice(0, MAX_STATS).map(([key, label]) => piece(key, label));
}

function numberRows({ header, best }: ViewState, latest: ProgressEvent): [label: string, pieces: Line[]][] {
  const value = (text: string, unit = ""): Line =>
    unit === "" ? [span(text)] : [span(text), span(unit, "dim")];
  const named = (name: string, text: string): Line => [span(`${name} `, "dim"), span(text)];
  const goal = header.stopMeanReturn === null ? [] : [named("goal", formatValue(header.stopMeanReturn))];
  const rows: [string, Line[]][] = [
    [
      "mean return",
      [[span(formatValue(latest.meanReturn100), "strong")], named("best", formatValue(best)), ...goal],
    ],
    [
      "env steps",
      [
        value(formatCount(latest.envSteps), ` of ${formatCount(header.stopEnvSteps)}`),
        value(formatRate(latest.envStepsPerSecond), "/s"),
      ],
    ],
    ["updates", [value(formatCount(latest.updates)), value(formatRate(latest.updatesPerSecond), "/s")]],
    [
      "policy",
      [
        named("version", formatCount(latest.policyVersion)),
        named("lag mean", formatRate(latest.policyLagMean)),
        named("max", formatCount(latest.policyLagMax)),
      ],
    ],
    ["actors", [value(formatCount(latest.actors))]],
  ];
  const stats = statPieces(latest.stats);
  if (stats.length > 0) rows.push(["loss", stats]);
  return rows;
}

function numberSection(state: ViewState, latest: ProgressEvent, columns: number, wrapped: boolean): Line[] {
  const labelWidth = columns >= 24 ? 13 : 0;
  return numberRows(state, latest).flatMap(([label, pieces]) => {
    const lines = flow(pieces, columns - labelWidth, "  ").slice(0, wrapped ? pieces.length : 1);
    if (labelWidth === 0) return [[span(label, "dim")], ...lines];
    return lines.map((line, i) => [span((i === 0 ? label : "").padEnd(labelWidth), "dim"), ...line]);
  });
}

function noticeSection(
  notices: readonly NoticeEvent[],
  columns: number,
  most: number,
  linesEach: number,
): Line[] {
  const mark: Span = span("• ", "dim");
  return notices.slice(-most).flatMap((notice) => {
    const style = NOTICE_STYLE[notice.level];
    const lines = wrap(noticeText(notice), Math.max(2, columns - 2));
    const cut = lines.length > linesEach;
    return lines.slice(0, linesEach).map((text, i): Line => {
      const last = cut && i === linesEach - 1;
      return [
        i === 0 ? mark : span("  "),
        ...fit([span(last ? `${text} …` : text, style)], Math.max(1, columns - 2)),
      ];
    });
  });
}

function serviceSection({ services }: ViewState, columns: number): Line[] {
  return services
    .filter(({ http }) => http !== "")
    .flatMap(({ role, http }) => wrap(`${role} metrics ${sanitise(http)}/metrics`, columns))
    .map((text) => [span(text, "dim")]);
}

/** How it ended, in as many lines as it needs. */
function verdictSection({ finished, latest }: ViewState, columns: number): Line[] {
  if (finished === null) return [];
  const { text, style } = verdict(finished, latest?.episodes ?? null);
  return wrap(text, columns).map((line) => [span(line, style)]);
}

function layout(state: ViewState, columns: number, density: Density): Line[] {
  const { latest } = state;
  const sections: Line[][] = [titleSection(state, columns, density.wrapped)];
  if (latest === null) {
    if (state.finished === null)
      sections.push(wrap("waiting for the first batch …", columns).map((text) => [span(text, "dim")]));
  } else {
    if (density.curve > 0) sections.push(curveSection(state, columns, density.curve));
    sections.push([
      ...progressBar(state, latest, columns),
      ...numberSection(state, latest, columns, density.wrapped),
    ]);
  }
  if (density.services && state.finished === null) sections.push(serviceSection(state, columns));
  sections.push(noticeSection(state.notices, columns, density.notices, density.noticeLines));
  sections.push(verdictSection(state, columns));
  const filled = sections.filter((section) => section.length > 0);
  return filled.flatMap((section, i) => (density.gaps && i > 0 ? [[], ...section] : section));
}

/** The whole picture: no line is wider than `columns`, and there are no more lines than `rows`. */
export function frameLines(state: ViewState, columns: number, rows: number): Line[] {
  const width = Math.max(1, Math.min(columns, MAX_COLUMNS));
  let lines: Line[] = [];
  for (const density of DENSITIES) {
    lines = layout(state, Math.max(2, width), density);
    if (lines.length <= rows) break;
  }
  return lines.slice(0, Math.max(0, rows)).map((line) => fit(line, width));
}

/** `frameLines` as text, ready to be written. */
export function renderFrame(state: ViewState, columns: number, options: FrameOptions = {}): string[] {
  const { rows = Number.POSITIVE_INFINITY, color = false } = options;
  return frameLines(state, columns, rows).map((line) => paint(line, color));
}
