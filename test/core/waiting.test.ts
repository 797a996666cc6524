import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { withTeardown } from "../../core/services.js";
import { settledWithin, unlessAborted } from "../../core/waiting.js";

const never = new Promise<never>(() => undefined);

describe("waiting unless aborted", () => {
  it("gives what the promise gives, or throws what it throws", async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(3), signal)).toBe(3);
    await expect(unlessAborted(Promise.reject(new Error("no")), signal)).rejects.toThrow("no");
  });

  it("gives null once the signal aborts, and at once where it has", async () => {
    const stop = new AbortController();
    const waiting = unlessAborted(never, stop.signal);
    stop.abort();
    expect(await waiting).toBeNull();
    expect(await unlessAborted(never, stop.signal)).toBeNull();
    expect(await unlessAborted(Promise.resolve(3), stop.signal)).toBeNull();
  });

  it("leaves a promise that fails after the abort unheard without failing the process", async () => {
    const unheard: unknown[] = [];
    const listen = (reason: unknown): void => void unheard.push(reason);
    process.on("unhandledRejection", listen);
    const stop = new AbortController();
    const failures: ((error: Error) => void)[] = [];
    const failing = (): Promise<never> => new Promise((_, reject) => failures.push(reject));
    const waiting = unlessAborted(failing(), stop.signal);
    stop.abort();
    expect(await waiting).toBeNull();
    expect(await unlessAborted(failing(), stop.signal)).toBeNull();
    for (const fail of failures) fail(new Error("late"));
    await new Promise(setImmediate);
    process.off("unhandledRejection", listen);
    expect(unheard).toEqual([]);
  });

  it("leaves no listener behind on a signal that outlives a thousand waits", async () => {
    const { signal } = new AbortController();
    for (let k = 0; k < 1000; k++) await unlessAborted(Promise.resolve(k), signal);
    await unlessAborted(Promise.reject(new Error("no")), signal).catch(() => undefined);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("waiting for a promise to settle", () => {
  it("ends when it settles, either way, and takes no offence at a failure", async () => {
    await settledWithin(Promise.resolve(1), 1000);
    await settledWithin(Promise.reject(new Error("no")), 1000);
  });

  it("ends after the seconds given where it does not", async () => {
    const from = performance.now();
    await Promise.all([
      settledWithin(never, 0.05),
      // settledWithin's own timer keeps no process alive; this one does until it has fired.
      new Promise((resolve) => setTimeout(resolve, 60)),
    ]);
    expect(performance.now() - from).toBeGreaterThanOrEqual(45);
  });
});

describe("a teardown", () => {
  it("closes what was kept, newest first, once the work is over, and gives the work's result", async () => {
    const closed: string[] = [];
    const thing = (name: string) => ({
      close: async () => {
        await new Promise(setImmediate);
        closed.push(name);
      },
    });
    const result = await withTeardown((keep) => {
      for (const name of ["a", "b", "c"]) keep(thing(name));
      expect(closed).toEqual([]);
      return Promise.resolve(7);
    });
    expect(result).toBe(7);
    expect(closed).toEqual(["c", "b", "a"]);
  });

  it("closes everything even where work and closing fail, and throws the work's failure first", async () => {
    const closed: string[] = [];
    const failing = (name: string) => ({
      close: () => {
        closed.push(name);
        throw new Error(`closing ${name}`);
      },
    });
    const work = withTeardown((keep) => {
      keep(failing("a"));
      keep(failing("b"));
      return Promise.reject(new Error("work"));
    });
    await expect(work).rejects.toThrow("work");
    expect(closed).toEqual(["b", "a"]);
    const fine = withTeardown((keep) => Promise.resolve(keep(failing("c"))));
    await expect(fine).rejects.toThrow("closing c");
  });
});
