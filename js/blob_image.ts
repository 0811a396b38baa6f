/** An <img> that shows a Blob and lets go of its URL. */

import { element } from "./dom.ts";

export class BlobImage {
  readonly el: HTMLImageElement;
  private url = "";

  constructor(attributes: Record<string, string>) {
    this.el = element("img", { draggable: "false", ...attributes });
    this.el.hidden = true;
  }

  update(blob: Blob | null, alt: string): void {
    const previous = this.url;
    this.url = blob === null ? "" : URL.createObjectURL(blob);
    this.el.hidden = blob === null;
    this.el.alt = alt;
    if (blob !== null) {
      this.el.src = this.url;
    }
    URL.revokeObjectURL(previous);
  }

  destroy(): void {
    URL.revokeObjectURL(this.url);
    this.el.remove();
  }
}
