/**
 * Weights offered to the wire, by the coordinator and by relays alike: a manifest, then its payload, in frames. While
 * the source makes a client wait, empty messages tell it that somebody is still there.
 */
import { SkeinError, toSkeinError } from "../errors.js";
import type { WeightsManifest } from "../types.js";
import { digestOf, encodeFrames, FrameAssembler, frameCodec, split } from "./frames.js";
import * as messages from "./messages.js";
import { corrupt, RELAY_SERVICE } from "./schema.js";
import type { TransportOptions, WeightsDelivery, WeightsSource } from "./transport.js";
import { unknownMethod, type ServedListener, type ServedStream, type Service } from "./wire.js";

// Payloads are immutable, so each is hashed once however many fetch it.
const digests = new WeakMap<Uint8Array, Uint8Array>();

/** What a delivery is on the wire, frame by frame: the payload is never copied whole. */
export function* framesOf(
  { manifest, payload }: WeightsDelivery,
  firstId: number,
  chunkBytes: number,
): Generator<Uint8Array> {
  yield* encodeFrames(firstId, messages.weightsManifest.encode(manifest), chunkBytes);
  let digest = digests.get(payload);
  if (digest === undefined) digests.set(payload, (digest = digestOf(payload)));
  for (const frame of split(firstId + 1, payload, chunkBytes, digest)) yield frameCodec.encode(frame);
}

/** A publication on the wire: who publishes, then the delivery. */
export function* publicationOf(
  delivery: WeightsDelivery,
  incarnation: string,
  chunkBytes: number,
): Generator<Uint8Array> {
  yield* encodeFrames(1, messages.publishRequest.encode({ incarnation }), chunkBytes);
  yield* framesOf(delivery, 2, chunkBytes);
}

/** Puts a publication together again; `take` gives it with its last frame. Throws what a DeliveryAssembler throws. */
export class PublicationAssembler {
  private readonly frames: FrameAssembler;
  private readonly delivery: DeliveryAssembler;
  private incarnation: string | null = null;

  constructor(maxMessageBytes: number) {
    this.frames = new FrameAssembler(maxMessageBytes);
    this.delivery = new DeliveryAssembler(maxMessageBytes);
  }

  take(frame: Uint8Array): { readonly delivery: WeightsDelivery; readonly incarnation: string } | null {
    const { incarnation } = this;
    if (incarnation !== null) {
      const delivery = this.delivery.take(frame);
      return delivery === null ? null : { delivery, incarnation };
    }
    const message = this.frames.push(frame);
    if (message !== null) this.incarnation = messages.publishRequest.decode(message.bytes).incarnation;
    return null;
  }
}

/** Puts a delivery together again; `take` gives it with its last frame. */
export class DeliveryAssembler {
  private readonly frames: FrameAssembler;
  private manifest: WeightsManifest | null = null;

  constructor(maxMessageBytes: number) {
    this.frames = new FrameAssembler(maxMessageBytes);
  }

  /** False while the other side is still waiting for the weights itself. */
  get begun(): boolean {
    return this.manifest !== null;
  }

  /** Throws MESSAGE_CORRUPT and what a FrameAssembler throws. */
  take(frame: Uint8Array): WeightsDelivery | null {
    const message = this.frames.push(frame);
    if (message === null) return null;
    const { manifest } = this;
    if (manifest !== null) return { manifest, payload: message.bytes };
    if (message.bytes.byteLength > 0) this.manifest = messages.weightsManifest.decode(message.bytes);
    return null;
  }
}

/** Answers a FetchWeights request. Says that it waits four times within what the client takes for a standstill. */
export async function answerFetch(
  source: WeightsSource,
  stream: ServedStream,
  request: Uint8Array,
  gone: AbortSignal,
  { chunkBytes, deadlineSeconds }: TransportOptions,
): Promise<void> {
  let id = 0;
  const waiting = setInterval(() => {
    for (const frame of encodeFrames(++id, messages.nothing, chunkBytes)) void stream.write(frame);
  }, 250 * deadlineSeconds);
  let delivery: WeightsDelivery;
  try {
    delivery = await source.fetchWeights(messages.fetchRequest.decode(request));
  } finally {
    clearInterval(waiting);
  }
  // One frame is made while the one before it leaves.
  let leaving = Promise.resolve();
  for (const frame of framesOf(delivery, id + 1, chunkBytes)) {
    if (gone.aborted) return;
    const before = leaving;
    leaving = stream.write(frame);
    await before;
  }
  await leaving;
}

/** Runs `respond` on the client's only message; its error ends the stream. */
export function onRequest(
  stream: ServedStream,
  respond: (request: Uint8Array, gone: AbortSignal) => Promise<void>,
): ServedListener {
  const gone = new AbortController();
  let asked = false;
  const run = async (request: Uint8Array): Promise<void> => {
    if (asked) return;
    asked = true;
    await respond(request, gone.signal);
    stream.end();
  };
  return {
    onMessage: (request) => void run(request).catch((error: unknown) => stream.end(toSkeinError(error))),
    onHalfClose: () => {
      if (!asked) stream.end(corrupt("stream", "a request", "none"));
    },
    onGone: () => gone.abort(),
  };
}

/** Offers `source` to at most `receivers` others at once. */
export function relayService(source: WeightsSource, receivers: number, options: TransportOptions): Service {
  let serving = 0;
  return {
    name: RELAY_SERVICE,
    call: (method) => Promise.reject(unknownMethod(RELAY_SERVICE, method)),
    open: (method, stream) => {
      if (method !== "FetchWeights") throw unknownMethod(RELAY_SERVICE, method);
      const listener = onRequest(stream, (request, gone) => {
        if (serving > receivers) throw busy(receivers);
        return answerFetch(source, stream, request, gone, options);
      });
      serving += 1;
      return {
        ...listener,
        onGone: () => {
          serving -= 1;
          listener.onGone();
        },
      };
    },
  };
}

function busy(receivers: number): SkeinError {
  const message = `this relay serves ${receivers} others already: fetch from the coordinator`;
  return new SkeinError("REFUSED", message);
}
