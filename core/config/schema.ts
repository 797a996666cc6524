/**
 * The run file: every field of every service, once, with meaning, unit, bounds and default. Parameters of a
 * recipe or an environment are described by the recipe or environment itself.
 */
import { z } from "zod";
import { modelSchema } from "./model-schema.js";

const address = z
  .string()
  .regex(/^[^\s:]+:\d{1,5}$/, "expected host:port (port 0 = any free one)")
  .refine((text) => Number(text.split(":")[1]) <= 65_535, "expected a port of at most 65535");

const params = z.record(z.string(), z.unknown()).default({});

const seconds = (meaning: string, fallback: number, min: number, max: number): z.ZodDefault<z.ZodNumber> =>
  z.number().min(min).max(max).default(fallback).describe(`${meaning}, seconds`);

const count = (meaning: string, fallback: number, max: number): z.ZodDefault<z.ZodInt> =>
  z.int().min(1).max(max).default(fallback).describe(meaning);

export const runConfigSchema = z.strictObject({
  run: z
    .strictObject({
      name: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "expected letters, digits, '.', '_' or '-' (64 at most)")
        .default("run")
        .describe("Name of the run; first part of its folder's name"),
      seed: z
        .int()
        .min(0)
        .max(0xffff_ffff)
        .default(1)
        .describe("Seed from which every random stream is derived"),
      folder: z
        .string()
        .min(1)
        .default("runs")
        .describe("Folder in which run folders are made, relative to the current one"),
    })
    .prefault({})
    .describe("Identity of the run"),
  environment: z
    .strictObject({
      id: z.string().min(1).describe("Environment id, for instance CartPole-v1"),
      module: z
        .string()
        .nullable()
        .default(null)
        .describe("ES module that defines the environment, relative to the run file; null = a built-in one"),
      params: params.describe("Parameters of the environment"),
    })
    .describe("What the actors roll out"),
  recipe: z
    .strictObject({
      id: z
        .string()
        .min(1)
        .default("ppo")
        .describe("Training method; see docs/config.md for each one's parameters"),
      params: params.describe("Parameters of the method"),
      modifiers: z
        .array(
          z.strictObject({
            id: z.string().min(1).describe("Change to the method; see docs/methods.md"),
            params: params.describe("Parameters of the change"),
          }),
        )
        .max(16)
        .default([])
        .describe("Changes to the method, made one after the other"),
    })
    .prefault({})
    .describe("How the learner learns"),
  reference: z
    .strictObject({
      policy: z
        .string()
        .min(1)
        .default("initial")
        .describe("initial = the run's first weights, or a checkpoint file of the same network"),
      refreshEvery: z
        .int()
        .min(0)
        .max(1_000_000_000)
        .default(0)
        .describe("Versions after which the reference becomes the policy of then; 0 = never"),
    })
    .nullable()
    .default(null)
    .describe("A policy held fixed, for methods that measure against one; null = none"),
  model: modelSchema,
  engine: z
    .enum(["auto", "onnx:cpu", "onnx:cuda", "onnx:webgpu", "tfjs:tensorflow", "tfjs:wasm"])
    .default("auto")
    .describe("What computes the network; auto = the fastest processor engine that works (docs/engine.md)"),
  actors: z
    .strictObject({
      processes: count("Actor processes that `skein train` starts", 1, 256),
      threads: count("Threads of each actor process; each owns a vector environment and an engine", 1, 64),
      environments: count("Environment instances of each thread", 8, 65_536),
      fragmentSteps: count("Steps that each instance takes before a rollout is sent", 128, 65_536),
      unsettledBytes: z
        .int()
        .min(1_048_576)
        .max(Number.MAX_SAFE_INTEGER)
        .default(536_870_912)
        .describe(
          "Size of the rollouts, sent and not yet settled by the learner, at which an actor process collects no more, bytes",
        ),
      maxRestarts: z
        .int()
        .min(0)
        .max(1000)
        .default(10)
        .describe("Times `skein train` replaces a dead actor process before it gives up, per process"),
      http: address
        .nullable()
        .default("127.0.0.1:0")
        .describe("Where an actor serves /metrics and /healthz; null = nowhere"),
    })
    .prefault({})
    .describe("The fleet"),
  groups: z
    .strictObject({
      size: z
        .int()
        .min(2)
        .max(1024)
        .describe("Members of a group: episodes of one task from the same initial state"),
      tasks: count("Tasks to choose from, each with an initial state of its own", 1, 1_000_000_000),
      maxSteps: z
        .int()
        .min(0)
        .max(1_000_000_000)
        .default(0)
        .describe("Steps at which a member's episode is cut; 0 = as many as the environment allows"),
      deadlineSeconds: seconds(
        "Time after which a group must be complete, else it is void whole",
        120,
        1,
        86_400,
      ),
      maxAttempts: count("Times that a lost member is issued before its group is void", 3, 100),
    })
    .nullable()
    .default(null)
    .describe("Whole episodes in groups; null = fragments of fragmentSteps, seat by seat"),
  learner: z
    .strictObject({
      address: address.default("127.0.0.1:0").describe("Where the learner takes rollouts"),
      advertise: address
        .nullable()
        .default(null)
        .describe("The learner's address as actors reach it; null = the one it listens on"),
      engineThreads: z
        .int()
        .min(0)
        .max(1024)
        .default(0)
        .describe("Threads that the engine may use in the learner; 0 = as many as there are cores"),
      ack: z
        .enum(["onTrain", "onCheckpoint"])
        .default("onTrain")
        .describe(
          "When a rollout is settled: once trained on, or once a checkpoint holds what was learned from it; until then it is delivered again after a crash",
        ),
      maxRestarts: z
        .int()
        .min(0)
        .max(1000)
        .default(3)
        .describe("Times `skein train` replaces a dead learner, which goes on from its newest checkpoint"),
      checkpointEvery: count("Policy versions between two checkpoints", 20, 1_000_000),
      keepCheckpoints: count("Checkpoints kept; older ones are deleted", 3, 1_000_000),
      http: address
        .nullable()
        .default("127.0.0.1:0")
        .describe("Where the learner serves /metrics and /healthz; null = nowhere"),
    })
    .prefault({})
    .describe("The learner"),
  coordinator: z
    .strictObject({
      address: address.default("127.0.0.1:0").describe("Where the coordinator serves control and weights"),
      heartbeatSeconds: seconds("Time between two heartbeats of an actor or learner", 1, 0.1, 60),
      quarantineAfter: count("Refused rollouts after which an actor is shut out of the run", 3, 1_000_000),
      leaseSeconds: seconds(
        "Time after its last heartbeat at which an actor counts as dead and its work is void",
        5,
        0.5,
        600,
      ),
      http: address
        .nullable()
        .default("127.0.0.1:0")
        .describe("Where the coordinator serves /metrics and /healthz; null = nowhere"),
    })
    .prefault({})
    .describe("The coordinator"),
  transport: z
    .strictObject({
      kind: z
        .enum(["grpc", "nats"])
        .default("grpc")
        .describe("What carries rollouts, weights and control: gRPC, or a NATS server with JetStream"),
      nats: z
        .strictObject({
          url: z
            .string()
            .regex(/^(nats|tls):\/\/[^\s/]+$/, "expected nats://host:port")
            .nullable()
            .default(null)
            .describe("The NATS server; null = `skein train` starts one of its own"),
          maxBytes: z
            .int()
            .min(1_048_576)
            .max(Number.MAX_SAFE_INTEGER)
            .default(4_294_967_296)
            .describe(
              "Largest size of the rollout queue on the server, bytes; a full queue holds the actors back",
            ),
          replicas: count("Servers of a cluster that keep each message", 1, 5),
        })
        .prefault({})
        .describe("Used where kind is nats"),
      deadlineSeconds: seconds("Longest wait for the answer to one call", 15, 1, 600),
      keepaliveSeconds: seconds("Time between two keep-alive pings on an idle connection", 10, 1, 600),
      reconnectSeconds: seconds("Time without any answer after which a service gives up", 60, 1, 86_400),
      credits: count("Rollouts a sender may have unacknowledged (back-pressure)", 4, 1024),
      chunkBytes: z
        .int()
        .min(4096)
        .max(1_048_576)
        .default(262_144)
        .describe("Largest chunk on the wire, bytes; longer messages are split"),
      maxMessageBytes: z
        .int()
        .min(65_536)
        .max(2_147_483_648)
        .default(268_435_456)
        .describe("Largest whole message accepted, bytes"),
    })
    .prefault({})
    .describe("The wires"),
  weights: z
    .strictObject({
      deltas: z
        .boolean()
        .default(true)
        .describe("Send only the entries that changed where that is smaller than all of them"),
      anchorEvery: count("Versions after which all entries are sent again", 20, 100_000),
      fanOut: z
        .int()
        .min(0)
        .max(1024)
        .default(4)
        .describe(
          "Actors that take weights from one process directly; the others take them from those. 0 = all from the coordinator",
        ),
      relayAddress: address
        .default("127.0.0.1:0")
        .describe("Where an actor hands weights on to others; not used with NATS, whose server stores them"),
    })
    .prefault({})
    .describe("How weights travel"),
  security: z
    .strictObject({
      tls: z
        .strictObject({
          cert: z.string().min(1).describe("File with this service's certificate chain, PEM"),
          key: z.string().min(1).describe("File with its private key, PEM"),
          ca: z.string().min(1).describe("File with the certificates that sign the others', PEM"),
          mutual: z
            .boolean()
            .default(false)
            .describe("Clients must show a certificate signed by the same authority"),
        })
        .nullable()
        .default(null)
        .describe("Encryption of every port; null = none"),
      tokenFile: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe("File with the bearer token that every call and every page needs; null = none"),
      maxCallsPerSecond: count(
        "Calls that one connection may make, on average over a second",
        10_000,
        10_000_000,
      ),
    })
    .prefault({})
    .describe("Who may talk to the services"),
  watchdog: z
    .strictObject({
      seconds: seconds(
        "Time without progress after which a service says what it waits for and ends; twice that for the coordinator",
        600,
        1,
        604_800,
      ),
    })
    .prefault({})
    .describe("No service waits for ever"),
  staleness: z
    .strictObject({
      maxPolicyLag: z
        .int()
        .min(0)
        .max(1000)
        .default(1)
        .describe(
          "Largest accepted policyLag (version trained − oldest version in the row), versions; 0 = synchronous",
        ),
    })
    .prefault({})
    .describe("How old data may be"),
  stop: z
    .strictObject({
      envSteps: z
        .int()
        .min(1)
        .max(Number.MAX_SAFE_INTEGER)
        .default(1_000_000)
        .describe("Environment steps trained on at which the run ends; also the horizon of annealing"),
      meanReturn: z
        .number()
        .nullable()
        .default(null)
        .describe(
          "Mean return of the last 100 training episodes at which the run counts as solved; null = never",
        ),
      wallSeconds: z
        .number()
        .min(1)
        .max(2_000_000)
        .nullable()
        .default(null)
        .describe("Wall time at which the run stops, seconds; null = no limit"),
    })
    .prefault({})
    .describe("When the run ends"),
  deterministic: z
    .boolean()
    .default(false)
    .describe(
      "Exactly one version behind, fixed seeds, fixed order: the same seed gives the same checkpoint, bit for bit",
    ),
  logLevel: z
    .enum(["debug", "info", "warn", "error"])
    .default("info")
    .describe("Least level written to the services' logs"),
});

export type RunConfig = z.output<typeof runConfigSchema>;

/** What a run is called in records, books and addresses. */
export function runIdOf({ run }: Pick<RunConfig, "run">): string {
  return `${run.name}-s${run.seed}`;
}

/** JSON Schema (2020-12) of the run file, for editors and other tools. */
export function runConfigJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(runConfigSchema, { io: "input", target: "draft-2020-12" });
  return { title: "Skein run file", ...schema };
}
