/**
 * One sending of a rollout as it comes out of the queue: frames in any order, any of them more than once. It is known
 * from its first frame until the server has heard how it was settled, so that whatever is delivered again meanwhile
 * is recognised.
 */
import { expectSameMessage, expectSound, joined, type Frame } from "../frames.js";

/** JetStream's words for a message: done; never again. */
export type Verdict = "+ACK" | "+TERM";

export class Parcel {
  verdict: Verdict | null = null;
  /** The server has heard the verdict. */
  confirmed = false;
  /** performance.now() milliseconds at which its newest frame came. */
  newestAt = 0;
  private frames: Map<number, Frame> | null = new Map();
  /** Where word of each message goes, by its number in the stream, as far as delivered on the present connection. */
  private readonly replies = new Map<number, string>();

  constructor(readonly subject: string) {}

  /** Not all of its frames are there, and nothing is decided. */
  get arriving(): boolean {
    return this.frames !== null && this.verdict === null;
  }

  /** Messages that came on the present connection. */
  get size(): number {
    return this.replies.size;
  }

  /** Message `sequence` of the stream, delivered, perhaps again. */
  delivered(sequence: number, reply: string): void {
    this.replies.set(sequence, reply);
  }

  /**
   * The rollout's bytes where this was the last frame that it lacked, else null. Throws MESSAGE_CORRUPT,
   * PROTOCOL_MISMATCH or REFUSED where the frame cannot be a part of it.
   */
  accept(frame: Frame, now: number, maxMessageBytes: number): Uint8Array | null {
    const { frames } = this;
    if (frames === null || this.verdict !== null) return null;
    this.newestAt = now;
    expectSound(frame, maxMessageBytes);
    const [first] = frames.values();
    if (first !== undefined) expectSameMessage(frame, first);
    frames.set(frame.index, frame);
    if (frames.size < frame.count) return null;
    this.frames = null;
    return joined(Array.from({ length: frame.count }, (_, index) => frames.get(index)!));
  }

  /** Where to send word of it. */
  addressees(): Iterable<string> {
    return this.replies.values();
  }

  /** The connection is gone, and with it whatever could be said there. */
  disconnected(): void {
    this.replies.clear();
  }
}
