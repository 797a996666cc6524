/** `npm run soak`: does memory grow? Exits 1 where that of a process surely does. */
import { Command, InvalidArgumentError, Option } from "commander";
import { soak, type SoakOptions } from "./soak.js";

function number(text: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new InvalidArgumentError("expected a number of at least 0.");
  return value;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const options: SoakOptions = new Command("soak")
  .description("trains CartPole on and on, and reports how fast the memory of each process grows")
  .option("--minutes <n>", "length", number, 10)
  .option("--warm-up-minutes <n>", "start that is left out of the slopes", number, 2)
  .addOption(new Option("--transport <kind>", "what carries it").choices(["grpc", "nats"]).default("grpc"))
  .option("--faults", "kill an actor every 25 seconds", false)
  .option("--limit <n>", "MiB/h above which memory counts as growing, at 95 % confidence", number, 30)
  .parse()
  .opts();

const { table, growing, trained } = await soak(options, say);
say(`${options.minutes} minutes over ${options.transport}: ${trained}`);
say(table);
say(growing.length === 0 ? "no process surely grows" : `growing: ${growing.join(", ")}`);
process.exit(growing.length === 0 ? 0 : 1);
