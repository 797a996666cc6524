/** Whole episodes in groups: what is lost of a group is issued again, and a group is trained whole or void whole. */
import type { Draw, Fault, Schedule, Stage } from "../schedule.js";
import { schedule } from "./schedule-of.js";

const GROUPS = { size: 4, tasks: 1_000_000, deadlineSeconds: 20 };

function grouped(
  name: string,
  title: string,
  strike: (draw: Draw) => Fault,
  settings: Schedule["settings"] = {},
): Schedule {
  const granted = (draw: Draw): Stage => ({
    role: "actor",
    at: { kind: "line", line: "work granted", nth: draw(10, 40), laterMs: draw(0, 8) },
  });
  return schedule({
    name: `groups-${name}`,
    title: `groups of ${GROUPS.size} episodes: ${title}`,
    deadlineSeconds: 240,
    settings: { groups: GROUPS, ...settings },
    ci: name === "kill-actor",
    steps: (draw) => [{ when: { stage: granted(draw) }, faults: [strike(draw)] }],
  });
}

export const groups: readonly Schedule[] = [
  grouped("kill-actor", "SIGKILL of an actor with members of several", () => ({
    kind: "kill",
    whom: "actor",
  })),
  grouped(
    "kill-learner",
    "SIGKILL of the learner with some half complete; ack onCheckpoint",
    () => ({ kind: "kill", whom: "learner" }),
    { learner: { ack: "onCheckpoint" } },
  ),
  grouped("kill-coordinator", "SIGKILL of the coordinator with some half complete", () => ({
    kind: "kill",
    whom: "coordinator",
  })),
  grouped(
    "stop-actor",
    "SIGSTOP of an actor for 30 s: groups that wait for it end at their deadline",
    () => ({ kind: "stop", whom: "actor", seconds: 30 }),
    { coordinator: { leaseSeconds: 60 }, groups: { ...GROUPS, deadlineSeconds: 5 } },
  ),
];
