/** What the colours of the slice mean. */

import { element } from "./dom.ts";
import { formatNumber } from "./format.ts";
import type { Legend as LegendMessage } from "./protocol.ts";

export class Legend {
  readonly el = element("div", { class: "sc-legend", role: "group", "aria-label": "Legend" });
  private shown = "";

  update(legend: LegendMessage): void {
    const text = JSON.stringify(legend);
    if (text === this.shown) {
      return;
    }
    this.shown = text;
    this.el.dataset["kind"] = legend.kind;
    switch (legend.kind) {
      case "classes":
        this.el.replaceChildren(...legend.entries.map(({ name, colour }) => entry(name, colour)));
        break;
      case "scale":
        this.el.replaceChildren(...scale(legend));
        break;
      case "none":
        this.el.replaceChildren(element("span", { class: "sc-legend-title" }, legend.title));
        break;
    }
  }

  destroy(): void {
    this.el.remove();
  }
}

function entry(name: string, colour: string): HTMLElement {
  const swatch = element("span", { class: "sc-swatch" });
  swatch.style.background = colour;
  return element("span", { class: "sc-legend-entry" }, swatch, name);
}

function scale({ title, low, high, log, is_low_clipped, is_high_clipped, palette }: LegendMessage & { kind: "scale" }): HTMLElement[] {
  const ramp = element("span", { class: "sc-ramp" });
  ramp.style.background = `linear-gradient(to right, ${palette.join(", ")})`;
  return [
    element("span", { class: "sc-legend-title" }, log ? `${title} (log scale)` : title),
    element("span", { class: "sc-legend-end" }, (is_low_clipped ? "≤ " : "") + formatNumber(low)),
    ramp,
    element("span", { class: "sc-legend-end" }, (is_high_clipped ? "≥ " : "") + formatNumber(high)),
  ];
}
