import { expect, it } from "vitest";
import { methodsPage } from "./methods-page.js";

it("docs/methods.md is what the recipes say (renew it with: npx vitest run test/docs -u)", async () => {
  await expect(methodsPage()).toMatchFileSnapshot("../../docs/methods.md");
});
