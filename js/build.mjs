// `npm run build` writes splinecam_widget/static/, `npm run page` js/dev/dist/; `npm run dev` writes both and keeps watching.
import * as esbuild from "esbuild";
import { fileURLToPath } from "node:url";
import { shared } from "./bundle.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const widget = {
  entryPoints: [`${root}js/widget.ts`, `${root}js/widget.css`],
  outdir: `${root}splinecam_widget/static`,
  minify: true,
};
const page = { entryPoints: [`${root}js/dev/dev.ts`], outdir: `${root}js/dev/dist` };

const isWatching = process.argv.includes("--watch");
const targets = isWatching ? [widget, page] : process.argv.includes("--page") ? [page] : [widget];
for (const target of targets) {
  const context = await esbuild.context({ ...shared, ...target });
  await context.rebuild();
  if (isWatching) {
    await context.watch();
  } else {
    await context.dispose();
  }
}
