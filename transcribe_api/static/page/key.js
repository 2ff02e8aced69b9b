// The dialog for a key, where the service asks for one.

import { ask, key } from "./api.js";
import { $, closeable, open, show } from "./dom.js";
import { said } from "./actions.js";

/** `changed` is called when another key is used from now on. */
export function set(changed) {
  const dialog = $("key");
  closeable(dialog);
  show($("key-open"), Boolean(key.get()));
  $("key-open").addEventListener("click", () => ready());
  document.addEventListener("keyneeded", ({ detail }) => ready(key.get() ? detail : ""));
  $("key-forget").addEventListener("click", () => {
    key.set("");
    location.reload();
  });
  $("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await isGood($("key-text").value.trim())) {
      dialog.close();
      changed();
    }
  });
}

function ready(wrong) {
  show($("key-open"));
  show($("key-forget"), Boolean(key.get()));
  $("key-wrong").textContent = wrong ?? "";
  show($("key-wrong"), Boolean(wrong));
  if ($("key").open) return;
  $("key-text").value = "";
  open($("key"));
}

/** A key is kept when the service takes it, and else the one from before. */
async function isGood(text) {
  const before = key.get();
  key.set(text);
  try {
    await ask("jobs/engines");
    return true;
  } catch (error) {
    key.set(before);
    $("key-wrong").textContent = said(error);
    show($("key-wrong"));
    return false;
  }
}
