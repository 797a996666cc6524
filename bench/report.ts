/** What a benchmark says: a table for people, one line of JSON for programs. */
import { markdownTable } from "../core/markdown.js";

/** null = not measured. */
export interface Ratio {
  /** Stable; ends in the unit. */
  readonly name: string;
  readonly ours: number | null;
  readonly peer: number | null;
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}

function shown(value: number | null): string {
  return value === null ? "–" : value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
}

export function ratioOf({ ours, peer }: Ratio): number | null {
  return ours === null || peer === null ? null : ours / peer;
}

/** `more` adds cells to each row. */
export function ratioTable(
  ratios: readonly Ratio[],
  peerName: string,
  more: { readonly header: readonly string[]; readonly cells: (ratio: Ratio) => readonly (number | null)[] },
): string {
  const header = ["", "Skein", peerName, "Skein / peer", ...more.header];
  const rows = ratios.map((ratio) => [
    ratio.name,
    shown(ratio.ours),
    shown(ratio.peer),
    shown(ratioOf(ratio)),
    ...more.cells(ratio).map(shown),
  ]);
  return markdownTable([header, ...rows]).join("\n");
}

/** `{"ratios":[{"name","ours","peer","ratio"}]}`, ratio = ours / peer. */
export function ratioLine(ratios: readonly Ratio[]): string {
  return JSON.stringify({
    ratios: ratios.map((ratio) => ({
      name: ratio.name,
      ours: rounded(ratio.ours),
      peer: rounded(ratio.peer),
      ratio: rounded(ratioOf(ratio)),
    })),
  });
}
