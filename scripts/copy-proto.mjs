// The .proto files are read at run time, beside the compiled code.
import { cpSync } from "node:fs";

cpSync(new URL("../proto", import.meta.url), new URL("../dist/proto", import.meta.url), { recursive: true });
