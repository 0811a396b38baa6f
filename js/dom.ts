/** Making elements. Knows nothing of the widget. */

type Attributes = Record<string, string | number | boolean | null | undefined>;

const SVG = "http://www.w3.org/2000/svg";

/** A new HTML element with attributes (null, undefined and false leave one out) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

/** A new SVG element. */
export function svgElement<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Node[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS(SVG, tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

function setAttributes(target: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      target.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/**
 * Sets those properties that differ. The page computes styles and layout anew for whatever is written, equal or not, and a
 * drag writes everything in every frame.
 */
export function assign<T extends object>(target: T, values: Partial<T>): void {
  for (const name of Object.keys(values) as (keyof T)[]) {
    if (target[name] !== values[name]) {
      target[name] = values[name] as T[keyof T];
    }
  }
}

/** Sets an attribute if it differs. */
export function setAttribute(target: Element, name: string, value: string): void {
  if (target.getAttribute(name) !== value) {
    target.setAttribute(name, value);
  }
}

/** A 2-D context, or an error that says what is missing. */
export function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (context === null) {
    throw new Error("this browser gives no 2-D canvas context");
  }
  return context;
}

/** Waits until `el` is laid out in the page; notebooks call `render` with elements that are not in it yet. */
export function laidOut(el: HTMLElement, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // The first report comes when the element has a size, at once if it has one already.
    const sizes = new ResizeObserver(() => {
      if (el.isConnected && el.clientWidth > 0) {
        sizes.disconnect();
        resolve();
      }
    });
    sizes.observe(el);
    signal.addEventListener("abort", () => sizes.disconnect(), { once: true });
  });
}
