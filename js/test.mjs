// `npm test`: bundles every *.test.ts into a temporary folder and hands them to Node's own test runner.
import * as esbuild from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { shared } from "./bundle.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const outdir = mkdtempSync(join(tmpdir(), "splinecam-test-"));
try {
  const entryPoints = readdirSync(here, { recursive: true })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(here, name));
  await esbuild.build({ ...shared, entryPoints, outdir, platform: "node", outExtension: { ".js": ".mjs" } });
  const files = readdirSync(outdir, { recursive: true }).filter((name) => name.endsWith(".mjs")).map((name) => join(outdir, name));
  const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=spec", ...files], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(outdir, { recursive: true, force: true });
}
