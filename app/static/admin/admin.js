// The pages follow changes, report a lost connection, and switch their theme.
(() => {
  const FOLLOW_MS = 2000;
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const live = () => document.getElementById("live");
  const lost = document.getElementById("lost");
  let seenAt = new Date();

  // A part in use (data-keep) stays unchanged as long as its meaning is the same, and a time as `times.js` shows it.
  // The slider that a person moves is ahead of the page.
  const stays = (old, fresh) =>
    (old.dataset.keep && old.dataset.keep === fresh.dataset.keep) ||
    (old.matches("time") && old.dateTime === fresh.dateTime && old.dataset.unit === fresh.dataset.unit) ||
    (old.matches(".zone") && fresh.matches(".zone")) ||
    (old.type === "range" && old === document.activeElement);
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) =>
    !(old instanceof HTMLElement && fresh instanceof HTMLElement && stays(old, fresh));

  const follow = () => {
    if (document.visibilityState === "visible" && live()) htmx.trigger(live(), "follow");
  };
  setInterval(follow, FOLLOW_MS);
  document.addEventListener("visibilitychange", follow);

  const reached = (yes) => {
    if (yes) seenAt = new Date();
    lost.hidden = yes;
    if (yes) return;
    lost.querySelector("time").dateTime = seenAt.toISOString();
    document.dispatchEvent(new Event("times"));
  };
  document.addEventListener("htmx:sendError", () => reached(false));
  document.addEventListener("htmx:timeout", () => reached(false));
  document.addEventListener("htmx:afterRequest", (event) => {
    const { status } = event.detail.xhr;
    if (status) reached(status < 500);
  });
  // Signed out: load the page again, so that the server sends the person to /login and back.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { status, responseURL } = event.detail.xhr;
    if (status !== 401 && !new URL(responseURL, location.href).pathname.endsWith("/login")) return;
    event.detail.shouldSwap = false;
    location.assign(location.href);
  });
  // Scroll a large diagram to the present state of the saga.
  const place = async (img) => {
    const frame = img.closest(".diagram");
    if (frame.scrollWidth <= frame.clientWidth && frame.scrollHeight <= frame.clientHeight) return;
    const answer = await fetch(img.src);
    if (!answer.ok) return;
    const drawn = (await answer.text()).replace(/<style>[^]*?<\/style>/, ""); // the page's policy allows no inline style
    const svg = new DOMParser().parseFromString(drawn, "image/svg+xml").documentElement;
    const { width, height } = svg.viewBox.baseVal;
    const words = svg.querySelector("g.now text");
    if (!words) return;
    frame.scrollLeft = (Number(words.getAttribute("x")) / width) * frame.scrollWidth - frame.clientWidth / 2;
    frame.scrollTop = (Number(words.getAttribute("y")) / height) * frame.scrollHeight - frame.clientHeight / 2;
  };
  document.addEventListener("load", (event) => event.target.matches?.(".diagram img") && place(event.target), true);
  for (const img of document.querySelectorAll(".diagram img")) if (img.complete) place(img);
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

  // Ask for the live part only when it has changed: the answer is then 304, without a body.
  let shown = null;
  document.addEventListener("htmx:configRequest", (event) => {
    const { headers, triggeringEvent } = event.detail;
    if (triggeringEvent?.type !== "follow") return;
    event.detail.path = location.pathname + location.search; // what the page shows may have been changed by a script
    if (shown) headers["If-None-Match"] = shown;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (xhr.status === 304) return;
    shown = requestConfig?.triggeringEvent?.type === "follow" && xhr.status === 200 ? xhr.getResponseHeader("ETag") : null;
  });

  // Focus the result of an action, so that a screen reader reads it first.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.requestConfig?.verb === "post") document.querySelector("#notices .notice")?.focus();
  });

  // The page of an error that goes away by itself: open the requested page as soon as the service can answer again.
  const failed = document.querySelector("[data-retry-s]");
  if (failed) {
    const tryAgain = async () => {
      const answer = await fetch(location.href, { redirect: "manual" }).catch(() => null);
      if (answer && (answer.type === "opaqueredirect" || answer.status < 500)) location.reload();
    };
    setInterval(() => document.visibilityState === "visible" && tryAgain(), Number(failed.dataset.retryS) * 1000);
  }

  const themes = document.getElementById("theme");
  const dark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => themes.setAttribute("aria-pressed", String(dark()));
  themes.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  show();

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = document.getElementById(button.dataset.copy);
    text.select?.();
    await navigator.clipboard?.writeText(text.value ?? text.textContent);
    button.textContent = "Copied";
  });
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-all]");
    if (!all) return;
    for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  });
  // Escape leads from the empty search box back to where "/" or Ctrl-K has come from.
  let before = null;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches("input[type=search]") && !event.target.value) {
      event.target.blur();
      before?.focus();
    }
    const typing = event.target.closest("input, textarea, select");
    const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey;
    const k = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (!(slash || k) || event.altKey) return;
    const search = document.querySelector("input[type=search]");
    if (search) {
      event.preventDefault();
      if (event.target !== search) before = event.target;
      search.focus();
      search.select();
    }
  });
})();
