// What a person types is not lost: a form gets its text back after a new sign-in, and when the saga of an open form
// moves on, the page says so and shows the text. The text stays in this tab, until it is sent or the person signs out.
(() => {
  const PREFIX = `draft:${location.pathname}:`;
  const SENT = "draft-sent";
  // Reasons, and the fields of a table without a secret: another field can hold one, which must not stay in the browser.
  const FIELDS = "form[method=post] :is(textarea[name=reason], input[name=reason], [data-draft])";
  const onLogin = () => location.pathname.endsWith("/login");

  // Not `form.action`: that is the form's field of this name, when it has one.
  const target = (form) => new URL(form.getAttribute("action") ?? "", location.href).pathname;
  const keyOf = (field) => {
    // The data of an earlier saga, which the form has been opened with, are no text for another one.
    const action = field.form.querySelector("input[name=action], input[name=again]")?.value ?? "";
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
      const opened = [...(field.options ?? [])].find((each) => each.defaultSelected)?.value ?? field.defaultValue ?? "";
      if (!text || field.value !== opened || (opened && field.name === "reason")) continue;
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
