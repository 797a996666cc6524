/**
 * A learner takes the place of another: it begins with a checkpoint, and what its predecessor did since is gone.
 *
 * Always: versions never go back. What the predecessor trained into lost weights is either lost with them or will be
 * delivered again; what it held will be delivered again. A learner whose place was taken never comes back.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { RegisterRequest } from "../../core/transport/transport.js";
import type { Requests } from "./requests.js";
import type { RunState } from "./run-state.js";
import type { Statement, Store } from "./store.js";
import type { WorkSource } from "./work-source.js";

export class Takeover {
  private readonly isReplaced: Statement<unknown>;
  private readonly replace: Statement<never>;
  private readonly rollBack: Statement<never>;
  private readonly rollBackFolded: Statement<never>;
  private readonly deleteFolded: Statement<never>;
  private readonly reopen: Statement<never>;

  constructor(
    store: Store,
    private readonly run: RunState,
    private readonly requests: Requests,
    private readonly work: WorkSource,
    private readonly ack: RunConfig["learner"]["ack"],
  ) {
    this.isReplaced = store.prepare("SELECT 1 FROM replacedLearners WHERE incarnation = ?");
    this.replace = store.prepare("INSERT OR IGNORE INTO replacedLearners VALUES (?)");
    this.rollBack = store.prepare(
      "UPDATE requests SET state = 'failed', reason = 'rolledBack', version = -1, finalFrom = NULL " +
        "WHERE state = 'trained' AND version > ? AND version <= ?",
    );
    this.rollBackFolded = store.prepare(
      "INSERT INTO folded SELECT 'failed', 'rolledBack', -1, rollouts, steps FROM " +
        "(SELECT SUM(rollouts) AS rollouts, SUM(steps) AS steps FROM folded WHERE state = 'trained' AND version > ?) " +
        "WHERE rollouts > 0 " +
        "ON CONFLICT DO UPDATE SET rollouts = rollouts + excluded.rollouts, steps = steps + excluded.steps",
    );
    this.deleteFolded = store.prepare("DELETE FROM folded WHERE state = 'trained' AND version > ?");
    this.reopen = store.prepare(
      "UPDATE requests SET state = 'open', reason = '', version = -1, finalFrom = NULL " +
        "WHERE state = 'held' OR (state = 'trained' AND version > ?)",
    );
  }

  /** Throws REFUSED for a learner whose place another has taken. */
  expectPresent(call: string, incarnation: string): void {
    if (this.isReplaced.get(incarnation) === undefined) return;
    throw new SkeinError(
      "REFUSED",
      `${call}: another learner has taken the place of this one, whose batches are void; stop this process`,
    );
  }

  /** True where this learner is another than the run had; the run's policyVersion is then the one to go on as. */
  register({ incarnation, policyVersion }: RegisterRequest): boolean {
    const run = this.run.now;
    if (incarnation === run.incarnation) {
      // It may not have heard the reply that said as which version to go on.
      this.run.set({ policyVersion: Math.max(run.policyVersion, policyVersion) });
      return false;
    }
    const goesBack = run.publishedVersion > policyVersion;
    const goesOnAs = goesBack ? run.publishedVersion + 1 : policyVersion;
    if (run.incarnation !== "") this.replace.run(run.incarnation);
    // Senders forget what was trained once it is, or once a checkpoint holds it.
    const forgottenUpTo = this.ack === "onTrain" ? Number.MAX_SAFE_INTEGER : run.checkpointVersion;
    this.rollBack.run(policyVersion, forgottenUpTo);
    this.rollBackFolded.run(policyVersion);
    this.deleteFolded.run(policyVersion);
    this.reopen.run(policyVersion);
    this.requests.forgetSum();
    this.run.set({
      incarnation,
      policyVersion: goesOnAs,
      firstVersion: goesOnAs,
      checkpointVersion: Math.min(run.checkpointVersion, policyVersion),
      // Books that begin anew beside a learner that does not: its ledger knows low numbers already.
      ...(run.submitted === 0 && policyVersion > 0 ? { baseGroup: Date.now(), lastGroup: Date.now() } : {}),
    });
    this.work.reopened();
    return true;
  }
}
