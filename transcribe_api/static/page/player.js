// Plays the recording, and tells many times a second where it is.

import { $, show } from "./dom.js";
import { say } from "./words.js";

const media = $("media");
let on = { time: () => {}, gone: async () => null };
let tries = 0;
let frame = 0;

/** `time` is called with the second that is played, `gone` for a new link when one works no more. */
export function set(given) {
  on = given;
  media.addEventListener("play", tick);
  media.addEventListener("pause", () => cancelAnimationFrame(frame));
  for (const event of ["timeupdate", "seeked"]) media.addEventListener(event, tell);
  media.addEventListener("error", () => media.hasAttribute("src") && again());
  media.addEventListener("loadedmetadata", () => {
    media.classList.toggle("has-picture", media.videoWidth > 0);
  });
  media.addEventListener("canplay", () => (tries = 0));
  $("speed").addEventListener("change", faster);
}

export function load(url) {
  tries = 0;
  show(media, Boolean(url));
  if (url) source(url);
}

export function clear() {
  media.pause();
  media.removeAttribute("src");
  media.load();
}

export const isThere = () => media.hasAttribute("src") && !$("done").hidden;

export function seek(seconds, { play = false } = {}) {
  if (!isThere()) return;
  media.currentTime = Math.max(0, seconds);
  if (play) start();
  tell();
}

export const skip = (seconds) => seek(media.currentTime + seconds);

export function toggle() {
  if (!isThere()) return;
  if (media.paused) start();
  else media.pause();
}

/** One step slower or faster. */
export function speed(step) {
  const select = $("speed");
  const next = select.selectedIndex + step;
  if (next < 0 || next >= select.options.length) return;
  select.selectedIndex = next;
  faster();
}

function faster() {
  media.playbackRate = Number($("speed").value);
}

function start() {
  media.play().catch(() => {}); // that it cannot be played is told by its error
}

function tick() {
  tell();
  if (!media.paused) frame = requestAnimationFrame(tick);
}

function tell() {
  on.time(media.currentTime);
}

/** A link of our own service is followed where the page came from: a proxy may have changed its name. */
function source(url) {
  const link = new URL(url, document.baseURI);
  const [, ours] = link.pathname.split("/api/transcribe/jobs/audio/");
  media.src = ours ? new URL(`api/transcribe/jobs/audio/${ours}`, document.baseURI).href : link.href;
  show($("media-gone"), false);
  faster();
}

async function again() {
  const [at, wasPaused] = [media.currentTime, media.paused];
  const url = tries++ ? null : await on.gone().catch(() => null);
  if (!url) {
    say($("media-gone"), "player.unplayable");
    show($("media-gone"));
    return;
  }
  source(url);
  media.currentTime = at;
  if (!wasPaused) start();
}
