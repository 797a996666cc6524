/** Control calls over any transport. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../../core/errors.js";
import { VERDICTS } from "../../../core/transport/transport.js";
import { eventually, failureOf, SmallCoordinator } from "../helpers.js";
import { Harness, type Kind } from "./harness.js";

const nothingAsked = { leaseId: "", seat: 0, capacity: 1, lastRequestId: 0, failed: [] };

export function controlConformance(kind: Kind): void {
  describe("control", () => {
    const h = new Harness(kind);

    it("carries every call there and back unchanged", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const register = {
        ...{ role: "learner" as const, name: "learner", index: null, dataAddress: "host:2" },
        ...{ incarnation: "one", policyVersion: 2 ** 33 },
      };
      expect(await client.register(register)).toEqual(await control.register(register));
      const heartbeat = {
        ...{ leaseId: "lease-1", appliedVersion: -1, appliedHash: "00ff" },
        running: [
          { requestId: 2 ** 40, steps: 2 ** 33 },
          { requestId: 2, steps: 0 },
        ],
      };
      expect(await client.heartbeat(heartbeat)).toEqual(await control.heartbeat(heartbeat));
      const idle = { leaseId: "lease-1", seat: 2, capacity: 4, lastRequestId: 0, failed: [] };
      expect(await client.acquire(idle)).toEqual(await control.acquire(idle));
      const busy = { ...idle, lastRequestId: 2 ** 40, failed: [{ requestId: 3, reason: "environment" }] };
      expect(await client.acquire(busy)).toEqual(await control.acquire(busy));
      const report = {
        ...{ leaseId: "lease-1", phase: "finished" as const, policyVersion: 3, updates: 96 },
        ...{ envSteps: 2 ** 33, checkpointVersion: -1, meanReturn100: NaN },
        outcomes: VERDICTS.map((verdict, k) => ({
          ...{ requestId: 2 ** 40 + k, verdict, reason: "a reason", steps: 2 ** 33, version: k - 1 },
          ...{ episodeReturn: k === 0 ? NaN : -1.5, episodeLength: 200 },
        })),
      };
      expect(await client.report(report)).toEqual(await control.report(report));
      await client.leave({ leaseId: "lease-1" });
      await client.pause({ seconds: 2.5, reason: "weights" });
      await client.resume();
      expect(await client.status()).toEqual(await control.status());
      // Each request was made through the wire and then directly; the two must look the same.
      const twice = [register, heartbeat, idle, busy, report].flatMap((request) => [request, request]);
      const pause = { seconds: 2.5, reason: "weights" };
      expect(control.asked).toEqual([...twice, { leaseId: "lease-1" }, pause, "resume"]);
    });

    it("tells a place in the fleet that was asked for from any place", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const actor = {
        ...{ role: "actor" as const, name: "a", index: 0, dataAddress: "", policyVersion: 0 },
        ...{ incarnation: "one" },
      };
      await client.register(actor);
      await client.register({ ...actor, index: null });
      expect(control.asked).toEqual([actor, { ...actor, index: null }]);
    });

    it("carries a handler's error across with its code and message", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      const message = `the lease "ü \u{1f9f6}" is 100% gone:\nregister again`;
      control.heartbeat = () => Promise.reject(new SkeinError("CHECKPOINT_MISMATCH", message));
      const error = await failureOf(
        client.heartbeat({ leaseId: "x", appliedVersion: 0, appliedHash: "", running: [] }),
      );
      expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH", message });
      control.leave = () => Promise.reject(new SkeinError("UNAVAILABLE", "no learner"));
      const unavailable = await failureOf(client.leave({ leaseId: "" }));
      expect(unavailable).toMatchObject({ code: "UNAVAILABLE", message: "no learner" });
      control.status = () => Promise.reject(new TypeError("a bug"));
      expect(await failureOf(client.status())).toMatchObject({ code: "INTERNAL", message: "a bug" });
    });

    it("gives up on a handler that never answers, at the deadline", async () => {
      const { control, client } = await h.coordinated(
        new SmallCoordinator(),
        h.make({ deadlineSeconds: 0.3 }),
      );
      control.acquire = () => new Promise(() => undefined);
      const error = await failureOf(client.acquire(nothingAsked));
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toMatch(/^Acquire: .* gave no answer within 0\.3 s: /);
    });

    it("says where nobody answered, for how long, and what to check", async () => {
      const impatient = h.make({ reconnectSeconds: 0.6 });
      const started = performance.now();
      const error = await failureOf(impatient.connectControl(kind.nobody).status());
      expect(error.code).toBe("UNAVAILABLE");
      expect(error.message).toContain(`nobody answered at ${kind.nobody} for 0.6 s`);
      expect(error.message).toContain("check that the service runs there");
      expect(performance.now() - started).toBeGreaterThan(500);
      expect(performance.now() - started).toBeLessThan(5000);
    });

    it("waits for a server that starts later", async () => {
      const first = await h.coordinated(new SmallCoordinator());
      await first.server.close();
      const status = h.transport.connectControl(first.server.address).status();
      await h.transport.serveControl(new SmallCoordinator(), first.server.address);
      expect((await status).runId).toBe("run-1");
    });

    it("rejects calls under way when its client closes", async () => {
      const { control, client } = await h.coordinated(new SmallCoordinator());
      let entered = false;
      control.acquire = () => {
        entered = true;
        return new Promise(() => undefined);
      };
      const call = failureOf(client.acquire(nothingAsked));
      await eventually("the call to arrive", () => entered);
      await client.close();
      expect((await call).code).toBe("UNAVAILABLE");
    });

    it("refuses to serve at an address that is taken", async () => {
      const { server } = await h.coordinated(new SmallCoordinator());
      const error = await failureOf(
        h.make().serveControl(new SmallCoordinator(), server.address).then(refused),
      );
      expect(error.code).toBe("PORT_IN_USE");
      expect(error.message).toContain(server.address);

      /** Addresses in memory belong to their transport: there the same one must refuse. */
      async function refused(): Promise<never> {
        await h.transport.serveControl(new SmallCoordinator(), server.address);
        throw new Error("served twice");
      }
    });

    it("refuses an address of another form", async () => {
      const error = await failureOf(h.transport.serveControl(new SmallCoordinator(), "somewhere"));
      expect(error.code).toBe("CONFIG_INVALID");
      expect(error.message).toContain('got "somewhere"');
      expect(() => h.transport.connectControl("somewhere")).toThrow(SkeinError);
    });
  });
}
