/** `npm run bench -- fan-out`: how long weights take to many receivers, and who sends the bytes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { runConfigSchema } from "../core/config/schema.js";
import { SkeinError } from "../core/errors.js";
import { markdownTable } from "../core/markdown.js";
import type { RunEvent } from "../core/progress.js";
import { OPEN } from "../core/security/credentials.js";
import { createLearnerMetrics } from "../core/telemetry/metrics.js";
import { createTransport } from "../core/transport/create.js";
import type { WeightsSnapshot } from "../core/types.js";
import { WeightsPublisher } from "../core/weights/publisher.js";
import type { BenchResult } from "./engine.js";
import { LineProcess } from "./lines.js";
import { scrape } from "./scrape.js";
import type { ReceiversLine, ReceiversOptions } from "./weights-receivers.js";

export interface FanOutOptions {
  /** Numbers of receivers, one after the other. */
  readonly receivers: readonly number[];
  /** Size of the weights, MB (10⁶ bytes). */
  readonly megabytes: number;
  /** Processes that the receivers are spread over, at most. */
  readonly processes: number;
  /** Versions published one after the other. */
  readonly repeats: number;
  /** Compared with 0: all from the coordinator. */
  readonly fanOut: number;
}

type Say = (text: string) => void;

const SKEIN = fileURLToPath(new URL("../cli/main.js", import.meta.url));
const RECEIVERS = fileURLToPath(new URL("./weights-receivers.js", import.meta.url));
const WAIT_SECONDS = 300;
const SAMPLE_MS = 100;

export interface FanOutMeasure {
  readonly receivers: number;
  readonly processes: number;
  readonly fanOut: number;
  /** From handing a version to the publisher to the last receiver's verification, median over the repeats. */
  readonly seconds: number;
  /** Payload bytes a version. */
  readonly learnerBytes: number;
  readonly coordinatorBytes: number;
  readonly coordinatorPeakMiB: number;
  /** The largest receiving process. */
  readonly receiversPeakMiB: number;
  readonly fallbacks: number;
}

