/**
 * An <img> that shows the bytes of a PNG.
 *
 * Its URL holds the bytes themselves: a blob's URL is asked for at the browser's main process, and the page waits for it,
 * twice a picture.
 */

import { assign, element } from "./dom.ts";
import type { Png } from "./protocol.ts";

export class PngImage {
  readonly el: HTMLImageElement;
  private shown: Png | null = null;

  constructor(attributes: Record<string, string>) {
    this.el = element("img", { draggable: "false", ...attributes });
    this.el.hidden = true;
  }

  update(png: Png | null, alt: string): void {
    assign(this.el, { alt, hidden: png === null });
    // A drag moves one anchor; the pictures of the others come again as they are.
    if (!isSame(png, this.shown)) {
      if (png !== null) {
        this.el.src = `data:image/png;base64,${base64(png)}`;
      }
      this.shown = png;
    }
  }

  destroy(): void {
    this.el.remove();
  }
}

/** So many bytes are spread as arguments of one call. */
const CHUNK = 8192;

function base64(png: Png): string {
  let text = "";
  for (let at = 0; at < png.length; at += CHUNK) {
    text += String.fromCharCode(...png.subarray(at, at + CHUNK));
  }
  return btoa(text);
}

function isSame(a: Png | null, b: Png | null): boolean {
  return a === b || (a !== null && b !== null && a.length === b.length && a.every((byte, index) => byte === b[index]));
}
