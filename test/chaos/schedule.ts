/** A schedule of faults, as data: whom, when, what. `carry-out.ts` carries it out. */
export type Service = "actor" | "learner" | "coordinator";
/** broker = the NATS server. */
export type Victim = Service | "broker" | "supervisor";
export type TransportKind = "grpc" | "nats";

/**
 * A point in a service's work at which it stops dead until the faults of its step are done: the `nth` time that it logs
 * `line` and `laterMs` milliseconds later, or with the `nth` file of that ending half written.
 */
export interface Stage {
  readonly role: Service;
  readonly at:
    | { readonly kind: "line"; readonly line: string; readonly nth: number; readonly laterMs: number }
    | { readonly kind: "file"; readonly suffix: string; readonly nth: number };
}

/** version = once the learner has trained this one. */
export type When = { readonly version: number } | { readonly stage: Stage };

/**
 * Where a fault on the network strikes. data = between actors and learner, or between everyone and the broker ·
 * control = between a further actor and the coordinator · link = the network interface of that actor, or of them all.
 */
export type Wire = "data" | "control";

export type Fault =
  | { readonly kind: "kill"; readonly whom: Victim }
  /** SIGSTOP, and SIGCONT so much later. */
  | { readonly kind: "stop"; readonly whom: Victim; readonly seconds: number }
  /** Connections stay and accept, nothing passes; what was held passes afterwards. */
  | { readonly kind: "hold"; readonly wire: Wire; readonly seconds: number }
  /** Resets every connection. */
  | { readonly kind: "cut"; readonly wire: Wire }
  | {
      readonly kind: "slow";
      readonly wire: Wire;
      readonly bytesPerSecond: number;
      readonly seconds: number;
    }
  /** Flips one bit in each of the next `pieces` long pieces of data that pass. */
  | { readonly kind: "flip"; readonly wire: Wire; readonly pieces: number }
  /** Takes the network interface down. */
  | { readonly kind: "unplug"; readonly seconds: number }
  /** Fills the disk of the run folder up to `leaveBytes`. */
  | { readonly kind: "fillDisk"; readonly leaveBytes: number; readonly seconds: number }
  /** Wall clock, by so much, from now on. */
  | { readonly kind: "shiftClock"; readonly whom: Service; readonly seconds: number }
  | { readonly kind: "damageCheckpoint"; readonly how: "truncate" | "flip" };

export interface Step {
  readonly when: When;
  readonly faults: readonly Fault[];
}

/** What a schedule needs beside `skein train`. */
export interface Needs {
  /** A further actor: behind a proxy to the coordinator, or in a network namespace of its own. */
  readonly outsider?: "proxy" | "namespace";
  /** The whole run in one network namespace. */
  readonly namespace?: boolean;
  /** The run folder on a file system of so many bytes. */
  readonly diskBytes?: number;
  /** Sends each rollout to the learner again and in another order. */
  readonly shuffler?: boolean;
}

export interface Schedule {
  readonly name: string;
  /** What it shows, for the table. */
  readonly title: string;
  readonly transports: readonly TransportKind[];
  readonly needs: Needs;
  /** In the subset that CI runs. */
  readonly ci: boolean;
  /** For the whole of it. */
  readonly deadlineSeconds: number;
  /** Settings of the run file that differ from those of every schedule. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Drawn from the seed where they are left to chance. */
  readonly steps: (draw: Draw) => readonly Step[];
}

/** A whole number from `low` to `high`, both included. */
export type Draw = (low: number, high: number) => number;
