/** Carries out one schedule, from its start to its verdicts. Never waits without a deadline. */
import { Random } from "../../core/random.js";
import { messageOf } from "../../core/errors.js";
import type { Books } from "../../core/transport/transport.js";
import { isAlive } from "../e2e/skein.js";
import { natsMissing } from "../nats-server.js";
import { processesOf } from "./leftovers.js";
import { whyNotRoot } from "./machine.js";
import type { Draw, Service, Step } from "./schedule.js";
import { Site, type Placing } from "./site.js";
import { giveOrders, reached, type PlacedStage } from "./stages.js";
import { strike } from "./strike.js";
import { until } from "./until.js";
import { verdicts } from "./verdicts.js";

/** Between the end of the run and the last of its processes. */
const LEAVE_SECONDS = 15;

export interface Outcome {
  readonly placing: Placing;
  readonly seconds: number;
  /** Why it was not carried out; null = it was. */
  readonly skipped: string | null;
  /** What did not hold; none = all did. */
  readonly findings: readonly string[];
  /** At the end; null = they cannot be read. */
  readonly books: Books | null;
}

type Say = (text: string) => void;

export async function whySkipped({ schedule, transport }: Placing): Promise<string | null> {
  if (transport === "nats" && natsMissing !== null) return natsMissing;
  const { needs } = schedule;
  const root = needs.namespace === true || needs.outsider === "namespace" || needs.diskBytes !== undefined;
  return root ? whyNotRoot() : null;
}

function drawFrom(seed: number): Draw {
  const random = new Random(seed);
  return (low, high) => low + random.integer(high - low + 1);
}

function placed(steps: readonly Step[]): PlacedStage[] {
  return steps.flatMap(({ when }, k) => ("stage" in when ? [{ ...when.stage, id: `stage-${k}` }] : []));
}

function clocksOf(steps: readonly Step[]): Service[] {
  return steps.flatMap(({ faults }) =>
    faults.flatMap((fault) => (fault.kind === "shiftClock" ? [fault.whom] : [])),
  );
}

/** Waits for the moment of a step; the process that stands at its stage, if it has one. */
async function moment(
  site: Site,
  { when }: Step,
  index: number,
  signal: AbortSignal,
): Promise<{ readonly role: Service; readonly pid: number } | null> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  void site.skein.ended.then(({ stderr }) => {
    const words = site.skein.notices.at(-1)?.message ?? stderr;
    over.abort(new Error(`the run ended before step ${index + 1}: ${words.trim()}`));
  });
  if ("stage" in when) {
    return { role: when.stage.role, pid: await reached(site.place, `stage-${index}`, either) };
  }
  const trained = (): boolean =>
    site.skein.events.some((event) => event.event === "progress" && event.policyVersion >= when.version);
  await until(trained, either);
  return null;
}

async function work(site: Site, steps: readonly Step[], signal: AbortSignal, say: Say): Promise<void> {
  for (const [index, step] of steps.entries()) {
    const frozen = await moment(site, step, index, signal);
    for (const fault of step.faults) {
      say(`step ${index + 1} of ${steps.length}: ${JSON.stringify(fault)}`);
      await strike(site, fault, frozen, signal);
    }
    if (frozen !== null && isAlive(frozen.pid)) process.kill(frozen.pid, "SIGCONT");
  }
  await before(signal, site.skein.ended);
  if (site.outsider !== null) await before(signal, site.outsider.ended);
}

async function killAll(place: string): Promise<number[]> {
  const left = await processesOf(place);
  for (const pid of left) process.kill(pid, "SIGKILL");
  return left;
}

/** A run that is over leaves no process behind; what is there all the same is killed. */
async function leftovers(place: string): Promise<string[]> {
  const gone = async (): Promise<boolean> => (await processesOf(place)).length === 0;
  await until(gone, AbortSignal.timeout(1000 * LEAVE_SECONDS)).catch(() => undefined);
  const left = await killAll(place);
  return left.length === 0 ? [] : [`left behind: processes ${left.join(", ")}`];
}

/** What `promise` gives, or the reason of `signal`. */
async function before<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  );
  return Promise.race([promise, late]);
}

export async function carryOut(placing: Placing, say: Say): Promise<Outcome> {
  const from = performance.now();
  const skipped = await whySkipped(placing);
  if (skipped !== null) return { placing, seconds: 0, skipped, findings: [], books: null };
  const { schedule, seed } = placing;
  const deadline = new Error(`hung: not over after ${schedule.deadlineSeconds} s`);
  const steps = schedule.steps(drawFrom(seed));
  const findings: string[] = [];
  const site = await Site.prepare(placing);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(deadline), 1000 * schedule.deadlineSeconds);
  try {
    await giveOrders(site.place, { stages: placed(steps), clocks: clocksOf(steps) });
    site.start(false);
    await before(late.signal, site.startOutsider());
    await work(site, steps, late.signal, say);
  } catch (error) {
    findings.push(messageOf(error));
  } finally {
    clearTimeout(timer);
  }
  if (findings.length > 0) await killAll(site.place);
  findings.push(...(await leftovers(site.place)));
  const struck = steps.flatMap(({ faults }) => faults);
  const logIsWhole = !struck.some(
    (fault) => fault.kind === "fillDisk" || (fault.kind === "kill" && fault.whom === "supervisor"),
  );
  const told = await verdicts(site, logIsWhole);
  findings.push(...told.findings);
  await site.close(findings.length > 0);
  if (findings.length > 0) say(`its files are kept in ${site.place}`);
  return { placing, seconds: (performance.now() - from) / 1000, skipped: null, findings, books: told.books };
}
