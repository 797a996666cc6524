// `npm run check:native`: builds the native binding of @tensorflow/tfjs-node, the CPU twin of tfjs-node-gpu, from its
// npm package against the TensorFlow library of the PyPI wheel, and runs the engines' tests on it. The build is kept
// in .cache. What this machine lacks is a reason to skip, or with --require to fail.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { engines, fail, output, required, ROOT, run, skip, testOn } from "./checking.mjs";

const ENGINE = "tfjs:tensorflow";
const BINDING_VERSION = "4.22.0";
const BINDING = `@tensorflow/tfjs-node@${BINDING_VERSION}`;
// TensorFlow keeps its C interface compatible; the binding was written for 2.9. The wheel is data here: no Python runs
// it, so any machine's pip may fetch the one for this Python.
const WHEEL_VERSION = "2.21.0";
const WHEEL = `tensorflow-cpu==${WHEEL_VERSION}`;
const WHEEL_TAGS = [
  "--platform",
  "manylinux_2_27_x86_64",
  "--python-version",
  "3.12",
  "--only-binary",
  ":all:",
];
/** What the binding includes and links. */
const WHEEL_PARTS = [
  "tensorflow/include/tensorflow/",
  "tensorflow/include/tsl/",
  "tensorflow/include/xla/",
  "tensorflow/libtensorflow_cc.so.2",
  "tensorflow/libtensorflow_framework.so.2",
];

const CACHE = join(ROOT, ".cache", `tfjs-node-${BINDING_VERSION}-tensorflow-${WHEEL_VERSION}`);
const MODULES = join(CACHE, "node_modules");
const PACKAGE = join(MODULES, "@tensorflow", "tfjs-node");
const ADDON = join(PACKAGE, "lib", "napi-v8", "tfjs_binding.node");

/** npm brings node-gyp along. */
function nodeGyp() {
  const npm = output("npm", ["root", "--global"]);
  const places = [dirname(dirname(process.execPath)), npm === null ? [] : dirname(dirname(npm))].flat();
  return places
    .map((place) => join(place, "lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js"))
    .find((path) => existsSync(path));
}

function whatIsMissing() {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `the recipe is for Linux on x64, this is ${process.platform} on ${process.arch}`;
  }
  // tfjs-node 4.22 calls util.isNullOrUndefined, which Node.js 23 removed.
  if (Number(process.versions.node.split(".")[0]) >= 23) {
    return `${BINDING} does not run on Node.js 23 or newer, this is ${process.version}`;
  }
  if (output("python3", ["-m", "pip", "--version"]) === null)
    return "python3 with pip is needed to fetch TensorFlow";
  if (output("c++", ["--version"]) === null) return "a C++ compiler (c++) is needed to build the binding";
  if (output("make", ["--version"]) === null) return "make is needed to build the binding";
  if (nodeGyp() === undefined) return "node-gyp, which npm brings along, was not found";
  return null;
}

/** The npm package, without the packages that the project has too: there is one TensorFlow.js, as after npm install. */
function fetchPackage() {
  const flags = ["--prefix", CACHE, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  if (!run("npm", ["install", ...flags, BINDING])) skip(`npm could not fetch ${BINDING}`);
  const scope = join(MODULES, "@tensorflow");
  for (const name of readdirSync(scope)) {
    if (existsSync(join(ROOT, "node_modules", "@tensorflow", name)))
      rmSync(join(scope, name), { recursive: true });
  }
}

/** Returns the folder of the TensorFlow library. */
function fetchTensorflow() {
  const folder = join(CACHE, "tensorflow");
  if (existsSync(folder)) return folder;
  const download = join(CACHE, "download");
  rmSync(download, { recursive: true, force: true });
  const flags = ["--quiet", "--no-deps", "--disable-pip-version-check", "--dest", download, ...WHEEL_TAGS];
  if (!run("python3", ["-m", "pip", "download", ...flags, WHEEL])) skip(`pip could not fetch ${WHEEL}`);
  const unzip =
    "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); " +
    "z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(tuple(sys.argv[3:]))])";
  const wheel = join(download, readdirSync(download)[0]);
  if (!run("python3", ["-c", unzip, wheel, download, ...WHEEL_PARTS]))
    fail("the wheel could not be unpacked");
  renameSync(join(download, "tensorflow"), folder);
  rmSync(download, { recursive: true });
  return folder;
}

/** Puts TensorFlow where the package's binding.gyp looks for it, and compiles. */
function build(tensorflow) {
  const lib = join(PACKAGE, "deps", "lib");
  rmSync(join(PACKAGE, "deps"), { recursive: true, force: true });
  mkdirSync(lib, { recursive: true });
  symlinkSync(join(tensorflow, "include"), join(PACKAGE, "deps", "include"));
  // The wheel's C interface is in its C++ library.
  for (const [name, library] of [
    ["libtensorflow.so", "libtensorflow_cc.so.2"],
    ["libtensorflow.so.2", "libtensorflow_cc.so.2"],
    ["libtensorflow_cc.so.2", "libtensorflow_cc.so.2"],
    ["libtensorflow_framework.so", "libtensorflow_framework.so.2"],
    ["libtensorflow_framework.so.2", "libtensorflow_framework.so.2"],
  ]) {
    symlinkSync(join(tensorflow, library), join(lib, name));
  }
  // Node.js's own headers where they came with it; otherwise node-gyp fetches them.
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
  const options = [
    "--module_name=tfjs_binding",
    `--module_path=${dirname(ADDON)}`,
    `--module=${ADDON}`,
    "--napi_version=9",
    "--napi_build_version=8",
    "--node_napi_label=napi-v8",
  ];
  if (!run(process.execPath, [nodeGyp(), "rebuild", ...headers, ...options], { cwd: PACKAGE })) {
    rmSync(PACKAGE, { recursive: true });
    fail(`${BINDING} did not build against ${WHEEL}`);
  }
}

const missing = whatIsMissing();
if (missing !== null) skip(missing);
if (!existsSync(ADDON)) {
  fetchPackage();
  build(fetchTensorflow());
}
// The project looks its optional peers up with require, which looks along NODE_PATH too.
const env = { NODE_PATH: MODULES, TF_CPP_MIN_LOG_LEVEL: "2" };
if (!engines(env).some(({ id, available }) => id === ENGINE && available)) {
  fail(`${ENGINE} does not start with the binding in ${MODULES}`);
}
testOn([ENGINE], ["test/parity", "test/engine"], env);
console.log(`${ENGINE} passed${required ? "" : " (kept in .cache)"}`);
