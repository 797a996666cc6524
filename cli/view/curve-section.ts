/** The return curve of the live view: chart, axes and labels. */
import { tickLabels, ticksCovering } from "../../core/telemetry/ticks.js";
import { brailleChart, dotRow, type Window } from "./braille.js";
import { formatCount } from "./format.js";
import type { ViewState } from "./state.js";
import { fit, span, widthOf, type Line, type Span, type Style } from "./text.js";

/** Narrower than this a chart shows nothing. */
const MIN_WIDTH = 8;
const EMPTY = "\u2800";

function styled(cells: readonly (readonly [text: string, style: Style])[]): Span[] {
  const spans: Span[] = [];
  for (const [text, style] of cells) {
    const last = spans[spans.length - 1];
    if (last !== undefined && last.style === style)
      spans[spans.length - 1] = { text: last.text + text, style };
    else spans.push({ text, style });
  }
  return spans;
}

/** One row of the chart; where it is the goal's row, the goal shows through between the dots. */
function chartRow(row: string, isGoal: boolean): Span[] {
  return styled(
    [...row].map((cell) => {
      if (cell !== EMPTY) return [cell, "curve"] as const;
      return isGoal ? (["╌", "dim"] as const) : ([" ", "plain"] as const);
    }),
  );
}

/** First and last step at the two ends of the axis; only the last where there is no room for both. */
function stepLabels(window: Window, indent: number, width: number): Line {
  const low = formatCount(window.xLow);
  const high = `${formatCount(window.xHigh)} env steps`;
  const gap = width - low.length - high.length;
  const text = gap >= 2 ? low + " ".repeat(gap) + high : high.padStart(width);
  return [span(" ".repeat(indent) + text, "dim")];
}

/** The chart on at most `columns` × (`height` + 3) characters; a line of text where there is nothing to draw. */
export function curveSection(state: ViewState, columns: number, height: number): Line[] {
  const title = [span("mean return, last 100 episodes", "dim")];
  const { points, header } = state;
  const first = points[0];
  const last = points[points.length - 1];
  if (first === undefined || last === undefined)
    return [fit([span("no episode has ended yet", "dim")], columns)];

  const values = points.map((point) => point.meanReturn100);
  if (header.stopMeanReturn !== null) values.push(header.stopMeanReturn);
  // Not Math.min(...values): thousands of arguments are slow.
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const ticks = ticksCovering(low, high, 5);
  const labels = tickLabels(ticks);
  const labelWidth = Math.max(...labels.map(widthOf));
  const width = columns - labelWidth - 2;
  if (width < MIN_WIDTH) return [];

  // A run that was resumed late begins where it was resumed.
  const xLow = first.envSteps < 0.5 * last.envSteps ? 0 : first.envSteps;
  const window: Window = { xLow, xHigh: last.envSteps, yLow: ticks[0]!, yHigh: ticks[ticks.length - 1]! };
  const rowOf = (y: number): number => dotRow(y, window, height * 4) >> 2;
  const labelOf = new Map(ticks.map((tick, i) => [rowOf(tick), labels[i]!] as const));
  const goalRow = header.stopMeanReturn === null ? -1 : rowOf(header.stopMeanReturn);

  const rows = brailleChart(points, window, width, height).map((row, i) => {
    const label = labelOf.get(i);
    const pad = " ".repeat(labelWidth - widthOf(label ?? ""));
    const axis = `${pad}${label ?? ""} ${label === undefined ? "│" : "┤"}`;
    return [span(axis, "dim"), ...chartRow(row, i === goalRow)];
  });
  const floor = [span(`${" ".repeat(labelWidth + 1)}└${"─".repeat(width)}`, "dim")];
  return [title, ...rows, floor, stepLabels(window, labelWidth + 2, width)].map((line) => fit(line, columns));
}
