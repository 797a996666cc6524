/** A Control whose weights are stored as well (weights-store.ts): its announcements say so. */
import { messageOf } from "../../errors.js";
import { settledWithin } from "../../waiting.js";
import type {
  AcquireReply,
  AcquireRequest,
  Control,
  HeartbeatReply,
  HeartbeatRequest,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  RunStatus,
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "../transport.js";
import type { WeightsStore } from "./weights-store.js";

export interface StoringOptions {
  /** What announcements name. */
  readonly address: string;
  /** Longest that an announcement waits for the store. */
  readonly seconds: number;
  readonly notice: (message: string) => void;
}

/** A version on its way into the store. */
interface Storing {
  readonly version: number;
  stored: boolean;
  over: Promise<void>;
}

export class StoringControl implements Control {
  private newest: Storing = { version: -1, stored: false, over: Promise.resolve() };
  /** Whether the last version could not be stored: told once, not for each. */
  private failing = false;

  constructor(
    private readonly control: Control,
    private readonly store: Pick<WeightsStore, "put">,
    private readonly options: StoringOptions,
  ) {}

  async publishWeights(delivery: WeightsDelivery, incarnation: string): Promise<void> {
    const before = this.newest;
    // Announced within the call: whoever announces waits for what follows it.
    let begin: (accepted: boolean) => void = () => undefined;
    const accepted = new Promise<boolean>((resolve) => (begin = resolve));
    const storing: Storing = { version: delivery.manifest.version, stored: false, over: Promise.resolve() };
    storing.over = accepted.then((yes) => (yes ? this.put(storing, delivery) : undefined));
    this.newest = storing;
    try {
      await this.control.publishWeights(delivery, incarnation);
      begin(true);
    } catch (error) {
      if (this.newest === storing) this.newest = before;
      begin(false);
      throw error;
    }
  }

  async *watchWeights(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WeightsAnnouncement> {
    const { address, seconds } = this.options;
    for await (const announcement of this.control.watchWeights(request, signal)) {
      const storing = this.newest;
      if (announcement.source !== "" || storing.version !== announcement.version) {
        yield announcement;
        continue;
      }
      const from = performance.now();
      await settledWithin(storing.over, seconds);
      const ageSeconds = announcement.ageSeconds + (performance.now() - from) / 1000;
      yield { ...announcement, ageSeconds, source: storing.stored ? address : "" };
    }
  }

  fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    return this.control.fetchWeights(request);
  }

  register(request: RegisterRequest): Promise<RegisterReply> {
    return this.control.register(request);
  }

  heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply> {
    return this.control.heartbeat(request);
  }

  acquire(request: AcquireRequest): Promise<AcquireReply> {
    return this.control.acquire(request);
  }

  report(request: ReportRequest): Promise<ReportReply> {
    return this.control.report(request);
  }

  leave(request: { readonly leaseId: string }): Promise<void> {
    return this.control.leave(request);
  }

  status(): Promise<RunStatus> {
    return this.control.status();
  }

  pause(request: { readonly seconds: number; readonly reason: string }): Promise<void> {
    return this.control.pause(request);
  }

  resume(): Promise<void> {
    return this.control.resume();
  }

  private async put(storing: Storing, delivery: WeightsDelivery): Promise<void> {
    const { version, parent } = delivery.manifest;
    try {
      await this.store.put(delivery);
      if (parent !== null) {
        await this.store.put(await this.control.fetchWeights({ version, oldest: version, base: null }));
      }
      storing.stored = true;
      this.failing = false;
    } catch (error) {
      if (!this.failing) {
        this.options.notice(
          `weights cannot be stored on the NATS server (${messageOf(error)}): actors take them from the coordinator`,
        );
      }
      this.failing = true;
    }
  }
}
