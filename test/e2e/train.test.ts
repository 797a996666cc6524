import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { allGone, finishedOf, PACKAGE, Workplace } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

describe("skein train", () => {
  it("trains with processes of its own, says how it ended and leaves a complete run folder", async () => {
    await place.runFile();
    const skein = place.start("train", "run.yaml", "--json", "--seed", "3");
    const services = [
      await skein.listening("coordinator"),
      await skein.listening("learner"),
      await skein.listening("actor"),
      await skein.listening("actor", 1),
    ];
    expect(new Set(services.map((service) => service.pid)).size).toBe(4);
    const { code, stdout } = await skein.ended;
    expect(code).toBe(0);
    const finished = finishedOf(skein.last);
    expect(Object.keys(finished)).toEqual([
      "event",
      "reason",
      "envSteps",
      "updates",
      "wallSeconds",
      "meanReturn100",
      "policyVersion",
    ]);
    expect(finished.reason).toBe("steps");
    expect(finished.envSteps).toBe(256 * finished.policyVersion);
    expect(finished.envSteps).toBeGreaterThanOrEqual(20_000);
    expect(finished.updates).toBe(4 * finished.policyVersion);
    expect(stdout.trim().split("\n")).toHaveLength(skein.events.length);
    await allGone(services.map((service) => service.pid));

    const [folder] = await place.runFolders();
    expect(folder).toMatch(/^runs\/small-s3-/);
    const files = await place.list(folder!);
    // SQLite's own files beside the books come and go.
    expect(files.filter((file) => !file.startsWith("coordinator.db-"))).toEqual([
      "checkpoints",
      "coordinator.db",
      "learning-curve.svg",
      "logs",
      "metrics.jsonl",
      "run.yaml",
    ]);
    expect(await place.list(folder!, "checkpoints")).toHaveLength(3);
    expect(await place.list(folder!, "logs")).toEqual([
      "actor-0.log",
      "actor-1.log",
      "coordinator.log",
      "learner.log",
    ]);
    const metrics = (await place.read(folder!, "metrics.jsonl")).trim().split("\n");
    expect(metrics).toHaveLength(finished.policyVersion);
    expect(await place.read(folder!, "learning-curve.svg")).toMatch(/^<svg[\s\S]*<\/svg>\s*$/);
    expect(await place.read(folder!, "run.yaml")).toContain("seed: 3");
  });

  it("serves metrics and health on every service while it runs", async () => {
    await place.runFile({ stop: { envSteps: 10_000_000 } });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(3);
    const names = {
      coordinator: "skein_coordinator_policy_version",
      learner: "skein_learner_env_steps_total",
      actor: "skein_actor_env_steps_total",
    } as const;
    for (const role of ["coordinator", "learner", "actor"] as const) {
      const { http } = await skein.listening(role);
      const page = await (await fetch(`${http}/metrics`)).text();
      const value = new RegExp(`^${names[role]} (\\S+)$`, "m").exec(page)?.[1];
      expect(Number(value)).toBeGreaterThan(0);
      const health = await fetch(`${http}/healthz`);
      expect(health.status).toBe(200);
      expect(await health.json()).toMatchObject({ ok: true });
    }
  });

  it("reports ‘solved’ at the mean return asked for", async () => {
    await place.runFile({ stop: { envSteps: 1_000_000, meanReturn: 40 } });
    const { code, events } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(0);
    const finished = finishedOf(events[events.length - 1]);
    expect(finished.reason).toBe("solved");
    expect(finished.meanReturn100).toBeGreaterThanOrEqual(40);
  });

  it("stops by the clock where the run file says so", async () => {
    await place.runFile({ stop: { envSteps: 1_000_000_000, wallSeconds: 2 } });
    const { code, events } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(0);
    const finished = finishedOf(events[events.length - 1]);
    expect(finished.reason).toBe("stopped");
    expect(finished.wallSeconds).toBeGreaterThanOrEqual(2);
    expect(finished.policyVersion).toBeGreaterThan(0);
  });

  it("prints plain lines where there is no terminal", async () => {
    await place.runFile({ stop: { envSteps: 2000 } });
    const { code, stdout } = await place.run("train", "run.yaml");
    expect(code).toBe(0);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toMatch(/env steps 2,048/);
    expect(stdout.trim().split("\n").pop()).toMatch(/2,048 env steps/);
  });

  it("trains continuous actions and one-hot observations", async () => {
    for (const id of ["Pendulum-v1", "FrozenLake-v1"]) {
      await place.runFile({ environment: { id }, stop: { envSteps: 1500 } });
      const { code, stderr } = await place.run("train", "run.yaml", "--json");
      expect(stderr).toBe("");
      expect(code).toBe(0);
    }
  });
});

