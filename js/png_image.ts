/** An <img> that shows the bytes of a PNG and lets go of their URL. */

import { assign, element } from "./dom.ts";
import type { Png } from "./protocol.ts";

export class PngImage {
  readonly el: HTMLImageElement;
  private shown: Png | null = null;
  private url = "";

  constructor(attributes: Record<string, string>) {
    this.el = element("img", { draggable: "false", ...attributes });
    this.el.hidden = true;
  }

  update(png: Png | null, alt: string): void {
    assign(this.el, { alt, hidden: png === null });
    // A drag moves one anchor; the pictures of the others come again as they are.
    if (!isSame(png, this.shown)) {
      const previous = this.url;
      this.url = png === null ? "" : URL.createObjectURL(new Blob([png], { type: "image/png" }));
      if (png !== null) {
        this.el.src = this.url;
      }
      URL.revokeObjectURL(previous);
      this.shown = png;
    }
  }

  destroy(): void {
    URL.revokeObjectURL(this.url);
    this.el.remove();
  }
}

function isSame(a: Png | null, b: Png | null): boolean {
  return a === b || (a !== null && b !== null && a.length === b.length && a.every((byte, index) => byte === b[index]));
}
