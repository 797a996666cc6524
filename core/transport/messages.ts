/** The small messages as bytes: every control call's request and reply, and the learner's acknowledgements. */
import { corrupt, messageCodec, type Codec } from "./schema.js";
import type {
  AcquireReply,
  AcquireRequest,
  HeartbeatReply,
  HeartbeatRequest,
  Phase,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  Role,
  RunStatus,
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

type WirePhase<T> = Omit<T, "phase"> & { readonly phase: string };

function withPhase<T extends { readonly phase: Phase }>(name: string): Codec<T> {
  return mapped<T, WirePhase<T>>(
    name,
    (value) => ({ ...value, phase: phase.toWire(value.phase) }),
    // The spread puts back exactly the field that WirePhase took out, which the compiler cannot see for a generic T.
    (wire) => ({ ...wire, phase: phase.fromWire(wire.phase) }) as unknown as T,
  );
}

type SeatSequences = RegisterRequest["seatSequences"];
type WireSeatSequences = readonly { readonly seat: number; readonly sequence: number }[];

const seatSequences = {
  toWire: (pairs: SeatSequences): WireSeatSequences => pairs.map(([seat, sequence]) => ({ seat, sequence })),
  fromWire: (wire: WireSeatSequences): SeatSequences =>
    wire.map(({ seat, sequence }) => [seat, sequence] as const),
};

interface WireRegisterRequest extends Omit<RegisterRequest, "role" | "index" | "seatSequences"> {
  readonly role: string;
  readonly index?: number;
  readonly seatSequences: WireSeatSequences;
}

export const registerRequest = mapped<RegisterRequest, WireRegisterRequest>(
  "RegisterRequest",
  ({ index, ...rest }) => ({
    ...rest,
    role: role.toWire(rest.role),
    ...(index === null ? {} : { index }),
    seatSequences: seatSequences.toWire(rest.seatSequences),
  }),
  (wire) => ({
    ...wire,
    role: role.fromWire(wire.role),
    index: wire.index ?? null,
    seatSequences: seatSequences.fromWire(wire.seatSequences),
  }),
);

export const registerReply = messageCodec<RegisterReply>("RegisterReply");
export const heartbeatRequest = messageCodec<HeartbeatRequest>("HeartbeatRequest");
export const heartbeatReply = withPhase<HeartbeatReply>("HeartbeatReply");
export const acquireRequest = messageCodec<AcquireRequest>("AcquireRequest");
/** `request` is a message field, and those are null where absent. */
export const acquireReply = withPhase<AcquireReply>("AcquireReply");
export const reportRequest = mapped<
  ReportRequest,
  Omit<ReportRequest, "phase" | "seatSequences"> & {
    readonly phase: string;
    readonly seatSequences: WireSeatSequences;
  }
>(
  "ReportRequest",
  (value) => ({
    ...value,
    phase: phase.toWire(value.phase),
    seatSequences: seatSequences.toWire(value.seatSequences),
  }),
  (wire) => ({
    ...wire,
    phase: phase.fromWire(wire.phase),
    seatSequences: seatSequences.fromWire(wire.seatSequences),
  }),
);
export const reportReply = messageCodec<ReportReply>("ReportReply");
export const leaveRequest = messageCodec<{ readonly leaseId: string }>("LeaveRequest");
export const statusReply = withPhase<RunStatus>("StatusReply");
export const watchRequest = messageCodec<{ readonly afterVersion: number }>("WatchWeightsRequest");
export const fetchRequest = messageCodec<{ readonly version: number }>("FetchWeightsRequest");

/** For messages without fields: LeaveReply, StatusRequest, Ack. */
export const nothing = new Uint8Array(0);

/** Decoded shape of skein.v1.RolloutAck. */
export interface RolloutAck {
  /** 0 = the greeting. */
  readonly messageId: number;
  readonly rolloutId: string;
  readonly accepted: boolean;
  /** Where not accepted: why, and an ErrorCode. */
  readonly reason: string;
  readonly code: string;
  /** Rollouts the sender may have unacknowledged. */
  readonly credits: number;
}

export const rolloutAck = messageCodec<RolloutAck>("RolloutAck");
