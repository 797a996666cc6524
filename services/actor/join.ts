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
  let place = index;
  const request = () => ({
    role: "actor" as const,
    name,
    // The place once given is asked for again: the numbers of the seats rest on it.
    index: place,
    dataAddress: "",
    policyVersion: 0,
    disposedSteps: 0,
    receivedSteps: 0,
    seatSequences: [],
  });
  const session = await Session.open({ control, appliedVersion, request });
  place = session.index;
  return session;
}
