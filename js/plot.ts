/**
 * The slice plot's Bokeh figure. With `cells_renderer.ts` the only file that knows BokehJS.
 *
 * Owns the document that Python sent: its ranges, size, colours and the cells renderer. Gestures, handles and highlights are
 * drawn over it by `slice_panel.ts`.
 */

import "@bokeh/bokehjs/build/js/lib/models/main";
import { Document, documents, type DocJson } from "@bokeh/bokehjs/build/js/lib/document";
import { add_document_standalone } from "@bokeh/bokehjs/build/js/lib/embed/standalone";
import type { ViewManager } from "@bokeh/bokehjs/build/js/lib/core/view_manager";
import { Axis } from "@bokeh/bokehjs/build/js/lib/models/axes/axis";
import { TickFormatter } from "@bokeh/bokehjs/build/js/lib/models/formatters/tick_formatter";
import { ContinuousTicker } from "@bokeh/bokehjs/build/js/lib/models/tickers/continuous_ticker";
import type { Plot, PlotView } from "@bokeh/bokehjs/build/js/lib/models/plots/plot";
import { logger } from "@bokeh/bokehjs/build/js/lib/core/logging";
import { axisName, axisScale, tickTexts, type AxisScale } from "./axis_labels.ts";
import { ConvexCells, type ConvexCellsView } from "./cells_renderer.ts";
import { element } from "./dom.ts";
import type { Point, Rect } from "./geometry.ts";
import type { PictureMessage, SketchMessage } from "./protocol.ts";
import type { ThemeColours } from "./theme.ts";

/** Place of the frame inside the figure, in CSS pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const MIN_SIDE = 120;
const MAX_TICKS = 6;
const MIN_TICKS = 2;
/** Pixels of the frame for each tick. */
const TICK_ROOM = 60;

export interface PlotEvents {
  /** The frame has a new place or size. */
  onLayout(frame: Frame): void;
  /** The cells of this picture have been painted. */
  onPainted(picture: PictureMessage, milliseconds: number): void;
  onError(error: unknown): void;
}

export class SlicePlot {
  readonly el = element("div", { class: "sc-figure" });
  private readonly document: Document;
  private readonly plot: Plot;
  /** Below and left. */
  private readonly axes: readonly LabelledAxis[];
  private views: ViewManager | null = null;
  private plotView: PlotView | null = null;
  private cellsView: ConvexCellsView | null = null;
  private frame: Frame = { left: 0, top: 0, width: 0, height: 0 };
  private isDestroyed = false;

  /** Reads the figure's JSON text. `start` builds the views once `el` is in the page. */
  constructor(
    figure: string,
    private readonly events: PlotEvents,
  ) {
    // Bokeh's set_log_level would itself write to the console.
    logger.set_level("error");
    const item = JSON.parse(figure) as { doc: DocJson };
    this.document = Document.from_json(item.doc);
    this.plot = this.document.all_roots[0] as Plot;
    this.axes = [...this.plot.below, ...this.plot.left].filter((axis) => axis instanceof Axis).map((axis) => new LabelledAxis(axis));
  }

  async start(): Promise<void> {
    this.views = await add_document_standalone(this.document, this.el);
    if (this.isDestroyed) {
      this.removeViews();
      return;
    }
    this.plotView = this.views.get_one(this.plot) as PlotView;
    const cells = this.plot.renderers.find((renderer) => renderer instanceof ConvexCells);
    if (cells === undefined) {
      throw new Error("the figure has no ConvexCells renderer");
    }
    this.cellsView = this.views.get_one(cells) as ConvexCellsView;
    this.cellsView.onPainted = (picture, milliseconds) => this.events.onPainted(picture, milliseconds);
    this.cellsView.onError = (error) => this.events.onError(error);
    this.plotView.repainted.connect(this.noticeLayout);
    this.noticeLayout();
  }

  /** The ranges, `[left, right, bottom, top]`. */
  get view(): Rect {
    const { x_range, y_range } = this.plot as unknown as Ranged;
    return [x_range.start, x_range.end, y_range.start, y_range.end];
  }

