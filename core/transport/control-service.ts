/**
 * The Coordinator service: a Control offered to the wire. A watcher's next snapshot is asked for only after the one
 * before has left this process, so at most one is under way to each; the Control decides which is the newest.
 */
import { toSkeinError } from "../errors.js";
import type { WeightsSnapshot } from "../types.js";
import { decodeWeights, encodeWeights } from "./codec.js";
import { encodeFrames, FrameAssembler } from "./frames.js";
import * as messages from "./messages.js";
import { COORDINATOR_SERVICE, corrupt } from "./schema.js";
import type { Control, TransportOptions } from "./transport.js";
import { unknownMethod, type ServedListener, type ServedStream, type Service } from "./wire.js";

type Encode = (snapshot: WeightsSnapshot) => readonly Uint8Array[];

/** Offers `control` to clients. */
export function coordinatorService(control: Control, options: TransportOptions): Service {
  // Snapshots are immutable, so a fleet of watchers shares one encoding for as long as the snapshot lives.
  const encoded = new WeakMap<WeightsSnapshot, readonly Uint8Array[]>();
  const encode: Encode = (snapshot) => {
    let frames = encoded.get(snapshot);
    if (frames === undefined) {
      frames = encodeFrames(snapshot.version, encodeWeights(snapshot), options.chunkBytes);
      encoded.set(snapshot, frames);
    }
    return frames;
  };
  return {
    name: COORDINATOR_SERVICE,
    call: (method, request) => callControl(control, method, request),
    open: (method, stream) => {
      switch (method) {
        case "PublishWeights":
          return publish(control, stream, options.maxMessageBytes);
        case "FetchWeights":
          return onRequest(stream, (request) => fetch(control, stream, request, encode));
        case "WatchWeights":
          return onRequest(stream, (request, gone) => watch(control, stream, request, encode, gone));
        default:
          throw unknownMethod(COORDINATOR_SERVICE, method);
      }
    },
  };
}

async function callControl(control: Control, method: string, request: Uint8Array): Promise<Uint8Array> {
  switch (method) {
    case "Register":
      return messages.registerReply.encode(await control.register(messages.registerRequest.decode(request)));
    case "Heartbeat":
      return messages.heartbeatReply.encode(
        await control.heartbeat(messages.heartbeatRequest.decode(request)),
      );
    case "Acquire":
      return messages.acquireReply.encode(await control.acquire(messages.acquireRequest.decode(request)));
    case "Report":
      return messages.reportReply.encode(await control.report(messages.reportRequest.decode(request)));
    case "Leave":
      await control.leave(messages.leaveRequest.decode(request));
      return messages.nothing;
    case "Status":
      return messages.statusReply.encode(await control.status());
    case "Pause":
      await control.pause(messages.pauseRequest.decode(request));
      return messages.nothing;
    case "Resume":
      await control.resume();
      return messages.nothing;
    default:
      throw unknownMethod(COORDINATOR_SERVICE, method);
  }
}

function publish(control: Control, stream: ServedStream, maxMessageBytes: number): ServedListener {
  const assembler = new FrameAssembler(maxMessageBytes);
  let published = false;
  const accept = async (bytes: Uint8Array): Promise<void> => {
    const message = assembler.push(bytes);
    if (message === null || published) return;
    published = true;
    await control.publishWeights(decodeWeights(message.bytes));
    await stream.write(messages.nothing);
    stream.end();
  };
  return {
    onMessage: (bytes) => void accept(bytes).catch((error: unknown) => stream.end(toSkeinError(error))),
    onHalfClose: () => {
      if (!published) stream.end(corrupt("PublishWeights", "a whole snapshot", "the end of the stream"));
    },
    onGone: () => undefined,
  };
}

/** Runs `respond` on the client's only message; its error ends the stream. */
function onRequest(
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

async function fetch(
  control: Control,
  stream: ServedStream,
  request: Uint8Array,
  encode: Encode,
): Promise<void> {
  const { version } = messages.fetchRequest.decode(request);
  for (const frame of encode(await control.fetchWeights(version))) await stream.write(frame);
}

async function watch(
  control: Control,
  stream: ServedStream,
  request: Uint8Array,
  encode: Encode,
  gone: AbortSignal,
): Promise<void> {
  let last = messages.watchRequest.decode(request).afterVersion;
  for await (const snapshot of control.watchWeights(last, gone)) {
    if (snapshot.version <= last) continue;
    last = snapshot.version;
    for (const frame of encode(snapshot)) {
      if (gone.aborted) return;
      await stream.write(frame);
    }
  }
}
