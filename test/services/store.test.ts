import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import { SkeinError } from "../../core/errors.js";
import { Requests, requestOf } from "../../services/coordinator/requests.js";
import { RunState } from "../../services/coordinator/run-state.js";
import { Store } from "../../services/coordinator/store.js";

let folder: string;
let path: string;
const open: Store[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-store-"));
  path = join(folder, "coordinator.db");
});

afterEach(() => {
  for (const store of open.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

function opened(at: string | null = path): Store {
  const store = Store.open(at);
  open.push(store);
  return store;
}

function failure(work: () => unknown): SkeinError {
  try {
    work();
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
  throw new Error("expected an error");
}

/** SQLite itself, for what a Store does not do. */
function raw(at: string): { exec(sql: string): void; pragma(text: string): unknown; close(): void } {
  const Database = createRequire(import.meta.url)("libsql") as new (path: string) => ReturnType<typeof raw>;
  return new Database(at);
}

function config(change: object = {}) {
  return parseRunConfig({ environment: { id: "CartPole-v1" }, ...change }, "test");
}

describe("a store", () => {
  it("has everything after it was opened anew", () => {
    const first = opened();
    first.transaction(() => first.prepare("INSERT INTO seats VALUES (?, ?)").run("seat-0", 7));
    first.close();
    open.pop();
    expect(opened().prepare("SELECT * FROM seats").all()).toEqual([{ task: "seat-0", lastGroup: 7 }]);
  });

  it("has all of a transaction or nothing, and tells who keeps a copy", () => {
    const store = opened();
    const insert = store.prepare("INSERT INTO seats VALUES (?, ?)");
    let told = 0;
    store.onRollback(() => told++);
    expect(() =>
      store.transaction(() => {
        insert.run("seat-0", 1);
        store.transaction(() => insert.run("seat-1", 1));
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(told).toBe(1);
    expect(store.prepare("SELECT * FROM seats").all()).toEqual([]);
    store.transaction(() => insert.run("seat-2", 1));
    expect(store.prepare("SELECT task FROM seats").all()).toEqual([{ task: "seat-2" }]);
    expect(told).toBe(1);
  });
});

describe("a file of an older Skein", () => {
  it("is brought to the present format, with what it holds", () => {
    opened().close();
    open.pop();
    const before = raw(path);
    before.exec("ALTER TABLE requests DROP COLUMN branches");
    before.exec(
      'INSERT INTO requests (requestId, task, "group", member, attempt, actor, leaseId, seat, seed, start, maxSteps, ' +
        "deadlineSeconds, policyVersion, exact) VALUES (7, 'task-1', 3, 2, 1, 'a', 'lease', 0, 5, 'reset', 0, 9, 4, 0)",
    );
    before.pragma("user_version = 2");
    before.close();
    const store = opened();
    const requests = new Requests(store, RunState.open(store, config(), 0));
    expect(requestOf(requests.find(7)!)).toEqual({
      ...{ requestId: 7, task: "task-1", group: 3, member: 2, attempt: 1, seat: 0, seed: 5, start: "reset" },
      ...{ limits: { maxSteps: 0, deadlineSeconds: 9 }, branches: null, policyVersion: 4, exact: false },
    });
  });
});

describe("a file that is amiss", () => {
  it("is said to be damaged where it is no database", () => {
    writeFileSync(path, "these are not the books ".repeat(500));
    const error = failure(() => opened());
    expect(error.code).toBe("BOOKS_UNREADABLE");
    expect(error.message).toContain("damaged file");
    expect(error.message).toContain(path);
  });

  it("is said to be damaged where pages of it are lost", () => {
    const store = opened();
    const insert = store.prepare("INSERT INTO seats VALUES (?, ?)");
    store.transaction(() => {
      for (let k = 0; k < 20_000; k++) insert.run(`seat-${k}`, k);
    });
    store.close();
    open.pop();
    const other = raw(path);
    other.pragma("wal_checkpoint(TRUNCATE)");
    other.close();
    const size = readFileSync(path).length;
    truncateSync(path, Math.floor(size / 2 / 4096) * 4096);
    rmSync(`${path}-wal`, { force: true });
    rmSync(`${path}-shm`, { force: true });
    expect(failure(() => opened()).code).toBe("BOOKS_UNREADABLE");
  });

  it("is said to be another program's where it is", () => {
    const other = raw(path);
    other.exec("CREATE TABLE recipes (name TEXT)");
    other.close();
    const error = failure(() => opened());
    expect(error.code).toBe("BOOKS_UNREADABLE");
    expect(error.message).toContain("another program's database");
  });

  it("is said to be of a newer Skein where it is", () => {
    opened().close();
    open.pop();
    const other = raw(path);
    other.pragma("user_version = 99");
    other.close();
    const error = failure(() => opened());
    expect(error.code).toBe("BOOKS_UNREADABLE");
    expect(error.message).toContain("got 99, a newer Skein's");
  });

  it("is said to be in use where another coordinator has it, and can be had once that is gone", () => {
    const first = opened();
    const error = failure(() => opened());
    expect(error.code).toBe("BOOKS_UNAVAILABLE");
    expect(error.message).toContain("stop the other coordinator of this run");
    first.close();
    open.pop();
    expect(opened().isFile).toBe(true);
  });

  it("is said to be in use where another program is writing in it", () => {
    const store = opened();
    const other = raw(path);
    other.exec("BEGIN IMMEDIATE");
    const error = failure(() => store.transaction(() => undefined));
    expect(error.code).toBe("BOOKS_UNAVAILABLE");
    other.exec("ROLLBACK");
    other.close();
    store.transaction(() => undefined);
  });

  it("is said not to open where its folder is not there", () => {
    const error = failure(() => opened(join(folder, "nowhere", "coordinator.db")));
    expect(error.code).toBe("BOOKS_UNAVAILABLE");
    expect(error.message).toContain("name a folder that exists");
  });

  it("is said to be full where it is, with nothing of the transaction done, and goes on with room", () => {
    const store = opened();
    const insert = store.prepare("INSERT INTO seats VALUES (?, ?)");
    const pages = store.prepare<{ page_count: number }>("PRAGMA page_count").get()!.page_count;
    store.prepare(`PRAGMA max_page_count = ${pages + 4}`).get();
    const error = failure(() =>
      store.transaction(() => {
        for (let k = 0; k < 50_000; k++) insert.run(`seat-${k}`, k);
      }),
    );
    expect(error.code).toBe("BOOKS_UNAVAILABLE");
    expect(error.message).toContain("make room");
    store.prepare("PRAGMA max_page_count = 1000000").get();
    store.transaction(() => insert.run("seat-0", 1));
    expect(store.prepare("SELECT * FROM seats").all()).toEqual([{ task: "seat-0", lastGroup: 1 }]);
  });

  it("is said to be of another run where the run file differs in what matters, and not where it does not", () => {
    const store = opened();
    RunState.open(store, config(), 0);
    const longer = config({ stop: { envSteps: 123 }, logLevel: "debug" });
    expect(RunState.open(store, longer, 0).now.config).toBe(JSON.stringify(longer));
    for (const [change, path] of [
      [{ run: { seed: 2 } }, "run.seed: expected 1"],
      [{ environment: { id: "Acrobot-v1" } }, "environment: expected"],
      [{ groups: { size: 4, tasks: 2 } }, "groups: expected null"],
    ] as const) {
      const error = failure(() => RunState.open(store, config(change), 0));
      expect(error.code).toBe("BOOKS_MISMATCH");
      expect(error.message).toContain(path);
    }
  });
});

describe("a reader", () => {
  it("reads beside the coordinator and after it, and writes nothing", () => {
    const store = opened();
    const insert = store.prepare("INSERT INTO seats VALUES (?, ?)");
    insert.run("seat-0", 1);
    const reader = Store.openReadOnly(path);
    const seats = reader.prepare("SELECT COUNT(*) AS count FROM seats");
    expect(seats.get()).toMatchObject({ count: 1 });
    insert.run("seat-1", 1);
    expect(seats.get()).toMatchObject({ count: 2 });
    const write = failure(() => reader.prepare("DELETE FROM seats").run());
    expect(write.code).toBe("BOOKS_UNAVAILABLE");
    reader.close();
    store.close();
    open.pop();
    const later = Store.openReadOnly(path);
    expect(later.prepare("SELECT COUNT(*) AS count FROM seats").get()).toMatchObject({ count: 2 });
    later.close();
  });

  it("sees one moment only within a snapshot", () => {
    const store = opened();
    const insert = store.prepare("INSERT INTO seats VALUES (?, ?)");
    const reader = Store.openReadOnly(path);
    const seats = reader.prepare("SELECT COUNT(*) AS count FROM seats");
    reader.snapshot(() => {
      expect(seats.get()).toMatchObject({ count: 0 });
      insert.run("seat-0", 1);
      expect(seats.get()).toMatchObject({ count: 0 });
    });
    expect(seats.get()).toMatchObject({ count: 1 });
    reader.close();
  });

  it("reads a file whose name has characters that mean something in an address", () => {
    const strange = join(folder, "50% off? #1.db");
    opened(strange).prepare("INSERT INTO seats VALUES (?, ?)").run("seat-0", 1);
    const reader = Store.openReadOnly(strange);
    expect(reader.prepare("SELECT task FROM seats").all()).toEqual([{ task: "seat-0" }]);
    reader.close();
  });

  it("says so where there is no file, and makes none", () => {
    expect(failure(() => Store.openReadOnly(path)).code).toBe("BOOKS_UNREADABLE");
    expect(failure(() => Store.openReadOnly(path)).message).toContain("no such file");
  });
});
