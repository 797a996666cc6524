/** Processes that stop and go on, networks that lose everything, clocks that jump. */
import type { Schedule, Victim } from "../schedule.js";
import { BOTH, schedule } from "./schedule-of.js";

/** Longer than a lease and two keep-alives. */
const LONG_SECONDS = 30;

function stopped(whom: Victim): Schedule {
  return schedule({
    name: `stop-${whom}`,
    title: `SIGSTOP of the ${whom} for ${LONG_SECONDS} s`,
    transports: whom === "broker" ? ["nats"] : BOTH,
    deadlineSeconds: 210,
    steps: (draw) => [
      { when: { version: draw(3, 9) }, faults: [{ kind: "stop", whom, seconds: LONG_SECONDS }] },
    ],
  });
}

export const silences: readonly Schedule[] = [
  ...(["actor", "learner", "coordinator", "broker"] as const).map(stopped),
  schedule({
    name: "hold-data",
    title: "the rollouts' connections (NATS: all) pass nothing for 20 s, through a proxy",
    deadlineSeconds: 200,
    ci: true,
    steps: (draw) => [
      { when: { version: draw(3, 9) }, faults: [{ kind: "hold", wire: "data", seconds: 20 }] },
    ],
  }),
  schedule({
    name: "cut-data",
    title: "the rollouts' connections (NATS: all) are reset, five times",
    ci: true,
    steps: () =>
      [3, 6, 9, 12, 15].map((version) => ({ when: { version }, faults: [{ kind: "cut", wire: "data" }] })),
  }),
  schedule({
    name: "hold-control",
    title: "an actor's way to the coordinator passes nothing for 20 s, through a proxy: its lease ends",
    transports: ["grpc"],
    needs: { outsider: "proxy" },
    deadlineSeconds: 200,
    steps: (draw) => [
      { when: { version: draw(3, 9) }, faults: [{ kind: "hold", wire: "control", seconds: 20 }] },
    ],
  }),
  schedule({
    name: "unplug-actor",
    title: "an actor's network interface is down for 20 s, in a network namespace of its own",
    needs: { outsider: "namespace" },
    deadlineSeconds: 200,
    steps: (draw) => [{ when: { version: draw(3, 9) }, faults: [{ kind: "unplug", seconds: 20 }] }],
  }),
  schedule({
    name: "unplug-all",
    title: "nobody reaches anybody for 20 s: the loopback of the run's network namespace is down",
    needs: { namespace: true },
    deadlineSeconds: 200,
    steps: (draw) => [{ when: { version: draw(3, 9) }, faults: [{ kind: "unplug", seconds: 20 }] }],
  }),
  schedule({
    name: "slow-data",
    title: "what takes rollouts in takes 200 kB/s for 20 s",
    deadlineSeconds: 200,
    steps: () => [
      {
        when: { version: 3 },
        faults: [{ kind: "slow", wire: "data", bytesPerSecond: 200_000, seconds: 20 }],
      },
    ],
  }),
  schedule({
    name: "slow-control",
    title: "an actor takes weights of 1 MB in at 200 kB/s for 20 s: it skips versions",
    transports: ["grpc"],
    needs: { outsider: "proxy" },
    settings: { model: { hidden: [256, 256] } },
    deadlineSeconds: 240,
    steps: () => [
      {
        when: { version: 3 },
        faults: [{ kind: "slow", wire: "control", bytesPerSecond: 200_000, seconds: 20 }],
      },
    ],
  }),
  ...(["coordinator", "learner", "actor"] as const).map((whom) =>
    schedule({
      name: `clock-${whom}`,
      title: `the ${whom}'s wall clock jumps an hour ahead, then two hours back`,
      steps: () => [
        { when: { version: 3 }, faults: [{ kind: "shiftClock", whom, seconds: 3600 }] },
        { when: { version: 12 }, faults: [{ kind: "shiftClock", whom, seconds: -3600 }] },
      ],
    }),
  ),
];
