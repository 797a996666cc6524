/** `npm run bench`: arguments, one benchmark, its report. bench/README.md says what the numbers mean. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { runConfigSchema } from "../core/config/schema.js";
import { ENGINE_IDS } from "../core/engine/select.js";
import { messageOf } from "../core/errors.js";
import { benchDelivery, type DeliveryOptions } from "./delivery.js";
import { benchEndToEnd, type EndToEndOptions } from "./end-to-end.js";
import { benchFanOut, type FanOutOptions } from "./fan-out.js";
import { benchFleet, type FleetOptions } from "./fleet.js";
import { benchEngine, type BenchResult, type EngineBenchOptions } from "./engine.js";
import { benchIntake, type IntakeOptions } from "./intake.js";
import { startNatsServer } from "./nats-server.js";
import { benchRecipes, type RecipesOptions } from "./recipes.js";
import { ratioLine } from "./report.js";
import { benchWire, WIRE_DEFAULTS, type WireBenchOptions } from "./wire.js";

type WireOptions = Pick<WireBenchOptions, "senders" | "steps" | "seconds"> & {
  readonly transport: "grpc" | "nats";
  readonly json: boolean;
};

const RUN_FILE = fileURLToPath(new URL("../../bench/cartpole-throughput.yaml", import.meta.url));

function integer(min: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < min)
      throw new InvalidArgumentError(`expected an integer of at least ${min}.`);
    return number;
  };
}

function sizes(text: string): number[] {
  return text.split(",").map(integer(1));
}

function counts(text: string): number[] {
  return text.split(",").map(integer(0));
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function report({ ratios, ok }: BenchResult, json: boolean): void {
  if (json) say(ratioLine(ratios));
  if (!ok) process.exitCode = 1;
}

const engine = new Option("--engine <id>", "engine to measure").choices(["auto", ...ENGINE_IDS]);
const python = new Option("--python <path>", "Python that has the peers").default("python3");
const json = new Option("--json", "one line of JSON last").default(false);

const program = new Command("bench").description("Skein's benchmarks, beside their peers in Python.");

program
  .command("engine")
  .description("network updates, inference and memory, beside PyTorch eager")
  .addOption(engine.default("auto"))
  .addOption(python)
  .addOption(json)
  .option("--quick", "the smallest size of each network, short blocks", false)
  .option("--repeats <n>", "timed blocks of each side", integer(1), 9)
  .option("--threads <n>", "threads of each side; 0 = one for each core", integer(0), 0)
  .option("--only <text>", "only the rows whose name has this in it", "")
  .action(async (options: EngineBenchOptions & { readonly json: boolean }) => {
    report(await benchEngine(options, say), options.json);
  });

program
  .command("end-to-end")
  .description(
    "environment steps per second of skein train on CartPole-v1, beside CleanRL and Stable-Baselines3",
  )
  .addOption(python)
  .addOption(json)
  .option("--cleanrl <path>", "CleanRL's ppo.py; default: that of the Python package cleanrl", "")
  .option("--run-file <path>", "run file to train", RUN_FILE)
  .option("--set <key=value>", "override one setting of the run file; may be repeated", collect, [])
  .option("--repeats <n>", "runs of each side", integer(1), 3)
  .option("--seconds <n>", "measured length of each run", integer(1), 20)
  .option("--warm-up-seconds <n>", "start of Skein's run that is left out", integer(0), 10)
  .action(async (options: EndToEndOptions & { readonly json: boolean }) => {
    const { cleanrl, runFile } = options;
    const paths = { runFile: resolve(runFile), cleanrl: cleanrl === "" ? "" : resolve(cleanrl) };
    report(await benchEndToEnd({ ...options, ...paths }, say), options.json);
  });

program
  .command("recipes")
  .description("the share of an update that each method's own arithmetic takes, beside the engine")
  .addOption(json)
  .option("--batch-steps <n>", "environment steps of a batch", integer(1), 2048)
  .option("--seconds <n>", "measured length of each run", integer(1), 5)
  .option("--warm-up-seconds <n>", "start of each run that is left out", integer(0), 3)
  .option("--only <text>", "only the methods whose id has this in it", "")
  .action(async (options: RecipesOptions & { readonly json: boolean }) => {
    report(await benchRecipes(options, say), options.json);
  });

program
  .command("delivery")
  .description("what delivering costs: CartPole-v1 in one process over memory, gRPC and NATS")
  .addOption(json)
  .option("--run-file <path>", "run file to train", RUN_FILE)
  .option("--set <key=value>", "override one setting of the run file; may be repeated", collect, [])
  .option("--repeats <n>", "runs over each", integer(1), 3)
  .option("--seconds <n>", "measured length of each run", integer(1), 20)
  .option("--warm-up-seconds <n>", "start of each run that is left out", integer(0), 10)
  .action(async (options: DeliveryOptions & { readonly json: boolean }) => {
    report(await benchDelivery({ ...options, runFile: resolve(options.runFile) }, say), options.json);
  });

program
  .command("fleet")
  .description("a real coordinator with very many actors that only talk: processor time, memory, latencies")
  .addOption(json)
  .option("--actors <n,…>", "sizes of the fleet, one after the other", sizes, [250, 1000])
  .option("--seconds <n>", "measured length of each", integer(1), 30)
  .option("--processes <n>", "processes that the actors are spread over", integer(1), 2)
  .option("--heartbeat-seconds <n>", "between two heartbeats of an actor", integer(1), 5)
  .option("--fragment-seconds <n>", "between two requests for work of an actor", integer(1), 10)
  .option("--version-seconds <n>", "between two versions of the weights", integer(1), 10)
  .action(async (options: FleetOptions & { readonly json: boolean }) => {
    report(await benchFleet(options, say), options.json);
  });

program
  .command("fan-out")
  .description("how long weights take to many receivers, and who sends the bytes")
  .addOption(json)
  .option("--receivers <n,…>", "receivers, one number after the other", sizes, [1, 8, 64])
  .option("--megabytes <n>", "size of the weights, MB", integer(1), 64)
  .option("--processes <n>", "processes that the receivers are spread over, at most", integer(1), 8)
  .option("--repeats <n>", "versions published", integer(1), 3)
  .option("--fan-out <n>", "weights.fanOut, compared with 0: all from the coordinator", integer(1), 4)
  .action(async (options: FanOutOptions & { readonly json: boolean }) => {
    report(await benchFanOut(options, say), options.json);
  });

program
  .command("intake")
  .description("environment steps per second that one learner process takes in over gRPC")
  .addOption(json)
  .option("--senders <n>", "sending processes", integer(1), 1)
  .option("--seconds <n>", "measured length of each size", integer(1), 10)
  .option("--environments <n,…>", "instances in a rollout, one size after the other", sizes, [8, 64])
  .option("--fragment-steps <n>", "steps of each instance in a rollout", integer(1), 128)
  .action(async (options: IntakeOptions & { readonly json: boolean }) => {
    report(await benchIntake(options, say), options.json);
  });

program
  .command("wire")
  .description("rollout payload per second into one learner process over gRPC or NATS, beside memory")
  .addOption(json)
  .addOption(new Option("--transport <kind>", "what carries it").choices(["grpc", "nats"]).default("grpc"))
  .option(
    "--senders <n,…>",
    "sending processes, one number after the other; 0 = from a full queue (nats)",
    counts,
    WIRE_DEFAULTS.senders,
  )
  .option("--steps <n,…>", "steps of a rollout, one size after the other", sizes, WIRE_DEFAULTS.steps)
  .option("--seconds <n>", "measured length of each", integer(1), WIRE_DEFAULTS.seconds)
  .action(async (options: WireOptions) => {
    const { json, transport: kind, ...sizes } = options;
    const transport = runConfigSchema.shape.transport.parse({ kind });
    const broker = kind === "nats" ? await startNatsServer() : null;
    try {
      const address = broker?.url ?? WIRE_DEFAULTS.address;
      report(await benchWire({ ...sizes, transport, address }, say), json);
    } finally {
      await broker?.close();
    }
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
process.exit();
