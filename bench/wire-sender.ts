/** One sending process of the wire benchmark: sends the same rollout until it is ended. */
import { z } from "zod";
import { runConfigSchema } from "../core/config/schema.js";
import { sendPrepared, wireRollout } from "./wire-load.js";

const planSchema = z.object({
  address: z.string(),
  transport: runConfigSchema.shape.transport,
  steps: z.int(),
  name: z.string(),
});

export type WireSenderPlan = z.infer<typeof planSchema>;

const plan = planSchema.parse(JSON.parse(process.argv[2] ?? "null"));

await sendPrepared(plan.address, wireRollout(plan.steps, plan.name), plan.transport);
process.stdout.write("ready\n");
