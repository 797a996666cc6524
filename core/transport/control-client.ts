/**
 * A coordinator from afar. Every call is repeated while the connection is broken, up to `reconnectSeconds`, so the
 * coordinator may see a call twice: all of them are harmless to repeat.
 */
import type { WeightsSnapshot } from "../types.js";
import { decodeWeights, encodeWeights } from "./codec.js";
import { exchange } from "./exchange.js";
import { encodeFrames, FrameAssembler, tooLong } from "./frames.js";
import * as messages from "./messages.js";
import { closedHere, persist } from "./retry.js";
import { corrupt } from "./schema.js";
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
} from "./transport.js";
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

  async publishWeights(snapshot: WeightsSnapshot): Promise<void> {
    const bytes = encodeWeights(snapshot);
    const limit = this.options.maxMessageBytes;
    if (bytes.byteLength > limit) throw tooLong(`weights ${snapshot.version}`, bytes.byteLength, limit);
    const frames = encodeFrames(snapshot.version, bytes, this.options.chunkBytes);
    await this.exchange("PublishWeights", frames, () => () => undefined);
  }

  async fetchWeights(version: number): Promise<WeightsSnapshot> {
    let snapshot: WeightsSnapshot | null = null;
    await this.exchange("FetchWeights", [messages.fetchRequest.encode({ version })], () => {
      const assembler = new FrameAssembler(this.options.maxMessageBytes);
      return (bytes) => {
        const message = assembler.push(bytes);
        if (message !== null) snapshot = decodeWeights(message.bytes);
      };
    });
    if (snapshot === null) throw corrupt(`weights ${version}`, "a snapshot", "none");
    return snapshot;
  }

  async *watchWeights(
    afterVersion: number,
    signal: AbortSignal,
  ): AsyncGenerator<WeightsSnapshot, void, undefined> {
    if (this.closed.signal.aborted) throw closedHere(this.wire.address);
    const watch = new WeightsWatch(this.wire, this.options, afterVersion);
    this.watches.add(watch);
    try {
      yield* watch.snapshots(signal);
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
    const { reconnectSeconds } = this.options;
    return persist(this.wire.address, reconnectSeconds, this.closed.signal, (connectBy) =>
      this.wire.call(method, request, connectBy),
    );
  }

  private exchange(
    method: string,
    outgoing: readonly Uint8Array[],
    /** Makes a fresh listener for each attempt. */
    listener: () => (bytes: Uint8Array) => void,
  ): Promise<void> {
    const { reconnectSeconds, deadlineSeconds } = this.options;
    return persist(this.wire.address, reconnectSeconds, this.closed.signal, (connectBy) => {
      return exchange(this.wire, method, outgoing, listener(), { stallSeconds: deadlineSeconds, connectBy });
    });
  }
}
