/**
 * What must hold at the end of every schedule, judged from three sources that know nothing of one another: the
 * coordinator's database, the ledger in the last checkpoint, and the learner's log of what it trained on.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../core/errors.js";
import type { FinishedEvent } from "../../core/progress.js";
import type { Books, Count } from "../../core/transport/transport.js";
import { listCheckpoints, readCheckpoint } from "../../core/weights/checkpoint.js";
import type { LedgerState } from "../../core/weights/ledger-state.js";
import { MAIN } from "../e2e/skein.js";
import { survivingRollouts } from "./history.js";
import type { Site } from "./site.js";

const SOLVED_RETURN = 475;
const INSPECT_MS = 30_000;

export interface Told {
  readonly findings: readonly string[];
  /** null = they cannot be read. */
  readonly books: Books | null;
}

const sum = (counts: readonly Count[]): number => counts.reduce((total, { rollouts }) => total + rollouts, 0);

/** `skein inspect` exits with 1 where they do not balance; what it prints is judged all the same. */
async function booksOf(runFolder: string): Promise<Books> {
  const args = [MAIN, "inspect", runFolder, "--json"];
  const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) =>
    execFile(process.execPath, args, { timeout: INSPECT_MS }, (_, stdout, stderr) =>
      resolve({ stdout, stderr }),
    ),
  );
  if (stdout === "") throw new Error(`skein inspect: ${stderr.trim()}`);
  return (JSON.parse(stdout) as { readonly books: Books }).books;
}

/** Every request is in exactly one column. */
export function booksBalance(books: Books): string[] {
  const { submitted, trained, stale, filtered, failed, inFlight } = books;
  const columns = [trained, stale, ...Object.values(filtered), ...Object.values(failed), inFlight];
  const counted = sum(columns);
  return counted === submitted.rollouts
    ? []
    : [`books: ${submitted.rollouts} submitted, ${counted} in the columns: ${JSON.stringify(books)}`];
}

/** Members of groups are numbered from the first member of group 1 on, whose number is the size of a group. */
const GROUPS = "groups";

/** Of each stream's numbers from its first to the highest settled: how many are not settled. */
export function gapsOf({ settled }: Pick<LedgerState, "settled">): number {
  const gaps = Object.entries(settled).map(([stream, intervals]) => {
    const before = stream === GROUPS ? (intervals[0]?.[0] ?? 1) - 1 : 0;
    const highest = intervals.at(-1)?.[1] ?? 0;
    return highest - before - intervals.reduce((count, [first, last]) => count + last - first + 1, 0);
  });
  return gaps.reduce((total, gap) => total + gap, 0);
}

/** Failures that end no work: what a lease had is issued again, of a duplicate another attempt was trained. */
const GOES_ON: ReadonlySet<string> = new Set(["leaseEnded", "duplicate"]);

/**
 * Work in the books that a ledger may rightly not know: in flight, or ended for a reason. A learner that goes back to a
 * checkpoint forgets what it dropped since; the books do not.
 */
function explainedBy({ inFlight, stale, filtered, failed }: Books): number {
  const ended = Object.entries(failed).flatMap(([reason, count]) => (GOES_ON.has(reason) ? [] : [count]));
  return sum([inFlight, stale, ...Object.values(filtered), ...ended]);
}

/** The work key of `<run>/<task>/<group>/<member>/<attempt>`. */
function workOf(rolloutId: string): string {
  return rolloutId.slice(0, rolloutId.lastIndexOf("/"));
}

/**
 * No work key twice in the weights that survive, and the three sources agree on how many there are. `survivors`: null
 * where the log is not whole.
 */
export function exactlyOnce(
  survivors: readonly string[] | null,
  ledger: LedgerState,
  books: Books,
  finished: FinishedEvent,
): string[] {
  const findings: string[] = [];
  const seen = new Set<string>();
  for (const rolloutId of survivors ?? []) {
    const work = workOf(rolloutId);
    if (seen.has(work)) findings.push(`trained twice: ${rolloutId}`);
    seen.add(work);
  }
  const { trained } = ledger.counts;
  const log = survivors === null ? {} : { log: survivors.length };
  const counts = { ...log, ledger: trained.rollouts, books: books.trained.rollouts };
  if (new Set(Object.values(counts)).size > 1)
    findings.push(`rollouts trained: the sources disagree: ${JSON.stringify(counts)}`);
  const steps = { ledger: trained.steps, books: books.trained.steps, weights: finished.envSteps };
  if (new Set(Object.values(steps)).size > 1)
    findings.push(`steps trained: the sources disagree: ${JSON.stringify(steps)}`);
  const gaps = gapsOf(ledger);
  const explained = explainedBy(books);
  if (gaps > explained)
    findings.push(`lost: ${gaps} pieces of work are not settled, the books explain ${explained}`);
  return findings;
}

function solved(finished: FinishedEvent | null): string[] {
  if (finished === null) return ["the run did not end"];
  const { reason, meanReturn100, envSteps } = finished;
  return reason === "solved" && meanReturn100 >= SOLVED_RETURN
    ? []
    : [`not solved: ${reason} after ${envSteps} steps with a mean return of ${meanReturn100}`];
}

/** Books and ledger of a run that has come to its end. */
async function accounts(
  runFolder: string,
  finished: FinishedEvent,
  books: Books,
  logIsWhole: boolean,
): Promise<string[]> {
  const newest = (await listCheckpoints(join(runFolder, "checkpoints"))).pop();
  if (newest === undefined) return ["no checkpoint at the end"];
  const { state } = await readCheckpoint(newest);
  const log = (): Promise<string> => readFile(join(runFolder, "logs", "learner.log"), "utf8");
  return exactlyOnce(logIsWhole ? survivingRollouts(await log()) : null, state.ledger, books, finished);
}

/** `logIsWhole`: whatever the learner logged is there; it goes through the supervisor to the disk. */
export async function verdicts(site: Site, logIsWhole: boolean): Promise<Told> {
  const finished =
    site.skein.events.find((event): event is FinishedEvent => event.event === "finished") ?? null;
  const findings = solved(finished);
  if (finished?.reason === "failed") findings.push(site.skein.notices.at(-1)?.message ?? "it said nothing");
  let books: Books | null = null;
  try {
    const runFolder = await site.runFolder();
    books = await booksOf(runFolder);
    findings.push(...booksBalance(books));
    if (finished !== null && finished.reason !== "failed")
      findings.push(...(await accounts(runFolder, finished, books, logIsWhole)));
  } catch (error) {
    findings.push(`no verdict: ${messageOf(error)}`);
  }
  return { findings, books };
}
