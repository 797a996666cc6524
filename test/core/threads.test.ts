import { MessageChannel } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { buffersOf } from "../../core/threads/buffers.js";
import { ThreadLine, threadPool } from "../../core/threads/line.js";
import { serve, type Work } from "../../core/threads/serve.js";
import { failureOf } from "../transport/helpers.js";

type To =
  | { readonly kind: "double"; readonly numbers: Float32Array }
  | { readonly kind: "note"; readonly text: string }
  | { readonly kind: "fail"; readonly code: "SHAPE" };
type From =
  | { readonly kind: "ready"; readonly motto: string }
  | { readonly kind: "doubled"; readonly numbers: Float32Array }
  | { readonly kind: "other" };

const closes: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closes.splice(0)) await close();
});

/** A line within this thread, over a real port; what was noted and whether the work was closed. */
function doubler(changes: Partial<Work<To, From>> = {}) {
  const { port1, port2 } = new MessageChannel();
  const notes: string[] = [];
  const seen = { notes, closed: false };
  const work: Work<To, From> = {
    ready: { kind: "ready", motto: "twice" },
    async handle(message) {
      if (message.kind === "fail") throw new SkeinError(message.code, "told to fail");
      if (message.kind === "double") return { kind: "doubled", numbers: message.numbers.map((x) => 2 * x) };
      notes.push(message.text);
      return null;
    },
    close: () => void (seen.closed = true),
    ...changes,
  };
  const task = serve(port2, () => Promise.resolve(work));
  const line = new ThreadLine<To, From>("doubler", port1, task);
  closes.push(() => line.stop());
  return { line, seen, task };
}

const double = (...numbers: number[]): To => ({ kind: "double", numbers: Float32Array.from(numbers) });

describe("a line to a thread", () => {
  it("gives the thread's first word and an answer to each question, in order", async () => {
    const { line } = doubler();
    expect(await line.answer("ready")).toEqual({ kind: "ready", motto: "twice" });
    const answers = await Promise.all([1, 2, 3].map((x) => line.ask(double(x), "doubled")));
    expect(answers.map(({ numbers }) => numbers[0])).toEqual([2, 4, 6]);
  });

  it("wants no answer to what it only tells", async () => {
    const { line, seen } = doubler();
    await line.answer("ready");
    line.tell({ kind: "note", text: "a" });
    line.tell({ kind: "note", text: "b" });
    expect((await line.ask(double(4), "doubled")).numbers).toEqual(Float32Array.of(8));
    expect(seen.notes).toEqual(["a", "b"]);
  });

  it("moves what it is asked to, and copies the rest", async () => {
    const { line } = doubler();
    await line.answer("ready");
    const numbers = Float32Array.of(1, 2);
    const message: To = { kind: "double", numbers };
    await line.ask(message, "doubled");
    expect(numbers).toEqual(Float32Array.of(1, 2));
    expect((await line.ask(message, "doubled", numbers)).numbers).toEqual(Float32Array.of(2, 4));
    expect(numbers.buffer.byteLength).toBe(0);
  });

  it("moves the thread's answers out of it", async () => {
    const kept = Float32Array.of(7);
    const { line } = doubler({ handle: () => Promise.resolve({ kind: "doubled", numbers: kept }) });
    await line.answer("ready");
    expect((await line.ask(double(1), "doubled")).numbers).toEqual(Float32Array.of(7));
    expect(kept.buffer.byteLength).toBe(0);
  });

  it("closes the work and resolves when it stops the thread, which is no failure", async () => {
    const { line, seen } = doubler();
    await line.answer("ready");
    let failed = false;
    line.failed.catch(() => (failed = true));
    await line.stop();
    await line.stop();
    expect(seen.closed).toBe(true);
    expect(failed).toBe(false);
    expect((await failureOf(line.ask(double(1), "doubled"))).message).toBe("the doubler has ended");
  });

  it("rejects with the thread's own error and its code, now and at every later question", async () => {
    const { line } = doubler();
    await line.answer("ready");
    const asked = [line.ask({ kind: "fail", code: "SHAPE" }, "doubled"), line.ask(double(1), "doubled")];
    for (const question of [...asked, line.failed]) {
      expect(await failureOf(question)).toMatchObject({ code: "SHAPE", message: "told to fail" });
    }
    const later = await failureOf(line.ask(double(1), "doubled"));
    expect(later).toMatchObject({ code: "SHAPE", message: "told to fail" });
    await line.stop();
  });

  it("rejects with what the thread could not begin for", async () => {
    const { port1, port2 } = new MessageChannel();
    const begin = () => Promise.reject(new SkeinError("ENGINE_UNAVAILABLE", "no engine"));
    const line = new ThreadLine<To, From>("doubler", port1, serve<To, From>(port2, begin));
    const { code, message } = await failureOf(line.answer("ready"));
    expect([code, message]).toEqual(["ENGINE_UNAVAILABLE", "no engine"]);
  });

  it("fails where the answer is another than was asked for", async () => {
    const { line, seen, task } = doubler({ handle: () => Promise.resolve({ kind: "other" }) });
    await line.answer("ready");
    const failure = await failureOf(line.ask(double(1), "doubled"));
    expect(failure.message).toBe("the doubler: expected doubled, got other");
    expect(await failureOf(line.failed)).toBe(failure);
    await task;
    expect(seen.closed).toBe(true);
  });

  it("hears what the thread said before its end, even where the end comes first", async () => {
    const { port1, port2 } = new MessageChannel();
    // Both are there before this thread's event loop turns: the task's end is seen first.
    port2.postMessage({ kind: "ready", motto: "quick" });
    port2.postMessage({ kind: "failed", code: "RECIPE_INVALID", message: "no such column" });
    port2.close();
    const line = new ThreadLine<To, From>("doubler", port1, Promise.resolve());
    expect(await line.answer("ready")).toMatchObject({ motto: "quick" });
    expect(await failureOf(line.failed)).toMatchObject({ code: "RECIPE_INVALID", message: "no such column" });
  });
});

