/** A valid request of every call, to be damaged. */
import * as messages from "../../core/transport/messages.js";
import type { Codec } from "../../core/transport/schema.js";
import { VERDICTS } from "../../core/transport/transport.js";

export interface SampleRequest {
  /** As in the path of the call. */
  readonly method: string;
  readonly codec: Codec<unknown>;
  readonly value: unknown;
  /** Fields that stay as they are: another value would end the run, as it should. */
  readonly keep: readonly string[];
}

const empty: Codec<object> = { encode: () => messages.nothing, decode: () => ({}) };

function request<T>(method: string, codec: Codec<T>, value: T, keep: readonly string[] = []): SampleRequest {
  // The codec is only ever given values of the sample's shape.
  return { method, codec: codec, value, keep };
}

/** The calls and streams of the Coordinator that begin with one request, made under `leaseId`. */
export function requests(leaseId: string): SampleRequest[] {
  const outcomes = VERDICTS.map((verdict, k) => ({
    ...{ requestId: k + 1, verdict, reason: "refused", steps: 32, version: k - 1 },
    ...{ episodeReturn: 1.5, episodeLength: 10 },
  }));
  return [
    request("Register", messages.registerRequest, {
      ...{ role: "actor", name: "a", index: 3, dataAddress: "host:1", policyVersion: 2 },
      ...{ incarnation: "one" },
    }),
    request("Register", messages.registerRequest, {
      ...{ role: "learner", name: "learner", index: null, dataAddress: "host:1", policyVersion: 2 },
      ...{ incarnation: "two" },
    }),
    request("Heartbeat", messages.heartbeatRequest, {
      ...{ leaseId, appliedVersion: 3, appliedHash: "00ff", running: [{ requestId: 1, steps: 3 }] },
    }),
    request("Acquire", messages.acquireRequest, {
      ...{
        leaseId,
        seat: 0,
        capacity: 1,
        lastRequestId: 0,
        failed: [{ requestId: 1, reason: "environment" }],
      },
    }),
    request(
      "Report",
      messages.reportRequest,
      {
        ...{ leaseId, phase: "running", policyVersion: 3, updates: 4, envSteps: 5, checkpointVersion: -1 },
        ...{ meanReturn100: NaN, outcomes },
      },
      ["phase"],
    ),
    request("Leave", messages.leaveRequest, { leaseId: `${leaseId}-of-nobody` }, ["leaseId"]),
    request("Status", empty, {}),
    request("Pause", messages.pauseRequest, { seconds: 0.01, reason: "a test" }),
    request("Resume", empty, {}),
    request("FetchWeights", messages.fetchRequest, { version: 3, oldest: 1, base: 2 }),
    request("WatchWeights", messages.watchRequest, { afterVersion: -1, relayAddress: "host:1" }),
  ];
}
