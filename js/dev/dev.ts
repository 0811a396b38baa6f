/**
 * The development page: the real widget on a fake model, without Jupyter.
 *
 * Query: `mode` images | plane | empty, `theme` light | dark, `delay` ms, `cells` (many, for measuring), `images`, `certificate` = none |
 * sound | unsound | failed, `kernel` = none, `width` px. `window.dev` serves the page's own tests.
 */

import widget from "../widget.ts";
import { FakeKernel, type FakeOptions } from "./fake_kernel.ts";
import { FakeModel } from "./fake_model.ts";

const query = new URLSearchParams(location.search);
const options: FakeOptions = {
  mode: (query.get("mode") ?? "images") as FakeOptions["mode"],
  delay: Number(query.get("delay") ?? 30),
  cells: Number(query.get("cells") ?? 0),
  images: Number(query.get("images") ?? 1797),
  certificate: (query.get("certificate") ?? "sound") as FakeOptions["certificate"],
};
document.documentElement.dataset["theme"] = query.get("theme") ?? "light";
const host = document.getElementById("host")!;
if (query.has("width")) {
  host.style.width = `${query.get("width")}px`;
}

const kernel = query.get("kernel") === "none" ? null : new FakeKernel(options);
const model = new FakeModel(kernel);

const painted: unknown[] = [];
document.addEventListener("splinecam:painted", (event) => painted.push((event as CustomEvent).detail));

/** Renders a further view; returns what ends it. */
function mount(): () => void {
  const el = document.createElement("div");
  host.append(el);
  const stop = (widget as unknown as { render(props: object): () => void }).render({ model, el });
  return () => {
    stop();
    el.remove();
  };
}

Object.assign(window, { dev: { model, kernel, mount, unmount: mount(), painted } });
