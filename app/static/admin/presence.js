// The page of a saga says every 10 s that somebody looks at it, so that colleagues see it on theirs.
(() => {
  const form = document.getElementById("presence");
  if (!form) return;
  const say = () => {
    if (document.visibilityState !== "visible") return;
    const body = new URLSearchParams(new FormData(form));
    fetch(form.action, { method: "POST", body, redirect: "manual" }).catch(() => {}); // the page says when it is lost
  };
  setInterval(say, 10000);
  document.addEventListener("visibilitychange", say);
  say();
})();
