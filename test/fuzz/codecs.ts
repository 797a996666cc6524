/** Every decoder, given noise and damaged messages: each ends in a value or in a SkeinError. */
import { messageOf, SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";
import { decodeRollout, encodeRollout } from "../../core/transport/codec.js";
import { encodeFrames, FrameAssembler } from "../../core/transport/frames.js";
import * as messages from "../../core/transport/messages.js";
import { sampleBooks, sampleDelivery, sampleRollout } from "../transport/helpers.js";
import { mutate } from "./mutate.js";
import { requests } from "./requests.js";
import { noise } from "./wild.js";

export interface Decoder {
  readonly name: string;
  readonly sample: Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
}

const status = {
  ...({ runId: "run-1", runConfig: "{}", phase: "running", pausedSeconds: 0, books: sampleBooks } as const),
  ...{ policyVersion: 3, updates: 4, envSteps: 5, meanReturn100: NaN, actors: [] },
};
const { manifest } = sampleDelivery(3);
const announcement = { version: 3, rootHash: "00ff", source: "host:1", ageSeconds: 0.5 };
const ack = { messageId: 3, rolloutId: "a", kind: "taken", reason: "", code: "", credits: 4 } as const;
const reply = { known: true, phase: "running", learnerAddress: "host:1" } as const;

const work = {
  ...({
    requestId: 7,
    seat: 1,
    task: "task-1",
    group: 3,
    member: 2,
    attempt: 1,
    seed: 9,
    start: "reset",
  } as const),
  limits: { maxSteps: 10, deadlineSeconds: 5 },
  branches: { at: [1, 4], states: 2, count: 3, maxSteps: 8 },
  ...{ policyVersion: 4, exact: false },
};

function decoderOf<T>(
  name: string,
  codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array): T },
  value: T,
): Decoder {
  return { name, sample: codec.encode(value), decode: (bytes) => codec.decode(bytes) };
}

export const decoders: readonly Decoder[] = [
  { name: "Rollout", sample: encodeRollout(sampleRollout(5, 12)), decode: decodeRollout },
  {
    name: "Frame",
    sample: encodeFrames(1, new Uint8Array(300), 1000)[0]!,
    decode: (bytes) => new FrameAssembler(100_000).push(bytes),
  },
  ...requests("lease-1").map(({ method, codec, value }) => decoderOf(`${method} request`, codec, value)),
  decoderOf("HeartbeatReply", messages.heartbeatReply, reply),
  decoderOf("AcquireReply", messages.acquireReply, { ...reply, requests: [work] }),
  decoderOf("ReportReply", messages.reportReply, { known: true, actors: 3, voidedGroups: [1, 2] }),
  decoderOf("StatusReply", messages.statusReply, status),
  decoderOf("WeightsManifest", messages.weightsManifest, manifest),
  decoderOf("WeightsAnnouncement", messages.weightsAnnouncement, announcement),
  decoderOf("RolloutAck", messages.rolloutAck, ack),
];

/** Throws on the first input that ends in anything but a value or a SkeinError; returns how many were refused. */
export function fuzzDecoder({ name, sample, decode }: Decoder, inputs: number, seed: number): number {
  const random = new Random(seed);
  let refused = 0;
  for (let i = 0; i < inputs; i++) {
    const bytes = random.integer(4) === 0 ? noise(random, 400) : mutate(sample, random);
    try {
      decode(bytes);
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code === "INTERNAL") {
        const input = Buffer.from(bytes).toString("hex");
        throw new Error(`${name}, seed ${seed}, input ${i}: ${messageOf(error)}\n${input}`, { cause: error });
      }
      refused += 1;
    }
  }
  return refused;
}
