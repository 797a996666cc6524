/** `skein inspect <run>`: the books of a run, beside a living coordinator or after it. */
import { stat } from "node:fs/promises";
import { SkeinError } from "../../core/errors.js";
import type { Books, Count } from "../../core/transport/transport.js";
import { readBooks, type BookReport } from "../../services/coordinator/main.js";
import { formatCount } from "../view/format.js";
import type { CommandHost } from "./host.js";

type Cell = string | number;

/** Lines of columns: the first flush left, the others flush right. */
function columns(rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === "number" ? formatCount(cell) : cell)));
  const widths = (texts[0] ?? []).map((_, k) => Math.max(...texts.map((row) => row[k]?.length ?? 0)));
  return texts.map((row) =>
    row
      .map((text, k) => (k === 0 ? text.padEnd(widths[k]!) : text.padStart(widths[k]!)))
      .join("  ")
      .trimEnd(),
  );
}

function bookLines(books: Books, imbalance: Count): string[] {
  const row = (name: string, { rollouts, steps }: Count): Cell[] => [name, rollouts, steps];
  const byReason = (name: string, counts: Readonly<Record<string, Count>>): Cell[][] =>
    Object.entries(counts)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([reason, count]) => row(`${name}(${reason})`, count));
  const verdict =
    imbalance.rollouts === 0
      ? "balanced: submitted = trained + stale + filtered + failed + in flight"
      : `NOT BALANCED: ${imbalance.rollouts} rollouts are in no column or in two; please report this`;
  return [
    ...columns([
      ["books", "rollouts", "env steps"],
      row("submitted", books.submitted),
      row("trained", books.trained),
      row("stale", books.stale),
      ...byReason("filtered", books.filtered),
      ...byReason("failed", books.failed),
      row("in flight", books.inFlight),
    ]),
    verdict,
  ];
}

function serviceLines({ services }: BookReport): string[] {
  const rows = services.map(({ role, name, alive, lastSeen, appliedVersion, refusals, quarantined }) => [
    name,
    role,
    quarantined ? "shut out" : alive ? "alive" : "gone",
    lastSeen.toISOString().replace("T", " ").slice(0, 19),
    appliedVersion < 0 ? "none" : appliedVersion,
    refusals,
  ]);
  return columns([["service", "role", "state", "last seen (UTC)", "version", "refused"], ...rows]);
}

function weightsLines({ weights }: BookReport): string[] {
  const rows = weights.map(({ version, mode, payloadBytes, rootHash }) => [
    `version ${version}`,
    mode,
    payloadBytes,
    rootHash.slice(0, 16),
  ]);
  return columns([["weights", "mode", "bytes", "root hash"], ...rows]);
}

/** Nothing where the run has no groups. */
function groupLines({ groups, stragglers, history }: BookReport): string[] {
  const states = Object.entries(groups);
  if (states.every(([, count]) => count === 0)) return [];
  const members = stragglers.map(({ task, group, member, attempt, steps, final }) => [
    `straggler: ${task}, group ${group}, member ${member}, attempt ${attempt}`,
    final === 1 ? "ended after" : "cut off at",
    `${formatCount(steps)} steps`,
  ]);
  const { tasks, attempts, episodes, meanReturn, meanLength } = history;
  const episodeLine = `${formatCount(episodes)} episodes in ${formatCount(attempts)} attempts at ${formatCount(tasks)} tasks`;
  const means =
    episodes === 0 ? "" : `: mean return ${meanReturn.toFixed(1)}, mean length ${meanLength.toFixed(1)}`;
  return [
    `groups: ${states.map(([state, count]) => `${formatCount(count)} ${state}`).join(", ")}`,
    episodeLine + means,
    ...columns(members),
    "",
  ];
}

function lines(report: BookReport): string[] {
  const { runId, phase, publishedVersion, checkpointVersion, envSteps, meanReturn100, pausedSeconds } =
    report;
  const paused = pausedSeconds > 0 ? `, paused for another ${Math.ceil(pausedSeconds)} s` : "";
  const meanReturn = Number.isNaN(meanReturn100)
    ? "no episode yet"
    : `mean return ${meanReturn100.toFixed(1)}`;
  return [
    `${runId}: ${phase}${paused}, version ${publishedVersion} published, ` +
      `${checkpointVersion < 0 ? "none" : checkpointVersion} in a checkpoint, ` +
      `${formatCount(envSteps)} env steps, ${meanReturn}`,
    "",
    ...bookLines(report.books, report.imbalance),
    "",
    ...groupLines(report),
    ...serviceLines(report),
    "",
    ...weightsLines(report),
  ];
}

/** Exit code 1 where the books do not balance. */
export async function inspect(
  _host: CommandHost,
  runFolder: string,
  { json }: { readonly json: boolean },
): Promise<number> {
  if (!(await stat(runFolder).catch(() => null))?.isDirectory()) {
    throw new SkeinError(
      "RUN_FOLDER",
      `expected a run folder, got ${runFolder}; skein train prints its run's`,
    );
  }
  const report = readBooks(runFolder);
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${lines(report).join("\n")}\n`);
  return report.imbalance.rollouts === 0 ? 0 : 1;
}
