/**
 * The slice plot as Bokeh models: two equal axes and one `ConvexCells` renderer. No tools and no data: `slice_panel.ts` turns
 * gestures into range changes, because both ranges must change together and Python must hear of each change.
 */

import { AllLabels } from "@bokeh/bokehjs/build/js/lib/models/policies/labeling";
import type { Axis, AxisView } from "@bokeh/bokehjs/build/js/lib/models/axes/axis";
import { BasicTicker } from "@bokeh/bokehjs/build/js/lib/models/tickers/basic_ticker";
import { LinearAxis, LinearAxisView } from "@bokeh/bokehjs/build/js/lib/models/axes/linear_axis";
import { Plot } from "@bokeh/bokehjs/build/js/lib/models/plots/plot";
import { Range1d } from "@bokeh/bokehjs/build/js/lib/models/ranges/range1d";
import { TickFormatter } from "@bokeh/bokehjs/build/js/lib/models/formatters/tick_formatter";
import { axisName, axisScale, tickTexts, type AxisScale } from "./axis_labels.ts";
import type { ThemeColours } from "./theme.ts";

/** CSS pixels round the frame: room for the axes' labels, which take the same at any zoom. */
export const BORDER = { left: 68, right: 12, top: 8, bottom: 44 } as const;
const FIRST_SIDE = 400;

/** What an axis takes beside the frame, whatever its labels: the picture of every new slice has other ones. */
class SteadyAxisView extends LinearAxisView {
  declare private placed: AxisView["bbox"] | undefined;

  override initialize(): void {
    super.initialize();
    for (const visual of this.visuals) {
      // Bokeh asks CSS for each colour, font and width, some 600 times a paint; nothing here sets them so.
      Object.assign(visual, { _get_css_value: () => "" });
    }
  }

  /** Bokeh writes a style sheet at every paint; the page then computes its styles anew, in the middle of it. */
  override update_position(): void {
    const { bbox } = this;
    if (this.placed === undefined || !bbox.equals(this.placed)) {
      this.placed = bbox;
      super.update_position();
    }
  }

  override get_size(): { width: number; height: number } {
    return { width: 0, height: this.dimension === 0 ? BORDER.bottom : BORDER.left };
  }
}

class SteadyAxis extends LinearAxis {
  static override __name__ = "SteadyAxis";
  static {
    this.prototype.default_view = SteadyAxisView;
  }
}

/** An axis, the range that it shows, and its labels. */
export class LabelledAxis {
  readonly range = new Range1d({ start: -1, end: 1 });
  private readonly formatter = new ScaledFormatter({});
  private readonly ticker = new BasicTicker({ mantissas: [1, 2, 5] });
  readonly axis: Axis;

  constructor(private readonly name: string) {
    this.axis = new SteadyAxis({
      ticker: this.ticker,
      formatter: this.formatter,
      major_label_policy: new AllLabels(),
      axis_label: name,
      axis_label_standoff: 4,
      axis_label_text_font_style: "italic",
      major_tick_in: 0,
      major_tick_out: 4,
      minor_tick_line_color: null,
    });
  }

  get view(): readonly [number, number] {
    return [this.range.start as number, this.range.end as number];
  }

  show(low: number, high: number): void {
    this.range.setv({ start: low, end: high });
    this.formatter.scale = axisScale(low, high);
    const name = axisName(this.name, this.formatter.scale);
    if (name !== this.axis.axis_label) {
      this.axis.setv({ axis_label: name });
    }
  }

  limitTicks(n: number): void {
    this.ticker.setv({ desired_num_ticks: n });
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

/** A fresh plot; `cells` paints inside its frame. */
export function slicePlot(x: LabelledAxis, y: LabelledAxis, cells: Plot["renderers"][number]): Plot {
  return new Plot({
    name: "slice",
    x_range: x.range,
    y_range: y.range,
    below: [x.axis],
    left: [y.axis],
    renderers: [cells],
    frame_width: FIRST_SIDE,
    frame_height: FIRST_SIDE,
    min_border_left: BORDER.left,
    min_border_right: BORDER.right,
    min_border_top: BORDER.top,
    min_border_bottom: BORDER.bottom,
    title: null,
    toolbar_location: null,
    lod_threshold: null,
    background_fill_color: null,
    border_fill_color: null,
    // Bokeh 3.9 strokes it together with the last path of the paint before, the old ticks; the page draws it.
    outline_line_color: null,
  });
}
