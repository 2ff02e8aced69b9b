// Requests to this service, with the key where there is one.

const BASE = new URL("api/transcribe/", document.baseURI);
const KEPT = "transcribe.key";

/** What the service says to a request that it does not do: a sentence for people in `message`. */
export class Refused extends Error {
  constructor(status, problem = {}) {
    super(problem.detail ?? problem.title ?? `${status}`);
    this.status = status;
    this.code = problem.code;
    this.text = problem.text;
    this.speaker_tag = problem.speaker_tag;
  }
}

/** The service could not be reached, or the connection broke. */
export class Unreached extends Error {}

export const key = {
  get: () => sessionStorage.getItem(KEPT) ?? "",
  set: (text) => (text ? sessionStorage.setItem(KEPT, text) : sessionStorage.removeItem(KEPT)),
};

export function address(path) {
  return new URL(path, BASE).href;
}

export function headers() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

/** The answer to a request, as JSON; null when it has none. Throws `Refused` or `Unreached`. */
export async function ask(path, { method = "GET", json } = {}) {
  const answer = await send(path, { method, json });
  return answer.status === 204 ? null : answer.json();
}

/** The answer as a file. */
export async function fetched(path) {
  return (await send(path, {})).blob();
}

async function send(path, { method, json }) {
  const asked = { method, headers: headers(), cache: "no-store" };
  if (json !== undefined) {
    asked.headers["Content-Type"] = "application/json";
    asked.body = JSON.stringify(json);
  }
  const answer = await fetch(address(path), asked).catch((error) => {
    throw new Unreached(error.message);
  });
  if (!answer.ok) throw refused(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

/** An error to throw; a page that has no key, or a wrong one, asks for one. */
export function refused(status, problem) {
  if (status === 401) document.dispatchEvent(new CustomEvent("keyneeded", { detail: problem.detail }));
  return new Refused(status, problem);
}

/** The address of a stream; it holds a token where a key is asked for, never the key. */
export async function streamAddress(jobId) {
  const url = new URL(`jobs/stream/${jobId}`, BASE);
  if (key.get()) {
    const { access_token } = await ask("auth/token", { method: "POST" });
    url.searchParams.set("access_token", access_token);
  }
  return url.href;
}
