/**
 * The entry point, and the only file that knows anywidget.
 *
 * For tests: the root is `.splinecam-widget` (`data-view-id`, `data-board` = images | plane | empty, `data-theme`); it sends
 * `splinecam:painted` after the first paint of each picture. `js/README.md` lists the labels.
 */

import type { AnyWidget } from "@anywidget/types";
import type { WidgetModel } from "./model.ts";
import { Session } from "./session.ts";

/** Class of the page's element, for layouts that ask how wide it would be. */
const HOST = "splinecam-host";

interface RenderProps {
  readonly model: unknown;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

/** Each call is a view of its own, however late or often it comes. */
function render({ model, el, signal }: RenderProps): () => void {
  const controller = new AbortController();
  const session = new Session(model as WidgetModel, crypto.getRandomValues(new Uint32Array(2)).join("-"), controller.signal);
  const stop = (): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      session.destroy();
      el.classList.remove(HOST);
    }
  };
  signal?.addEventListener("abort", stop, { once: true });
  el.classList.add(HOST);
  el.append(session.el);
  void session.start();
  return stop;
}

const widget: AnyWidget = { render: render as never };

export default widget;
