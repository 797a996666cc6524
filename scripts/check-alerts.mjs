// `npm run check:alerts`: Prometheus's own tool on the alert rules. A machine without promtool is a reason to skip, or
// with --require to fail.
import { fail, output, run, skip } from "./checking.mjs";

if (output("promtool", ["--version"]) === null) {
  skip("promtool is not on the path; it comes with Prometheus (Debian: apt-get install prometheus)");
}
if (!run("promtool", ["check", "rules", "deploy/prometheus/skein.rules.yml"]))
  fail("the alert rules are wrong");
