/** A coordinator and a learner, each a real process, under fire; and whether they are well afterwards. */
import { request } from "node:http";
import { securityOf } from "../../core/security/credentials.js";
import { createTransport } from "../../core/transport/create.js";
import type { Books, Control, Transport } from "../../core/transport/transport.js";
import { runConfigSchema } from "../../core/config/schema.js";
import { isAlive, type Skein, type Workplace } from "../e2e/skein.js";
import { failureOf, sampleRollout } from "../transport/helpers.js";
import { assault, type Tally } from "./assault.js";
import { coordinatorTargets, learnerTargets } from "./attacks.js";

const TOKEN = "a-token-for-the-fuzz";
/** What a process may have grown by from a tenth of the inputs to their end. */
const MOST_GROWTH_BYTES = 256 * 1024 * 1024;

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
}

function connect(): Transport {
  const { transport, security } = runConfigSchema.shape;
  const demands = security.parse({});
  return createTransport(transport.parse({}), securityOf(demands, { tls: null, token: TOKEN }));
}

async function startCoordinator(
  place: Workplace,
  folder: string,
): Promise<{ process: Skein; address: string; http: string }> {
  await place.write("token", TOKEN);
  const runFile = await place.runFile({
    security: { tokenFile: "token", maxCallsPerSecond: 1_000_000 },
    watchdog: { seconds: 604_800 },
  });
  const process = place.start("coordinator", runFile, "--run-folder", folder, "--json");
  const { address, http } = await process.listening("coordinator");
  return { process, address, http };
}

/** Fires at every method of a coordinator. Throws where it was not well at any time. */
export async function fuzzCoordinator(place: Workplace, options: FuzzOptions): Promise<Tally> {
  const { process, address, http } = await startCoordinator(place, "books");
  const transport = connect();
  try {
    const control = transport.connectControl(address);
    const watch = memoryWatch(process, http, options.inputs);
    return await assault({
      ...{ address, token: TOKEN, ...options },
      targets: async () => coordinatorTargets(await leaseOf(control)),
      inspect: async (done) => {
        expectBalanced((await control.status()).books);
        await watch(done);
      },
    });
  } finally {
    await transport.close();
  }
}

/** Fires at a learner that waits for its first rollout. Throws where it was not well at any time. */
export async function fuzzLearner(place: Workplace, options: FuzzOptions): Promise<Tally> {
  const coordinator = await startCoordinator(place, "run");
  const flags = [
    "--coordinator",
    coordinator.address,
    "--run-folder",
    "run",
    "--token-file",
    "token",
    "--json",
  ];
  const process = place.start("learner", ...flags);
  const { address, http } = await process.listening("learner");
  const transport = connect();
  try {
    const control = transport.connectControl(coordinator.address);
    const sender = transport.connectRollouts(address);
    const watch = memoryWatch(process, http, options.inputs);
    return await assault({
      ...{ address, token: TOKEN, ...options },
      targets: async () => learnerTargets((await control.status()).runId),
      inspect: async (done) => {
        // Of another run: a learner that is well says so.
        const refusal = await failureOf(sender.send(sampleRollout(done)).settled);
        if (refusal.code !== "REFUSED") throw refusal;
        await watch(done);
      },
    });
  } finally {
    await transport.close();
  }
}

/** Half of the calls are made under a lease that is alive. */
async function leaseOf(control: Control): Promise<string> {
  const { leaseId } = await control.register({
    ...{ role: "actor", name: "fuzz", index: null, dataAddress: "", incarnation: "fuzz" },
    policyVersion: 0,
  });
  return leaseId;
}

function expectBalanced(books: Books): void {
  const columns = [books.trained, books.stale, books.inFlight, ...Object.values(books.filtered)];
  const sum = [...columns, ...Object.values(books.failed)].reduce(
    (total, { rollouts }) => total + rollouts,
    0,
  );
  if (sum !== books.submitted.rollouts) {
    throw new Error(`the books do not balance: ${books.submitted.rollouts} submitted, ${sum} accounted for`);
  }
}

/** Throws where the process is dead, or holds much more memory than it did after a tenth of the inputs. */
function memoryWatch(process: Skein, http: string, inputs: number): (done: number) => Promise<void> {
  let before = 0;
  return async (done) => {
    if (!isAlive(process.pid)) throw new Error(`it died: ${JSON.stringify(await process.ended)}`);
    const page = await metricsOf(http);
    const resident = Number(/^process_resident_memory_bytes (\S+)$/m.exec(page)?.[1]);
    if (before === 0 && done >= inputs / 10) before = resident;
    if (before > 0 && resident - before > MOST_GROWTH_BYTES) {
      throw new Error(`it grew from ${before} to ${resident} bytes`);
    }
  };
}

function metricsOf(http: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const asked = request(`${http}/metrics`, { headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body += text));
      response.on("end", () => resolve(body));
    });
    asked.on("error", reject);
    asked.end();
  });
}
