/**
 * One stream of the in-process wire. Bytes wait in two lanes, one each way, and are handed over in order on later
 * turns of the event loop; they are dropped only when the stream breaks or is cancelled, as on a network.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import {
  LinkBroken,
  type ServedListener,
  type ServedStream,
  type StreamListener,
  type WireStream,
} from "./wire.js";

/** Deliveries that may wait in a lane before its writer is told to pause. */
const LANE_LENGTH = 16;

/** What is left of an error after a wire: its code and its message. */
export function crossed(error: unknown): SkeinError {
  const { code, message } = toSkeinError(error);
  return new SkeinError(code, message);
}

/** One direction of a stream: its deliveries in order, none before the next turn of the event loop. */
class Lane {
  private readonly waiting: (() => void)[] = [];
  private scheduled = false;
  private paused = false;
  private stopped = false;

  get length(): number {
    return this.waiting.length;
  }

  push(deliver: () => void): void {
    if (this.stopped) return;
    this.waiting.push(deliver);
    this.schedule();
  }

  setPaused(paused: boolean): void {
    this.paused = paused;
    this.schedule();
  }

  clear(): void {
    this.waiting.length = 0;
  }

  stop(): void {
    this.stopped = true;
    this.clear();
  }

  private schedule(): void {
    if (this.scheduled || this.paused || this.waiting.length === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      while (!this.paused) {
        const deliver = this.waiting.shift();
        if (deliver === undefined) return;
        deliver();
      }
    });
  }
}

/** Both ends of one stream. */
export class MemoryStream implements WireStream {
  private readonly toServer = new Lane();
  private readonly toClient = new Lane();
  private readonly unwritten = new Set<() => void>();
  private served: ServedListener | null = null;
  private congested = false;
  private gone = false;

  constructor(
    private readonly listener: StreamListener,
    private readonly clientStreams: Set<MemoryStream>,
  ) {
    clientStreams.add(this);
  }

  accept(open: (served: ServedStream) => ServedListener, serverStreams: Set<MemoryStream>): void {
    this.toClient.push(() => this.listener.onOpen());
    const served = open({
      write: (bytes) => this.writeToClient(bytes),
      pause: () => this.toServer.setPaused(true),
      resume: () => this.toServer.setPaused(false),
      end: (error) => this.endFromServer(error),
    });
    this.served = {
      onMessage: (bytes) => served.onMessage(bytes),
      onHalfClose: () => served.onHalfClose(),
      onGone: () => {
        serverStreams.delete(this);
        served.onGone();
      },
    };
  }

  write(bytes: Uint8Array): boolean {
    const copy = new Uint8Array(bytes);
    this.toServer.push(() => {
      this.served?.onMessage(copy);
      if (this.congested && this.toServer.length === 0 && !this.gone) {
        this.congested = false;
        this.listener.onDrain();
      }
    });
    this.congested ||= this.toServer.length >= LANE_LENGTH;
    return !this.congested;
  }

  end(): void {
    this.toServer.push(() => this.served?.onHalfClose());
  }

  cancel(): void {
    this.toClient.stop();
    this.leave();
  }

  break(detail: string): void {
    if (this.gone) return;
    this.toClient.clear();
    this.toClient.push(() => this.listener.onEnd(new LinkBroken(detail)));
    this.leave();
  }

  private writeToClient(bytes: Uint8Array): Promise<void> {
    if (this.gone) return Promise.resolve();
    const copy = new Uint8Array(bytes);
    return new Promise((resolve) => {
      this.unwritten.add(resolve);
      this.toClient.push(() => {
        this.unwritten.delete(resolve);
        this.listener.onMessage(copy);
        resolve();
      });
    });
  }

  private endFromServer(error?: SkeinError): void {
    if (this.gone) return;
    this.toClient.push(() => this.listener.onEnd(error === undefined ? null : crossed(error)));
    this.leave();
  }

  /** Nothing reaches the server any more; what was written to the client still may. */
  private leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.clientStreams.delete(this);
    this.toServer.stop();
    for (const resolve of this.unwritten) resolve();
    setImmediate(() => this.served?.onGone());
  }
}
