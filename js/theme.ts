/**
 * Light or dark, as the page around the widget is. Knows how notebook hosts say so; sets `data-theme` on the root.
 *
 * Order: JupyterLab's attribute, VS Code's body class, a class or attribute `dark`/`light` (marimo, Sphinx), the colour that
 * is really behind the widget, the system's preference.
 */

import { context2d } from "./dom.ts";

export type Theme = "light" | "dark";

export interface ThemeColours {
  readonly line: string;
  readonly muted: string;
  readonly font: string;
}

export class ThemeWatch {
  private readonly observer: MutationObserver;
  private theme: Theme | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly onChange: (theme: Theme) => void,
    signal: AbortSignal,
  ) {
    this.observer = new MutationObserver(() => this.update());
    const watched = { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme", "data-vscode-theme-kind"] };
    this.observer.observe(document.body, watched);
    this.observer.observe(document.documentElement, watched);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.update(), { signal });
    signal.addEventListener("abort", () => this.observer.disconnect(), { once: true });
  }

  update(): void {
    const theme = hostTheme(this.root);
    if (theme !== this.theme) {
      this.theme = theme;
      this.root.dataset["theme"] = theme;
      this.onChange(theme);
    }
  }

  /** The colours that Bokeh must be told, because its canvas takes no CSS. */
  colours(): ThemeColours {
    const style = getComputedStyle(this.root);
    const pen = context2d(document.createElement("canvas"));
    const plain = (name: string): string => {
      // A canvas turns any CSS colour into the plain form that Bokeh understands.
      pen.fillStyle = "#808080";
      pen.fillStyle = style.getPropertyValue(name).trim();
      return pen.fillStyle;
    };
    return {
      line: plain("--sc-axis"),
      muted: plain("--sc-muted"),
      font: style.fontFamily,
    };
  }
}

function hostTheme(root: HTMLElement): Theme {
  const { body, documentElement } = document;
  const jupyter = body.dataset["jpThemeLight"];
  if (jupyter !== undefined) {
    return jupyter === "false" ? "dark" : "light";
  }
  const words = `${body.className} ${body.dataset["vscodeThemeKind"] ?? ""} ${body.dataset["theme"] ?? ""} ${documentElement.className} ${documentElement.dataset["theme"] ?? ""}`;
  if (/(^|[\s-])dark(\s|$)|vscode-high-contrast(\s|$)/.test(words)) {
    return "dark";
  }
  if (/(^|[\s-])light(\s|$)/.test(words)) {
    return "light";
  }
  const luminance = backgroundLuminance(root.parentElement ?? root);
  if (luminance !== null) {
    return luminance < 0.4 ? "dark" : "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Luminance of the first opaque background from `from` outwards, through shadow roots; null when all are clear. */
function backgroundLuminance(from: Element): number | null {
  let at: Element | null = from;
  while (at !== null) {
    const [red, green, blue, alpha = 1] = (getComputedStyle(at).backgroundColor.match(/[\d.]+/g) ?? ["0", "0", "0", "0"]).map(Number);
    if (alpha > 0.5) {
      return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    }
    const parent: Node | null = at.parentNode;
    at = parent instanceof ShadowRoot ? parent.host : parent instanceof Element ? parent : null;
  }
  return null;
}
