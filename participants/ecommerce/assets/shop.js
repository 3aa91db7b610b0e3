// Enhancements of the pages; every page also works without scripts.
import { follow } from "./live.js";
import { swap } from "./parts.js";

const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const quantities = [...document.querySelectorAll("input[data-price]")];

function addUp() {
  let cents = 0;
  for (const input of quantities) {
    const count = input.validity.valid ? Number(input.value) : 0;
    cents += count * Number(input.dataset.price);
    input.closest(".product").classList.toggle("picked", count > 0);
  }
  document.getElementById("total").textContent = money.format(cents / 100);
}

if (quantities.length) {
  quantities.forEach((input) => input.addEventListener("input", addUp));
  for (const button of document.querySelectorAll("[data-step]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const input = document.getElementById(button.dataset.for);
      const count = (Number(input.value) || 0) + Number(button.dataset.step);
      input.value = Math.min(Math.max(count, 0), Number(input.max));
      addUp();
    });
  }
}

// Turning a switch replaces only the switches: the page and its typed values stay.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-swap]")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    swap((await answer.json()).parts);
  } catch {
    form.removeAttribute("data-swap"); // submit without script: the server's page shows the error
    form.requestSubmit(event.submitter);
  }
});

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  });
}

// Load a page from the back-forward cache again, because the key of its form may already be used.
addEventListener("pageshow", (event) => event.persisted && location.reload());

const live = document.querySelector("[data-live]");
if (live) follow(live);
