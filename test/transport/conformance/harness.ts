/** The transports under test, and what their conformance tests share. */
import { afterEach, beforeEach } from "vitest";
import { createGrpcTransport } from "../../../core/transport/grpc/index.js";
import { createMemoryTransport } from "../../../core/transport/memory.js";
import type { Control, Transport, TransportOptions } from "../../../core/transport/transport.js";
import { OPTIONS, SmallLearner } from "../helpers.js";

export interface Kind {
  readonly kind: string;
  readonly create: (options: TransportOptions) => Transport;
  /** Serves at any free address. */
  readonly any: string;
  /** Nobody serves there. */
  readonly nobody: string;
}

export const kinds: readonly Kind[] = [
  { kind: "memory", create: createMemoryTransport, any: "memory:", nobody: "memory:nobody" },
  {
    kind: "gRPC",
    create: (options) => createGrpcTransport(options),
    any: "127.0.0.1:0",
    nobody: "127.0.0.1:1",
  },
];

/** A fresh transport for each test of the describe block it is called in, all closed after it. */
export class Harness {
  transport!: Transport;
  private readonly made: Transport[] = [];

  constructor(private readonly kind: Kind) {
    beforeEach(() => {
      this.transport = this.make();
    });
    afterEach(async () => {
      await Promise.all(this.made.splice(0).map((transport) => transport.close()));
    });
  }

  make(options: Partial<TransportOptions> = {}): Transport {
    const transport = this.kind.create({ ...OPTIONS, ...options });
    this.made.push(transport);
    return transport;
  }

  async coordinated<T extends Control>(control: T, on = this.transport) {
    const server = await on.serveControl(control, this.kind.any);
    return { control, server, client: on.connectControl(server.address) };
  }

  async learning(on = this.transport) {
    const learner = new SmallLearner();
    const server = await on.serveRollouts(learner.onDelivery, this.kind.any);
    return { learner, server, sender: on.connectRollouts(server.address) };
  }
}

/** For arrays so long that vitest would take seconds to compare them. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
