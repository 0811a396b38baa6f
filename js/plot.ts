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
import { ContinuousTicker } from "@bokeh/bokehjs/build/js/lib/models/tickers/continuous_ticker";
import type { Plot, PlotView } from "@bokeh/bokehjs/build/js/lib/models/plots/plot";
import { logger } from "@bokeh/bokehjs/build/js/lib/core/logging";
import { ConvexCells, type ConvexCellsView } from "./cells_renderer.ts";
import { element } from "./dom.ts";
import type { Point, Rect } from "./geometry.ts";
import type { PictureMessage } from "./protocol.ts";
import type { ThemeColours } from "./theme.ts";

/** Place of the frame inside the figure, in CSS pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Pixels by which room for tick labels grows. */
const LABEL_STEP = 16;
const ROOMY_FACTOR = 2;
const MIN_SIDE = 120;
const MAX_TICKS = 6;
const MIN_TICKS = 2;
/** Pixels of a digit on the axes. */
const DIGIT = 7;

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
  private views: ViewManager | null = null;
  private plotView: PlotView | null = null;
  private cellsView: ConvexCellsView | null = null;
  private frame: Frame = { left: 0, top: 0, width: 0, height: 0 };
  private width = 0;
  private labelRoom = 0;
  /** A view wider than this needs no room for long labels. */
  private roomySpan = Infinity;
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
    this.fitTicks();
    // After the ranges, or the old labels would ask for their room again.
    if (right - left > this.roomySpan) {
      this.labelRoom = 0;
      this.roomySpan = Infinity;
      this.resize(this.width);
    }
  }

  show(picture: PictureMessage): void {
    this.cellsView?.show(picture);
  }

  /** The cell at a point of the frame, −1 outside all. */
  cellAt(point: Point): number {
    return this.cellsView?.cellAt(point) ?? -1;
  }

  /** Makes the frame as large a square as fits the width beside the axis. */
  resize(width: number): void {
    this.width = width;
    const { min_border_left, min_border_right } = this.plot;
    const side = Math.max(MIN_SIDE, Math.floor(width - (min_border_left ?? 0) - this.labelRoom - (min_border_right ?? 0)));
    if (side !== this.plot.frame_width) {
      this.plot.setv({ frame_width: side, frame_height: side });
      this.fitTicks();
    }
  }

  /** Fewer ticks below the frame where their labels are long: of a deep zoom they would run into one another. */
  private fitTicks(): void {
    const [left, right] = this.view;
    const decimals = Math.max(0, Math.ceil(-Math.log10((right - left) / MAX_TICKS)));
    const whole = Math.max(0, Math.floor(Math.log10(Math.max(Math.abs(left), Math.abs(right))))) + 1;
    const label = DIGIT * (whole + decimals + 4);
    // One less than fits, because the ticker takes round steps and may give one more than it is asked for.
    const n = Math.min(MAX_TICKS, Math.max(MIN_TICKS, Math.floor((this.plot.frame_width ?? 0) / label) - 1));
    for (const axis of this.plot.below) {
      if (axis instanceof Axis && axis.ticker instanceof ContinuousTicker && axis.ticker.desired_num_ticks !== n) {
        axis.ticker.setv({ desired_num_ticks: n });
      }
    }
  }

  recolour(colours: ThemeColours): void {
    for (const axis of [...this.plot.left, ...this.plot.below]) {
      if (axis instanceof Axis) {
        axis.setv({
          axis_line_color: colours.line,
          major_tick_line_color: colours.line,
          major_label_text_color: colours.muted,
          axis_label_text_color: colours.muted,
          major_label_text_font: colours.font,
          axis_label_text_font: colours.font,
        });
      }
    }
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
      this.makeRoom(left);
      this.events.onLayout(this.frame);
    }
  };

  /** Long tick labels push the frame to the right. Room for them only grows: fewer ticks fit a smaller frame, and labels
   * that then are shorter would ask for the larger frame again. A zoom out begins anew. */
  private makeRoom(frameLeft: number): void {
    const pushed = frameLeft - (this.plot.min_border_left ?? 0);
    if (pushed > this.labelRoom) {
      this.labelRoom = LABEL_STEP * Math.ceil(pushed / LABEL_STEP);
      const [left, right] = this.view;
      this.roomySpan = ROOMY_FACTOR * (right - left);
      this.resize(this.width);
    }
  }

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

interface Ranged {
  readonly x_range: Range;
  readonly y_range: Range;
}

interface Range {
  readonly start: number;
  readonly end: number;
  setv(values: { start: number; end: number }): void;
}
