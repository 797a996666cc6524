/** A new run begins with nothing on the server: one of the same name may have left rollouts and weights there. */
import { messageOf, SkeinError } from "../../errors.js";
import type { Credentials } from "../../security/credentials.js";
import { unavailable } from "../retry.js";
import type { TransportOptions } from "../transport.js";
import { LinkBroken } from "../wire.js";
import { parsePlace } from "./address.js";
import { NatsLink } from "./link.js";
import { deleteStream, jetStreamOf } from "./rollout-stream.js";

/**
 * Deletes the rollouts and weights that the server keeps for the run at `address`. Throws UNAVAILABLE where the server was out of
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
    const manager = await jetStreamOf(connection, options.deadlineSeconds);
    await deleteStream(manager, place.rolloutStream);
    await deleteStream(manager, `KV_${place.weightsBucket}`);
  } catch (error) {
    if (error instanceof SkeinError) throw error;
    const detail = error instanceof LinkBroken ? error.message : messageOf(error);
    throw unavailable(address, performance.now() - began, detail);
  } finally {
    await link.close();
  }
}
