// Polls an order until it has ended, and shows what has changed.
import { draw } from "./diagram.js";
import { swap } from "./parts.js";

const RUNNING_MS = 300;
const WAITING_MS = 1000;

export async function follow(place) {
  for (;;) {
    const pause = await look(place);
    if (!pause) return;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

async function look(place) {
  let seen;
  try {
    const answer = await fetch(`${place.dataset.live}?mark=${encodeURIComponent(place.dataset.mark)}`);
    if (!answer.ok) return WAITING_MS;
    seen = await answer.json();
  } catch {
    return WAITING_MS; // the shop's server does not answer
  }
  if (document.querySelector("[data-part=switches]").matches(":active")) delete seen.parts.switches; // a switch is being pressed
  swap(seen.parts);
  if (seen.diagram) draw(seen.diagram);
  if (seen.mark !== undefined) place.dataset.mark = seen.mark;
  if (seen.ended && seen.closed) return 0; // the shop has tidied up after the order, so the switches are right, too
  return seen.away || seen.stuck || seen.ended ? WAITING_MS : RUNNING_MS;
}
