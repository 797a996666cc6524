/**
 * One rollout on its way into the queue. A sending is its frames under one subject; the server stores each frame once
 * however often it is published (Nats-Msg-Id). A sending that was not stored whole within `SENDING_SECONDS` counts
 * for nothing: the learner may have given its frames up by then, and the server would still call them repeats. So the
 * rollout begins again, under a subject of its own; what then arrives twice is one rollout twice, which learners know.
 */
import { split, type Frame } from "../frames.js";

/** Half of what the learner waits for the rest of a rollout, and well within what the server remembers. */
const SENDING_SECONDS = 30;

export interface Outlook {
  /** performance.now() milliseconds. */
  readonly now: number;
  /** Largest payload of a frame, bytes. */
  readonly chunkBytes: number;
}

export class SendingRollout {
  private frames: readonly Frame[] = [];
  private chunkBytes = 0;
  /** Frames to publish, in order. */
  private left: Frame[] = [];
  private readonly stored = new Set<number>();
  /** performance.now() milliseconds of the first publish. */
  private began: number | null = null;
  private attempt = 0;

  constructor(
    readonly id: number,
    private readonly bytes: Uint8Array,
  ) {}

  /** Tells the sendings of one sender apart. */
  get sending(): string {
    return `${this.id}-${this.attempt}`;
  }

  get allPublished(): boolean {
    return this.frames.length > 0 && this.left.length === 0;
  }

  /** The next frame to publish; null = none is left. */
  next(outlook: Outlook): Frame | null {
    if (this.frames.length === 0) this.cut(outlook.chunkBytes);
    this.began ??= outlook.now;
    return this.left.shift() ?? null;
  }

  /** True where this was the last frame that the server lacked. */
  onStored(sending: string, index: number, outlook: Outlook): boolean {
    if (sending !== this.sending) return false;
    this.stored.add(index);
    if (this.stored.size < this.frames.length) return false;
    if (!this.expired(outlook.now)) return true;
    this.restart(outlook);
    return false;
  }

  /** The server has no room for the frame now. */
  onFull(sending: string, index: number, outlook: Outlook): void {
    if (sending !== this.sending) return;
    const frame = this.frames[index];
    if (frame !== undefined) this.left = [...this.left, frame].sort((a, b) => a.index - b.index);
    // With nothing stored there is nothing that could have been given up.
    if (this.stored.size === 0 && this.left.length === this.frames.length) this.began = null;
    else if (this.expired(outlook.now)) this.restart(outlook);
  }

  /** On a new connection: what the server was sent and whether it still has it is not known. */
  rewind(outlook: Outlook): void {
    if (this.frames.length === 0) return;
    if (this.expired(outlook.now) || this.chunkBytes !== outlook.chunkBytes) {
      this.restart(outlook);
    } else {
      this.left = [...this.frames];
      this.stored.clear();
    }
  }

  private expired(now: number): boolean {
    return this.began !== null && now - this.began > 1000 * SENDING_SECONDS;
  }

  private restart({ chunkBytes }: Outlook): void {
    this.attempt += 1;
    this.began = null;
    this.cut(chunkBytes);
  }

  private cut(chunkBytes: number): void {
    this.chunkBytes = chunkBytes;
    this.frames = split(this.id, this.bytes, chunkBytes);
    this.left = [...this.frames];
    this.stored.clear();
  }
}
