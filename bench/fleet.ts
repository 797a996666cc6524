/** `npm run bench -- fleet`: a real coordinator with very many actors that only talk. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { SkeinError } from "../core/errors.js";
import { markdownTable } from "../core/markdown.js";
import type { RunEvent } from "../core/progress.js";
import type { BenchResult } from "./engine.js";
import { FakeLearner } from "./fake-learner.js";
import type { Latencies, LightActorLine, LightActorOptions } from "./light-actors.js";
import { LineProcess } from "./lines.js";
import { scrape } from "./scrape.js";

export interface FleetOptions {
  /** Sizes of the fleet, one after the other. */
  readonly actors: readonly number[];
  readonly seconds: number;
  /** Processes that the actors are spread over. */
  readonly processes: number;
  readonly heartbeatSeconds: number;
  readonly fragmentSeconds: number;
  readonly versionSeconds: number;
}

type Say = (text: string) => void;

const SKEIN = fileURLToPath(new URL("../cli/main.js", import.meta.url));
const LIGHT_ACTORS = fileURLToPath(new URL("./light-actors.js", import.meta.url));
const START_SECONDS = 120;
const FRAGMENT_STEPS = 16;
/** What 10,000 and 100,000 actors are measured against. */
const QUESTIONS = [10_000, 100_000] as const;

export interface FleetMeasure {
  readonly actors: number;
  /** Of the coordinator, seconds of processor time a second. */
  readonly cpu: number;
  readonly residentMiB: number;
  readonly callsPerSecond: number;
  readonly latencies: Latencies;
}

function runFile({ heartbeatSeconds }: FleetOptions, actors: number): string {
  return stringify({
    run: { name: "fleet" },
    environment: { id: "CartPole-v1" },
    // Work for everybody: a batch is one fragment of each actor, and four may be ahead.
    recipe: { params: { batchSteps: FRAGMENT_STEPS * actors } },
    staleness: { maxPolicyLag: 3 },
    actors: { environments: 1, fragmentSteps: FRAGMENT_STEPS },
    coordinator: { heartbeatSeconds, leaseSeconds: Math.max(5, 4 * heartbeatSeconds) },
    logLevel: "warn",
  });
}

async function coordinatorAddresses(lines: LineProcess): Promise<{ address: string; http: string }> {
  for (;;) {
    const event = JSON.parse(await lines.next(START_SECONDS)) as RunEvent;
    if (event.event === "listening") return event;
  }
}

/** The light actors of one process. */
class Crowd {
  private readonly lines: LineProcess;

  constructor(
    options: LightActorOptions,
    private readonly learner: FakeLearner,
  ) {
    const args = [LIGHT_ACTORS, JSON.stringify(options)];
    this.lines = LineProcess.node("light actors", args);
  }

  tell(order: "begin" | "end"): void {
    this.lines.write(order);
  }

  /** Hands grants on to the learner until the line of that kind comes. */
  async until<K extends LightActorLine["is"]>(is: K): Promise<Extract<LightActorLine, { is: K }>> {
    for (;;) {
      const line = JSON.parse(await this.lines.next(START_SECONDS)) as LightActorLine;
      if (line.is === "granted") this.learner.granted(line.requestIds);
      if (line.is === is) return line as Extract<LightActorLine, { is: K }>;
    }
  }

  close(): Promise<void> {
    return this.lines.close();
  }
}

async function sample(http: string): Promise<{ cpu: number; residentMiB: number }> {
  const sums = await scrape([http]);
  return {
    cpu: sums.get("process_cpu_seconds_total") ?? 0,
    residentMiB: (sums.get("process_resident_memory_bytes") ?? 0) / 2 ** 20,
  };
}

