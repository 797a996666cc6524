/** CartPole-v1 whose time limit is said to be an end state: what `studies/catalogue/truncation.ts` compares with. */
import type { ActionArray, EnvironmentDefinition } from "../../core/env/environment.js";
import { CartPole, cartPole } from "../../envs/classic/cart-pole.js";

class LimitAsEnd extends CartPole {
  override step(actions: ActionArray, active: Uint8Array | null = null): void {
    super.step(actions, active);
    for (let i = 0; i < this.count; i++) {
      if (this.truncated[i] === 1) this.terminated[i] = 1;
    }
    this.truncated.fill(0);
  }
}

export const environment: EnvironmentDefinition = {
  ...cartPole,
  id: "CartPole-LimitAsEnd-v1",
  spec: (params) => ({ ...cartPole.spec(params), id: environment.id }),
  vectorize: (spec, _params, count) => new LimitAsEnd(spec, count),
};
