// Draws the orchestrator's diagram in a shadow tree. Replacing its content does not make the page flicker.

// Added to the diagram's own style: the current state pulses, unless the visitor prefers reduced motion.
const OVER = `
:host { display: block; }
svg { display: block; width: 100%; min-width: 760px; height: auto; }
@media (prefers-reduced-motion: no-preference) {
  .now:not(.completed, .compensated) .box { animation: beat 1.1s ease-in-out infinite; }
  .edge .line, .box { transition: opacity .3s; }
  @keyframes beat { 50% { stroke-opacity: .25; } }
}`;
// Margin around the shown states: the width of the line around the current state.
const EDGE = 5;

const host = document.getElementById("diagram");
let root;
let own;

export function draw(picture) {
  const svg = new DOMParser().parseFromString(picture.svg, "image/svg+xml").documentElement;
  if (svg.localName !== "svg") return;
  if (!root) {
    root = host.attachShadow({ mode: "open" });
    own = new CSSStyleSheet();
    const over = new CSSStyleSheet();
    over.replaceSync(OVER);
    root.adoptedStyleSheets = [own, over];
  }
  own.replaceSync(picture.style);
  root.replaceChildren(document.importNode(svg, true));
  frame(root.firstElementChild);
}

// Show the forward states, the compensations and the current state. The stuck states are only in the whole diagram.
function frame(svg) {
  const states = [...svg.querySelectorAll("[data-state], .start")].filter(
    (state) => state.matches(".now") || !state.matches(".stuck, .quarantine"),
  );
  const boxes = states.map((state) => state.getBBox());
  if (!boxes.length) return;
  const left = Math.min(...boxes.map((box) => box.x)) - EDGE;
  const top = Math.min(...boxes.map((box) => box.y)) - EDGE;
  const right = Math.max(...boxes.map((box) => box.x + box.width)) + EDGE;
  const bottom = Math.max(...boxes.map((box) => box.y + box.height)) + EDGE;
  svg.setAttribute("viewBox", `${left} ${top} ${right - left} ${bottom - top}`);
  svg.removeAttribute("width");
  svg.removeAttribute("height");
  const now = svg.querySelector(".now");
  if (now && host.scrollWidth > host.clientWidth) {
    const middle = now.getBoundingClientRect().left + now.getBoundingClientRect().width / 2;
    host.scrollLeft += middle - host.getBoundingClientRect().left - host.clientWidth / 2;
  }
}
