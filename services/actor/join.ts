/** How an actor joins a run. */
import { randomUUID } from "node:crypto";
import { Session, type SessionOptions } from "../../core/transport/session.js";
import type { Control } from "../../core/transport/transport.js";

export interface ActorIdentity {
  readonly name: string;
  /** Place in the fleet; null = any free one. */
  readonly index: number | null;
}

/** `beat` says how things stand, at each heartbeat. */
export async function joinRun(
  control: Control,
  { name, index }: ActorIdentity,
  beat: SessionOptions["beat"],
): Promise<Session> {
  const incarnation = randomUUID();
  let place = index;
  const request = () => ({
    role: "actor" as const,
    name,
    // The place once given is asked for again: the numbers of the seats rest on it.
    index: place,
    dataAddress: "",
    incarnation,
    policyVersion: 0,
  });
  const session = await Session.open({ control, request, beat });
  place = session.index;
  return session;
}
