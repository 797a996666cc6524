import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NoticeEvent } from "../../core/progress.js";
import type { BookReport } from "../../services/coordinator/main.js";
import { allGone, finishedOf, PACKAGE, Workplace, type Skein } from "./skein.js";

let place: Workplace;
beforeEach(async () => {
  place = await Workplace.create();
});
afterEach(async () => {
  await place.clear();
});

async function pids(skein: Skein): Promise<number[]> {
  const services = await Promise.all([
    skein.listening("coordinator"),
    skein.listening("learner"),
    skein.listening("actor"),
    skein.listening("actor", 1),
  ]);
  return services.map((service) => service.pid);
}

const endless = { stop: { envSteps: 1_000_000_000 } };

describe("kill -9", () => {
  it("of an actor: it is replaced and training goes on to its end", async () => {
    await place.runFile({ stop: { envSteps: 40_000 } });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(5);
    process.kill((await skein.listening("actor")).pid, "SIGKILL");
    await skein.listening("actor", 2);
    expect((await skein.ended).code).toBe(0);
    expect(finishedOf(skein.last).envSteps).toBeGreaterThanOrEqual(40_000);
    expect(skein.notices.map((notice) => notice.message).join("\n")).toMatch(
      /actor-\d was killed by SIGKILL; replacing it/,
    );
  });

  it("of the coordinator: it is started again and actors and learner go on", async () => {
    await place.runFile({ stop: { envSteps: 40_000 } });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(5);
    const first = await skein.listening("coordinator");
    process.kill(first.pid, "SIGKILL");
    const second = await skein.listening("coordinator", 1);
    expect(second.address).toBe(first.address);
    expect((await skein.ended).code).toBe(0);
    expect(finishedOf(skein.last).envSteps).toBeGreaterThanOrEqual(40_000);
    // Nobody but the coordinator was started again.
    expect(skein.events.filter((event) => event.event === "listening")).toHaveLength(5);
  });

  it("of the learner: it is replaced, goes on from its checkpoint, and the books balance", async () => {
    await place.runFile({ stop: { envSteps: 40_000 } });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(12);
    process.kill((await skein.listening("learner")).pid, "SIGKILL");
    await skein.listening("learner", 1);
    expect((await skein.ended).code).toBe(0);
    expect(finishedOf(skein.last).envSteps).toBeGreaterThanOrEqual(40_000);
    expect(skein.notices.map((notice) => notice.message).join("\n")).toMatch(
      /the learner was killed by SIGKILL; replacing it, from .*checkpoint-\d+\.safetensors/,
    );
    // Nobody but the learner was started again.
    expect(skein.events.filter((event) => event.event === "listening")).toHaveLength(5);
    const [folder] = await place.runFolders();
    const { code, stdout } = await place.run("inspect", folder!, "--json");
    expect(code).toBe(0);
    const { books, imbalance } = JSON.parse(stdout) as BookReport;
    expect(imbalance).toEqual({ rollouts: 0, steps: 0 });
    expect(books.trained.steps).toBe(finishedOf(skein.last).envSteps);
    expect(books.inFlight.rollouts).toBe(0);
  });

  it("of the last learner: the command says what happened and how to resume, and resuming goes on from the checkpoint", async () => {
    await place.runFile({ ...endless, learner: { checkpointEvery: 5, maxRestarts: 0 } });
    const skein = place.start("train", "run.yaml", "--json", "--seed", "4", "--set", "model={hidden: [8]}");
    await skein.version(12);
    const all = await pids(skein);
    process.kill((await skein.listening("learner")).pid, "SIGKILL");
    const { code, stderr } = await skein.ended;
    expect(code).toBe(1);
    const failed = finishedOf(skein.last);
    expect(failed.reason).toBe("failed");
    const [folder] = await place.runFolders();
    const said = skein.notices.find((notice) => notice.level === "error");
    expect(said).toMatchObject({ code: "PROCESS_DIED" });
    expect(said?.message).toContain("the learner was killed by SIGKILL");
    expect(said?.message).toContain(
      `skein train run.yaml --seed 4 --set 'model={hidden: [8]}' --resume ${folder}`,
    );
    expect(stderr).toBe("");
    await allGone(all);

    const resumed = place.start(
      ...["train", "run.yaml", "--json", "--seed", "4", "--set", "model={hidden: [8]}"],
      ...["--resume", "--set", "stop.envSteps=10000"],
    );
    const first = await resumed.event((event) => event.event === "progress");
    expect(first).toMatchObject({ envSteps: 11 * 256, updates: 11 * 4 });
    expect((await resumed.ended).code).toBe(0);
    expect(finishedOf(resumed.last).envSteps).toBeGreaterThanOrEqual(10_000);
    expect(await place.runFolders()).toEqual([folder]);
    const versions = (await place.read(folder!, "metrics.jsonl"))
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { policyVersion: number }).policyVersion);
    // Those of the checkpoint, then on above all that the dead learner had published.
    expect(versions.slice(0, 11)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, versions[10]]);
    expect(versions[10]).toBeGreaterThan(12);
    expect(versions.slice(10)).toEqual(versions.slice(10).map((_, i) => versions[10]! + i));
  });

  it("of the supervisor: no process is left behind", async () => {
    await place.runFile(endless);
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(3);
    const all = await pids(skein);
    skein.signal("SIGKILL");
    await allGone(all);
  });
});

