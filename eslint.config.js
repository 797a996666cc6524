// Enforces the house's import directions, no cycles, no floating promises and no `any` in core.
import js from "@eslint/js";
import { createTypeScriptImportResolver } from "eslint-import-resolver-typescript";
import { createNodeResolver, importX } from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

/** Nothing in `target` may import from `from`, but for the files in `except` (relative to `from`). */
const zone = (target, from, message, except = []) => ({ target, from, except, message });

const services = ["actor", "learner", "coordinator"];
const rooms = ["core", "services", "envs", "cli"];

const zones = [
  zone("./core", "./services", "core knows no service"),
  zone("./core", "./cli", "core knows no command"),
  zone("./core", "./envs", "core knows no particular environment"),
  zone("./core/algo", "./core", "core/algo is pure maths: it imports only core/errors", [
    "./algo",
    "./errors.ts",
  ]),
  zone("./core/config", "./core", "core/config imports only zod and core/errors", [
    "./config",
    "./errors.ts",
  ]),
  zone("./core/slots", "./core/recipes", "the slots know no particular method"),
  zone("./core/types.ts", "./core", "core/types imports nothing of the project", ["./types.ts"]),
  zone("./core/errors.ts", "./core", "core/errors imports nothing of the project", ["./errors.ts"]),
  zone("./envs", "./services", "environments know no service"),
  zone("./envs", "./cli", "environments know no command"),
  ...services.flatMap((service) => [
    zone(`./services/${service}`, "./cli", "services know no command"),
    ...services
      .filter((other) => other !== service)
      .map((other) =>
        zone(`./services/${service}`, `./services/${other}`, "services never import one another"),
      ),
    zone("./cli", `./services/${service}`, "commands start a service through its main.ts", ["./main.ts"]),
  ]),
  ...services.map((service) =>
    zone("./bench", `./services/${service}`, "benchmarks start services by the command or their main.ts", [
      "./main.ts",
      // `bench intake` measures a learner's intake alone.
      ...(service === "learner"
        ? ["intake", "books", "ledger", "rollout-check", "settlements"].map((part) => `./${part}.ts`)
        : []),
    ]),
  ),
  zone("./bench", "./cli", "benchmarks start commands as a user does"),
  ...rooms.map((room) => zone(`./${room}`, "./bench", "nothing imports bench")),
  ...[...rooms, "bench"].map((room) => zone(`./${room}`, "./test", "nothing imports test")),
];

const noProcess = [
  { object: "process", property: "env", message: "process.env is read in core/config/load.ts only" },
  { object: "process", property: "exit", message: "only main.ts files end the process" },
];

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "runs/", "coverage/", ".cache/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    plugins: { "import-x": importX },
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    settings: {
      "import-x/parsers": { "@typescript-eslint/parser": [".ts"] },
      "import-x/resolver-next": [createTypeScriptImportResolver(), createNodeResolver()],
    },
    rules: {
      "import-x/no-cycle": "error",
      "import-x/no-restricted-paths": ["error", { zones }],
      "import-x/no-default-export": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-non-null-assertion": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      eqeqeq: "error",
      "no-restricted-properties": ["error", ...noProcess],
    },
  },
  {
    files: ["core/**/*.ts", "envs/**/*.ts", "services/**/*.ts"],
    ignores: ["**/main.ts"],
    rules: {
      "no-restricted-syntax": [
        "error",
        {
          selector: "CallExpression[callee.object.name='process'][callee.property.name=/^(on|once)$/]",
          message: "signals are handled in main.ts files only",
        },
      ],
    },
  },
  { files: ["core/config/load.ts", "**/main.ts"], rules: { "no-restricted-properties": "off" } },
  {
    files: [
      "test/**",
      "vitest.config.ts",
      "services/actor/rollout-thread.ts",
      "services/learner/training-thread.ts",
    ],
    rules: { "import-x/no-default-export": "off" },
  },
  {
    files: ["scripts/**", "bench/**", "test/**/*.mjs", "examples/**"],
    languageOptions: { globals: { URL: "readonly", console: "readonly", process: "readonly" } },
  },
);
