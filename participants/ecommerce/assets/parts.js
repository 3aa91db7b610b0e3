// Replaces the parts of the page that the server has rendered again. Unchanged parts stay, and so does the focus.
const shown = new Map();

export function swap(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const place = document.querySelector(`[data-part="${name}"]`);
    if (!place || shown.get(name) === html) continue;
    shown.set(name, html);
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    const atEnd = place.scrollTop + place.clientHeight >= place.scrollHeight - 4;
    place.innerHTML = html;
    if (atEnd) place.scrollTop = place.scrollHeight; // the newest call stays in sight
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}
