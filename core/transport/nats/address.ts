/** Addresses on a NATS server, `nats://host:port/<run>`, and the names that each run has there. */
import { nuid } from "nats";
import { SkeinError } from "../../errors.js";

/** What a run's subjects and streams are called. Runs of different names never share one. */
export interface RunPlace {
  /** The whole address: `nats://host:port/<run>`. */
  readonly address: string;
  /** `host:port`. */
  readonly server: string;
  /** The address is `tls://…`: nothing but an encrypted connection will do. */
  readonly encrypted: boolean;
  /** First tokens of every subject of the run. */
  readonly prefix: string;
  /** Streams hold what the broker keeps for the run. */
  readonly rolloutStream: string;
  /** First tokens of the subjects of rollouts. */
  readonly rolloutPrefix: string;
  /** Key-value bucket of the run's weights. */
  readonly weightsBucket: string;
}

/** True where NATS carries what is at `address`. */
export function isNatsAddress(address: string): boolean {
  return /^(nats|tls):\/\//.test(address);
}

/** Subjects and stream names know few characters: every other becomes `_` and its code, so that no two names meet. */
function token(name: string): string {
  return name.replace(/[^A-Za-z0-9-]/gu, (char) => `_${char.codePointAt(0)!.toString(16)}_`);
}

/**
 * The place that `nats://host:port/<run>` names. Without a run it is one that nobody else has, as port 0 is any free
 * port. Throws CONFIG_INVALID on anything else.
 */
export function parsePlace(address: string): RunPlace {
  const match = /^(nats|tls):\/\/([^\s/]+:\d{1,5})(?:\/([^\s/]*))?$/.exec(address);
  const server = match?.[2];
  if (match === null || server === undefined) {
    throw new SkeinError(
      "CONFIG_INVALID",
      `transport address: expected nats://host:port/<run>, got "${address}"`,
    );
  }
  const named = match[3] ?? "";
  const run = named === "" ? `run-${nuid.next()}` : named;
  const prefix = `skein.${token(run)}`;
  return {
    address: `${match[1]}://${server}/${run}`,
    server,
    encrypted: match[1] === "tls",
    prefix,
    rolloutStream: `skein-${token(run)}-rollouts`,
    rolloutPrefix: `${prefix}.rollouts`,
    weightsBucket: `skein-${token(run)}-weights`,
  };
}

/** Where `run` is on the server at `url` (`nats://host:port`). */
export function placeOf(url: string, run: string): string {
  return `${url}/${run}`;
}
