import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // End-to-end tests start whole process trees; two files at a time keeps them honest on a laptop.
    maxWorkers: 2,
    reporters: ["default"],
  },
});