/** Every number of it differs from version to version, so that it travels whole. */
function weights(version: number, elements: number): WeightsSnapshot {
  const data = new Float32Array(elements);
  for (let i = 0; i < elements; i++) data[i] = version + (i % 8191) / 8192;
  return { version, tensors: [{ name: "w", dtype: "float32", shape: [elements], data }] };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function addressesOf(lines: LineProcess): Promise<{ address: string; http: string }> {
  for (;;) {
    const event = JSON.parse(await lines.next(WAIT_SECONDS)) as RunEvent;
    if (event.event === "listening") return event;
  }
}

async function lineOf<K extends ReceiversLine["is"]>(
  lines: LineProcess,
  is: K,
): Promise<Extract<ReceiversLine, { is: K }>> {
  for (;;) {
    const line = JSON.parse(await lines.next(WAIT_SECONDS)) as ReceiversLine;
    if (line.is === is) return line as Extract<ReceiversLine, { is: K }>;
  }
}

async function measure(
  options: FanOutOptions,
  receivers: number,
  fanOut: number,
  folder: string,
): Promise<FanOutMeasure> {
  const { megabytes, repeats } = options;
  const path = join(folder, `fan-out-${receivers}-${fanOut}.yaml`);
  const run = { name: "fan-out" };
  const file = { run, environment: { id: "CartPole-v1" }, weights: { fanOut }, logLevel: "warn" };
  await writeFile(path, stringify(file));
  const closing: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(thing: T): T => (closing.push(thing), thing);
  try {
    const server = keep(LineProcess.node("the coordinator", [SKEIN, "coordinator", path, "--json"], folder));
    const { address, http } = await addressesOf(server);
    const transport = keep(createTransport(runConfigSchema.shape.transport.parse({}), OPEN));
    const metrics = createLearnerMetrics({ processMetrics: false });
    let learnerBytes = 0;
    const counting = { weightsSentBytes: { inc: (_: string, bytes = 0) => void (learnerBytes += bytes) } };
    const settings = runConfigSchema.shape.weights.parse({});
    const publisher = new WeightsPublisher(transport.connectControl(address), "learner", settings, {
      ...metrics,
      ...counting,
    });
    const processes = Math.min(options.processes, receivers);
    const crowds = Array.from({ length: processes }, (_, k) => {
      const share = Math.floor(receivers / processes) + (k < receivers % processes ? 1 : 0);
      const start: ReceiversOptions = { coordinator: address, receivers: share, fanOut };
      return keep(LineProcess.node("receivers", [RECEIVERS, JSON.stringify(start)]));
    });
    const all = async (version: number): Promise<number> => {
      const lines = await Promise.all(crowds.map((crowd) => lineOf(crowd, "have")));
      if (lines.some((line) => line.version !== version)) {
        throw new SkeinError("INTERNAL", `fan-out: expected version ${version} everywhere`);
      }
      return Math.max(...lines.map(({ at }) => at));
    };
    // Connections are made and code is warm before anything is measured.
    await publisher.publish(weights(0, 1000));
    await all(0);
    const sentBefore = await sentBytes(http);
    learnerBytes = 0;
    let coordinatorPeakMiB = 0;
    const sampling = setInterval(() => {
      // A coordinator that is too busy to answer costs a sample.
      const take = (mib: number): void => void (coordinatorPeakMiB = Math.max(coordinatorPeakMiB, mib));
      residentMiB(http).then(take, () => undefined);
    }, SAMPLE_MS);
    keep({ close: async () => clearInterval(sampling) });
    const seconds: number[] = [];
    for (let version = 1; version <= repeats; version++) {
      const snapshot = weights(version, (megabytes * 1e6) / 4);
      const from = performance.timeOrigin + performance.now();
      const [last] = await Promise.all([all(version), publisher.publish(snapshot)]);
      seconds.push((last - from) / 1000);
    }
    const coordinatorBytes = ((await sentBytes(http)) - sentBefore) / repeats;
    for (const crowd of crowds) crowd.write("end");
    const done = await Promise.all(crowds.map((crowd) => lineOf(crowd, "done")));
    return {
      ...{ receivers, processes, fanOut, seconds: median(seconds) },
      ...{ learnerBytes: learnerBytes / repeats, coordinatorBytes, coordinatorPeakMiB },
      receiversPeakMiB: Math.max(...done.map(({ peakMiB }) => peakMiB)),
      fallbacks: done.reduce((sum, line) => sum + line.fallbacks, 0),
    };
  } finally {
    for (const thing of closing.reverse()) await thing.close();
  }
}

async function sentBytes(http: string): Promise<number> {
  return (await scrape([http])).get("skein_coordinator_weights_sent_bytes_total") ?? 0;
}

async function residentMiB(http: string): Promise<number> {
  return ((await scrape([http])).get("process_resident_memory_bytes") ?? 0) / 2 ** 20;
}

function table(measures: readonly FanOutMeasure[], megabytes: number): string {
  const header = [
    ...["receivers", "processes", "fanOut", "seconds", "learner sends", "coordinator sends"],
    ...["coordinator peak MiB", "largest receiving process, peak MiB", "fallbacks"],
  ];
  const copies = (bytes: number): string => `${(bytes / (megabytes * 1e6)).toFixed(1)}×`;
  const rows = measures.map((m) => [
    ...[`${m.receivers}`, `${m.processes}`, `${m.fanOut}`, m.seconds.toFixed(2)],
    ...[copies(m.learnerBytes), copies(m.coordinatorBytes)],
    ...[m.coordinatorPeakMiB.toFixed(0), m.receiversPeakMiB.toFixed(0), `${m.fallbacks}`],
  ]);
  return markdownTable([header, ...rows]).join("\n");
}

/** Each number of receivers with and without relays, in one run. */
export async function benchFanOut(options: FanOutOptions, say: Say): Promise<BenchResult> {
  const folder = await mkdtemp(join(tmpdir(), "skein-fan-out-"));
  try {
    const measures: FanOutMeasure[] = [];
    for (const receivers of options.receivers) {
      for (const fanOut of [0, options.fanOut]) {
        say(`${receivers} receivers of ${options.megabytes} MB, fanOut ${fanOut} …`);
        measures.push(await measure(options, receivers, fanOut, folder));
      }
    }
    say(table(measures, options.megabytes));
    const ratios = options.receivers.flatMap((receivers) => {
      const [without, relayed] = measures.filter((m) => m.receivers === receivers);
      return [
        { name: `fan-out ${receivers}, s`, ours: relayed!.seconds, peer: without!.seconds },
        {
          name: `fan-out ${receivers}, coordinator bytes`,
          ours: relayed!.coordinatorBytes,
          peer: without!.coordinatorBytes,
        },
      ];
    });
    return { ratios, ok: true };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
