/** Returns of the last 100 training episodes, in the order in which they were trained on. */
const WINDOW = 100;

export class EpisodeWindow {
  private readonly window: number[];

  constructor(
    returns: readonly number[],
    private total: number,
  ) {
    this.window = [...returns];
  }

  /** Episodes ended since the run began. */
  get count(): number {
    return this.total;
  }

  get returns(): readonly number[] {
    return [...this.window];
  }

  /** true = a mean over 100 episodes, not fewer. */
  get full(): boolean {
    return this.window.length === WINDOW;
  }

  /** NaN before the first episode ends. */
  get meanReturn(): number {
    return this.window.length === 0
      ? Number.NaN
      : this.window.reduce((sum, value) => sum + value, 0) / this.window.length;
  }

  /** Adds the `episodeReturn` counter of a rollout's rows; rows that end no episode hold NaN. */
  add(returns: Float32Array | undefined): void {
    for (const value of returns ?? []) {
      if (Number.isNaN(value)) continue;
      this.total++;
      this.window.push(value);
      if (this.window.length > WINDOW) this.window.shift();
    }
  }
}
