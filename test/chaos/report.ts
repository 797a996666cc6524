/** The table of schedules and outcomes. */
import { readFile, writeFile } from "node:fs/promises";
import { markdownTable } from "../../core/markdown.js";
import type { Outcome } from "./carry-out.js";

const BEGIN = "<!-- schedules: written by npm run test:chaos -- --write -->";
const END = "<!-- end of schedules -->";

export function verdictOf({ skipped, findings }: Outcome): string {
  if (skipped !== null) return skipped;
  return findings.length === 0 ? "held" : `failed: ${findings.join("; ")}`;
}

/** submitted = trained + what became of the rest, in rollouts. */
function booksOf({ books }: Outcome): string {
  if (books === null) return "";
  const { submitted, trained, stale, filtered, failed, inFlight } = books;
  const reasons = Object.entries({ ...filtered, ...failed }).map(
    ([reason, { rollouts }]) => `${rollouts} ${reason}`,
  );
  const parts = [
    `${trained.rollouts} trained`,
    ...(stale.rollouts === 0 ? [] : [`${stale.rollouts} stale`]),
    ...reasons,
    `${inFlight.rollouts} in flight`,
  ];
  return `${submitted.rollouts} = ${parts.join(" + ")}`;
}

export function outcomeTable(outcomes: readonly Outcome[]): string {
  const header = ["Schedule", "What happens", "Transport", "Seed", "Outcome", "Books, rollouts", "Seconds"];
  const rows = outcomes.map((outcome) => {
    const { schedule, transport, seed } = outcome.placing;
    return [
      `\`${schedule.name}\``,
      schedule.title,
      transport,
      String(seed),
      verdictOf(outcome),
      booksOf(outcome),
      outcome.seconds.toFixed(0),
    ];
  });
  return markdownTable([header, ...rows]).join("\n");
}

/** Puts the table where the page has its place. */
export async function writeTable(path: string, table: string): Promise<void> {
  const page = await readFile(path, "utf8");
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${path}: expected the lines ${BEGIN} and ${END}`);
  await writeFile(path, `${page.slice(0, from + BEGIN.length)}\n\n${table}\n\n${page.slice(to)}`);
}
