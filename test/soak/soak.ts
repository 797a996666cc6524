/** Trains on and on, and looks at the memory of every process each second. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stringify } from "yaml";
import type { ListeningEvent } from "../../core/progress.js";
import { markdownTable } from "../../core/markdown.js";
import { Skein } from "../e2e/skein.js";
import { processesOf } from "../chaos/leftovers.js";
import { impatientCartPole, merged } from "../chaos/settings.js";
import { Watched } from "./memory.js";
import { slopeOf, type Sample } from "./slope.js";

export interface SoakOptions {
  readonly minutes: number;
  /** Left out of the slopes: heaps and caches fill. */
  readonly warmUpMinutes: number;
  readonly transport: "grpc" | "nats";
  /** Kills an actor now and then. */
  readonly faults: boolean;
  /** A process whose slope is surely above this grows, MiB/h. */
  readonly limit: number;
}

export interface SoakReport {
  readonly table: string;
  /** Processes whose memory grew. */
  readonly growing: readonly string[];
  readonly trained: string;
}

type Say = (text: string) => void;

const SAY_SECONDS = 30;
const KILL_SECONDS = 25;
const PER_HOUR = 3600;

/** All the processes of the run: services by what they said, the rest (a broker) by their environment. */
class Crowd {
  readonly watched: Watched[] = [];

  constructor(private readonly skein: Skein) {}

  async look(place: string): Promise<void> {
    const known = new Set(this.watched.map(({ pid }) => pid));
    const services = this.skein.events.filter(
      (event): event is ListeningEvent => event.event === "listening",
    );
    for (const { role, pid, http } of services) {
      if (known.has(pid)) continue;
      const earlier = this.watched.filter(({ name }) => name.startsWith(role)).length;
      this.watched.push(new Watched(`${role} ${earlier + 1}`, pid, http));
      known.add(pid);
    }
    if (!known.has(this.skein.pid)) this.watched.push(new Watched("supervisor", this.skein.pid, ""));
    for (const pid of services.length === 0 ? [] : await processesOf(place)) {
      if (!known.has(pid) && pid !== this.skein.pid && !this.starting(pid))
        this.watched.push(new Watched(`other ${pid}`, pid, ""));
    }
  }

  /** A service that has not said its name yet. */
  private starting(pid: number): boolean {
    const roles = new Set(
      this.skein.events.flatMap((event) => (event.event === "listening" ? [event.role] : [])),
    );
    return roles.size < 3 || pid > Math.max(...this.watched.map((one) => one.pid));
  }
}

function cells(samples: readonly Sample[]): string[] {
  const slope = slopeOf(samples);
  if (slope === null) return ["–", "–"];
  const perHour = (value: number): string => (value * PER_HOUR).toFixed(1);
  return [perHour(slope.slope), `${perHour(slope.low)} … ${perHour(slope.high)}`];
}

function rowOf({ name, resident, heap, gone }: Watched, from: number): string[] {
  const settled = resident.filter(({ at }) => at >= from);
  const end = settled.at(-1)?.value ?? resident.at(-1)?.value ?? 0;
  const heaps = heap.filter(({ at }) => at >= from);
  return [name, gone ? "gone" : "alive", end.toFixed(0), ...cells(settled), ...cells(heaps)];
}

export async function soak(options: SoakOptions, say: Say): Promise<SoakReport> {
  const { minutes, warmUpMinutes, transport, faults, limit } = options;
  const place = await mkdtemp(join(tmpdir(), "skein-soak-"));
  const endless = {
    stop: { envSteps: 1e12, meanReturn: null },
    transport: { kind: transport },
    logLevel: "info",
  };
  await writeFile(join(place, "run.yaml"), stringify(merged(await impatientCartPole(), endless)));
  const skein = new Skein(["train", "run.yaml", "--json", "--set", "actors.maxRestarts=1000"], place, [
    "env",
    `SKEIN_SOAK=${place}`,
  ]);
  const crowd = new Crowd(skein);
  const from = performance.now();
  const seconds = (): number => (performance.now() - from) / 1000;
  try {
    await skein.version(1);
    for (let tick = 1; seconds() < 60 * minutes; tick++) {
      await Promise.race([pause(Math.max(0, 1000 * tick - 1000 * seconds())), skein.ended]);
      await crowd.look(place);
      await Promise.all(crowd.watched.map((one) => one.sample(seconds())));
      if (faults && tick % KILL_SECONDS === 0) {
        const actor = crowd.watched.findLast(({ name, gone }) => name.startsWith("actor") && !gone);
        if (actor !== undefined) process.kill(actor.pid, "SIGKILL");
      }
      if (tick % SAY_SECONDS === 0) {
        const now = crowd.watched.filter(({ gone }) => !gone);
        say(
          `${Math.round(seconds())} s: ` +
            now.map((one) => `${one.name} ${one.resident.at(-1)?.value.toFixed(0)} MiB`).join(", "),
        );
      }
    }
    skein.signal("SIGINT");
    await skein.ended;
  } finally {
    for (const pid of await processesOf(place)) process.kill(pid, "SIGKILL");
    await rm(place, { recursive: true, force: true });
  }
  const growing = crowd.watched.filter(({ resident }) => {
    const slope = slopeOf(resident.filter(({ at }) => at >= 60 * warmUpMinutes));
    return slope !== null && slope.low * PER_HOUR > limit;
  });
  const header = ["Process", "", "Resident, MiB", "Slope, MiB/h", "95 %", "Heap slope, MiB/h", "95 %"];
  const rows = crowd.watched.map((one) => rowOf(one, 60 * warmUpMinutes));
  const last = skein.events.findLast((event) => event.event === "progress");
  return {
    table: markdownTable([header, ...rows]).join("\n"),
    growing: growing.map(({ name }) => name),
    trained:
      last?.event === "progress" ? `${last.policyVersion} versions, ${last.envSteps} steps` : "nothing",
  };
}
