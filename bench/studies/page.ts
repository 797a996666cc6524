/** A study's page: question, table, claims and what became of them, plot. */
import { markdownTable } from "../../core/markdown.js";
import type { ProgressEvent } from "../../core/progress.js";
import { difference, interval, type Interval } from "./statistics.js";
import type { Claim, Study } from "./study.js";

/** Runs of each arm, seed by seed. */
export type Results = ReadonlyMap<string, readonly (readonly ProgressEvent[])[]>;

function shown({ mean, margin }: Interval, digits: number): string {
  const number = (x: number): string => x.toFixed(digits).replace("-", "−");
  return Number.isNaN(margin) ? number(mean) : `${number(mean)} ± ${number(margin)}`;
}

export interface Verdict {
  readonly claim: Claim;
  readonly difference: Interval;
  readonly held: boolean;
}

export function verdictsOf({ claims, measures }: Study, results: Results): Verdict[] {
  return claims.map((claim) => {
    const measure = measures.find(({ name }) => name === claim.measure)!;
    const [a, b] = [claim.a, claim.b].map((arm) => results.get(arm)!.map((run) => measure.of(run)));
    const found = difference(a!, b!);
    const least = claim.kind === "above" ? 0 : -(claim.margin ?? 0);
    return { claim, difference: found, held: found.mean - found.margin > least };
  });
}

function sentence(study: Study, { claim, difference: found, held }: Verdict): string {
  const { digits } = study.measures.find(({ name }) => name === claim.measure)!;
  const what =
    claim.kind === "above"
      ? `**${claim.a}** is above **${claim.b}**`
      : `**${claim.a}** is not more than ${claim.margin ?? 0} below **${claim.b}**`;
  const verdict = held ? "Held" : Number.isNaN(found.margin) ? "One seed shows no interval" : "Not shown";
  return `- ${verdict}: ${what} in ${claim.measure}; difference ${shown(found, digits)}.`;
}

export function studyPage(study: Study, results: Results): string {
  const { name, title, question, measures, arms, seeds } = study;
  const rows = arms.map((arm) => {
    const runs = results.get(arm.name)!;
    const steps = interval(runs.map((run) => run[run.length - 1]!.envSteps)).mean;
    const cells = measures.map((measure) => shown(interval(runs.map(measure.of)), measure.digits));
    return [arm.name, ...cells, Math.round(steps).toLocaleString("en-US")];
  });
  return [
    `# ${title}`,
    "",
    question,
    "",
    ...markdownTable([["Arm", ...measures.map((measure) => measure.name), "environment steps"], ...rows]),
    "",
    `Mean over ${seeds} seed${seeds === 1 ? "" : "s"} ± half the width of its 95 % confidence interval (Student's t); differences are taken seed by seed.`,
    "",
    ...verdictsOf(study, results).map((verdict) => sentence(study, verdict)),
    "",
    `![${title}](${name}.svg)`,
    "",
    `Made by \`npm run study -- ${name}\`; the arms are in \`bench/studies/catalogue/\`.`,
    "",
  ].join("\n");
}

/** What there is, in the catalogue's order. */
export function indexPage(written: readonly Study[]): string {
  return [
    "# Studies",
    "",
    "Comparisons over seeds, made by `npm run study -- <name>`; without a name it lists them. Each says what was asked, what",
    "came out and whether it is what was expected.",
    "",
    ...written.map(({ name, title }) => `- [${title}](${name}.md)`),
    "",
  ].join("\n");
}
