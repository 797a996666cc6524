/** How an actor joins a run. */
import { Session } from "../../core/transport/session.js";
import type { Control } from "../../core/transport/transport.js";

export interface ActorIdentity {
  readonly name: string;
  /** Place in the fleet; null = any free one. */
  readonly index: number | null;
}

export async function joinRun(
  control: Control,
  { name, index }: ActorIdentity,
  appliedVersion: () => number,
): Promise<Session> {
  const request = {
    role: "actor",
    name,
    index,
    dataAddress: "",
    policyVersion: 0,
    disposedSteps: 0,
    receivedSteps: 0,
    seatSequences: [],
  } as const;
  return Session.open({ control, appliedVersion, request: () => request });
}
