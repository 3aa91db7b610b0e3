// Replaces the parts of the page that the server has rendered again. Unchanged parts stay, and so does the focus.
const shown = new Map();

export function swap(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const place = document.querySelector(`[data-part="${name}"]`);
    if (!place || shown.get(name) === html) continue;
    shown.set(name, html);
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}
