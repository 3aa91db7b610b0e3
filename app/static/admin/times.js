// Times: in UTC as the server writes them, in the time zone of this browser, or as the time from now. Each browser keeps
// its choice, and nothing is sent.
(() => {
  const chooser = document.getElementById("times");
  if (!chooser) return; // nobody is signed in
  const KEY = "times";
  const LENGTHS = { day: 10, minute: 16, second: 19, millisecond: 23 };
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const ahead = Date.parse(chooser.dataset.now) - Date.now(); // of the server's clock, before this one

  const written = (ms, unit) => new Date(ms).toISOString().replace("T", " ").slice(0, LENGTHS[unit]);
  const local = (at, unit) => written(at - new Date(at).getTimezoneOffset() * 60000, unit);
  const fromNow = (at) => {
    const seconds = Math.trunc((Date.now() + ahead - at) / 1000);
    const size = Math.abs(seconds);
    const first = UNITS.findIndex(([, unit]) => size >= unit);
    if (first < 0) return "now";
    const [large, small] = UNITS.slice(first);
    const rest = small ? Math.floor((size % large[1]) / small[1]) : 0;
    const words = `${Math.floor(size / large[1])} ${large[0]}${rest ? ` ${rest} ${small[0]}` : ""}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  };
  // A time in a sentence, with its zone behind it, stays a date.
  const shown = (time, at) => {
    const { unit } = time.dataset;
    if (chooser.value === "utc") return written(at, unit);
    return chooser.value === "relative" && !time.nextElementSibling?.matches(".zone") ? fromNow(at) : local(at, unit);
  };
  const put = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const show = () => {
    document.documentElement.dataset.times = chooser.value;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = Date.parse(time.dateTime);
      put(time, shown(time, at));
      if (chooser.value === "utc") time.removeAttribute("title");
      else time.title = `${written(at, time.dataset.unit)} UTC`;
    }
    for (const zone of document.querySelectorAll(".zone")) {
      const ofColumn = zone.closest("th, dt, .times") && chooser.value === "relative";
      put(zone, chooser.value === "utc" ? "UTC" : ofColumn ? "" : "local");
    }
  };
  const choose = () => {
    chooser.value = localStorage.getItem(KEY) ?? "utc";
    if (chooser.selectedIndex < 0) chooser.value = "utc";
    show();
  };

  chooser.title = `Times. Local: ${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  chooser.parentElement.hidden = false;
  chooser.addEventListener("change", () => {
    localStorage.setItem(KEY, chooser.value);
    show();
  });
  addEventListener("storage", choose); // chosen in another tab
  addEventListener("pageshow", choose);
  document.addEventListener("htmx:afterSwap", show);
  document.addEventListener("times", show);
  setInterval(() => chooser.value === "relative" && document.visibilityState === "visible" && show(), 1000);
  choose();
})();