describe("a user's own environment", () => {
  it("trains from a module named in the run file, steps asynchronous or not", async () => {
    await place.write(
      "walk.mjs",
      `import { box, defineEnvironment, discrete } from ${JSON.stringify(PACKAGE)};
       const later = (value) => new Promise((resolve) => setImmediate(() => resolve(value)));
       export default defineEnvironment({
         id: "Walk-v0", observationSpace: box([1], -20, 20), actionSpace: discrete(2), maxEpisodeSteps: 12,
         create: () => {
           let x = 0;
           return {
             reset: () => later([(x = 0)]),
             step: (action) => {
               x += action === 1 ? 1 : -1;
               return later({ observation: [x], reward: action, terminated: false, truncated: false });
             },
           };
         },
       });`,
    );
    await place.runFile({
      environment: { id: "Walk-v0", module: "./walk.mjs" },
      stop: { envSteps: 100_000, meanReturn: 10 },
    });
    const { code, events } = await place.run("train", "run.yaml", "--json");
    expect(code).toBe(0);
    expect(finishedOf(events[events.length - 1]).reason).toBe("solved");
  });
});

describe("one service each", () => {
  it("make a run when started by hand, and the actor leaves when the run is finished", async () => {
    await place.runFile({ stop: { envSteps: 4000 } });
    const coordinator = place.start("coordinator", "run.yaml", "--json");
    const { address } = await coordinator.listening("coordinator");
    const actor = place.start("actor", "--coordinator", address, "--json");
    const learner = place.start("learner", "--coordinator", address, "--run-folder", "folder", "--json");
    expect((await learner.ended).code).toBe(0);
    expect(finishedOf(learner.last).reason).toBe("steps");
    expect((await actor.ended).code).toBe(0);
    coordinator.signal("SIGTERM");
    expect((await coordinator.ended).code).toBe(0);
  });

  it("go on from a checkpoint with the actors that are there when the learner dies and comes back", async () => {
    await place.runFile({ stop: { envSteps: 1_000_000_000 }, learner: { checkpointEvery: 10 } });
    const coordinator = place.start("coordinator", "run.yaml", "--json");
    const { address } = await coordinator.listening("coordinator");
    const learner = ["learner", "--coordinator", address, "--run-folder", "folder", "--json"];
    const actor = place.start("actor", "--coordinator", address, "--json");
    const first = place.start(...learner);
    await first.version(14);
    first.signal("SIGKILL");
    await first.ended;
    const second = place.start(...learner, "--resume");
    await second.version(30);
    const trained = second.events.flatMap((event) => (event.event === "progress" ? [event] : []));
    const last = first.events.flatMap((event) => (event.event === "progress" ? [event.policyVersion] : []));
    // Weights and counts are those of a checkpoint; versions go on above all that were ever published.
    expect(((trained[0]?.envSteps ?? 0) / 256) % 10).toBe(1);
    expect(trained[0]?.policyVersion).toBeGreaterThan(last[last.length - 1]!);
    for (const { policyLagMean, policyLagMax } of trained) {
      expect(policyLagMean).toBeGreaterThanOrEqual(0);
      expect(policyLagMax).toBeLessThanOrEqual(1);
    }
    second.signal("SIGTERM");
    expect((await second.ended).code).toBe(0);
    expect((await actor.ended).code).toBe(0);
    coordinator.signal("SIGTERM");
    expect((await coordinator.ended).code).toBe(0);
  });
});
