/**
 * What the wire benchmark sends, and how. `sendPrepared` encodes a rollout once and then writes those bytes again and
 * again under new message ids, so that a sender takes as little as possible of a processor that it shares with the
 * receiver; `keepSending` does all that an actor does.
 */
import { connect, createInbox, headers, nuid } from "nats";
import type { RunConfig } from "../core/config/schema.js";
import { OPEN } from "../core/security/credentials.js";
import { encodeRollout } from "../core/transport/codec.js";
import { encodeFrames, type Frame } from "../core/transport/frames.js";
import { GrpcWire } from "../core/transport/grpc/client.js";
import { rolloutAck } from "../core/transport/messages.js";
import { parsePlace } from "../core/transport/nats/address.js";
import { bodyLimit } from "../core/transport/nats/message.js";
import { readPubAck } from "../core/transport/nats/rollout-stream.js";
import { LEARNER_SERVICE, messageCodec, PROTOCOL_VERSION } from "../core/transport/schema.js";
import type { RolloutSender } from "../core/transport/transport.js";
import { rolloutIdOf, type Rollout } from "../core/types.js";

type Settings = RunConfig["transport"];

const OBSERVATION_WIDTH = 4;
/** Steps of a row: an episode of CartPole, about. */
const ROW_STEPS = 200;
/** Published to a NATS server and not answered for, bytes. */
const NATS_WINDOW_BYTES = 8 * 1024 * 1024;
/** What a sender says where a queue takes no more. */
export const QUEUE_FULL = "queue full";
/** Until a message that the queue had no room for is published again, ms. */
const QUEUE_FULL_MS = 5;
/** Ids from here to 2^28 take as many bytes as one another. */
const FIRST_ID = 2 ** 21;

/** A fragment as an actor of CartPole sends it, of `steps` steps: 42 bytes a step. */
export function wireRollout(steps: number, name: string): Rollout {
  const rows = Math.ceil(steps / ROW_STEPS);
  const floats = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(i));
  const work = { task: name, group: 1, member: 0, attempt: 1 };
  return {
    ...{ runId: "bench", rolloutId: rolloutIdOf("bench", work), requestId: 1, ...work },
    ...{ actorId: name, seat: 0, collectSeconds: 1 },
    columns: {
      ...{ observationWidth: OBSERVATION_WIDTH, actionWidth: 1, actionMaskWidth: 0, stateWidth: 0 },
      offsets: Uint32Array.from({ length: rows + 1 }, (_, row) => Math.min(steps, row * ROW_STEPS)),
      observations: floats(steps * OBSERVATION_WIDTH),
      actions: new Int32Array(steps),
      actionMasks: new Uint8Array(0),
      ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
      postObservations: new Float32Array(0),
      behaviorLogprobs: floats(steps),
      rewards: floats(steps),
      mask: new Uint8Array(steps).fill(1),
      versionRunLengths: Uint32Array.of(steps),
      versionRunValues: Uint32Array.of(1),
      initialStates: new Float32Array(0),
      finalObservations: floats(rows * OBSERVATION_WIDTH),
      terminated: new Uint8Array(rows).fill(1),
      truncated: new Uint8Array(rows),
      stopReasons: new Uint8Array(rows).fill(1),
      trajectoryIds: new Uint32Array(rows),
      seeds: new Uint32Array(rows),
      stepExtras: { value: floats(steps), entropy: floats(steps) },
      rowCounters: { episodeReturn: floats(rows), episodeLength: floats(rows) },
    },
  };
}

/** Sends `rollout` again and again, twice `credits` ahead of the receiver, until the sender is closed. */
export async function keepSending(sender: RolloutSender, rollout: Rollout, credits: number): Promise<void> {
  const ahead: Promise<void>[] = [];
  for (;;) {
    const { taken, settled } = sender.send(rollout);
    settled.catch(() => undefined);
    ahead.push(taken);
    if (ahead.length < 2 * credits) continue;
    try {
      await ahead.shift();
    } catch {
      return;
    }
  }
}

const idCodec = messageCodec<Pick<Frame, "messageId">>("Frame");

