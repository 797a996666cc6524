/** The commands and their options. Each one's code is loaded when it runs, so that `--help` is instant. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { CommandHost } from "./commands/host.js";

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function integer(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < min || number > max) {
      throw new InvalidArgumentError(`expected an integer from ${min} to ${max}.`);
    }
    return number;
  };
}

const seed = integer(0, 0xffff_ffff);

/** Who this process is, for commands that talk to a coordinator before they know the run file. */
function withCredentials(command: Command): Command {
  return command
    .option("--tls-cert <file>", "this process's certificate, PEM; as in the run file's security.tls.cert")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--tls-ca <file>", "the certificates that sign the others', PEM")
    .option("--token-file <file>", "the bearer token; as in the run file's security.tokenFile");
}

interface Program {
  /** Runs one command line; resolves with the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** The command line of `skein`. */
export function createProgram(host: CommandHost): Program {
  let exitCode = 0;
  const action =
    <A extends unknown[]>(load: () => Promise<(host: CommandHost, ...args: A) => Promise<number>>) =>
    async (...args: A): Promise<void> => {
      exitCode = await (await load())(host, ...args);
    };
  const program = new Command("skein")
    .description("Distributed actor-learner reinforcement learning.")
    .exitOverride()
    .showHelpAfterError("(see --help)");

  program
    .command("train")
    .description(
      "train a run file on this machine: coordinator, learner and actors as processes of their own",
    )
    .argument("<run-file>", "the run file, YAML")
    .option("--seed <n>", "same as --set run.seed=<n>", seed)
    .option("--set <key=value>", "override one setting of the run file; may be repeated", collect, [])
    .option("--resume [run-folder]", "go on from the newest checkpoint of this run, or of the folder named")
    .option("--json", "one JSON event a line instead of the live view", false)
    .action(action(async () => (await import("./commands/train.js")).train));

  program
    .command("coordinator")
    .description("run a coordinator alone")
    .argument("<run-file>", "the run file, YAML")
    .option("--address <host:port>", "same as --set coordinator.address=<host:port>")
    .option(
      "--run-folder <folder>",
      "keep the books here, and go on from those that are there; default: nowhere",
    )
    .option("--seed <n>", "same as --set run.seed=<n>", seed)
    .option("--set <key=value>", "override one setting of the run file; may be repeated", collect, [])
    .option("--json", "one JSON event a line", false)
    .action(action(async () => (await import("./commands/services.js")).coordinator));

  withCredentials(program.command("learner"))
    .description("run a learner alone; it gets the run file from the coordinator")
    .requiredOption("--coordinator <host:port>", "where the coordinator is")
    .requiredOption("--run-folder <folder>", "where metrics and checkpoints go")
    .option("--resume", "go on from the newest checkpoint of the run folder", false)
    .option("--json", "one JSON event a line", false)
    .action(action(async () => (await import("./commands/services.js")).learner));

  withCredentials(program.command("actor"))
    .description("run an actor alone; it gets the run file from the coordinator")
    .requiredOption("--coordinator <host:port>", "where the coordinator is")
    .option("--index <n>", "place in the fleet; default: any free one", integer(0, 65_535))
    .option("--name <name>", "name in logs and status; default: made from host and process")
    .option("--json", "one JSON event a line", false)
    .action(action(async () => (await import("./commands/services.js")).actor));

  program
    .command("inspect")
    .description(
      "print the books of a run: what became of every rollout, who works on it, which weights it has",
    )
    .argument("<run-folder>", "the run folder; the run may be going on")
    .option("--json", "one JSON object", false)
    .action(action(async () => (await import("./commands/inspect.js")).inspect));

  const recipes = program
    .command("recipes")
    .description("the methods and modifiers that a run file can name");
  recipes
    .command("list", { isDefault: true })
    .description("all of them, with what they need")
    .option("--json", "one JSON object", false)
    .action(action(async () => (await import("./commands/recipes.js")).listRecipes));
  recipes
    .command("show")
    .description("one of them resolved: its slots, and its parameters with their defaults")
    .argument("<id>", "the recipe or modifier")
    .option("--json", "one JSON object", false)
    .action(action(async () => (await import("./commands/recipes.js")).showRecipe));

  withCredentials(program.command("pause"))
    .description("hand out no work for a while; the run goes on by itself when the time is over")
    .requiredOption("--coordinator <address>", "where the coordinator is")
    .option("--seconds <n>", "how long", integer(1, 86_400), 60)
    .option("--reason <text>", "said in the coordinator's log", "asked for by skein pause")
    .action(action(async () => (await import("./commands/pause.js")).pause));

  withCredentials(program.command("resume"))
    .description("end a pause before its time")
    .requiredOption("--coordinator <address>", "where the coordinator is")
    .action(action(async () => (await import("./commands/pause.js")).resume));

  program
    .command("eval")
    .description("play episodes with the policy of a checkpoint")
    .argument("<checkpoint>", "a checkpoint file, or a run folder for its newest one")
    .option("--episodes <n>", "episodes to play", integer(1, 1_000_000), 100)
    .option("--sample", "sample actions instead of taking the most probable one", false)
    .option("--seed <n>", "seed of the episodes", seed, 1)
    .option("--json", "one JSON object", false)
    .action(action(async () => (await import("./commands/eval.js")).evaluate));

  program
    .command("export")
    .description(
      "write the weights of a checkpoint as plain safetensors, with a JSON description of the network",
    )
    .argument("<checkpoint>", "a checkpoint file, or a run folder for its newest one")
    .requiredOption("--out <file>", "file to write, for instance policy.safetensors")
    .action(action(async () => (await import("./commands/export.js")).exportWeights));

  program
    .command("schema")
    .description("print the JSON Schema of the run file")
    .action(action(async () => (await import("./commands/schema.js")).schema));

  program
    .command("doctor")
    .description("check what this machine offers")
    .option("--json", "one JSON object", false)
    .action(action(async () => (await import("./commands/doctor.js")).doctor));

  program
    .command("probe-engine", { hidden: true })
    .description("try one engine, for doctor: one JSON object, the last line printed")
    .argument("<id>", "the engine")
    .action(action(async () => (await import("./commands/engine-probes.js")).printProbe));

  return {
    async run(args) {
      try {
        await program.parseAsync([...args], { from: "user" });
        return exitCode;
      } catch (error) {
        // Commander has printed its message already.
        if (error instanceof CommanderError) return error.exitCode;
        throw error;
      }
    },
  };
}
