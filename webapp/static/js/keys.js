// Keys of the page: which are in force for this person, when they rest, and what a press means whatever the keyboard's
// alphabet is.

import { post } from "./outbox.js";
import { make, t } from "./words.js";

export class Keys {
  constructor(form, token) {
    Object.assign(this, { form, token });
    const shipped = document.querySelector("script[data-of=keys]");
    this.settings = { on: true, map: {}, ...(shipped ? JSON.parse(shipped.textContent) : {}) };
    if (!form) return;
    this.#fill();
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.#change());
  }

  get on() { return this.settings.on; }

  // The shipped key for a press; null where this person gave that key to nothing.
  shipped(pressed) {
    const { map } = this.settings;
    return Object.keys(map).find((name) => map[name] === pressed) ?? (map[pressed] ? null : pressed);
  }

  // What is printed on the page follows.
  print() {
    for (const [name, key] of Object.entries(this.settings.map)) {
      for (const target of document.querySelectorAll(`[data-key~="${CSS.escape(name)}"] > kbd, [data-cap="${CSS.escape(name)}"]`)) target.textContent = key.toUpperCase();
    }
    document.body.classList.toggle("no-keys", !this.on);
  }

  #fill() {
    for (const input of this.form.querySelectorAll("input[maxlength]")) input.value = this.settings.map[input.name] ?? input.name;
    this.form.elements.on.checked = this.on;
  }

  async #change() {
    const chosen = [...this.form.querySelectorAll("input[maxlength]")].map((input) => [input.name, input.value.toLowerCase().trim()]);
    const error = this.form.querySelector("[data-key-error]"), taken = chosen.map(([, key]) => key);
    const clash = taken.find((key, place) => !key || taken.indexOf(key) !== place || /\p{N}/u.test(key));
    error.textContent = clash === undefined ? "" : clash ? t("The key {key} is used twice or belongs to the answers.", { key: clash.toUpperCase() }) : t("Every action needs a key.");
    if (clash !== undefined) return;
    const before = this.settings.map;
    this.settings = { on: this.form.elements.on.checked, map: Object.fromEntries(chosen.filter(([name, key]) => name !== key)) };
    for (const name of Object.keys(before)) if (!(name in this.settings.map)) for (const target of document.querySelectorAll(`[data-key~="${CSS.escape(name)}"] > kbd, [data-cap="${CSS.escape(name)}"]`)) target.textContent = name.toUpperCase();
    this.print();
    const fields = { ...Object.fromEntries(chosen), ...(this.on ? { on: "on" } : {}) };
    const reply = await post(this.form.action, fields, this.token()).catch(() => null);
    if (!reply?.ok) error.textContent = t("The keys hold for this page; they could not be stored.");
  }
}

// A letter or digit of any keyboard as the Latin one that is printed on the page: by meaning, else by place.
export function latin(event) {
  if (/^[\x20-\x7e]$/.test(event.key) || event.key.length > 1) return event.key.toLowerCase();
  const place = /^(?:Key|Digit)([A-Z0-9])$/.exec(event.code);
  return place ? place[1].toLowerCase() : event.key.toLowerCase();
}

export function typing(event) {
  const target = event.target;
  return event.isComposing || /^(TEXTAREA|SELECT)$/.test(target.tagName) || (target.tagName === "INPUT" && !/^(radio|checkbox|range)$/.test(target.type));
}

// What a press means to the form: true where the form took it.
export function formKey(event, form) {
  if (event.shiftKey && /^[a-zA-Z]$/.test(event.key) && form.letters.includes(event.key.toLowerCase())) return false;
  const digit = event.shiftKey && /^Digit([1-9])$/.exec(event.code);
  if (digit && form.current && form.pickRest(digit[1])) { event.preventDefault(); return true; }
  const controller = form.current && form.controller(form.current);
  if (controller?.key?.(event, form.current)) return true;
  return [...form.attached.values()].some((one) => one !== controller && one.keyAnywhere?.(event));
}

// From the choice to its one sentence; from anywhere else Tab goes its way.
export function toSentence(event, form) {
  if (event.shiftKey || !event.target.matches("body, [data-heading], [data-row], [data-row] input")) return false;
  const sentence = [...form.blockOf(form.current).querySelectorAll(".sentence input, .mark.open .mark-body > input")].find((input) => input.offsetParent);
  sentence?.focus();
  return Boolean(sentence);
}

// The sheet of keys: those of the form's questions, and of the page's own those that are not `useless` here.
export function openSheet(form, keys, useless) {
  const sheet = document.getElementById("keys");
  if (sheet.open) return sheet.close();
  sheet.querySelector("[data-sheet]").replaceChildren(...questionKeys(form));
  for (const line of sheet.querySelectorAll(".keys > div:has([data-cap])")) {
    const caps = [...line.querySelectorAll("[data-cap]")].map((cap) => cap.dataset.cap);
    if (!line.closest("[data-sheet]") && caps.some((cap) => "xujkpol".includes(cap) || useless.includes(cap))) line.hidden = caps.every((cap) => useless.includes(cap));
  }
  keys.print();
  sheet.showModal();
}

// The keys of the questions on the page in their own words; what is asked of each completion stands there once.
function questionKeys(form) {
  const by = new Map();
  for (const { title, cap, name, word } of form?.keys() ?? []) {
    const lines = by.get(title) ?? by.set(title, new Map()).get(title);
    lines.set(`${cap} ${word}`, make("div", {}, make("dt", {}, make("kbd", { "data-cap": name }, cap)), make("dd", {}, make("bdi", {}, word))));
  }
  return [...by].flatMap(([title, lines]) => [make("h3", {}, make("bdi", {}, title)), make("dl", { class: "keys" }, ...lines.values())]);
}
