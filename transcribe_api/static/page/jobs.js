// The list of jobs, newest first, kept fresh while something in it goes on.

import { buttons, said } from "./actions.js";
import { ask } from "./api.js";
import { $, complain, h, show } from "./dom.js";
import { title } from "./form.js";
import { isOver } from "./stream.js";
import { clock, say, when } from "./words.js";

const PAGE = 25;
const EVERY = 5_000;
const STATES = ["queued", "processing", "completed", "failed", "cancelled"];

let jobs = [];
let cursor = null;
let timer = 0;
let asked = 0;
let whenChanged = () => {};

/** `changed` is called when a job of the list was cancelled, tried again or deleted. */
export function set(changed) {
  whenChanged = changed;
  $("filter-status").append(
    say(h("option", { value: "" }), "jobs.any_status"),
    ...STATES.map((value) => say(h("option", { value }), `status.${value}`)),
  );
  for (const id of ["filter-status", "filter-engine"]) $(id).addEventListener("change", () => load());
  $("more").addEventListener("click", () => more());
  document.addEventListener("visibilitychange", () => document.hidden || load());
}

export function offerEngines(engines) {
  const chosen = $("filter-engine").value;
  $("filter-engine").replaceChildren(
    say(h("option", { value: "" }), "jobs.any_engine"),
    ...Object.keys(engines).map((value) => h("option", { value }, title(value))),
  );
  $("filter-engine").value = chosen;
}

/** Asks for the first page anew; older pages that were asked for are kept. */
export async function load() {
  clearTimeout(timer);
  const turn = ++asked;
  try {
    const page = await ask(`jobs?${query()}`);
    if (turn !== asked) return; // somebody has asked for something else since
    const oldest = page.jobs.at(-1)?.created_at ?? "";
    const isShort = page.next_cursor === null;
    const older = isShort || filtersChanged() ? [] : jobs.filter((job) => job.created_at < oldest);
    jobs = [...page.jobs, ...older];
    if (!older.length) cursor = page.next_cursor;
    draw();
    plan(jobs.some((job) => !isOver(job)));
  } catch (error) {
    if (error.status && error.status !== 401) complain(said(error));
    plan(error.status === undefined);
  }
}

function plan(goesOn) {
  if (goesOn && !document.hidden) timer = setTimeout(load, EVERY);
}

let last = "";
function filtersChanged() {
  const now = query();
  const changed = now !== last;
  last = now;
  return changed;
}

function query(more = {}) {
  const wanted = { limit: PAGE, status: $("filter-status").value, engine: $("filter-engine").value, ...more };
  return new URLSearchParams(Object.entries(wanted).filter(([, value]) => value));
}

async function more() {
  const pressed = $("more");
  pressed.disabled = true;
  try {
    const page = await ask(`jobs?${query({ cursor })}`);
    const known = new Set(jobs.map((job) => job.job_id));
    jobs = [...jobs, ...page.jobs.filter((job) => !known.has(job.job_id))];
    cursor = page.next_cursor;
    draw();
  } catch (error) {
    complain(said(error));
  }
  pressed.disabled = false;
}

/** Lines are kept, so that what has the focus keeps it; only what has changed is made anew. */
function draw() {
  const there = new Map([...$("jobs").children].map((line) => [line.dataset.job, line]));
  const lines = jobs.map((job) => {
    const state = JSON.stringify(job);
    const old = there.get(job.job_id);
    return old?.dataset.state === state ? old : line(job, state);
  });
  const same = lines.length === there.size && lines.every((one, n) => one === $("jobs").children[n]);
  if (!same) replace(lines);
  show($("more"), cursor !== null);
  const filtered = $("filter-status").value || $("filter-engine").value;
  say($("jobs-empty"), filtered ? "jobs.none_such" : "jobs.none");
  show($("jobs-empty"), jobs.length === 0);
  mark();
}

function replace(lines) {
  const job = document.activeElement?.closest("#jobs > li")?.dataset.job;
  $("jobs").replaceChildren(...lines);
  if (job && document.activeElement === document.body)
    lines.find((line) => line.dataset.job === job)?.querySelector("a").focus();
}

function line(job, state) {
  const made = h("li", {},
    h("a", { href: `#/jobs/${job.job_id}`, className: "name" }, job.filename),
    h("span", { className: "facts" },
      badge(h("span"), job.status), h("span", {}, title(job.engine)),
      job.duration ? h("span", {}, clock(job.duration)) : null, when(job.created_at)),
    h("span", { className: "acts" }, ...buttons(job, whenChanged)));
  Object.assign(made.dataset, { job: job.job_id, state });
  return made;
}

/** A state as a coloured word. */
export function badge(element, status) {
  element.className = `badge is-${status}`;
  return say(element, `status.${status}`);
}

let shown = "";
/** Marks the job that is open. */
export function mark(jobId = shown) {
  shown = jobId;
  for (const made of $("jobs").children) {
    if (made.dataset.job === jobId) made.querySelector("a").setAttribute("aria-current", "true");
    else made.querySelector("a").removeAttribute("aria-current");
  }
}
