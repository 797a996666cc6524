/** A new run begins with an empty queue: one of the same name may have left rollouts on the server. */
import { messageOf, SkeinError } from "../../errors.js";
import type { Credentials } from "../../security/credentials.js";
import { unavailable } from "../retry.js";
import type { TransportOptions } from "../transport.js";
import { LinkBroken } from "../wire.js";
import { parsePlace } from "./address.js";
import { NatsLink } from "./link.js";
import { deleteRolloutStream, jetStreamOf } from "./rollout-stream.js";

/**
 * Deletes the rollouts that the server keeps for the run at `address`. Throws UNAVAILABLE where the server was out of
 * reach for `reconnectSeconds`, UNAUTHORIZED where it does not let this side in.
 */
export async function forgetRollouts(
  address: string,
  options: TransportOptions,
  credentials: Credentials,
): Promise<void> {
  const place = parsePlace(address);
  const none = { onUp: () => Promise.resolve(), onDown: () => undefined };
  const link = new NatsLink(place, { ...options, credentials }, none);
  const began = performance.now();
  try {
    const connection = await link.reach(began + 1000 * options.reconnectSeconds);
    await deleteRolloutStream(await jetStreamOf(connection, options.deadlineSeconds), place);
  } catch (error) {
    if (error instanceof SkeinError) throw error;
    const detail = error instanceof LinkBroken ? error.message : messageOf(error);
    throw unavailable(address, performance.now() - began, detail);
  } finally {
    await link.close();
  }
}
