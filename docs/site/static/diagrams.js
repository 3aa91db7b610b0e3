// Draws the Mermaid blocks of a page, again after a change between light and dark. Pages without one load no Mermaid.
"use strict";

const blocks = [...document.querySelectorAll("pre.mermaid")].map((block) => ({ block, text: block.textContent }));
const here = document.currentScript.src;
const system = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.body.dataset.theme;
  return chosen === "dark" || (chosen !== "light" && system.matches);
}

let drawn = null;

async function draw() {
  if (drawn === isDark()) return;
  drawn = isDark();
  window.mermaid.initialize({ startOnLoad: false, theme: drawn ? "dark" : "default" });
  for (const [number, { block, text }] of blocks.entries()) {
    const { svg } = await window.mermaid.render(`diagram-${number}`, text);
    block.innerHTML = svg;
  }
}

if (blocks.length) {
  const script = document.createElement("script");
  script.src = new URL("vendor/mermaid.tiny.js", here);
  script.addEventListener("load", () => {
    draw();
    system.addEventListener("change", draw);
    new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] });
  });
  document.head.append(script);
}
