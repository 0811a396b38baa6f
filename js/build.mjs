// `npm run build` writes splinecam_widget/static/; `npm run dev` writes js/dev/dist/ as well and keeps watching.
import * as esbuild from "esbuild";
import { fileURLToPath } from "node:url";
import { shared } from "./bundle.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const isDev = process.argv.includes("--dev") || process.argv.includes("--dev-once");
const isWatching = process.argv.includes("--dev");

const targets = [
  { entryPoints: [`${root}js/widget.ts`, `${root}js/widget.css`], outdir: `${root}splinecam_widget/static`, minify: true },
];
if (isDev) {
  targets.push({ entryPoints: [`${root}js/dev/dev.ts`], outdir: `${root}js/dev/dist` });
}
for (const target of targets) {
  const context = await esbuild.context({ ...shared, ...target });
  await context.rebuild();
  if (isWatching) {
    await context.watch();
  } else {
    await context.dispose();
  }
}
