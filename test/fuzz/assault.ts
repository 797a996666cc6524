/** Many wrong calls to one service, several at a time, and what came of them. */
import { Random } from "../../core/random.js";
import { attackOn, type Attack, type Target } from "./attacks.js";
import { RawClient, type Answer } from "./raw-call.js";

/** Calls at a time. */
const ABREAST = 16;
/** A call that is still open then hangs. */
const PATIENCE_MS = 30_000;
/** Streams that may stay open are left then. */
const STAY_MS = 50;

/** gRPC statuses by number, of a method: `PushRollouts 15` → calls. */
export type Tally = Map<string, number>;

export interface Assault {
  readonly address: string;
  readonly token: string;
  /** Asked anew now and then: leases end. */
  readonly targets: () => Promise<readonly Target[]>;
  readonly inputs: number;
  readonly seed: number;
  /** Called now and then; throws where the service is not what it should be. */
  readonly inspect: (done: number) => Promise<void>;
}

/** Throws where a call hangs, is cut without a word, or ends in an error that the service did not expect. */
export async function assault({ address, token, targets, inputs, seed, inspect }: Assault): Promise<Tally> {
  const clients = Array.from({ length: 4 }, () => new RawClient(address));
  const tally: Tally = new Map();
  const round = Math.max(ABREAST, Math.ceil(inputs / 20));
  try {
    for (let done = 0; done < inputs; done += round) {
      const aimed = await targets();
      let next = done;
      const work = async (client: RawClient): Promise<void> => {
        while (next < Math.min(inputs, done + round)) {
          const index = next++;
          const random = new Random(seed + index);
          const attack = attackOn(aimed[index % aimed.length]!, token, random);
          const { path, headers, body } = attack;
          const answer = await client.call(path, headers, body, attack.stays ? STAY_MS : PATIENCE_MS);
          const complaint = complaintOf(answer, attack);
          if (complaint !== null) {
            const input = Buffer.from(attack.body).subarray(0, 2000).toString("hex");
            throw new Error(
              `${attack.method}, input ${index} of seed ${seed}, ${attack.how}: ${complaint}\n${input}`,
            );
          }
          const key = `${attack.method} ${answer.status ?? "left"}`;
          tally.set(key, (tally.get(key) ?? 0) + 1);
        }
      };
      await Promise.all(Array.from({ length: ABREAST }, (_, k) => work(clients[k % clients.length]!)));
      await inspect(Math.min(inputs, done + round));
    }
  } finally {
    for (const client of clients) client.close();
  }
  return tally;
}

function complaintOf({ status, code, message, late }: Answer, { crude, stays }: Attack): string | null {
  if (code === "INTERNAL") return `an error that nobody expected: ${message}`;
  if (late) return stays ? null : "it hangs";
  return status === null && !crude ? "it was cut without a status" : null;
}
