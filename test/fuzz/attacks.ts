/** One call of a method, wrong in one of many ways, drawn from a seed. */
import type { Random } from "../../core/random.js";
import { encodeRollout } from "../../core/transport/codec.js";
import { encodeFrames, frameCodec, split } from "../../core/transport/frames.js";
import * as messages from "../../core/transport/messages.js";
import type { WeightsManifest } from "../../core/types.js";
import { sampleDelivery, sampleRollout } from "../transport/helpers.js";
import { mutate } from "./mutate.js";
import { delimited, type Headers } from "./raw-call.js";
import { requests, type SampleRequest } from "./requests.js";
import { noise, wild } from "./wild.js";

export interface Attack {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** What is wrong, for messages. */
  readonly how: string;
  /** No gRPC, or no method: the stream may be cut for it. */
  readonly crude: boolean;
  /** May stay open for as long as the caller likes. */
  readonly stays: boolean;
}

/** The messages of a call, each wrong or not. */
type Draw = (random: Random) => { readonly how: string; readonly messages: readonly Uint8Array[] };

export interface Target {
  readonly method: string;
  readonly path: string;
  readonly draw: Draw;
  readonly stays: boolean;
}

const CHUNK = 700;

function damagedRequest({ codec, value, keep }: SampleRequest): Draw {
  return (random) => {
    switch (random.integer(4)) {
      case 0:
        return { how: "noise", messages: [noise(random, 300)] };
      case 1:
        return { how: "damaged", messages: [mutate(codec.encode(value), random)] };
      case 2:
        return { how: "several", messages: [codec.encode(value), codec.encode(value), noise(random, 50)] };
      default:
        return { how: "wild", messages: [codec.encode(wild(random, value, keep))] };
    }
  };
}

/** Frames of whole messages, the messages wrong inside or the frames wrong around them. */
function damagedFrames(whole: (random: Random) => Uint8Array[]): Draw {
  return (random) => {
    const contents = whole(random);
    const frames = contents.flatMap((bytes, i) => split(i + 1, bytes, CHUNK));
    const encoded = contents.flatMap((bytes, i) => encodeFrames(i + 1, bytes, CHUNK));
    const at = random.integer(encoded.length);
    switch (random.integer(8)) {
      case 0:
        return { how: "noise", messages: [noise(random, 300), ...encoded] };
      case 1:
        return {
          how: "a damaged frame",
          messages: encoded.map((frame, i) => (i === at ? mutate(frame, random) : frame)),
        };
      case 2:
        return { how: "a frame twice", messages: [...encoded.slice(0, at + 1), ...encoded.slice(at)] };
      case 3:
        return { how: "a frame missing", messages: encoded.filter((_, i) => i !== at) };
      case 4:
        return { how: "frames in reverse", messages: encoded.toReversed() };
      case 5:
        return { how: "an end in the middle", messages: encoded.slice(0, at) };
      case 6:
        return {
          how: "wild frames",
          messages: frames.map((frame) => frameCodec.encode(wild(random, frame))),
        };
      default:
        return { how: "wrong inside", messages: encoded };
    }
  };
}

function weightsMessages(random: Random): Uint8Array[] {
  const { manifest, payload } = sampleDelivery(random.integer(50), 2 + 2 * random.integer(300));
  const said: WeightsManifest = random.integer(2) === 0 ? manifest : wild(random, manifest);
  return [messages.weightsManifest.encode(said), random.integer(2) === 0 ? payload : mutate(payload, random)];
}

/** Rollouts whose columns agree with one another; of `runId`, or of whatever a wild text says. */
function rolloutMessages(random: Random, runId: string): Uint8Array[] {
  return Array.from({ length: 1 + random.integer(3) }, () => {
    const steps = random.integer(40);
    const { columns, ...head } = sampleRollout(random.integer(1000), steps, random.integer(2) === 0);
    const said = wild(random, { ...head, runId }, random.integer(2) === 0 ? ["runId"] : []);
    const encoded = encodeRollout({ ...said, columns });
    return random.integer(2) === 0 ? encoded : mutate(encoded, random);
  });
}

/** Every method of the Coordinator; calls are made under `leaseId`, or under a lease of nobody. */
export function coordinatorTargets(leaseId: string): Target[] {
  const service = "/skein.v1.Coordinator";
  const asked = requests(leaseId).map((sample) => ({
    method: sample.method,
    path: `${service}/${sample.method}`,
    draw: damagedRequest(sample),
    stays: sample.method === "WatchWeights",
  }));
  const publish = {
    method: "PublishWeights",
    path: `${service}/PublishWeights`,
    draw: damagedFrames(weightsMessages),
    stays: false,
  };
  return [...asked, publish];
}

/** Rollouts of another run, which a learner refuses at once, and of its own, which it may hold. */
export function learnerTargets(runId: string): Target[] {
  const method = "PushRollouts";
  const path = `/skein.v1.Learner/${method}`;
  return ["another", runId].map((run) => ({
    ...{ method, path, stays: run === runId },
    draw: damagedFrames((random) => rolloutMessages(random, run)),
  }));
}

/** A call of `target` with something wrong with it. */
export function attackOn(target: Target, token: string, random: Random): Attack {
  const { method, path, stays } = target;
  const headers = { "skein-protocol": "1", authorization: `Bearer ${token}` };
  const { how, messages: drawn } = target.draw(random);
  const body = Buffer.concat(drawn.map((message) => delimited(message)));
  const attack = { method, path, headers, body, how, crude: false, stays };
  switch (random.integer(16)) {
    case 0:
      return { ...attack, headers: wrongHeaders(headers, random), how: `${how}, wrong metadata` };
    case 1:
      return { ...attack, body: crudeBody(random, body), how: "no gRPC", crude: true };
    case 2:
      return {
        ...attack,
        path: `${path}${random.integer(2) === 0 ? "s" : "/x"}`,
        how: "no such method",
        crude: true,
      };
    default:
      return attack;
  }
}

function wrongHeaders(headers: Headers, random: Random): Headers {
  const { authorization, ...rest } = headers;
  const choices: Headers[] = [
    rest,
    { authorization: authorization ?? "" },
    { ...headers, authorization: "Bearer " },
    { ...headers, authorization: `${authorization}x` },
    { ...headers, authorization: "x".repeat(1 + random.integer(4000)) },
    { ...headers, "skein-protocol": "999999999999999999999" },
    { ...headers, "skein-protocol": "" },
    { ...headers, "grpc-timeout": "1n" },
    { ...headers, "grpc-timeout": "soon" },
    { ...headers, "grpc-encoding": "rot13" },
  ];
  return choices[random.integer(choices.length)]!;
}

/** Lengths that lie, flags of compression on what is not compressed, and noise. */
function crudeBody(random: Random, body: Uint8Array): Uint8Array {
  const some = noise(random, 200);
  const choices: (() => Uint8Array)[] = [
    () => noise(random, 300),
    () => new Uint8Array(0),
    () => delimited(some, 0, some.byteLength + 1 + random.integer(1000)),
    () => delimited(some, 0, 0xffff_ffff),
    () => delimited(some, 0, 0x7fff_ffff),
    () => delimited(some, 1),
    () => delimited(some, 255),
    () => Buffer.concat([body, noise(random, 4)]),
  ];
  return choices[random.integer(choices.length)]!();
}
