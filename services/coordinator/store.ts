/**
 * The coordinator's database file: opening it, one transaction at a time, and what goes wrong with disks. The only
 * importer of libsql.
 *
 * Always: what a transaction did is in the file when it returns (a crash of the process loses nothing of it; a crash
 * of the machine may lose the newest, whole), or not at all, and then whoever keeps a copy in memory is told.
 */
import { existsSync } from "node:fs";
import Database from "libsql";
import { SkeinError, messageOf } from "../../core/errors.js";
import { APPLICATION_ID, MIGRATIONS } from "./schema.js";

export type SqlValue = number | string | null;

export interface Statement<Row> {
  get(...values: readonly SqlValue[]): Row | undefined;
  all(...values: readonly SqlValue[]): Row[];
  /** Rows changed. */
  run(...values: readonly SqlValue[]): number;
}

/** Not a file: the books end with the process. */
const IN_MEMORY = ":memory:";

/** How long another process may hold the file, milliseconds. */
const BUSY_MS = 200;

export class Store {
  private readonly begin: Statement<never>;
  private readonly commit: Statement<never>;
  private readonly restorers: (() => void)[] = [];
  private readonly after: (() => void)[] = [];
  private inside = false;

  private constructor(
    private readonly path: string,
    private readonly database: Database.Database,
    private readonly lock: Database.Database | null,
  ) {
    this.begin = this.prepare("BEGIN IMMEDIATE");
    this.commit = this.prepare("COMMIT");
  }

  /**
   * Opens or makes the file; null = in memory. Throws BOOKS_UNREADABLE where it is damaged, of something else or of a
   * newer Skein, BOOKS_UNAVAILABLE where it cannot be opened, written or is in use.
   */
  static open(path: string | null): Store {
    const file = path ?? IN_MEMORY;
    const lock = path === null ? null : lockFor(path);
    try {
      const database = connect(file, file);
      prepareFile(file, database);
      return new Store(file, database, lock);
    } catch (error) {
      release(lock);
      throw bookError(file, error);
    }
  }

  /** For reading beside a living coordinator. Throws BOOKS_UNREADABLE, also where there is no such file. */
  static openReadOnly(path: string): Store {
    if (!existsSync(path)) {
      throw new SkeinError(
        "BOOKS_UNREADABLE",
        `${path}: no such file; name the run folder of a run that a coordinator was started for`,
      );
    }
    try {
      const database = connect(`file:${uriPath(path)}?mode=ro`, path);
      expectOurs(path, database);
      return new Store(path, database, null);
    } catch (error) {
      throw bookError(path, error);
    }
  }

  /** The books outlive the process. */
  get isFile(): boolean {
    return this.path !== IN_MEMORY;
  }

  prepare<Row>(sql: string): Statement<Row> {
    const statement = this.guard(() => this.database.prepare(sql));
    return {
      get: (...values) => this.guard(() => statement.get([...values]) as Row | undefined),
      all: (...values) => this.guard(() => statement.all([...values]) as Row[]),
      run: (...values) => this.guard(() => statement.run([...values]).changes),
    };
  }

  /** `restore` is called after a transaction came to nothing: read again what you keep in memory. */
  onRollback(restore: () => void): void {
    this.restorers.push(restore);
  }

  /** Calls `act` once the transaction under way is made; not where it comes to nothing. */
  afterCommit(act: () => void): void {
    this.after.push(act);
  }

  /** All of `work` or nothing of it. A transaction within another is part of it. Throws BOOKS_UNAVAILABLE. */
  transaction<T>(work: () => T): T {
    if (this.inside) return work();
    const result = this.enclosed(work);
    for (const act of this.after.splice(0)) act();
    return result;
  }

  /** Everything that `read` reads is of one moment. */
  snapshot<T>(read: () => T): T {
    this.guard(() => this.database.exec("BEGIN"));
    try {
      return read();
    } finally {
      this.database.exec("ROLLBACK");
    }
  }

  close(): void {
    // Nothing of it is needed to open the file again; it is only tidier to leave one file than three.
    if (this.lock !== null) this.database.pragma("wal_checkpoint(TRUNCATE)");
    this.database.close();
    release(this.lock);
  }

  private enclosed<T>(work: () => T): T {
    this.begin.run();
    this.inside = true;
    try {
      const result = work();
      this.commit.run();
      return result;
    } catch (error) {
      this.after.length = 0;
      // A full disk has rolled it back already.
      if (this.database.inTransaction) this.database.exec("ROLLBACK");
      for (const restore of this.restorers) restore();
      throw error;
    } finally {
      this.inside = false;
    }
  }

