/** Lines of styled text whose width on the screen is known: measured, cut and wrapped before any colour is added. */

export type Style = "plain" | "strong" | "dim" | "curve" | "good" | "warn" | "bad";

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** One line of the screen. */
export type Line = readonly Span[];

const ESCAPES: Record<Style, string> = {
  plain: "",
  strong: "\u001b[1m",
  dim: "\u001b[2m",
  curve: "\u001b[36m",
  good: "\u001b[1;32m",
  warn: "\u001b[33m",
  bad: "\u001b[31m",
};
const RESET = "\u001b[0m";

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
/** East Asian wide characters and emoji: two columns each. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|.\u{fe0f}|[\u{1100}-\u{115f}\u{2e80}-\u{303e}\u{3041}-\u{a4cf}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff00}-\u{ff60}\u{ffe0}-\u{ffe6}\u{20000}-\u{3fffd}])/u;
const ZERO = /^[\p{Mark}\p{Format}]+$/u;

export function span(text: string, style: Style = "plain"): Span {
  return { text, style };
}

/** Text of which every UTF-16 unit takes one column: nearly all there is, and far quicker than segmenting. */
const SIMPLE = /^[ -~·–−…•⠀-⣿─-▟]*$/u;

/** Columns of one grapheme. */
function graphemeWidth(grapheme: string): number {
  if (grapheme.length === 1 && grapheme >= " " && grapheme <= "~") return 1;
  return ZERO.test(grapheme) ? 0 : WIDE.test(grapheme) ? 2 : 1;
}

/** Columns that `text` takes on the screen; it must hold no control characters. */
export function widthOf(text: string): number {
  if (SIMPLE.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += graphemeWidth(segment);
  return width;
}

export function lineWidth(line: Line): number {
  return line.reduce((sum, { text }) => sum + widthOf(text), 0);
}

/** One line of harmless text: escape sequences taken out, other control characters made into spaces. */
export function sanitise(text: string): string {
  return (
    text
      // eslint-disable-next-line no-control-regex
      .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)?/g, "")
      // eslint-disable-next-line no-control-regex
      .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
      .trim()
  );
}

/** The start of `text` that fits into `columns`, and the rest. */
function split(text: string, columns: number): [head: string, rest: string] {
  if (SIMPLE.test(text)) return [text.slice(0, columns), text.slice(columns)];
  let width = 0;
  for (const { segment, index } of segmenter.segment(text)) {
    width += graphemeWidth(segment);
    if (width > columns) return [text.slice(0, index), text.slice(index)];
  }
  return [text, ""];
}

/** `line` cut to `columns`; what was cut is marked with an ellipsis. */
export function fit(line: Line, columns: number): Line {
  if (lineWidth(line) <= columns) return line;
  const kept: Span[] = [];
  let room = Math.max(0, columns - 1);
  for (const { text, style } of line) {
    const [head, rest] = split(text, room);
    if (head !== "") kept.push({ text: head, style });
    room -= widthOf(head);
    if (rest !== "") break;
  }
  if (columns > 0) kept.push(span("…", kept[kept.length - 1]?.style ?? "plain"));
  return kept;
}

/** `text` in lines of at most `columns` ≥ 2, broken at spaces where there are any. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = text;
  for (;;) {
    const [head, tail] = split(rest, columns);
    if (tail === "") break;
    const atSpace = tail.startsWith(" ") ? head.length : head.lastIndexOf(" ");
    const cut = atSpace > 0 ? atSpace : Math.max(1, head.length);
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  if (rest !== "" || lines.length === 0) lines.push(rest);
  return lines;
}

/** Pieces set one after another with `gap` between them; a piece that no longer fits begins a new line. */
export function flow(pieces: readonly Line[], columns: number, gap: string): Line[] {
  const lines: Span[][] = [];
  let width = 0;
  for (const piece of pieces) {
    const open = lines[lines.length - 1];
    const more = lineWidth(piece);
    if (open !== undefined && width + gap.length + more <= columns) {
      open.push(span(gap, "dim"), ...piece);
      width += gap.length + more;
    } else {
      lines.push([...piece]);
      width = more;
    }
  }
  return lines;
}

/** The line as written to the terminal. */
export function paint(line: Line, color: boolean): string {
  return line
    .map(({ text, style }) =>
      color && style !== "plain" && text !== "" ? ESCAPES[style] + text + RESET : text,
    )
    .join("");
}
