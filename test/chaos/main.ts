/** `npm run test:chaos`: schedules of faults on real processes. Exits 1 where one of them did not hold. */
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { ROOT } from "../e2e/skein.js";
import { carryOut, type Outcome } from "./carry-out.js";
import { outcomeTable, verdictOf, writeTable } from "./report.js";
import type { TransportKind } from "./schedule.js";
import { schedules } from "./schedules/index.js";

interface Options {
  readonly only?: string;
  readonly transport?: TransportKind;
  readonly seed: number;
  readonly repeats: number;
  readonly patience: number;
  readonly ci: boolean;
  readonly write: boolean;
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError("expected a whole number.");
  return number;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const options: Options = new Command("test:chaos")
  .description(
    "schedules of faults on real processes; each must end with balanced books and a solved CartPole",
  )
  .option("--only <text>", "only schedules whose name begins with this")
  .addOption(new Option("--transport <kind>", "only this one").choices(["grpc", "nats"]))
  .option("--seed <n>", "what the schedules draw from, and the runs' seed", whole, 1)
  .option("--repeats <n>", "runs of each, with seeds that follow one another", whole, 1)
  .option("--patience <n>", "deadlines times this, for a busy machine", whole, 1)
  .option("--ci", "the short subset", false)
  .option("--write", "put the table into docs/reliability.md", false)
  .parse()
  .opts();

const chosen = schedules.filter(
  ({ name, ci }) => (ci || !options.ci) && (options.only === undefined || name.startsWith(options.only)),
);
const placings = chosen.flatMap((schedule) =>
  schedule.transports
    .filter((transport) => options.transport === undefined || transport === options.transport)
    .flatMap((transport) =>
      Array.from({ length: options.repeats }, (_, k) => ({
        schedule: { ...schedule, deadlineSeconds: schedule.deadlineSeconds * options.patience },
        transport,
        seed: options.seed + k,
      })),
    ),
);
const outcomes: Outcome[] = [];
for (const [index, placing] of placings.entries()) {
  const { schedule, transport, seed } = placing;
  say(`${index + 1} of ${placings.length}: ${schedule.name} over ${transport}, seed ${seed}`);
  const outcome = await carryOut(placing, (text) => say(`  ${text}`));
  outcomes.push(outcome);
  say(`  ${verdictOf(outcome)} (${outcome.seconds.toFixed(1)} s)`);
}
const table = outcomeTable(outcomes);
say(table);
if (options.write) await writeTable(join(ROOT, "docs/reliability.md"), table);
const failed = outcomes.filter(({ findings }) => findings.length > 0);
say(
  failed.length === 0
    ? `all ${outcomes.length} held or were skipped`
    : `${failed.length} of ${outcomes.length} did not hold`,
);
process.exit(failed.length === 0 && outcomes.length > 0 ? 0 : 1);
