/** SIGKILL of each role at each stage of the work. */
import type { Draw, Schedule, Service, Stage, Step, Victim } from "../schedule.js";
import { BOTH, schedule } from "./schedule-of.js";

type StageName = "fragment" | "ack" | "checkpoint" | "publish";

const TITLES: Readonly<Record<StageName, string>> = {
  fragment: "in the middle of a fragment",
  ack: "between training and acknowledging",
  checkpoint: "with a checkpoint half written",
  publish: "in the middle of publishing weights",
};

const line = (role: Service, text: string, nth: number, laterMs: number): Stage => ({
  role,
  at: { kind: "line", line: text, nth, laterMs },
});

const STAGES: Readonly<Record<StageName, (draw: Draw) => Stage>> = {
  fragment: (draw) => line("actor", "work granted", draw(5, 15), draw(0, 8)),
  ack: (draw) => line("learner", "batch trained", draw(3, 14), 0),
  checkpoint: (draw) => ({
    role: "learner",
    at: { kind: "file", suffix: ".safetensors", nth: draw(1, 3) },
  }),
  publish: (draw) => line("learner", "publishing weights", draw(3, 14), draw(0, 3)),
};

/** Each role once, each stage once, both kinds of acknowledgement. */
const CI: ReadonlySet<string> = new Set([
  "kill-actor-fragment",
  "kill-learner-ack",
  "kill-learner-checkpoint-onCheckpoint",
  "kill-coordinator-publish",
  "kill-broker-ack",
]);

function killAt(whom: Victim, stage: StageName, ack: "onTrain" | "onCheckpoint"): Schedule {
  const name = `kill-${whom}-${stage}${ack === "onTrain" ? "" : "-onCheckpoint"}`;
  return schedule({
    name,
    title: `SIGKILL of the ${whom} ${TITLES[stage]}; ack ${ack}`,
    transports: whom === "broker" ? ["nats"] : BOTH,
    ci: CI.has(name),
    settings: { learner: { ack } },
    steps: (draw) => [{ when: { stage: STAGES[stage](draw) }, faults: [{ kind: "kill", whom }] }],
  });
}

const STAGE_NAMES = Object.keys(STAGES) as StageName[];
const VICTIMS: readonly Victim[] = ["actor", "learner", "coordinator", "broker"];

/** Kills at random, a few versions apart; each version may come again after a learner's death. */
function storm(ack: "onTrain" | "onCheckpoint"): Schedule {
  const kills = (draw: Draw): Step[] =>
    Array.from({ length: 8 }, (_, k) => ({
      when: { version: 3 + 4 * k },
      faults: [{ kind: "kill", whom: (["actor", "learner", "coordinator"] as const)[draw(0, 2)]! }],
    }));
  return schedule({
    name: `kill-storm${ack === "onTrain" ? "" : "-onCheckpoint"}`,
    title: `SIGKILL of somebody every four versions, eight times; ack ${ack}`,
    deadlineSeconds: 240,
    settings: { learner: { ack } },
    steps: kills,
  });
}

export const kills: readonly Schedule[] = [
  ...VICTIMS.flatMap((whom) => STAGE_NAMES.map((stage) => killAt(whom, stage, "onTrain"))),
  ...STAGE_NAMES.map((stage) => killAt("learner", stage, "onCheckpoint")),
  storm("onTrain"),
  storm("onCheckpoint"),
  schedule({
    name: "kill-supervisor",
    title: "SIGKILL of skein train; then skein train --resume",
    settings: { learner: { ack: "onCheckpoint" } },
    steps: (draw) => [{ when: { version: draw(7, 14) }, faults: [{ kind: "kill", whom: "supervisor" }] }],
  }),
];
