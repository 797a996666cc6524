/** What the NATS transport is made with. */
import type { Credentials } from "../../security/credentials.js";
import type { TransportOptions } from "../transport.js";

export interface NatsOptions extends TransportOptions {
  readonly nats: {
    /** Largest size of the rollout queue on the server, bytes. */
    readonly maxBytes: number;
    /** Servers of a cluster that keep each message. */
    readonly replicas: number;
  };
  /** Told what people should know: the queue is full, the server has lost its store. */
  readonly notice: (message: string) => void;
}

/** What everything over NATS is made with. */
export interface NatsSettings extends NatsOptions {
  readonly credentials: Credentials;
}