  private guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw bookError(this.path, error);
    }
  }
}

/** The disk is full or does not answer, or somebody else has the file: later it may work. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof SkeinError && error.code === "BOOKS_UNAVAILABLE";
}

function connect(name: string, path: string): Database.Database {
  try {
    return new Database(name, { timeout: BUSY_MS });
  } catch (error) {
    throw new SkeinError(
      "BOOKS_UNAVAILABLE",
      `${path}: cannot be opened (${messageOf(error)}); name a folder that exists and may be written`,
      { cause: error },
    );
  }
}

/** Held as long as the process lives: two coordinators on one file would both grant work. */
function lockFor(path: string): Database.Database {
  const lock = connect(`${path}-lock`, path);
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw bookError(path, error);
  }
}

function release(lock: Database.Database | null): void {
  if (lock === null) return;
  // Closing alone leaves the transaction open until the last statement is collected.
  if (lock.inTransaction) lock.exec("ROLLBACK");
  lock.close();
}

/** SQLite's own escapes for the path of a file: URI. */
function uriPath(path: string): string {
  return path.replaceAll("%", "%25").replaceAll("?", "%3f").replaceAll("#", "%23");
}

function pragma(database: Database.Database, name: string): number {
  const [row] = database.pragma(name) as readonly Readonly<Record<string, number>>[];
  return row?.[name] ?? 0;
}

/** The version of the file's tables; throws unless they are ours and known. */
function expectOurs(path: string, database: Database.Database): number {
  const id = pragma(database, "application_id");
  const version = pragma(database, "user_version");
  if (id !== APPLICATION_ID) {
    throw new SkeinError(
      "BOOKS_UNREADABLE",
      `${path}: expected the books of a run, got another program's database; name another run folder`,
    );
  }
  if (version > MIGRATIONS.length) {
    throw new SkeinError(
      "BOOKS_UNREADABLE",
      `${path}: expected books of format ${MIGRATIONS.length} or older, got ${version}, a newer Skein's; use that Skein`,
    );
  }
  return version;
}

function prepareFile(path: string, database: Database.Database): void {
  const tables = database.prepare("SELECT COUNT(*) AS count FROM sqlite_schema").get([]) as {
    readonly count: number;
  };
  const fresh = tables.count === 0;
  const version = fresh ? 0 : expectOurs(path, database);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  expectWhole(path, database);
  if (version === MIGRATIONS.length) return;
  database.exec("BEGIN IMMEDIATE");
  for (const migration of MIGRATIONS.slice(version)) database.exec(migration);
  database.pragma(`application_id = ${APPLICATION_ID}`);
  database.pragma(`user_version = ${MIGRATIONS.length}`);
  database.exec("COMMIT");
}

function expectWhole(path: string, database: Database.Database): void {
  const [first] = database.pragma("quick_check(1)") as readonly { readonly quick_check: string }[];
  if (first?.quick_check !== "ok") throw damaged(path, first?.quick_check ?? "no answer", undefined);
}

function damaged(path: string, detail: string, cause: unknown): SkeinError {
  return new SkeinError(
    "BOOKS_UNREADABLE",
    `${path}: expected the books of a run, got a damaged file (${detail}); move it away and resume: the learner goes ` +
      "on from its checkpoint, with books that begin anew",
    { cause },
  );
}

/** What SQLite says, in our words; SkeinErrors pass. */
function bookError(path: string, error: unknown): SkeinError {
  if (error instanceof SkeinError) return error;
  const detail = messageOf(error);
  const code = (error as { readonly code?: unknown }).code;
  const kind = typeof code === "string" ? code : "";
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(kind)) return damaged(path, detail, error);
  const remedy = /^SQLITE_(BUSY|LOCKED)/.test(kind)
    ? "another process uses it; stop the other coordinator of this run"
    : /^SQLITE_(FULL|IOERR)/.test(kind)
      ? "the disk is full or failing; make room"
      : /^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/.test(kind)
        ? "it may not be written; mend its permissions"
        : null;
  if (remedy === null)
    return new SkeinError("INTERNAL", `${path}: ${kind} ${detail}`.trim(), { cause: error });
  return new SkeinError("BOOKS_UNAVAILABLE", `${path}: ${detail}: ${remedy}`, { cause: error });
}