async function measure(options: FleetOptions, actors: number, folder: string): Promise<FleetMeasure> {
  const path = join(folder, `fleet-${actors}.yaml`);
  await writeFile(path, runFile(options, actors));
  const closing: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(thing: T): T => (closing.push(thing), thing);
  try {
    const lines = keep(LineProcess.node("the coordinator", [SKEIN, "coordinator", path, "--json"], folder));
    const { address, http } = await coordinatorAddresses(lines);
    const learner = keep(await FakeLearner.join(address, FRAGMENT_STEPS, options.versionSeconds));
    const each = Math.ceil(actors / options.processes);
    const crowds = Array.from({ length: options.processes }, (_, k) => {
      const share = { first: k * each, actors: Math.min(each, actors - k * each) };
      return keep(
        new Crowd({ coordinator: address, fragmentSeconds: options.fragmentSeconds, ...share }, learner),
      );
    });
    await Promise.all(crowds.map((crowd) => crowd.until("ready")));
    const before = await sample(http);
    const from = performance.now();
    for (const crowd of crowds) crowd.tell("begin");
    const timer = setTimeout(() => crowds.forEach((crowd) => crowd.tell("end")), 1000 * options.seconds);
    const done = await Promise.all(crowds.map((crowd) => crowd.until("done")));
    clearTimeout(timer);
    const seconds = (performance.now() - from) / 1000;
    const after = await sample(http);
    const latencies: Latencies = { register: [], heartbeat: [], acquire: [], weights: [] };
    for (const { latencies: part } of done)
      for (const call of Object.keys(latencies) as (keyof Latencies)[]) latencies[call].push(...part[call]);
    const calls = latencies.heartbeat.length + latencies.acquire.length + latencies.weights.length;
    const { residentMiB } = after;
    const cpu = (after.cpu - before.cpu) / seconds;
    return { actors, cpu, residentMiB, callsPerSecond: calls / seconds, latencies };
  } finally {
    for (const thing of closing.reverse()) await thing.close();
  }
}

function percentile(numbers: readonly number[], part: number): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  return value === undefined ? "–" : value.toFixed(1);
}

function tables(measures: readonly FleetMeasure[]): string {
  const header = ["Actors", "CPU s/s", "Resident, MiB", "Calls/s", "Call", "Calls", "p50, ms", "p99, ms"];
  const rows = measures.flatMap(({ actors, cpu, residentMiB, callsPerSecond, latencies }) =>
    Object.entries(latencies).map(([call, times], k) => [
      ...(k === 0
        ? [String(actors), cpu.toFixed(3), residentMiB.toFixed(0), callsPerSecond.toFixed(0)]
        : ["", "", "", ""]),
      ...[call, String(times.length), percentile(times, 0.5), percentile(times, 0.99)],
    ]),
  );
  return markdownTable([header, ...rows]).join("\n");
}

/** What a fleet costs beyond the smallest one measured, and how far one coordinator goes by that. */
export function arithmetic(measures: readonly FleetMeasure[]): string[] {
  const [small, large] = [measures[0], measures.at(-1)];
  if (small === undefined || large === undefined || large.actors === small.actors)
    throw new SkeinError("CONFIG_INVALID", "fleet: expected at least two sizes, the larger one last");
  const more = large.actors - small.actors;
  const cpu = (large.cpu - small.cpu) / more;
  const memory = (large.residentMiB - small.residentMiB) / more;
  const fixed = { cpu: large.cpu - cpu * large.actors, memory: large.residentMiB - memory * large.actors };
  return [
    `one more actor costs ${(1e6 * cpu).toFixed(0)} µs of processor time a second and ${(1024 * memory).toFixed(0)} KiB`,
    `one core is busy with ${Math.floor((1 - fixed.cpu) / cpu)} actors`,
    ...QUESTIONS.map((actors) => {
      const need = fixed.cpu + cpu * actors;
      const mib = fixed.memory + memory * actors;
      return (
        `${actors} actors: ${need.toFixed(1)} CPU s/s and ${mib.toFixed(0)} MiB; ` +
        (need <= 1 ? "within one core" : `one core with ${need.toFixed(1)} times longer intervals`)
      );
    }),
  ];
}

export async function benchFleet(options: FleetOptions, say: Say): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "skein-fleet-"));
  try {
    const measures: FleetMeasure[] = [];
    for (const actors of options.actors) {
      say(`${actors} actors for ${options.seconds} s`);
      measures.push(await measure(options, actors, folder));
    }
    const { heartbeatSeconds, fragmentSeconds, versionSeconds } = options;
    say(
      `each beats every ${heartbeatSeconds} s, asks for work every ${fragmentSeconds} s; ` +
        `new weights every ${versionSeconds} s`,
    );
    say(tables(measures));
    if (measures.length > 1) for (const line of arithmetic(measures)) say(line);
    const ratios = measures.map(({ actors, cpu }) => ({
      name: `coordinator with ${actors} actors, CPU s/s`,
      ours: cpu,
      peer: null,
    }));
    return { ratios, ok: true };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
