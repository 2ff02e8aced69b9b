// Puts the page together: what is open is told by the address, so it outlives a reload.

import { said } from "./actions.js";
import { ask } from "./api.js";
import { $, closeable, complain, show } from "./dom.js";
import * as engines from "./engines.js";
import * as form from "./form.js";
import * as job from "./job.js";
import * as jobs from "./jobs.js";
import * as key from "./key.js";
import * as shortcuts from "./shortcuts.js";
import * as theme from "./theme.js";
import { current, preferred, speak } from "./words.js";

/** Workers come and go, and engines with them. */
const ENGINES_EVERY = 30_000;

theme.set();
shortcuts.set();
closeable($("sure"));
$("language").addEventListener("change", (event) => speak(event.target.value, { keep: true }));
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
key.set(begin);
job.set(changed);
jobs.set(changed);
form.set({
  accepted: () => jobs.load(),
  sent: (answers) => answers.length === 1 && (location.hash = `#/jobs/${answers[0].job_id}`),
});
addEventListener("hashchange", () => go());
setInterval(() => document.hidden || loadEngines().catch(() => {}), ENGINES_EVERY);
await speak(preferred());
$("language").value = current();
await begin();

/** Asks for everything; again when there is a key. */
async function begin() {
  complain("");
  try {
    await loadEngines();
  } catch (error) {
    // Without a key nothing else is asked for: its dialog is open.
    if (error.status !== 401) complain(said(error));
    if (error.status === 401) return;
  }
  await Promise.allSettled([jobs.load(), form.loadContexts()]);
  go({ focus: false });
}

async function loadEngines() {
  const told = await ask("jobs/engines");
  form.know(told);
  jobs.offerEngines(told.engines);
  engines.show(told);
}

/** Opens what the address names. */
function go({ focus = true } = {}) {
  const [, id] = location.hash.match(/^#\/jobs\/([\w-]+)$/) ?? [];
  complain("");
  document.body.dataset.view = id ? "job" : "new";
  show($("new"), !id);
  show($("job"), Boolean(id));
  jobs.mark(id ?? "");
  if (id) job.open(id, { focus });
  else {
    job.close();
    document.title = "Chordscribe";
    if (focus) $("main").focus({ preventScroll: true });
  }
  if (focus) scrollTo(0, 0);
}

function changed(what, told) {
  const isOpen = location.hash === `#/jobs/${told.job_id}`;
  if (what === "delete" && isOpen) location.hash = "#/";
  else if (what === "retry" && !isOpen) location.hash = `#/jobs/${told.job_id}`;
  jobs.load();
}