/** The frames of one rollout, encoded once. */
class PreparedRollout {
  readonly frames: readonly Uint8Array[];
  private readonly idAt: number;

  constructor(bytes: Uint8Array, chunkBytes: number) {
    // Of two values of a field, protobuf takes the last: the id in use is written at the end.
    const id = idCodec.encode({ messageId: FIRST_ID });
    this.frames = encodeFrames(0, bytes, chunkBytes).map((frame) => Buffer.concat([frame, id]));
    this.idAt = -id.byteLength;
  }

  /** The frames as those of message `id`; valid until the next call. */
  as(id: number): readonly Uint8Array[] {
    const encoded = idCodec.encode({ messageId: id });
    for (const frame of this.frames) frame.set(encoded, frame.byteLength + this.idAt);
    return this.frames;
  }
}

/** Sends `rollout` without end, as far ahead as credits, or a NATS server's window, allow. */
export async function sendPrepared(address: string, rollout: Rollout, settings: Settings): Promise<void> {
  const bytes = encodeRollout(rollout);
  if (settings.kind === "nats") await publishPrepared(address, bytes, settings);
  else pushPrepared(address, bytes, settings);
}

function pushPrepared(address: string, bytes: Uint8Array, settings: Settings): void {
  const side = { ...settings, security: OPEN, protocolVersion: PROTOCOL_VERSION };
  // One for each rollout that may be on its way: what is written is not copied at once.
  const prepared: PreparedRollout[] = [];
  let id = FIRST_ID;
  let unsettled = 0;
  let congested = false;
  let credits = 0;
  const pump = (): void => {
    for (; !congested && unsettled < credits; unsettled++) {
      const next = (prepared[id % credits] ??= new PreparedRollout(bytes, settings.chunkBytes));
      for (const frame of next.as(id++)) congested = !stream.write(frame) || congested;
    }
  };
  const stream = new GrpcWire(address, LEARNER_SERVICE, side).open("PushRollouts", {
    onOpen: () => undefined,
    onMessage: (message) => {
      const { kind, credits: given, reason } = rolloutAck.decode(message);
      if (kind === "refused") throw new Error(reason);
      credits = given;
      if (kind === "settled") unsettled -= 1;
      pump();
    },
    onDrain: () => {
      congested = false;
      pump();
    },
    onEnd: (error) => {
      throw error ?? new Error("the receiver ended the stream");
    },
  });
}

/** Each of a few rollouts is published anew as soon as the server has stored all of it. */
async function publishPrepared(address: string, bytes: Uint8Array, settings: Settings): Promise<void> {
  const { server, rolloutPrefix } = parsePlace(address);
  const connection = await connect({ servers: server });
  const name = nuid.next();
  let lastId = FIRST_ID;
  const begin = (): void => {
    const prepared = new PreparedRollout(bytes, bodyLimit(connection, settings.chunkBytes));
    const inbox = createInbox();
    let id = 0;
    let left = 0;
    const publish = (frame: Uint8Array, index: number): void => {
      const head = headers();
      head.set("Nats-Msg-Id", `${name}.${id}.${index}`);
      const options = { headers: head, reply: `${inbox}.${index}` };
      connection.publish(`${rolloutPrefix}.${name}.${id}`, frame, options);
    };
    const publishAll = (): void => {
      id = ++lastId;
      const frames = prepared.as(id);
      left = frames.length;
      frames.forEach(publish);
    };
    connection.subscribe(`${inbox}.*`, {
      callback: (error, { subject, data }) => {
        const { kind, detail } = readPubAck(data);
        if (error !== null || kind === "refused") throw error ?? new Error(detail);
        if (kind === "full") {
          process.stdout.write(`${QUEUE_FULL}\n`);
          const index = Number(subject.slice(inbox.length + 1));
          setTimeout(() => publish(prepared.frames[index]!, index), QUEUE_FULL_MS);
        } else if (--left === 0) publishAll();
      },
    });
    publishAll();
  };
  for (let ahead = 0; ahead < NATS_WINDOW_BYTES; ahead += bytes.byteLength) begin();
}
