// One job: how it goes, and what came out of it.

import { buttons, said } from "./actions.js";
import { Refused, ask } from "./api.js";
import { $, announce, show } from "./dom.js";
import * as done from "./done.js";
import { title } from "./form.js";
import { badge } from "./jobs.js";
import * as running from "./running.js";
import { follow, isOver } from "./stream.js";
import * as warnings from "./warnings.js";
import { say, t, when } from "./words.js";

/** Milliseconds after which a result that could not be fetched is asked for again. */
const AGAIN = 3000;

let stop = () => {};
let shown = null;
let whenChanged = () => {};

/** `changed` is called when the job that is open has come to another state, or was deleted. */
export function set(changed) {
  whenChanged = changed;
  running.set();
  done.set();
}

export function close() {
  stop();
  done.clear();
  shown = null;
}

/** Shows a job and follows it to its end, and then shows what came out. */
export function open(jobId, { focus = true } = {}) {
  close();
  const mine = (shown = { job_id: jobId });
  const isMine = () => shown === mine;
  $("job-title").textContent = "…";
  for (const id of ["job-error", "job-warnings", "running", "done"]) show($(id), false);
  $("job-badge").textContent = "";
  $("job-facts").replaceChildren();
  $("job-buttons").replaceChildren();
  running.clear();
  if (focus) $("job-title").focus();
  stop = follow(jobId, {
    state: (state) => isMine() && told(mine, state),
    segment: (heard) => isMine() && running.heard(heard),
    connected: (is) => isMine() && running.connected(is),
    refused: (error) => isMine() && fail(said(error)),
  });
}

function told(mine, state) {
  const before = mine.status;
  Object.assign(mine, state);
  if (before !== state.status) changed(before, state);
  running.show(state);
  show($("running"), !isOver(state) || running.hasHeard());
  if (state.status === "completed") result(mine);
}

function changed(before, state) {
  $("job-title").textContent = state.filename;
  document.title = `${state.filename} · Chordscribe`;
  badge($("job-badge"), state.status);
  $("job-facts").replaceChildren(`${title(state.engine)} · `, when(state.created_at));
  $("job-buttons").replaceChildren(...buttons(state, acted));
  warnings.show(state.warnings);
  if (state.error) fail(state.error.message);
  if (before !== undefined) {
    announce(`${state.filename}: ${t(`status.${state.status}`)}`);
    whenChanged("state", state);
  }
}

async function result(mine) {
  try {
    const found = await ask(`jobs/result/${mine.job_id}`);
    if (shown !== mine) return;
    warnings.show(found.warnings);
    // Without the recording nothing can be done again.
    const mendable = found.audio_url ? found.warnings : [];
    $("job-buttons").replaceChildren(...buttons({ ...mine, warnings: mendable }, acted));
    show($("running"), false);
    show($("done"));
    done.show(found);
  } catch (error) {
    if (shown === mine) later(mine, error);
  }
}

/** What is wrong for now is tried again; what the service refuses is told. */
function later(mine, error) {
  if (error instanceof Refused && ![429, 503].includes(error.status)) {
    fail(said(error));
    return;
  }
  show($("running"));
  running.connected(false);
  setTimeout(() => shown === mine && result(mine), AGAIN);
}

function acted(name, job) {
  if (name !== "delete") open(job.job_id, { focus: false });
  whenChanged(name, job);
}

function fail(sentence) {
  if ($("job-title").textContent === "…") say($("job-title"), "job.none");
  $("job-error").textContent = sentence;
  show($("job-error"));
  announce(sentence);
}
