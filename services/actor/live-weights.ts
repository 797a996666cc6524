/**
 * The weights a rollout thread plays with. Always: they change only between two steps; only the newest of those that
 * have come counts.
 */
import { receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import type { Engine } from "../../core/engine/engine.js";
import { SkeinError } from "../../core/errors.js";
import type { WeightsSnapshot } from "../../core/types.js";
import type { ToThread } from "./messages.js";

export class LiveWeights {
  private loaded = -1;
  private offered: WeightsSnapshot | null = null;
  private swapped = 0;

  constructor(
    private readonly engine: Engine,
    private readonly port: MessagePort,
  ) {}

  /** Of the weights in use. */
  get version(): number {
    if (this.loaded < 0) {
      throw new SkeinError("INTERNAL", "rollout thread: asked to collect before any weights came");
    }
    return this.loaded;
  }

  swap(weights: WeightsSnapshot): void {
    this.engine.load(weights);
    this.loaded = weights.version;
    this.swapped++;
  }

  /** Newer weights: swapped in before the next step that may take them. */
  offer(weights: WeightsSnapshot): void {
    this.offered = weights;
  }

  /** Takes what has arrived while the thread was busy. */
  swapNewest(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.port) as { message: ToThread } | undefined;
      if (received === undefined) break;
      // Everything else is only ever sent to an idle thread.
      if (received.message.kind === "weights") this.offer(received.message.weights);
    }
    const { offered } = this;
    this.offered = null;
    if (offered !== null) this.swap(offered);
  }

  /** Swaps since the last call. */
  takeSwaps(): number {
    const { swapped } = this;
    this.swapped = 0;
    return swapped;
  }
}
