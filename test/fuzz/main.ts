/** `npm run fuzz`: wrong messages to every decoder and to every gRPC method of real processes. Exits 1 at the first ill. */
import { Command, InvalidArgumentError } from "commander";
import { messageOf } from "../../core/errors.js";
import { Workplace } from "../e2e/skein.js";
import type { Tally } from "./assault.js";
import { decoders, fuzzDecoder } from "./codecs.js";
import { fuzzCoordinator, fuzzLearner } from "./services.js";

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError("expected a whole number.");
  return number;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const options = new Command("fuzz")
  .description("wrong messages to every decoder, and to every method of a coordinator and a learner")
  .option("--inputs <n>", "messages to each decoder, and calls to each of the two services", whole, 10_000)
  .option("--seed <n>", "what they are drawn from", whole, 1)
  .parse()
  .opts<{ readonly inputs: number; readonly seed: number }>();

function tell(service: string, tally: Tally): void {
  say(`${service}: calls by method and gRPC status (left = a watch that was left open)`);
  for (const [key, count] of [...tally].sort()) say(`  ${key}: ${count}`);
}

const place = await Workplace.create();
try {
  for (const decoder of decoders) {
    const refused = fuzzDecoder(decoder, options.inputs, options.seed);
    say(`${decoder.name}: ${options.inputs} inputs, ${refused} refused`);
  }
  tell("coordinator", await fuzzCoordinator(place, options));
  tell("learner", await fuzzLearner(place, options));
  say(`${options.inputs} inputs each, seed ${options.seed}: no service crashed or hung`);
} catch (error) {
  process.stderr.write(`fuzz: ${messageOf(error)}\n`);
  process.exitCode = 1;
} finally {
  await place.clear();
}
process.exit();
