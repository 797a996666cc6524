/** The version of Skein that runs, read once from the package.json nearest above this file. */
import { readFileSync } from "node:fs";

let cached: string | null = null;

function versionIn(url: URL): string | null {
  let text: string;
  try {
    text = readFileSync(url, "utf8");
  } catch {
    return null;
  }
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== "object" || parsed === null || !("name" in parsed) || parsed.name !== "skein")
    return null;
  return "version" in parsed && typeof parsed.version === "string" ? parsed.version : null;
}

/** For instance "0.1.0"; "unknown" where Skein was copied without its package.json. */
export function skeinVersion(): string {
  if (cached !== null) return cached;
  // From the sources the file is two folders up, from dist/ three.
  for (const path of ["../../package.json", "../../../package.json"]) {
    const found = versionIn(new URL(path, import.meta.url));
    if (found !== null) return (cached = found);
  }
  return (cached = "unknown");
}
