/**
 * The Coordinator service: a Control offered to the wire. A watcher's next announcement is asked for only after the
 * one before has left this process, so at most one is under way to each; the Control decides which is the newest.
 */
import { toSkeinError } from "../errors.js";
import * as messages from "./messages.js";
import { COORDINATOR_SERVICE, corrupt } from "./schema.js";
import type { Control, TransportOptions } from "./transport.js";
import { Stall } from "./stall.js";
import { answerFetch, onRequest, PublicationAssembler } from "./weights-service.js";
import { unknownMethod, type ServedListener, type ServedStream, type Service } from "./wire.js";

/** Offers `control` to clients. */
export function coordinatorService(control: Control, options: TransportOptions): Service {
  return {
    name: COORDINATOR_SERVICE,
    call: (method, request) => callControl(control, method, request),
    open: (method, stream) => {
      switch (method) {
        case "PublishWeights":
          return publish(control, stream, options);
        case "FetchWeights":
          return onRequest(stream, (request, gone) => answerFetch(control, stream, request, gone, options));
        case "WatchWeights":
          return onRequest(stream, (request, gone) => watch(control, stream, request, gone));
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

function publish(
  control: Control,
  stream: ServedStream,
  { maxMessageBytes, deadlineSeconds }: TransportOptions,
): ServedListener {
  const assembler = new PublicationAssembler(maxMessageBytes);
  const stall = new Stall(deadlineSeconds, (error) => stream.end(error));
  let published = false;
  const accept = async (bytes: Uint8Array): Promise<void> => {
    if (published) throw corrupt("PublishWeights", "one manifest and its payload", "more");
    stall.await(true);
    const publication = assembler.take(bytes);
    if (publication === null) return;
    published = true;
    stall.await(false);
    await control.publishWeights(publication.delivery, publication.incarnation);
    await stream.write(messages.nothing);
    stream.end();
  };
  return {
    onMessage: (bytes) => void accept(bytes).catch((error: unknown) => stream.end(toSkeinError(error))),
    onHalfClose: () => {
      if (!published) stream.end(corrupt("PublishWeights", "whole weights", "the end of the stream"));
    },
    onGone: () => stall.await(false),
  };
}

async function watch(
  control: Control,
  stream: ServedStream,
  request: Uint8Array,
  gone: AbortSignal,
): Promise<void> {
  const asked = messages.watchRequest.decode(request);
  let last = asked.afterVersion;
  for await (const announcement of control.watchWeights(asked, gone)) {
    if (announcement.version <= last) continue;
    last = announcement.version;
    await stream.write(messages.weightsAnnouncement.encode(announcement));
  }
}
