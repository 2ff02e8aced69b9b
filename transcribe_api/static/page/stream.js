// What happens to a job, as it happens, through lost connections.

import { Refused, ask, streamAddress } from "./api.js";

const LONGEST_PAUSE = 30_000;
/** Silence after which we connect anew: a network that went away unnoticed leaves a stream that is dead. */
const QUIET = 60_000;
const OVER = ["completed", "failed", "cancelled"];

export function isOver(state) {
  return OVER.includes(state.status);
}

/**
 * Follows a job until it is over; call what is returned to stop before.
 *
 * `on` has `state`, `segment`, `connected` (with true or false) and `refused` (with the error).
 * A browser comes again by itself when a connection breaks, and says what it has been told; it
 * does not when it is answered with an error, such as that of a token whose time is over. Then we do.
 */
export function follow(jobId, on) {
  let source = null;
  let timer = 0;
  let watch = 0;
  let pause = 1000;
  let stopped = false;

  function stop() {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(watch);
    removeEventListener("online", connect);
    removeEventListener("offline", cutOff);
    source?.close();
  }

  function alive() {
    clearTimeout(watch);
    if (!stopped) watch = setTimeout(connect, QUIET);
  }

  function told(state) {
    if (isOver(state)) stop();
    on.state(state);
  }

  async function connect() {
    clearTimeout(timer);
    source?.close();
    alive();
    try {
      const url = await streamAddress(jobId);
      if (!stopped) listen(url);
    } catch (error) {
      retry(error);
    }
  }

  function listen(url) {
    source = new EventSource(url);
    source.onopen = () => {
      pause = 1000;
      on.connected(true);
    };
    source.onmessage = (event) => {
      alive();
      told(JSON.parse(event.data));
    };
    source.addEventListener("segment", (event) => {
      alive();
      on.segment(JSON.parse(event.data));
    });
    source.onerror = () => {
      on.connected(false);
      if (source.readyState === EventSource.CLOSED) look();
    };
  }

  /** Asks in the plain way: it tells why there is no stream, or at least how things are. */
  async function look() {
    try {
      const state = await ask(`jobs/status/${jobId}`);
      if (!stopped) told(state);
      if (!stopped) retry();
    } catch (error) {
      retry(error);
    }
  }

  function retry(error) {
    if (stopped) return;
    if (error instanceof Refused && [401, 403, 404, 422].includes(error.status)) {
      stop();
      on.refused(error);
      return;
    }
    on.connected(false);
    clearTimeout(timer);
    timer = setTimeout(connect, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }

  function cutOff() {
    on.connected(false);
  }

  addEventListener("online", connect);
  addEventListener("offline", cutOff);
  connect();
  return stop;
}
