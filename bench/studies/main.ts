/** `npm run study -- <name>`: runs a study's arms over its seeds and writes table and plot to docs/studies. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { messageOf, SkeinError } from "../../core/errors.js";
import type { ProgressEvent } from "../../core/progress.js";
import { studies } from "./catalogue/index.js";
import { indexPage, studyPage, verdictsOf } from "./page.js";
import { studySvg } from "./plot.js";
import { laidOver, RunStore } from "./runs.js";
import type { Study } from "./study.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** Seconds between two lines about a run under way. */
const SAY_SECONDS = 10;

interface Options {
  readonly seeds: number | null;
  readonly parallel: number;
  readonly out: string;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function integer(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new InvalidArgumentError("expected an integer of at least 1.");
  return number;
}

function findStudy(name: string): Study {
  const found = studies.find((study) => study.name === name);
  if (found !== undefined) return found;
  const known = studies.map((study) => study.name).join(", ");
  throw new SkeinError("CONFIG_INVALID", `study: no study "${name}"; known: ${known}`);
}

/** Runs every arm with every seed, `parallel` at a time. */
async function runAll(
  study: Study,
  seeds: number,
  parallel: number,
): Promise<Map<string, ProgressEvent[][]>> {
  const store = new RunStore(join(ROOT, ".cache", "studies"));
  const jobs = Array.from({ length: seeds }, (_, k) => k + 1).flatMap((seed) =>
    study.arms.map((arm) => ({ seed, arm })),
  );
  const results = new Map<string, ProgressEvent[][]>(study.arms.map(({ name }) => [name, []]));
  let done = 0;
  const work = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const { seed, arm } = job;
      const runFile = laidOver(laidOver(study.base, arm.run), { run: { name: "study", seed } });
      let saidAt = performance.now();
      const events = await store.get(runFile, ({ envSteps, etaSeconds, meanReturn100 }) => {
        if (performance.now() - saidAt < 1000 * SAY_SECONDS) return;
        saidAt = performance.now();
        const left = Number.isFinite(etaSeconds) ? `, ${Math.round(etaSeconds)} s left` : "";
        say(`  ${arm.name}, seed ${seed}: ${envSteps} steps, mean return ${String(meanReturn100)}${left}`);
      });
      results.get(arm.name)![seed - 1] = [...events];
      done++;
      const numbers = study.measures.map((m) => `${m.name} ${m.of(events).toFixed(m.digits)}`).join(", ");
      say(`[${done}/${seeds * study.arms.length}] ${arm.name}, seed ${seed}: ${numbers}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return results;
}

async function run(name: string, { seeds, parallel, out }: Options): Promise<void> {
  const found = findStudy(name);
  const study = { ...found, seeds: seeds ?? found.seeds };
  const results = await runAll(study, study.seeds, parallel);
  const svg = studySvg(
    study.title,
    study.curve.title,
    study.arms.map((arm) => ({
      name: arm.name,
      curves: results
        .get(arm.name)!
        .map((events) =>
          events.map((event) => ({ x: event.envSteps, y: study.curve.of(event) ?? Number.NaN })),
        ),
    })),
  );
  await mkdir(out, { recursive: true });
  await writeFile(join(out, `${name}.svg`), svg);
  await writeFile(join(out, `${name}.md`), studyPage(study, results));
  const written = new Set(await readdir(out));
  await writeFile(join(out, "README.md"), indexPage(studies.filter((one) => written.has(`${one.name}.md`))));
  const verdicts = verdictsOf(study, results);
  for (const { claim, held, difference } of verdicts) {
    const { mean, margin } = difference;
    say(
      `${held ? "held" : "not shown"}: ${claim.a} ${claim.kind} ${claim.b}, ${claim.measure}: ` +
        `difference ${mean.toPrecision(4)} ± ${margin.toPrecision(3)}`,
    );
  }
  say(`written: ${join(out, `${name}.md`)} and .svg`);
}

const program = new Command("study").description("Comparisons over seeds, written to docs/studies.");
program
  .argument("[name]", "the study; without it all are listed")
  .option("--seeds <n>", "seeds 1 … n instead of the study's own number", integer)
  .option("--parallel <n>", "runs at a time", integer, 1)
  .option("--out <folder>", "where table and plot go", join(ROOT, "docs", "studies"))
  .action(async (name: string | undefined, options: Omit<Options, "seeds"> & { readonly seeds?: number }) => {
    if (name === undefined) {
      for (const study of studies) say(`${study.name.padEnd(18)} ${study.title}`);
      return;
    }
    await run(name, { ...options, seeds: options.seeds ?? null });
  });

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`study: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
