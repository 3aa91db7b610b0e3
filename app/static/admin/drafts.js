// What a person types is not lost: a form gets its text back after a new sign-in, and when the saga of an open form
// moves on, the page says so and shows the text. The text stays in this tab, until it is sent or the person signs out.
(() => {
  const PREFIX = `draft:${location.pathname}:`;
  const SENT = "draft-sent";
  // Only reasons: other fields can hold secrets, which must not stay in the browser.
  const FIELDS = "form[method=post] textarea[name=reason], form[method=post] input[name=reason]";
  const onLogin = () => location.pathname.endsWith("/login");

  // Not `form.action`: that is the form's field of this name, when it has one.
  const target = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname;
  const keyOf = (field) => {
    const action = field.form.querySelector("input[name=action]")?.value ?? "";
    return `${PREFIX}${target(field.form)}:${action}:${field.name}`;
  };
  const saved = () => Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
  const fields = () => [...document.querySelectorAll(FIELDS)];

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (onLogin() || !field.matches?.(FIELDS)) return;
    if (field.value) sessionStorage.setItem(keyOf(field), field.value);
    else sessionStorage.removeItem(keyOf(field));
  });

  const forgetSent = () => {
    for (const key of JSON.parse(sessionStorage.getItem(SENT) ?? "[]")) sessionStorage.removeItem(key);
    sessionStorage.removeItem(SENT);
  };
  // The answer shows whether a form was taken, or whether a sign-in is needed first.
  document.addEventListener("submit", (event) => {
    if (target(event.target).endsWith("/logout")) sessionStorage.clear(); // nobody else sees them
    else {
      const keys = fields().filter((field) => field.form === event.target).map(keyOf);
      sessionStorage.setItem(SENT, JSON.stringify(keys));
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, requestConfig } = event.detail;
    if (requestConfig?.verb !== "post") return;
    if (xhr.status < 400) forgetSent();
    else sessionStorage.removeItem(SENT);
  });

  const restore = () => {
    for (const field of fields()) {
      const text = sessionStorage.getItem(keyOf(field));
      if (!text || field.value) continue;
      field.value = text;
      for (let box = field.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    }
  };

  const sayVanished = () => {
    const there = new Set(fields().map(keyOf));
    for (const key of saved().filter((each) => !there.has(each))) {
      const notice = document.createElement("p");
      notice.className = "notice warning";
      notice.textContent =
        "The page has changed while you were writing: somebody else, or the engine, has moved on. Nothing was sent. " +
        `Your text: ${sessionStorage.getItem(key)}`;
      document.getElementById("notices").append(notice);
      sessionStorage.removeItem(key);
    }
  };
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.requestConfig?.verb === "get") sayVanished();
  });

  if (onLogin() || document.querySelector("[data-error]")) {
    sessionStorage.removeItem(SENT); // the form was not taken, so its text is still needed
    return;
  }
  forgetSent();
  restore();
})();
