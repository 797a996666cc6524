/** One sending process of the wire benchmark: sends the same rollout, encoded anew each time, until it is ended. */
import { z } from "zod";
import { runConfigSchema } from "../core/config/schema.js";
import { OPEN } from "../core/security/credentials.js";
import { createTransport } from "../core/transport/create.js";
import { keepSending, wireRollout } from "./wire-load.js";

const plan = z
  .object({
    address: z.string(),
    transport: runConfigSchema.shape.transport,
    steps: z.int(),
    name: z.string(),
  })
  .parse(JSON.parse(process.argv[2] ?? "null"));

const transport = createTransport(plan.transport, OPEN);
const sender = transport.connectRollouts(plan.address);
process.stdout.write("ready\n");
await keepSending(sender, wireRollout(plan.steps, plan.name), plan.transport.credits);
