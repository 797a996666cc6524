/** The small messages as bytes: every control call's request and reply, and the learner's acknowledgements. */
import { corrupt, messageCodec, type Codec } from "./schema.js";
import { branchComplaint } from "../branches.js";
import { SkeinError } from "../errors.js";
import type {
  BranchPlan,
  DType,
  RolloutRequest,
  TensorEntry,
  WeightsManifest,
  WorkLimits,
} from "../types.js";
import {
  VERDICTS,
  type AcquireReply,
  type AcquireRequest,
  type Books,
  type Count,
  type HeartbeatReply,
  type HeartbeatRequest,
  type Outcome,
  type Phase,
  type RegisterReply,
  type RegisterRequest,
  type ReportReply,
  type ReportRequest,
  type Role,
  type RunStatus,
  type Verdict,
  type WatchRequest,
  type WeightsAnnouncement,
  type WeightsRequest,
} from "./transport.js";

/** A domain type T over a message whose decoded shape is W. */
function mapped<T, W extends object>(
  name: string,
  toWire: (value: T) => W,
  fromWire: (wire: W) => T,
): Codec<T> {
  const codec = messageCodec<W>(name);
  return {
    encode: (value) => codec.encode(toWire(value)),
    decode: (bytes) => fromWire(codec.decode(bytes)),
  };
}

/** An enum whose constants are `PREFIX_<VALUE>` on the wire. Decoding throws MESSAGE_CORRUPT on any other. */
function enumeration<T extends string>(prefix: string, values: readonly T[]) {
  return {
    toWire: (value: T): string => `${prefix}_${value.toUpperCase()}`,
    fromWire: (wire: string | number): T => {
      const value = values.find((candidate) => `${prefix}_${candidate.toUpperCase()}` === wire);
      if (value === undefined) throw corrupt(prefix.toLowerCase(), values.join(" or "), String(wire));
      return value;
    },
  };
}

const role = enumeration<Role>("ROLE", ["actor", "learner"]);
const phase = enumeration<Phase>("PHASE", ["waiting", "running", "finished"]);
const start = enumeration<RolloutRequest["start"]>("START", ["continue", "reset"]);
const verdict = enumeration<Verdict>("VERDICT", VERDICTS);

type WirePhase<T> = Omit<T, "phase"> & { readonly phase: string };

function withPhase<T extends { readonly phase: Phase }>(name: string): Codec<T> {
  return mapped<T, WirePhase<T>>(
    name,
    (value) => ({ ...value, phase: phase.toWire(value.phase) }),
    // The spread puts back exactly the field that WirePhase took out, which the compiler cannot see for a generic T.
    (wire) => ({ ...wire, phase: phase.fromWire(wire.phase) }) as unknown as T,
  );
}

interface WireRegisterRequest extends Omit<RegisterRequest, "role" | "index"> {
  readonly role: string;
  readonly index?: number;
}

export const registerRequest = mapped<RegisterRequest, WireRegisterRequest>(
  "RegisterRequest",
  ({ index, ...rest }) => ({ ...rest, role: role.toWire(rest.role), ...(index === null ? {} : { index }) }),
  (wire) => ({ ...wire, role: role.fromWire(wire.role), index: wire.index ?? null }),
);

export const registerReply = messageCodec<RegisterReply>("RegisterReply");
export const heartbeatRequest = messageCodec<HeartbeatRequest>("HeartbeatRequest");
export const heartbeatReply = withPhase<HeartbeatReply>("HeartbeatReply");
export const acquireRequest = messageCodec<AcquireRequest>("AcquireRequest");
type WirePlan = Omit<BranchPlan, "at"> & { readonly at: readonly number[] };
type WireRequest = Omit<RolloutRequest, "start" | "limits" | "branches"> & {
  readonly start: string;
  /** Message fields: null where absent. */
  readonly limits: WorkLimits | null;
  readonly branches: WirePlan | null;
};

function requestFromWire({ limits, branches, ...wire }: WireRequest): RolloutRequest {
  if (limits === null) throw corrupt("RolloutRequest", "limits", "none");
  return {
    ...wire,
    limits,
    start: start.fromWire(wire.start),
    branches: branches === null ? null : planFromWire(branches),
  };
}

function planFromWire({ at, ...rest }: WirePlan): BranchPlan {
  const plan: BranchPlan = { ...rest, at: at.length === 0 ? "random" : at };
  const complaint = branchComplaint(plan);
  if (complaint !== null) throw new SkeinError("MESSAGE_CORRUPT", `RolloutRequest, branches: ${complaint}`);
  return plan;
}

function requestToWire({ branches, ...request }: RolloutRequest): WireRequest {
  const at = branches === null || branches.at === "random" ? [] : branches.at;
  return {
    ...request,
    start: start.toWire(request.start),
    branches: branches === null ? null : { ...branches, at },
  };
}

export const acquireReply = mapped<
  AcquireReply,
  WirePhase<Omit<AcquireReply, "requests">> & { readonly requests: readonly WireRequest[] }
>(
  "AcquireReply",
  (value) => ({
    ...value,
    phase: phase.toWire(value.phase),
    requests: value.requests.map(requestToWire),
  }),
  (wire) => ({ ...wire, phase: phase.fromWire(wire.phase), requests: wire.requests.map(requestFromWire) }),
);

type WireOutcome = Omit<Outcome, "verdict"> & { readonly verdict: string };

