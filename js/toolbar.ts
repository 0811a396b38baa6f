/** The headers of board and slice with their controls: real, labelled ones. */

import { element, svgElement } from "./dom.ts";

const ICONS = {
  in: "M8 3v10M3 8h10",
  out: "M3 8h10",
  reset: "M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3",
} as const;

function iconButton(icon: keyof typeof ICONS, label: string, onClick: () => void, signal: AbortSignal): HTMLButtonElement {
  const path = svgElement("path", { d: ICONS[icon], fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round" });
  const button = element(
    "button",
    { type: "button", class: "sc-button", "aria-label": label, title: label },
    svgElement("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, path),
  );
  button.addEventListener("click", onClick, { signal });
  return button;
}

export interface ZoomEvents {
  onZoom(factor: number): void;
  onReset(): void;
}

const ZOOM_STEP = 1.6;

function zoomButtons(what: string, { onZoom, onReset }: ZoomEvents, signal: AbortSignal): HTMLElement {
  return element(
    "div",
    { class: "sc-buttons", role: "group", "aria-label": `Zoom the ${what}` },
    iconButton("out", `Zoom out the ${what}`, () => onZoom(1 / ZOOM_STEP), signal),
    iconButton("in", `Zoom in the ${what}`, () => onZoom(ZOOM_STEP), signal),
    iconButton("reset", `Reset the ${what}`, onReset, signal),
  );
}

export class BoardBar {
  readonly el = element("div", { class: "sc-bar-header" });
  private readonly title = element("span", { class: "sc-panel-title" }, "Images");
  private readonly blend = element("input", { type: "checkbox", role: "switch", "aria-label": "Blend between images" });
  private readonly blendLabel = element("label", { class: "sc-switch", title: "Off: a handle snaps to the nearest image. On: it mixes the three images around it." });

  constructor(events: ZoomEvents & { onBlend(isOn: boolean): void }, signal: AbortSignal) {
    this.blendLabel.append(this.blend, element("span", { class: "sc-switch-track", "aria-hidden": "true" }), "Blend");
    this.blendLabel.title = "Drag to a mix of neighbouring images instead of the nearest one; or hold Shift while you drag";
    this.blend.addEventListener("change", () => events.onBlend(this.blend.checked), { signal });
    this.el.append(this.title, this.blendLabel, zoomButtons("board", events, signal));
  }

  update(mode: "images" | "plane" | "empty", nImages: number): void {
    this.title.textContent = mode === "plane" ? "Input plane" : `${nImages.toLocaleString("en-US")} images`;
    this.blendLabel.hidden = mode !== "images" || nImages < 3;
  }

  destroy(): void {
    this.el.remove();
  }
}

/** Names that are not plain words. */
const COLOURING_NAMES: Readonly<Record<string, string>> = { pattern: "activation pattern" };

export class SliceBar {
  readonly el = element("div", { class: "sc-bar-header" });
  private readonly select = element("select", { class: "sc-select", "aria-label": "Colour by" });

  private readonly lines = element("select", { class: "sc-select", "aria-label": "Lines of" });
  private readonly linesLabel = element("label", { class: "sc-field" }, element("span", {}, "Lines"), this.lines);

  constructor(events: ZoomEvents & { onColorBy(value: string): void; onLayer(layer: number | null): void }, signal: AbortSignal) {
    this.select.addEventListener("change", () => events.onColorBy(this.select.value), { signal });
    this.lines.addEventListener("change", () => events.onLayer(this.lines.value === "" ? null : Number(this.lines.value)), { signal });
    const label = element("label", { class: "sc-field" }, element("span", {}, "Colour by"), this.select);
    this.el.append(
      element("span", { class: "sc-panel-title" }, "Slice"), label, this.linesLabel, zoomButtons("slice", events, signal));
  }

  update(colourings: readonly string[], colorBy: string): void {
    if ([...this.select.options].map(({ value }) => value).join() !== colourings.join()) {
      this.select.replaceChildren(...colourings.map((value) => element("option", { value }, COLOURING_NAMES[value] ?? value)));
    }
    this.select.value = colorBy;
  }

  updateLayers(layers: readonly string[], layer: number | null): void {
    const texts = ["all layers", ...layers.map((name, i) => `layer ${i}, ${name}`)];
    if ([...this.lines.options].map(({ text }) => text).join() !== texts.join()) {
      this.lines.replaceChildren(...texts.map((text, i) => element("option", { value: i === 0 ? "" : String(i - 1) }, text)));
    }
    this.lines.value = layer === null ? "" : String(layer);
    this.lines.title = this.lines.selectedOptions[0]?.text ?? "";
    this.linesLabel.hidden = layers.length === 0;
  }

  destroy(): void {
    this.el.remove();
  }
}
