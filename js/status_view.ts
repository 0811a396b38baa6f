/** What the status line says, from what Python says, what is on show and what is still asked for. Pure. */

import type { State, Status } from "./model.ts";
import type { PictureMessage } from "./protocol.ts";
import type { StatusView } from "./status.ts";

const STATE_TEXT: Readonly<Record<State, string>> = {
  waiting: "Waiting for the first picture",
  compiling: "Getting the engine's loops ready",
  computing: "Computing",
  exact: "Exact",
  approximation: "Approximation",
  partial: "Exact in the middle of the view",
  unsound: "The picture is not sound; see its certificate",
  error: "Not drawn; see the message",
  refused: "This model cannot be computed; see the message",
  closed: "Closed: the picture stays, but nothing can be moved",
};

type Shown = Pick<PictureMessage, "n_cells" | "n_regions" | "sequence">;

/** Nothing is called done while a newer wish of this view is open, and nothing exact that its certificate calls unsound. */
export function statusView(status: Partial<Status>, isIdle: boolean, picture: Shown | null, certificate: string): StatusView {
  const given = status.state ?? "waiting";
  const isWorking = given === "computing" || given === "compiling";
  const state = given === "closed" || isWorking || isIdle ? given : "computing";
  const isDone = state === "exact" || state === "approximation" || state === "partial";
  const isUnsound = isDone && certificate === "unsound";
  return {
    state: isUnsound ? "unsound" : state,
    text: (state === given && !isUnsound ? status.text : "") || STATE_TEXT[isUnsound ? "unsound" : state],
    note: status.note ?? "",
    cells: picture?.n_cells ?? null,
    regions: (isDone ? status.regions : null) ?? picture?.n_regions ?? null,
    sequence: picture?.sequence ?? null,
  };
}