describe("a line to a thread that dies", () => {
  const ways = [
    ["exits", /^the printer died: worker exited with code: 3/],
    ["throws", /^the printer died: out of paper$/],
    ["returns", /^the printer has ended$/],
  ] as const;

  it.each(ways)("says so where the thread %s, to who waits and to who asks later", async (way, message) => {
    const pool = threadPool(new URL("./threads/dying.mjs", import.meta.url), 1);
    closes.push(() => pool.destroy());
    const { line } = await ThreadLine.start<To, From>(pool, "printer", { way });
    const idle = failureOf(line.failed);
    const [first, second] = [line.ask(double(1), "doubled"), line.ask(double(2), "doubled")];
    for (const question of [first, second, line.failed]) {
      expect(await failureOf(question)).toMatchObject({
        code: "INTERNAL",
        message: expect.stringMatching(message) as unknown,
      });
    }
    expect((await idle).message).toMatch(message);
    expect((await failureOf(line.ask(double(3), "doubled"))).message).toMatch(message);
    line.tell({ kind: "note", text: "nobody hears this" });
    await line.stop();
  });

  it("hears of it without having asked anything", async () => {
    const pool = threadPool(new URL("./threads/dying.mjs", import.meta.url), 1);
    closes.push(() => pool.destroy());
    const { line } = await ThreadLine.start<To, From>(pool, "printer", { way: "exits" });
    line.tell({ kind: "note", text: "go" });
    expect((await failureOf(line.failed)).message).toMatch(ways[0][1]);
  });
});

describe("the memory to move", () => {
  it("is that of every array within, however deep, each piece once", () => {
    const shared = new ArrayBuffer(16);
    const views = { a: new Float32Array(shared, 0, 2), b: new Uint8Array(shared, 8, 3) };
    const own = new Float64Array(3);
    const found = buffersOf({ list: [views, null, 4, "text", { deep: [own] }], again: views.a });
    expect(found).toHaveLength(2);
    expect(new Set(found)).toEqual(new Set([shared, own.buffer]));
  });

  it("leaves out what is shared or empty", () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    expect(buffersOf({ shared, empty: new Float32Array(0), nothing: undefined })).toEqual([]);
  });
});
