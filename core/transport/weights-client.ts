/** Fetching weights over a wire. */
import { exchange } from "./exchange.js";
import * as messages from "./messages.js";
import { unavailable } from "./retry.js";
import { corrupt } from "./schema.js";
import {
  RELAY_WAIT_SECONDS,
  type Closable,
  type TransportOptions,
  type WeightsDelivery,
  type WeightsRequest,
  type WeightsSource,
} from "./transport.js";
import { DeliveryAssembler } from "./weights-service.js";
import { LinkBroken, noAnswer, type Wire } from "./wire.js";

/** One attempt. Rejects LinkBroken where trying again may help, else a SkeinError. */
export async function fetchOnce(
  wire: Wire,
  request: WeightsRequest,
  { maxMessageBytes, deadlineSeconds: stallSeconds }: TransportOptions,
  connectBy: number,
): Promise<WeightsDelivery> {
  const assembler = new DeliveryAssembler(maxMessageBytes);
  const beginBy = performance.now() + 1000 * (RELAY_WAIT_SECONDS + stallSeconds);
  let delivery: WeightsDelivery | null = null;
  const onMessage = (bytes: Uint8Array): void => {
    delivery ??= assembler.take(bytes);
    if (!assembler.begun && performance.now() > beginBy) {
      throw noAnswer(wire.address, "FetchWeights", RELAY_WAIT_SECONDS + stallSeconds);
    }
  };
  const limits = { stallSeconds, connectBy };
  await exchange(wire, "FetchWeights", [messages.fetchRequest.encode(request)], onMessage, limits);
  if (delivery === null) throw corrupt(`weights ${request.version}`, "a manifest and a payload", "less");
  return delivery;
}

/** A relay from afar. */
export class RelayClient implements WeightsSource, Closable {
  constructor(
    private readonly wire: Wire,
    private readonly options: TransportOptions,
  ) {}

  /** Rejects UNAVAILABLE where the relay cannot be reached or falls silent. */
  async fetchWeights(request: WeightsRequest): Promise<WeightsDelivery> {
    const { wire, options } = this;
    const from = performance.now();
    try {
      return await fetchOnce(wire, request, options, from + 1000 * options.deadlineSeconds);
    } catch (error) {
      if (!(error instanceof LinkBroken)) throw error;
      throw unavailable(wire.address, performance.now() - from, error.message);
    }
  }

  close(): Promise<void> {
    this.wire.close();
    return Promise.resolve();
  }
}
