/**
 * A file of lines that outlives a full disk: what could not be written waits and is tried again with the next line.
 *
 * Always: the file ends with a whole line once it is closed; lines are left out only where more than `MOST_WAITING`
 * wait, whole and oldest first.
 */
import { open, type FileHandle } from "node:fs/promises";
import { messageOf } from "../../core/errors.js";

/** Characters. */
const MOST_WAITING = 1_000_000;

export class LineFile {
  private waiting: string[] = [];
  private waitingLength = 0;
  private writing: Promise<void> | null = null;
  private failing = false;

  private constructor(
    private readonly handle: FileHandle,
    /** End of the last whole line, bytes. */
    private end: number,
    private readonly warn: (message: string) => void,
  ) {}

  /** Goes on at the end of `path`, which is made where it is missing. `warn` is told when writing begins to fail. */
  static async open(path: string, warn: (message: string) => void): Promise<LineFile> {
    await (await open(path, "a")).close();
    const handle = await open(path, "r+");
    return new LineFile(handle, (await handle.stat()).size, (message) => warn(`${path}: ${message}`));
  }

  append(line: string): void {
    this.waiting.push(`${line}\n`);
    this.waitingLength += line.length + 1;
    while (this.waitingLength > MOST_WAITING) this.waitingLength -= this.waiting.shift()!.length;
    void this.flush();
  }

  async close(): Promise<void> {
    await this.flush();
    await this.handle.truncate(this.end).catch(() => undefined);
    await this.handle.close();
  }

  private flush(): Promise<void> {
    this.writing ??= this.write().finally(() => (this.writing = null));
    return this.writing;
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      const lines = this.waiting;
      this.waiting = [];
      this.waitingLength = 0;
      try {
        await this.put(Buffer.from(lines.join("")));
        this.failing = false;
      } catch (error) {
        this.waiting = [...lines, ...this.waiting];
        this.waitingLength = this.waiting.reduce((sum, line) => sum + line.length, 0);
        if (!this.failing) this.warn(`${messageOf(error)}; lines wait until there is room`);
        this.failing = true;
        return;
      }
    }
  }

  private async put(bytes: Buffer): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      written += (await this.handle.write(bytes, written, bytes.length - written, this.end + written))
        .bytesWritten;
    }
    this.end += bytes.length;
  }
}
