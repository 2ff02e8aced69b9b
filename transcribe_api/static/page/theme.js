// Light or dark: as the system has it, or as it was chosen here.

import { $ } from "./dom.js";

const KEPT = "transcribe.theme";

export function set() {
  const select = $("theme");
  select.value = localStorage.getItem(KEPT) ?? "";
  put(select.value);
  select.addEventListener("change", () => {
    localStorage.setItem(KEPT, select.value);
    put(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

function put(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  tell();
}

function tell() {
  document.dispatchEvent(new CustomEvent("themed"));
}
