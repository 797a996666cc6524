/** Compiled programs by shape; those unused for longest go first. */

/** Enough for the few sizes of a run; each compiled program holds memory for its intermediate values. */
const CAPACITY = 32;

export class ProgramCache<T> {
  private readonly programs = new Map<string, Promise<T>>();

  constructor(private readonly release: (program: T) => Promise<void>) {}

  get(key: string, compile: () => Promise<T>): Promise<T> {
    const program = this.programs.get(key) ?? compile();
    this.programs.delete(key);
    this.programs.set(key, program);
    program.catch(() => this.programs.delete(key));
    for (const [oldest] of this.programs) {
      if (this.programs.size <= CAPACITY) break;
      this.drop(oldest);
    }
    return program;
  }

  clear(): void {
    for (const key of [...this.programs.keys()]) this.drop(key);
  }

  private drop(key: string): void {
    const program = this.programs.get(key);
    this.programs.delete(key);
    program?.then(this.release).catch(() => undefined);
  }
}
