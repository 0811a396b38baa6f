/**
 * The badge beside the status line: how the checks of the picture on show came out, and their figures below it.
 *
 * Never says of one picture what was found of another: `expire` comes with every new picture, `update` only with its own.
 */

import { assign, element, setAttribute, svgElement } from "./dom.ts";
import type { CertificateMessage } from "./protocol.ts";

type BadgeState = "none" | "pending" | CertificateMessage["verdict"];

const BADGES: Readonly<Record<BadgeState, { readonly text: string; readonly sentence: string; readonly icon: string }>> = {
  none: { text: "Checking…", sentence: "There is no picture yet.", icon: "" },
  pending: { text: "Checking…", sentence: "The picture on show is checked when it rests.", icon: "M8 4.5v4l2.5 1.5" },
  sound: { text: "Certified", sentence: "The picture on show was checked; everything came out as it must.", icon: "M5 8.3l2.2 2.2L11.2 6" },
  approximation: { text: "Approximation", sentence: "Smooth activations are replaced by piecewise-linear ones; of the network with these the picture is exact, and was checked.", icon: "M4.6 7c1.1-1.2 2.3-1.2 3.4 0s2.3 1.2 3.4 0M4.6 10c1.1-1.2 2.3-1.2 3.4 0s2.3 1.2 3.4 0" },
  unsound: { text: "Not sound", sentence: "The picture on show was checked; not everything came out as it must.", icon: "M8 4.5v4.2M8 11.2v.3" },
  failed: { text: "Not checked", sentence: "The picture on show could not be checked.", icon: "M8 4.5v4.2M8 11.2v.3" },
};

const UNKNOWN = "…";

export class CertificateBadge {
  /** The button; the figures lie in `panel`, for a line of their own. */
  readonly el = element("div", { class: "sc-certificate", role: "group", "aria-label": "Certificate" });
  readonly panel: HTMLElement;
  private readonly button: HTMLButtonElement;
  private readonly icon = svgElement("path", {
    fill: "none",
    stroke: "currentColor",
    "stroke-width": 1.6,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  });
  private readonly text = element("span", { class: "sc-badge-text" });
  /** Read aloud: only what is wrong, for all else follows every drag. */
  private readonly warning = element("span", { class: "sc-unseen", role: "status" });
  private readonly sentence = element("p", { class: "sc-certificate-sentence" });
  private readonly rows = element("tbody");
  private figures: CertificateMessage["figures"] = [];

  /** `id`: of the panel, unlike any other in the page. */
  constructor(id: string, signal: AbortSignal) {
    const circle = svgElement("circle", { cx: 8, cy: 8, r: 6.2, fill: "none", stroke: "currentColor", "stroke-width": 1.4 });
    const chevron = svgElement("path", { d: "M3 4.5l3 3 3-3", fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round" });
    this.button = element(
      "button",
      { type: "button", class: "sc-badge", "aria-expanded": "false", "aria-controls": id },
      svgElement("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" }, circle, this.icon),
      this.text,
      svgElement("svg", { class: "sc-chevron", viewBox: "0 0 12 12", width: 10, height: 10, "aria-hidden": "true" }, chevron),
    );
    this.button.addEventListener("click", () => this.open(this.panel.hasAttribute("hidden")), { signal });
    this.el.append(this.button, this.warning);
    this.panel = element(
      "div",
      { class: "sc-certificate-panel", id, role: "group", "aria-label": "Figures of the certificate", hidden: true },
      this.sentence,
      element("table", { class: "sc-figures", "aria-label": "Checks and what they found" }, this.rows),
    );
    for (const el of [this.el, this.panel]) {
      el.addEventListener("keydown", (event) => this.key(event), { signal });
    }
    this.show("none", []);
  }

  /** What was found of the picture on show, or that it is not known yet. */
  get state(): string {
    return this.el.dataset["state"] ?? "none";
  }

  /** Takes what was found of the picture on show. */
  update({ verdict, figures }: CertificateMessage): void {
    this.figures = figures;
    this.show(verdict, figures);
  }

  /** Another picture is on show: what was found of the last one no longer counts. Names stay, so that the page does not jump. */
  expire(): void {
    this.show("pending", this.figures.map(([name]) => [name, UNKNOWN]));
  }

  /** Out of sight beside an error or a sketch: what is asked for is not the picture that was checked. Its room stays. */
  setAside(isAside: boolean): void {
    assign(this.el.dataset, { aside: String(isAside) });
    if (isAside && !this.panel.hidden) {
      this.open(false);
    }
  }

  /** Nothing will be checked any more. */
  close(): void {
    if (this.state === "pending") {
      this.show("none", []);
      this.open(false);
    }
  }

  destroy(): void {
    this.el.remove();
    this.panel.remove();
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Escape" && !this.panel.hidden) {
      event.stopPropagation();
      this.open(false);
      this.button.focus();
    }
  }

  private open(isOpen: boolean): void {
    this.panel.hidden = !isOpen;
    setAttribute(this.button, "aria-expanded", String(isOpen));
    if (isOpen) {
      this.panel.scrollIntoView({ block: "nearest" });
    }
  }

  private show(state: BadgeState, figures: CertificateMessage["figures"]): void {
    const { text, sentence, icon } = BADGES[state];
    assign(this.el.dataset, { state });
    assign(this.panel.dataset, { state });
    assign(this.text, { textContent: text });
    assign(this.warning, { textContent: state === "unsound" || state === "failed" ? sentence : "" });
    assign(this.sentence, { textContent: sentence });
    setAttribute(this.icon, "d", icon);
    this.rows.replaceChildren(
      ...figures.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value))),
    );
  }
}
