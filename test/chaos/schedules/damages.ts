/** Data that is repeated, out of order, truncated, falsified; disks that are full. */
import type { Schedule } from "../schedule.js";
import { schedule } from "./schedule-of.js";

export const damages: readonly Schedule[] = [
  schedule({
    name: "undisturbed",
    title: "no fault at all",
    steps: () => [],
  }),
  schedule({
    name: "shuffle",
    title: "every rollout reaches the learner twice, late, and out of order",
    needs: { shuffler: true },
    ci: true,
    steps: () => [],
  }),
  schedule({
    name: "flip-weights",
    title: "one bit is wrong in each of ten long pieces of the weights on their way to an actor",
    transports: ["grpc"],
    needs: { outsider: "proxy" },
    settings: { model: { hidden: [256, 256] } },
    deadlineSeconds: 240,
    steps: () => [{ when: { version: 3 }, faults: [{ kind: "flip", wire: "control", pieces: 10 }] }],
  }),
  schedule({
    name: "flip-data",
    title: "one bit is wrong in each of ten long pieces of rollouts (NATS: of anything) on their way",
    steps: () => [{ when: { version: 3 }, faults: [{ kind: "flip", wire: "data", pieces: 10 }] }],
  }),
  ...(["truncate", "flip"] as const).map((how) =>
    schedule({
      name: `${how}-checkpoint`,
      title: `the newest checkpoint is ${how === "flip" ? "falsified by one bit" : "cut short"}; SIGKILL of the learner`,
      settings: { learner: { ack: how === "flip" ? "onCheckpoint" : "onTrain" } },
      ci: how === "flip",
      steps: (draw) => [
        {
          when: { version: draw(12, 14) },
          faults: [
            { kind: "damageCheckpoint", how },
            { kind: "kill", whom: "learner" },
          ],
        },
      ],
    }),
  ),
  schedule({
    name: "disk-full",
    title: "the disk of checkpoints and database is full for 10 s",
    needs: { diskBytes: 64 * 2 ** 20 },
    steps: () => [{ when: { version: 7 }, faults: [{ kind: "fillDisk", leaveBytes: 0, seconds: 10 }] }],
  }),
  schedule({
    name: "disk-nearly-full",
    title: "there is room for the database but for no checkpoint for 10 s",
    needs: { diskBytes: 64 * 2 ** 20 },
    settings: { model: { hidden: [256, 256] } },
    steps: () => [{ when: { version: 7 }, faults: [{ kind: "fillDisk", leaveBytes: 2 ** 20, seconds: 10 }] }],
  }),
];
