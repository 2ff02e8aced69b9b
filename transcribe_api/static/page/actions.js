// What can be done to a job, wherever it is shown.

import { Refused, ask } from "./api.js";
import { announce, button, complain, sure } from "./dom.js";
import { label, t } from "./words.js";

/** The buttons for a job; `changed` is called with what was done when it is done. */
export function buttons(job, changed) {
  const is = (...states) => states.includes(job.status);
  const failed = is("failed", "cancelled") || (is("completed") && job.warnings?.some((one) => one.retryable));
  const found = [];
  if (is("queued", "processing")) found.push(action("cancel", job, changed));
  if (failed) found.push(action("retry", job, changed));
  found.push(action("delete", job, changed));
  return found;
}

function action(name, job, changed) {
  const given = { className: name === "delete" ? "quiet danger" : "quiet" };
  const made = button(`actions.${name}`, () => act(made, name, job, changed), given);
  return label(made, `actions.${name}_one`, { name: job.filename });
}

async function act(pressed, name, job, changed) {
  if (name === "delete" && !(await sure("sure.question", { name: job.filename }))) return;
  pressed.disabled = true;
  complain("");
  try {
    const id = job.job_id;
    if (name === "delete") await ask(`jobs/${id}`, { method: "DELETE" });
    else await ask(`jobs/${id}/${name}`, { method: "POST" });
    announce(t(`actions.${name}_done`, { name: job.filename }));
    changed(name, job);
  } catch (error) {
    complain(said(error));
    pressed.disabled = false;
  }
}

/** An error as a sentence: the service's own, or that there was none. */
export function said(error) {
  return error instanceof Refused ? error.message : t("page.unreached");
}
