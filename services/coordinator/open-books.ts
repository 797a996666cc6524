/** The books of a run folder, opened by the coordinator that keeps them. */
import { mkdirSync } from "node:fs";
import { SkeinError, messageOf } from "../../core/errors.js";
import type { NoticeEvent } from "../../core/progress.js";
import { booksPath } from "./read-books.js";
import { Store } from "./store.js";

/** null = in memory, with a notice that they end with the process. Throws BOOKS_…. */
export function openBooks(runFolder: string | null, notice: (event: NoticeEvent) => void): Store {
  if (runFolder === null) {
    const message =
      "the books are kept in memory and end with this process; --run-folder keeps them in a file";
    notice({ event: "notice", level: "warn", message });
    return Store.open(null);
  }
  try {
    mkdirSync(runFolder, { recursive: true });
  } catch (error) {
    const message = `${runFolder}: cannot be made (${messageOf(error)}); name another run folder`;
    throw new SkeinError("BOOKS_UNAVAILABLE", message, { cause: error });
  }
  return Store.open(booksPath(runFolder));
}
