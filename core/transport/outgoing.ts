/**
 * What a sender holds: every rollout from `add` until it is settled or refused, in the order of their ids. Written =
 * handed to the present stream; untaken = written, and not taken by the receiver of the present stream.
 */
import type { SkeinError } from "../errors.js";
import type { Sending } from "./transport.js";

interface Held<T> {
  readonly id: number;
  readonly content: T;
  readonly onTaken: () => void;
  readonly onSettled: () => void;
  readonly onRefused: (error: SkeinError) => void;
}

/** T is what is kept of a rollout: its bytes, in whatever form they are written. */
export class Outgoing<T> {
  private readonly unsettled = new Map<number, Held<T>>();
  /** Not written on the present stream, oldest first. */
  private waiting: Held<T>[] = [];
  private readonly written = new Set<number>();
  private lastId = 0;

  /** Written on the present stream and not taken. */
  get untaken(): number {
    return this.written.size;
  }

  get size(): number {
    return this.unsettled.size;
  }

  get allTaken(): boolean {
    return this.waiting.length + this.written.size === 0;
  }

  /** `encode` makes what is kept of the rollout of that id. */
  add(encode: (id: number) => T): Sending {
    let onTaken: () => void = () => undefined;
    let onSettled: () => void = () => undefined;
    let refuseTaken: (error: SkeinError) => void = () => undefined;
    let refuseSettled: (error: SkeinError) => void = () => undefined;
    const taken = new Promise<void>((resolve, reject) => ([onTaken, refuseTaken] = [resolve, reject]));
    const settled = new Promise<void>((resolve, reject) => ([onSettled, refuseSettled] = [resolve, reject]));
    taken.catch(() => undefined);
    const onRefused = (error: SkeinError): void => {
      refuseTaken(error);
      refuseSettled(error);
    };
    const id = ++this.lastId;
    const held: Held<T> = { id, content: encode(id), onTaken, onSettled, onRefused };
    this.unsettled.set(held.id, held);
    this.waiting.push(held);
    return { taken, settled };
  }

  /** The oldest that waits to be written, which is written from then on; null = none. */
  next(): { readonly id: number; readonly content: T } | null {
    let held = this.waiting.shift();
    while (held !== undefined && !this.unsettled.has(held.id)) held = this.waiting.shift();
    if (held === undefined) return null;
    this.written.add(held.id);
    return held;
  }

  take(id: number): void {
    if (this.written.delete(id)) this.unsettled.get(id)?.onTaken();
  }

  settle(id: number): void {
    this.take(id);
    const held = this.unsettled.get(id);
    this.unsettled.delete(id);
    held?.onSettled();
  }

  refuse(id: number, error: SkeinError): void {
    const held = this.unsettled.get(id);
    this.written.delete(id);
    this.unsettled.delete(id);
    held?.onRefused(error);
  }

  /** The stream is gone: everything unsettled waits again, to be written on the next. */
  rewind(): void {
    this.written.clear();
    this.waiting = [...this.unsettled.values()];
  }

  refuseAll(error: SkeinError): void {
    const all = [...this.unsettled.values()];
    this.unsettled.clear();
    this.rewind();
    for (const held of all) held.onRefused(error);
  }
}

/** What becomes of a rollout that never was on its way. */
export function rejectedSending(error: SkeinError): Sending {
  const taken = Promise.reject<void>(error);
  taken.catch(() => undefined);
  return { taken, settled: Promise.reject(error) };
}