describe("a training thread that dies", () => {
  it("ends the run with what happened; the last checkpoint stays and the run can be resumed", async () => {
    // Loaded in every thread of every service; dies in no main thread and only where the test asks for it.
    await place.write(
      "fragile.mjs",
      `import { existsSync } from "node:fs";
       import { isMainThread } from "node:worker_threads";
       import { box, defineEnvironment, discrete } from ${JSON.stringify(PACKAGE)};
       const die = () => { if (existsSync("die-" + process.pid)) throw new Error("the roof fell in"); };
       if (!isMainThread) setInterval(die, 20).unref();
       export default defineEnvironment({
         id: "Fragile-v0", observationSpace: box([1], -1, 1), actionSpace: discrete(2), maxEpisodeSteps: 9,
         create: () => ({
           reset: () => [0],
           step: (action) => ({ observation: [action], reward: action, terminated: false, truncated: false }),
         }),
       });`,
    );
    await place.runFile({
      ...endless,
      environment: { id: "Fragile-v0", module: "./fragile.mjs" },
      learner: { checkpointEvery: 5, maxRestarts: 0 },
    });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(7);
    const all = await pids(skein);
    await place.write(`die-${(await skein.listening("learner")).pid}`, "");
    expect((await skein.ended).code).toBe(1);
    const failed = finishedOf(skein.last);
    expect(failed.reason).toBe("failed");
    const errors = skein.notices.filter((notice) => notice.level === "error");
    expect(errors).toHaveLength(1);
    expect(errors[0]!.message).toContain("the training thread died: the roof fell in");
    expect(errors[0]!.message).toContain("skein train run.yaml --resume");
    await allGone(all);

    const [folder] = await place.runFolders();
    const last = (await place.list(folder!, "checkpoints")).pop()!;
    const version = Number(/\d+/.exec(last)![0]);
    expect(version % 5).toBe(0);
    expect(version).toBeGreaterThan(0);
    const resumed = place.start("train", "run.yaml", "--json", "--resume", "--set", "stop.envSteps=1");
    expect(finishedOf((await resumed.ended, resumed.last)).envSteps).toBe(256 * version);
  });
});

describe("an actor asked to leave", () => {
  it("leaves in order and is replaced while the run lasts", async () => {
    await place.runFile({ ...endless, actors: { processes: 1, environments: 4, fragmentSteps: 32 } });
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(3);
    process.kill((await skein.listening("actor")).pid, "SIGTERM");
    await skein.listening("actor", 1);
    const said = skein.notices.map((notice) => notice.message).join("\n");
    expect(said).toMatch(/actor-0 ended with exit code 0; replacing it/);
  });
});

describe("Ctrl-C", () => {
  it("once: drains, writes a checkpoint of the last version and leaves no process behind", async () => {
    await place.runFile(endless);
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(7);
    const all = await pids(skein);
    skein.signal("SIGINT");
    expect((await skein.ended).code).toBe(130);
    const finished = finishedOf(skein.last);
    expect(finished.reason).toBe("stopped");
    const [folder] = await place.runFolders();
    const name = `checkpoint-${String(finished.policyVersion).padStart(8, "0")}.safetensors`;
    expect(await place.list(folder!, "checkpoints")).toContain(name);
    await allGone(all);
  });

  it("twice: ends at once and leaves no process behind", async () => {
    await place.runFile(endless);
    const skein = place.start("train", "run.yaml", "--json");
    await skein.version(3);
    const all = await pids(skein);
    // A stopped learner cannot drain: only the second signal ends this.
    process.kill((await skein.listening("learner")).pid, "SIGSTOP");
    skein.signal("SIGINT");
    await skein.event(
      (event): event is NoticeEvent => event.event === "notice" && event.message.startsWith("stopping"),
    );
    skein.signal("SIGINT");
    expect((await skein.ended).code).toBe(130);
    await allGone(all);
  });
});
