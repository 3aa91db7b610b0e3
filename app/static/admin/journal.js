// A link with data-shows, and the slider, change only the live part of the page: they show another entry of the same
// journal. Without this script, they load the page again. The arrow keys go from entry to entry.
(() => {
  const live = () => document.getElementById("live");
  const narrow = matchMedia("(max-width: 1079px)");

  const show = (url) => {
    history.replaceState(null, "", url);
    return htmx.ajax("GET", url, { source: live(), target: "#live", select: "#live", swap: "morph:outerHTML" });
  };

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-shows]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    await show(link.href.replace(/#.*/, ""));
    // On a narrow window the entry stands below the list.
    if (narrow.matches && event.detail) document.querySelector(link.dataset.shows)?.scrollIntoView({ block: "nearest" });
  });

  // The entry that the link names is focused without this script, too; its line in a long list is not.
  const chosen = document.querySelector(".entry[autofocus]");
  if (chosen) {
    document.querySelector(".timeline [aria-current]")?.scrollIntoView({ block: "nearest" });
    chosen.scrollIntoView();
  }

  const slid = (form) => show(`${location.pathname}?${new URLSearchParams(new FormData(form))}`);
  document.addEventListener("input", (event) => {
    if (event.target.type === "range" && event.target.form?.matches("[data-slides]")) slid(event.target.form);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-slides]")) return;
    event.preventDefault();
    slid(event.target);
  });

  const STEPS = { ArrowDown: 1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    const list = event.target.closest("[data-arrows]");
    if (!list || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...list.querySelectorAll("a, summary")].filter((each) => each.offsetParent);
    const ends = { Home: links[0], End: links.at(-1) };
    const next = ends[event.key] ?? links[links.indexOf(event.target) + (STEPS[event.key] ?? NaN)];
    if (!next) return;
    event.preventDefault();
    next.focus();
    if (next.matches("a")) next.click();
  });
})();
