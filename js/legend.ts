/** What the colours of the slice mean, and its lines where they are those of one layer. */

import { element } from "./dom.ts";
import { formatCount, formatNumber } from "./format.ts";
import type { Legend as LegendMessage, Lines } from "./protocol.ts";

export class Legend {
  private readonly key = element("div", { class: "sc-legend-key" });
  private readonly lines = element("div", { class: "sc-legend-lines", "aria-live": "polite", hidden: true });
  readonly el = element("div", { class: "sc-legend", role: "group", "aria-label": "Legend" }, this.key, this.lines);
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
        this.key.replaceChildren(...legend.entries.map(({ name, colour }) => entry(name, colour)));
        break;
      case "scale":
        this.key.replaceChildren(...scale(legend));
        break;
      case "none":
        this.key.replaceChildren(element("span", { class: "sc-legend-title" }, legend.title));
        break;
    }
  }

  updateLines(lines: Lines | null): void {
    this.lines.hidden = lines === null;
    if (lines !== null) {
      const { layer, name, n_units: nUnits, n_bent: nBent, n_edges: nEdges } = lines;
      const bent = `${formatCount(nBent)} of ${formatCount(nUnits)} ${nUnits === 1 ? "unit" : "units"} ${nBent === 1 ? "bends" : "bend"} here`;
      this.lines.textContent = `Layer ${layer}, ${name}: ${bent}, along ${formatCount(nEdges)} ${nEdges === 1 ? "edge" : "edges"}`;
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
