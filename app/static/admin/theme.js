// Set the chosen theme before the first paint; without a choice, the system's theme.
(() => {
  const root = document.documentElement;
  root.dataset.scripts = ""; // what needs scripts is hidden without them
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
})();
