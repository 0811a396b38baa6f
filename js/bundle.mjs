// How the bundle is made. Knows esbuild and the two rules that BokehJS needs; knows nothing of the widget.
import { readFile } from "node:fs/promises";

const STATEMENTS = new Set(["return", "break", "continue", "debugger", "default"]);

/** BokehJS as published, made fit for one small ESM file. */
export const bokehjs = {
  name: "bokehjs",
  setup(build) {
    // MathJax weighs more than everything else together and no label here is TeX.
    build.onResolve({ filter: /^\.\/mathjax$/ }, (args) =>
      args.importer.includes("@bokeh") ? { path: "mathjax", namespace: "stub" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "stub" }, () => ({ contents: "export default null", loader: "js" }));
    // A bare class field (`    name;`) resets what super() has set; BokehJS was compiled for the older meaning.
    build.onLoad({ filter: /@bokeh[\\/]bokehjs[\\/]build[\\/]js[\\/]lib[\\/].*\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const contents = source.replace(/^ {4}([A-Za-z_$][\w$]*);$/gm, (line, name) => (STATEMENTS.has(name) ? line : ""));
      return { contents, loader: "js" };
    });
  },
};

/** Options shared by the widget and its development page. */
export const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  plugins: [bokehjs],
  legalComments: "none",
  logLevel: "warning",
};