  set view([left, right, bottom, top]: Rect) {
    const { x_range, y_range } = this.plot as unknown as Ranged;
    x_range.setv({ start: left, end: right });
    y_range.setv({ start: bottom, end: top });
    this.axes[0]?.fit(left, right);
    this.axes[1]?.fit(bottom, top);
  }

  show(picture: PictureMessage): void {
    this.cellsView?.show(picture);
  }

  sketch(sketch: SketchMessage | null): void {
    this.cellsView?.sketch(sketch);
  }

  /** The cell at a point of the frame, −1 outside all. */
  cellAt(point: Point): number {
    return this.cellsView?.cellAt(point) ?? -1;
  }

  /** Makes the frame as large a square as fits the width beside the axis. */
  resize(width: number): void {
    const { min_border_left, min_border_right } = this.plot;
    const side = Math.max(MIN_SIDE, Math.floor(width - (min_border_left ?? 0) - (min_border_right ?? 0)));
    if (side !== this.plot.frame_width) {
      this.plot.setv({ frame_width: side, frame_height: side });
      const n = Math.min(MAX_TICKS, Math.max(MIN_TICKS, Math.floor(side / TICK_ROOM)));
      this.axes.forEach((axis) => axis.limitTicks(n));
    }
  }

  recolour(colours: ThemeColours): void {
    this.axes.forEach((axis) => axis.recolour(colours));
  }

  destroy(): void {
    this.isDestroyed = true;
    this.removeViews();
    this.el.remove();
  }

  private readonly noticeLayout = (): void => {
    const bbox = this.plotView?.frame.bbox;
    if (bbox === undefined || this.isDestroyed) {
      return;
    }
    const { left, top, width, height } = bbox;
    const { frame } = this;
    if (left !== frame.left || top !== frame.top || width !== frame.width || height !== frame.height) {
      this.frame = { left, top, width, height };
      this.events.onLayout(this.frame);
    }
  };

  private removeViews(): void {
    this.plotView?.repainted.disconnect(this.noticeLayout);
    for (const view of [...(this.views?.query(() => true) ?? [])]) {
      if (view.parent === null) {
        view.remove();
      }
    }
    this.views?.clear();
    this.views = null;
    this.document.clear();
    const index = documents.indexOf(this.document);
    if (index >= 0) {
      documents.splice(index, 1);
    }
  }
}

/** One of Bokeh's axes with labels of our own, which take the same room at any zoom. */
class LabelledAxis {
  private readonly formatter = new ScaledFormatter({});
  private readonly name: string;

  constructor(private readonly axis: Axis) {
    this.name = typeof axis.axis_label === "string" ? axis.axis_label : "";
    axis.setv({ formatter: this.formatter });
  }

  fit(low: number, high: number): void {
    this.formatter.scale = axisScale(low, high);
    const name = axisName(this.name, this.formatter.scale);
    if (name !== this.axis.axis_label) {
      this.axis.setv({ axis_label: name });
    }
  }

  limitTicks(n: number): void {
    if (this.axis.ticker instanceof ContinuousTicker) {
      this.axis.ticker.setv({ desired_num_ticks: n });
    }
  }

  recolour(colours: ThemeColours): void {
    this.axis.setv({
      axis_line_color: colours.line,
      major_tick_line_color: colours.line,
      major_label_text_color: colours.muted,
      axis_label_text_color: colours.muted,
      major_label_text_font: colours.font,
      axis_label_text_font: colours.font,
    });
  }
}

class ScaledFormatter extends TickFormatter {
  static override __name__ = "ScaledFormatter";
  scale: AxisScale = axisScale(-1, 1);

  override doFormat(ticks: number[]): string[] {
    return tickTexts(ticks, this.scale);
  }
}

interface Ranged {
  readonly x_range: Range;
  readonly y_range: Range;
}

interface Range {
  readonly start: number;
  readonly end: number;
  setv(values: { start: number; end: number }): void;
}
