/** The three anchors' letters, shapes and colours, one place for board, plot and tray. Colours: Okabe and Ito (2008). */

import { svgElement } from "./dom.ts";

export const ANCHORS = [
  { letter: "A", colour: "#0072b2", shape: "circle", letterY: 16 },
  { letter: "B", colour: "#d55e00", shape: "square", letterY: 16 },
  { letter: "C", colour: "#009e73", shape: "triangle", letterY: 18.4 },
] as const;

/** The anchor's mark, 32 units wide with its centre at (16, 16). */
export function anchorMark(index: number): SVGSVGElement {
  const { letter, colour, shape, letterY } = ANCHORS[index];
  const outline = (attributes: Record<string, string | number>): SVGElement => {
    const common = { ...attributes, "stroke-linejoin": "round" };
    if (shape === "circle") {
      return svgElement("circle", { cx: 16, cy: 16, r: 10, ...common });
    }
    if (shape === "square") {
      return svgElement("rect", { x: 6.5, y: 6.5, width: 19, height: 19, rx: 2.5, ...common });
    }
    return svgElement("path", { d: "M16 3.6 L28 24.6 L4 24.6 Z", ...common });
  };
  const text = svgElement("text", { x: 16, y: letterY, "text-anchor": "middle", "dominant-baseline": "central", class: "sc-mark-letter" });
  text.textContent = letter;
  return svgElement(
    "svg",
    { viewBox: "0 0 32 32", width: 32, height: 32, "aria-hidden": "true", class: "sc-mark", color: colour },
    outline({ fill: "none", stroke: "rgba(10, 12, 18, 0.55)", "stroke-width": 5 }),
    outline({ class: "sc-mark-shape", fill: colour, stroke: "#ffffff", "stroke-width": 2.4 }),
    text,
  );
}
