/**
 * A coordinator from afar. Every call is repeated while the connection is broken, up to `reconnectSeconds`, so the
 * coordinator may see a call twice: all of them are harmless to repeat.
 */
import { exchange } from "./exchange.js";
import { tooLong } from "./frames.js";
import * as messages from "./messages.js";
import { closedHere, persist } from "./retry.js";
import type {
  AcquireReply,
  AcquireRequest,
  Closable,
  Control,
  HeartbeatReply,
  HeartbeatRequest,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  RunStatus,
  TransportOptions,
  WatchRequest,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsRequest,
} from "./transport.js";
import { fetchOnce } from "./weights-client.js";
import { publicationOf } from "./weights-service.js";
import { WeightsWatch } from "./weights-watch.js";
import type { Wire } from "./wire.js";

export class ControlClient implements Control, Closable {
  private readonly closed = new AbortController();
  private readonly watches = new Set<WeightsWatch>();

  constructor(
    private readonly wire: Wire,
    private readonly options: TransportOptions,
  ) {}

  async register(request: RegisterRequest): Promise<RegisterReply> {
    return messages.registerReply.decode(
      await this.call("Register", messages.registerRequest.encode(request)),
    );
  }

  async heartbeat(request: HeartbeatRequest): Promise<HeartbeatReply> {
    return messages.heartbeatReply.decode(
      await this.call("Heartbeat", messages.heartbeatRequest.encode(request)),
    );
  }

  async acquire(request: AcquireRequest): Promise<AcquireReply> {
    return messages.acquireReply.decode(await this.call("Acquire", messages.acquireRequest.encode(request)));
  }

  async report(request: ReportRequest): Promise<ReportReply> {
    return messages.reportReply.decode(await this.call("Report", messages.reportRequest.encode(request)));
  }

  async leave(request: { readonly leaseId: string }): Promise<void> {
    await this.call("Leave", messages.leaveRequest.encode(request));
  }

  async status(): Promise<RunStatus> {
    return messages.statusReply.decode(await this.call("Status", messages.nothing));
  }

  async pause(request: { readonly seconds: number; readonly reason: string }): Promise<void> {
    await this.call("Pause", messages.pauseRequest.encode(request));
  }

  async resume(): Promise<void> {
    await this.call("Resume", messages.nothing);
  }

  async publishWeights(delivery: WeightsDelivery, incarnation: string): Promise<void> {
    const { maxMessageBytes, chunkBytes } = this.options;
    const { version } = delivery.manifest;
    const bytes = delivery.payload.byteLength;
    if (bytes > maxMessageBytes) throw tooLong(`weights ${version}`, bytes, maxMessageBytes);
    await this.persist((connectBy) => {
      const limits = { stallSeconds: this.options.deadlineSeconds, connectBy };
      return exchange(
        this.wire,
        "PublishWeights",
        publicationOf(delivery, incarnation, chunkBytes),
        () => undefined,
        limits,
      );
    });
  }

  fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    return this.persist((connectBy) => fetchOnce(this.wire, request, this.options, connectBy));
  }

  async *watchWeights(
    request: WatchRequest,
    signal: AbortSignal,
  ): AsyncGenerator<WeightsAnnouncement, void, undefined> {
    if (this.closed.signal.aborted) throw closedHere(this.wire.address);
    const watch = new WeightsWatch(this.wire, this.options, request);
    this.watches.add(watch);
    try {
      yield* watch.announcements(signal);
    } finally {
      this.watches.delete(watch);
    }
  }

  /** Ends watches quietly and rejects calls under way with UNAVAILABLE. */
  close(): Promise<void> {
    this.closed.abort();
    for (const watch of this.watches) watch.finish();
    this.wire.close();
    return Promise.resolve();
  }

  private call(method: string, request: Uint8Array): Promise<Uint8Array> {
    return this.persist((connectBy) => this.wire.call(method, request, connectBy));
  }

  private persist<T>(attempt: (connectBy: number) => Promise<T>): Promise<T> {
    return persist(this.wire.address, this.options.reconnectSeconds, this.closed.signal, attempt);
  }
}
