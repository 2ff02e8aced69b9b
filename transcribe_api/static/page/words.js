// What the page says, in the language of whoever reads it.
//
// An element names its text (`data-t`), and with it what stands in the text's braces, so changing the
// language says everything again without anything being made anew.

export const LANGUAGES = ["en", "pt"];
const KEPT = "transcribe.language";

let language = "en";
/** Nothing until the words have come: then all that is already there is said. */
let known = null;

export function current() {
  return language;
}

/** The language that was chosen here before, or else the first of the browser's that we know. */
export function preferred() {
  const wanted = [localStorage.getItem(KEPT), ...navigator.languages];
  const short = wanted.map((one) => (one ?? "").slice(0, 2).toLowerCase());
  return short.find((one) => LANGUAGES.includes(one)) ?? "en";
}

export async function speak(wanted, { keep = false } = {}) {
  const answer = await fetch(new URL(`words/${wanted}.json`, import.meta.url));
  known = await answer.json();
  language = wanted;
  if (keep) localStorage.setItem(KEPT, wanted);
  document.documentElement.lang = wanted;
  translate(document);
}

/** The text of a key, with values in its braces; `n` chooses between one and several. */
export function t(key, values = {}) {
  if (!known) return "";
  const rule = "n" in values ? new Intl.PluralRules(language).select(values.n) : "";
  const text = known[`${key}.${rule}`] ?? known[key] ?? known[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** Has an element say a text, now and after the language was changed. */
export function say(element, key, values) {
  element.dataset.t = key;
  if (values) element.dataset.tWith = JSON.stringify(values);
  else delete element.dataset.tWith;
  return retold(element);
}

/** The same for the name that a screen reader tells. */
export function label(element, key, values) {
  element.dataset.tLabel = key;
  if (values) element.dataset.tWith = JSON.stringify(values);
  return retold(element);
}

/** The same for what a field shows as long as it is empty. */
export function placeholder(element, key, values) {
  element.dataset.tPlaceholder = key;
  if (values) element.dataset.tWith = JSON.stringify(values);
  return retold(element);
}

function translate(root) {
  const named = "[data-t], [data-t-label], [data-t-placeholder], time[data-moment]";
  for (const element of root.querySelectorAll(named)) retold(element);
}

function retold(element) {
  const { t: key, tLabel, tPlaceholder, tWith, moment } = element.dataset;
  const values = tWith ? JSON.parse(tWith) : {};
  if (key) element.textContent = t(key, values);
  if (tLabel) element.setAttribute("aria-label", t(tLabel, values));
  if (tPlaceholder) element.setAttribute("placeholder", t(tPlaceholder, values));
  if (moment) element.textContent = atTime(moment);
  return element;
}

/** An element that tells a time of the service (ISO 8601) as people here write it. */
export function when(moment) {
  const element = document.createElement("time");
  element.dateTime = element.dataset.moment = moment;
  return retold(element);
}

/** Short, as people of the reader's country write it; of this year, without the year. */
function atTime(moment) {
  const country = navigator.languages.find((one) => one.startsWith(`${language}-`)) ?? language;
  const time = new Date(moment);
  const year = time.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  const style = { day: "numeric", month: "short", year, hour: "numeric", minute: "2-digit" };
  return new Intl.DateTimeFormat(country, style).format(time);
}

/** Seconds as 1:02:03 or 2:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Bytes as people say them. */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = bytes ? Math.min(3, Math.floor(Math.log10(bytes) / 3)) : 0;
  const style = { style: "unit", unit: units[step], maximumFractionDigits: step > 1 ? 1 : 0 };
  return new Intl.NumberFormat(language, style).format(bytes / 1000 ** step);
}