export const reportRequest = mapped<
  ReportRequest,
  WirePhase<Omit<ReportRequest, "outcomes">> & { readonly outcomes: readonly WireOutcome[] }
>(
  "ReportRequest",
  (value) => ({
    ...value,
    phase: phase.toWire(value.phase),
    outcomes: value.outcomes.map((outcome) => ({ ...outcome, verdict: verdict.toWire(outcome.verdict) })),
  }),
  (wire) => ({
    ...wire,
    phase: phase.fromWire(wire.phase),
    outcomes: wire.outcomes.map((outcome) => ({ ...outcome, verdict: verdict.fromWire(outcome.verdict) })),
  }),
);
export const reportReply = messageCodec<ReportReply>("ReportReply");
export const leaveRequest = messageCodec<{ readonly leaseId: string }>("LeaveRequest");

type WireBooks = { readonly [K in keyof Books]: Books[K] | null };

const NOTHING: Count = { rollouts: 0, steps: 0 };

function booksFromWire({ submitted, trained, stale, filtered, failed, inFlight }: WireBooks): Books {
  return {
    submitted: submitted ?? NOTHING,
    trained: trained ?? NOTHING,
    stale: stale ?? NOTHING,
    filtered: filtered ?? {},
    failed: failed ?? {},
    inFlight: inFlight ?? NOTHING,
  };
}

export const statusReply = mapped<
  RunStatus,
  WirePhase<Omit<RunStatus, "books">> & { readonly books: WireBooks | null }
>(
  "StatusReply",
  (value) => ({ ...value, phase: phase.toWire(value.phase) }),
  ({ books, ...wire }) => {
    if (books === null) throw corrupt("StatusReply", "books", "none");
    return { ...wire, phase: phase.fromWire(wire.phase), books: booksFromWire(books) };
  },
);
export const pauseRequest = messageCodec<{ readonly seconds: number; readonly reason: string }>(
  "PauseRequest",
);

export const publishRequest = messageCodec<{ readonly incarnation: string }>("PublishWeightsRequest");

export const watchRequest = messageCodec<WatchRequest>("WatchWeightsRequest");

/** Absent on the wire = null here. */
type Absent<T, K extends keyof T> = Omit<T, K> & { readonly [P in K]?: NonNullable<T[P]> };

export const fetchRequest = mapped<WeightsRequest, Absent<WeightsRequest, "base">>(
  "FetchWeightsRequest",
  ({ base, ...rest }) => (base === null ? rest : { ...rest, base }),
  (wire) => ({ ...wire, base: wire.base ?? null }),
);

type WireEntry = Omit<TensorEntry, "dtype" | "sha256"> & {
  readonly dtype: string | number;
  readonly sha256: Uint8Array;
};
type WireManifest = Absent<Omit<WeightsManifest, "tensors" | "rootHash">, "parent"> & {
  readonly tensors: readonly WireEntry[];
  readonly rootHash: Uint8Array;
};

const dtype = enumeration<DType>("DTYPE", ["float32", "int32"]);
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fromHex = (text: string): Uint8Array => Buffer.from(text, "hex");

/** Decoding does not check what the manifest says. */
export const weightsManifest = mapped<WeightsManifest, WireManifest>(
  "WeightsManifest",
  ({ version, parent, tensors, rootHash }) => ({
    version,
    ...(parent === null ? {} : { parent }),
    tensors: tensors.map((entry) => ({
      ...entry,
      dtype: dtype.toWire(entry.dtype),
      sha256: fromHex(entry.sha256),
    })),
    rootHash: fromHex(rootHash),
  }),
  ({ version, parent, tensors, rootHash }) => ({
    version,
    parent: parent ?? null,
    tensors: tensors.map((entry) => ({
      ...entry,
      dtype: dtype.fromWire(entry.dtype),
      sha256: toHex(entry.sha256),
    })),
    rootHash: toHex(rootHash),
  }),
);

export const weightsAnnouncement = mapped<
  WeightsAnnouncement,
  Omit<WeightsAnnouncement, "rootHash"> & { readonly rootHash: Uint8Array }
>(
  "WeightsAnnouncement",
  (value) => ({ ...value, rootHash: fromHex(value.rootHash) }),
  (wire) => ({ ...wire, rootHash: toHex(wire.rootHash) }),
);

/** For messages without fields: LeaveReply, StatusRequest, PauseReply, ResumeRequest, ResumeReply, Ack. */
export const nothing = new Uint8Array(0);

export type AckKind = "greeting" | "taken" | "settled" | "refused";

/** What the learner says of a rollout: skein.v1.RolloutAck. */
export interface RolloutAck {
  /** 0 = the greeting. */
  readonly messageId: number;
  readonly rolloutId: string;
  readonly kind: AckKind;
  /** Where refused: why, and an ErrorCode. */
  readonly reason: string;
  readonly code: string;
  /** Rollouts the sender may have written and the learner not yet taken. */
  readonly credits: number;
}

const ackKind = enumeration<AckKind>("ACK_KIND", ["greeting", "taken", "settled", "refused"]);

export const rolloutAck = mapped<RolloutAck, Omit<RolloutAck, "kind"> & { readonly kind: string }>(
  "RolloutAck",
  (ack) => ({ ...ack, kind: ackKind.toWire(ack.kind) }),
  (wire) => ({ ...wire, kind: ackKind.fromWire(wire.kind) }),
);
