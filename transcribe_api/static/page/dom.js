// Elements: found by id, made, shown and hidden. Texts only ever come in as text.

import { clock, label, say } from "./words.js";

export const $ = (id) => document.getElementById(id);

/** A new element. What is `on…` listens, what is a property is set, the rest are attributes. */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button with a text of the dictionary. */
export function button(key, onclick, given = {}) {
  return say(h("button", { type: "button", onclick, ...given }), key);
}

/** A button with a time, from which it plays. */
export function timeButton(seconds, given) {
  const time = clock(seconds);
  return label(h("button", { type: "button", ...given }, time), "done.play_from", { time });
}

export function show(element, visible = true) {
  element.hidden = !visible;
}

/** After a click with the mouse, Space is the player's again; whoever presses keys stays where he is. */
export function letGo(event) {
  if (event.detail > 0) event.target.closest("button")?.blur();
}

/** Said once to whoever does not see the page. */
export function announce(text) {
  $("announced").textContent = text;
}

/** An error, in the words of the service; nothing takes it away. */
export function complain(text) {
  const alert = $("alert");
  alert.textContent = text ?? "";
  show(alert, Boolean(text));
}

/** Opens a dialog; whatever has `data-close` in it closes it, and so does Escape. */
export function open(dialog) {
  if (!dialog.open) dialog.showModal();
}

export function closeable(dialog) {
  for (const element of dialog.querySelectorAll("[data-close]"))
    element.addEventListener("click", () => dialog.close());
}

/** Asks before something is lost. */
export function sure(key, values) {
  const dialog = $("sure");
  say($("sure-question"), key, values);
  return new Promise((resolve) => {
    const end = () => {
      $("sure-yes").removeEventListener("click", yes);
      resolve(dialog.returnValue === "yes");
    };
    const yes = () => dialog.close("yes");
    dialog.returnValue = "";
    $("sure-yes").addEventListener("click", yes);
    dialog.addEventListener("close", end, { once: true });
    open(dialog);
  });
}
