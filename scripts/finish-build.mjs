// What the compiler leaves to do: the .proto files are read at run time beside the compiled code, and `npx skein`
// looks for the command in node_modules/.bin, where npm links those of dependencies but not the package's own.
import { chmodSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

cpSync(path("../proto"), path("../dist/proto"), { recursive: true });

chmodSync(path("../dist/cli/main.js"), 0o755);
mkdirSync(path("../node_modules/.bin"), { recursive: true });
if (process.platform === "win32") {
  writeFileSync(path("../node_modules/.bin/skein.cmd"), '@node "%~dp0\\..\\..\\dist\\cli\\main.js" %*\r\n');
} else {
  const link = path("../node_modules/.bin/skein");
  rmSync(link, { force: true });
  symlinkSync("../../dist/cli/main.js", link);
}
