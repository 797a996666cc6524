/**
 * Rollouts into one learner process: senders in processes of their own, over a transport, and beside it the memory
 * transport within this process. The receiver decodes every rollout and settles it at once.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runConfigSchema, type RunConfig } from "../core/config/schema.js";
import { markdownTable } from "../core/markdown.js";
import { OPEN } from "../core/security/credentials.js";
import { createTransport } from "../core/transport/create.js";
import { createMemoryTransport } from "../core/transport/memory.js";
import type { DeliveryHandler, Transport } from "../core/transport/transport.js";
import { stepCount } from "../core/types.js";
import { LineProcess } from "./lines.js";
import type { Ratio } from "./report.js";
import { keepSending, QUEUE_FULL, wireRollout } from "./wire-load.js";
import type { WireSenderPlan } from "./wire-sender.js";

const SENDER = fileURLToPath(new URL("./wire-sender.js", import.meta.url));
const READY_SECONDS = 60;
const WARM_UP_MS = 1500;
/** Longest time to fill a queue. */
const FILL_SECONDS = 120;

export interface WireBenchOptions {
  /** The wires of a run file: which transport, and how. */
  readonly transport: RunConfig["transport"];
  /** Where the receiver listens: each time at a free port, or as a run that nobody else has. */
  readonly address: string;
  /** Sending processes; 0 = over NATS, what waits in a long queue whose senders are gone. */
  readonly senders: readonly number[];
  /** Steps of one rollout. */
  readonly steps: readonly number[];
  readonly seconds: number;
}

export const WIRE_DEFAULTS: WireBenchOptions = {
  transport: runConfigSchema.shape.transport.parse({}),
  address: "127.0.0.1:0",
  senders: [1, 2],
  steps: [1024, 8192, 32_768, 131_072],
  seconds: 5,
};

/** Size of the queue on a NATS server, bytes: senders do not get far ahead of the receiver. */
const SHORT_QUEUE_BYTES = 128 * 1024 * 1024;
/** Size of one that is filled first: more than a receiver takes in while it is measured. */
const LONG_QUEUE_BYTES = 3 * 1024 * 1024 * 1024;

/** Per second of the measured time. */
interface Rate {
  readonly megabytes: number;
  readonly rollouts: number;
  readonly steps: number;
  /** Processor seconds of this process. */
  readonly processor: number;
}

/** Counts what arrives, and settles it. */
class Meter {
  bytes = 0;
  rollouts = 0;
  steps = 0;

  readonly onDelivery: DeliveryHandler = (delivery) => {
    this.bytes += delivery.bytes;
    this.rollouts += 1;
    this.steps += stepCount(delivery.rollout.columns);
    delivery.ack();
  };

  async rate(seconds: number): Promise<Rate> {
    await pause(WARM_UP_MS);
    const before = { ...this, used: process.cpuUsage(), at: performance.now() };
    await pause(1000 * seconds);
    const elapsed = (performance.now() - before.at) / 1000;
    const { user, system } = process.cpuUsage(before.used);
    return {
      megabytes: (this.bytes - before.bytes) / 1e6 / elapsed,
      rollouts: (this.rollouts - before.rollouts) / elapsed,
      steps: (this.steps - before.steps) / elapsed,
      processor: (user + system) / 1e6 / elapsed,
    };
  }
}

function startSender(plan: WireSenderPlan): LineProcess {
  return LineProcess.node(plan.name, [SENDER, JSON.stringify(plan)]);
}

/** Makes a queue, has it filled, and says where it is. */
async function fillQueue(options: WireBenchOptions, steps: number): Promise<string> {
  const transport = createTransport(options.transport, OPEN);
  const { address } = await transport.serveRollouts(() => undefined, options.address);
  await transport.close();
  const sender = startSender({ address, transport: options.transport, steps, name: "sender" });
  try {
    while ((await sender.next(FILL_SECONDS)) !== QUEUE_FULL);
  } finally {
    await sender.close();
  }
  return address;
}

async function overTransport(options: WireBenchOptions, senders: number, steps: number): Promise<Rate> {
  const place = senders === 0 ? await fillQueue(options, steps) : options.address;
  const transport = createTransport(options.transport, OPEN);
  const meter = new Meter();
  const children: LineProcess[] = [];
  try {
    const { address } = await transport.serveRollouts(meter.onDelivery, place);
    for (let k = 0; k < senders; k++) {
      children.push(startSender({ address, transport: options.transport, steps, name: `sender-${k}` }));
    }
    for (const child of children) await child.next(READY_SECONDS);
    return await meter.rate(options.seconds);
  } finally {
    await Promise.all(children.map((child) => child.close()));
    await transport.close();
  }
}

async function inMemory(options: WireBenchOptions, steps: number): Promise<Rate> {
  const transport: Transport = createMemoryTransport(options.transport);
  const meter = new Meter();
  const { address } = await transport.serveRollouts(meter.onDelivery, "memory:");
  const sender = transport.connectRollouts(address);
  const sending = keepSending(sender, wireRollout(steps, "sender"), options.transport.credits);
  const rate = await meter.rate(options.seconds);
  sender.abandon();
  await sending;
  await transport.close();
  return rate;
}

/**
 * Measures every number of senders with every size, and the memory transport with every size. Ratios: megabytes a
 * second of the transport over those in memory, where sender and receiver share one thread.
 */
export async function benchWire(
  options: WireBenchOptions,
  say: (line: string) => void,
): Promise<{ readonly ratios: readonly Ratio[]; readonly ok: boolean }> {
  const ratios: Ratio[] = [];
  const header = ["", "KB a rollout", "MB/s", "rollouts/s", "steps/s", "processor s/s", "in memory MB/s"];
  const rows: string[][] = [];
  for (const steps of options.steps) {
    const memory = await inMemory(options, steps);
    for (const senders of options.senders) {
      const maxBytes = senders === 0 ? LONG_QUEUE_BYTES : SHORT_QUEUE_BYTES;
      const transport = { ...options.transport, nats: { ...options.transport.nats, maxBytes } };
      const rate = await overTransport({ ...options, transport }, senders, steps);
      const name = `${transport.kind} ${senders} senders, ${steps} steps`;
      ratios.push({ name: `${name}, MB/s`, ours: rate.megabytes, peer: memory.megabytes });
      const size = rate.megabytes / rate.rollouts;
      const numbers = [
        1000 * size,
        rate.megabytes,
        rate.rollouts,
        rate.steps,
        rate.processor,
        memory.megabytes,
      ];
      rows.push([name, ...numbers.map((n) => n.toLocaleString("en-US", { maximumSignificantDigits: 3 }))]);
    }
  }
  say(markdownTable([header, ...rows]).join("\n"));
  return { ratios, ok: true };
}
