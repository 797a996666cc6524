/**
 * `npm run bench -- intake`: how many environment steps a second one learner process takes in over gRPC: received,
 * decoded, checked, told from repeats, put into batches and moved to another thread, which does nothing with them.
 */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { runConfigSchema } from "../core/config/schema.js";
import { box, discrete } from "../core/env/spaces.js";
import { OPEN } from "../core/security/credentials.js";
import { markdownTable } from "../core/markdown.js";
import { createLearnerMetrics } from "../core/telemetry/metrics.js";
import { buffersOf } from "../core/threads/buffers.js";
import { createTransport } from "../core/transport/create.js";
import { Books } from "../services/learner/books.js";
import { Intake } from "../services/learner/intake.js";
import { Ledger } from "../services/learner/ledger.js";
import { RolloutCheck } from "../services/learner/rollout-check.js";
import { Settlements } from "../services/learner/settlements.js";
import type { BenchResult } from "./engine.js";
import type { IntakeSenderOptions } from "./intake-sender.js";
import { LineProcess } from "./lines.js";

export interface IntakeOptions {
  readonly senders: number;
  readonly seconds: number;
  readonly environments: readonly number[];
  readonly fragmentSteps: number;
}

const SENDER = fileURLToPath(new URL("./intake-sender.js", import.meta.url));
const RUN_ID = "bench";
const BATCH_STEPS = 65_536;
const SPEC = {
  ...{ id: "CartPole-v1", observationSpace: box([4], -10, 10), actionSpace: discrete(2) },
  ...{ maxEpisodeSteps: 500, rewardThreshold: 475 },
};

/** A learner's intake, whose batches go to a thread that drops them; it says what it has trained at once. */
class Bottomless {
  readonly intake: Intake;
  bytes = 0;
  private readonly settlements = new Settlements(-1);
  private readonly thread = new Worker("require('worker_threads').parentPort.on('message', () => {})", {
    eval: true,
  });
  private readonly over = new AbortController();
  private readonly running: Promise<void>;

  constructor() {
    const ledger = new Ledger();
    const metrics = createLearnerMetrics({ processMetrics: false });
    this.intake = new Intake({
      ...{
        sampler: { batchSteps: BATCH_STEPS },
        maxPolicyLag: 1,
        seats: null,
        groupSize: null,
        ack: "onTrain",
      },
      check: new RolloutCheck({ runId: RUN_ID, spec: SPEC, stateWidth: 0, groupSize: null }),
      ...{ ledger, metrics, books: new Books(ledger, this.settlements, metrics) },
      progress: () => undefined,
      notice: () => undefined,
    });
    this.intake.begin(0);
    this.running = this.run();
  }

  async close(): Promise<void> {
    this.over.abort();
    await this.running;
    await this.thread.terminate();
  }

  private async run(): Promise<void> {
    for (;;) {
      const batch = await this.intake.next(this.over.signal);
      if (batch === null) return;
      this.thread.postMessage(batch.rollouts, buffersOf(batch.rollouts));
      this.intake.trained(0);
      this.settlements.unconfirmed().confirm();
    }
  }
}

interface Rate {
  readonly stepsPerSecond: number;
  readonly megabytesPerSecond: number;
  /** Processor time of this process, every thread of it, over wall time. */
  readonly processors: number;
}

async function rateOf(options: IntakeOptions, environments: number): Promise<Rate> {
  const wires = runConfigSchema.shape.transport.parse({});
  const transport = createTransport(wires, OPEN);
  const learner = new Bottomless();
  const data = await transport.serveRollouts((delivery) => {
    learner.bytes += delivery.bytes;
    learner.intake.deliver(delivery);
  }, "127.0.0.1:0");
  const { fragmentSteps } = options;
  const senders = Array.from({ length: options.senders }, (_, seat) => {
    const sender: IntakeSenderOptions = {
      address: data.address,
      runId: RUN_ID,
      seat,
      environments,
      fragmentSteps,
    };
    return LineProcess.node(`sender ${seat}`, [SENDER, JSON.stringify(sender)]);
  });
  try {
    const { intake } = learner;
    while (intake.received.steps < 10 * BATCH_STEPS) await new Promise((resolve) => setTimeout(resolve, 50));
    const [steps, bytes, from, cpu] = [
      intake.received.steps,
      learner.bytes,
      performance.now(),
      process.cpuUsage(),
    ];
    await new Promise((resolve) => setTimeout(resolve, 1000 * options.seconds));
    const seconds = (performance.now() - from) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return {
      stepsPerSecond: (intake.received.steps - steps) / seconds,
      megabytesPerSecond: (learner.bytes - bytes) / 1e6 / seconds,
      processors: (user + system) / 1e6 / seconds,
    };
  } finally {
    await Promise.all(senders.map((sender) => sender.close()));
    await learner.close();
    await data.close();
    await transport.close();
  }
}

export async function benchIntake(options: IntakeOptions, say: (text: string) => void): Promise<BenchResult> {
  const rows: string[][] = [];
  for (const environments of options.environments) {
    const { stepsPerSecond, megabytesPerSecond, processors } = await rateOf(options, environments);
    const shape = `${environments} × ${options.fragmentSteps}`;
    rows.push([
      shape,
      Math.round(stepsPerSecond).toLocaleString("en-US"),
      megabytesPerSecond.toFixed(0),
      processors.toFixed(2),
      Math.round(stepsPerSecond / processors).toLocaleString("en-US"),
    ]);
  }
  const header = [
    "Steps in a rollout",
    "env steps/s",
    "MB/s",
    "Processors used",
    "env steps/s of one processor",
  ];
  say(markdownTable([header, ...rows]).join("\n"));
  return { ratios: [], ok: true };
}
