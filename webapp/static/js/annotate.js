// The loop of an annotator with script: keys, an answer kept until it is acknowledged, the next comparison in place.
// Everything here stands on forms that also work alone.

import { Outbox, Sender, post, sentence } from "./outbox.js";
import * as differences from "./differences.js";

const body = document.body;
const stage = document.getElementById("stage");
const live = document.querySelector("[data-live]");
const token = () => document.querySelector("[name=csrfmiddlewaretoken]").value;
const outbox = new Outbox(`winnow.outbox.${body.dataset.person}.${body.dataset.project}`);
const ADVANCE_MS = 280;
const UNDO_MS = 10_000;
const AHEAD = 2;

let held = []; // fragments fetched ahead, in the order in which they come
let fetching = null;
let lastSaved = null; // {annotation, assignment, word}
let advancing = 0;

const item = () => stage.querySelector("[data-item]");
const answer = () => stage.querySelector("[data-answer]");
const chosen = () => answer()?.querySelector("input[type=radio]:checked");

// --- what is measured: visible and touched within the last minute counts as active ---

const IDLE_AFTER_MS = 60_000;
let measure, lastInput = Date.now();
function startMeasuring() {
  measure = { active: 0, idle: 0, differences: false, source: false, free_scroll: false, seen_a: 0, seen_b: 0 };
}
setInterval(() => {
  if (!measure) return;
  const isActive = document.visibilityState === "visible" && Date.now() - lastInput < IDLE_AFTER_MS;
  measure[isActive ? "active" : "idle"] += 0.5;
  measureSeen();
}, 500);
for (const kind of ["pointermove", "keydown", "scroll", "pointerdown"]) addEventListener(kind, () => { lastInput = Date.now(); }, { passive: true });

function measureSeen() {
  for (const side of stage.querySelectorAll(".side")) {
    const box = side.getBoundingClientRect(), name = `seen_${side.dataset.side.toLowerCase()}`;
    const seen = Math.max(0, Math.min(1, (innerHeight - 130 - box.top) / Math.max(1, box.height)));
    if (name in measure) measure[name] = Math.max(measure[name], Math.round(seen * 100) / 100);
  }
}

function measured() {
  const { active, idle, ...exposure } = measure;
  return { active_seconds: active.toFixed(1), idle_seconds: idle.toFixed(1), exposure: JSON.stringify(exposure), interface_language: document.documentElement.lang };
}

// --- saying what happened ---

function say(text) { live.textContent = text; }

let stopToast = () => {};
// Shows `parts` in the dock and says `announce`; goes after so many milliseconds of not being hovered or focused.
function toast(parts, announce, milliseconds) {
  const slot = stage.querySelector("[data-toast-slot]");
  stopToast();
  say(announce);
  if (!slot) return;
  slot.replaceChildren(...parts);
  if (!milliseconds) return;
  let left = milliseconds, since = 0, timer = 0;
  const run = () => { since = Date.now(); timer = setTimeout(() => { slot.replaceChildren(); lastSaved = null; }, left); };
  const pause = () => { clearTimeout(timer); left = Math.max(1000, left - (Date.now() - since)); };
  const listening = new AbortController();
  for (const kind of ["mouseenter", "focusin"]) slot.addEventListener(kind, pause, { signal: listening.signal });
  for (const kind of ["mouseleave", "focusout"]) slot.addEventListener(kind, run, { signal: listening.signal });
  stopToast = () => { clearTimeout(timer); listening.abort(); };
  run();
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const stateLabel = document.querySelector("[data-saved-state]");
function state(text, kind) {
  stateLabel.hidden = false;
  stateLabel.textContent = text;
  stateLabel.className = `state small wide ${kind}`;
}

function answers(count) { return count === 1 ? "1 answer" : `${count} answers`; }

const sender = new Sender(outbox, token, {
  saved(entry, reply) {
    lastSaved = { annotation: reply.annotation_id, assignment: entry.assignment, word: entry.word };
    const count = document.querySelector("[data-count]");
    if (!reply.replay) count.textContent = Number(count.textContent) + 1;
    offerUndo(reply.late ? "Saved late" : "Saved");
  },
  refused(entry, why) {
    toast([element("span", { class: "warn" }, why)], why, 20_000);
  },
  waiting(count, why) {
    const words = {
      offline: `${answers(count)} kept on this device, sending when back`,
      "signed-out": `${answers(count)} kept on this device. Sign in again to send.`,
      server: `${answers(count)} kept on this device, trying again`,
    }[why];
    state(words, "warn ring");
    const parts = [element("span", { class: "warn" }, words)];
    if (why === "signed-out") parts.push(element("a", { class: "btn quiet", href: body.dataset.page }, "Sign in"));
    else {
      const again = element("button", { class: "btn quiet", type: "button" }, "Try now");
      again.onclick = () => sender.flush();
      parts.push(again);
    }
    toast(parts, words, 0);
  },
  idle() { state("All saved", "ok"); },
});

function offerUndo(word) {
  const undo = element("button", { class: "btn quiet", type: "button", "data-key": "z", "data-undo-button": "" }, "Undo ", element("kbd", {}, "Z"));
  undo.onclick = undoLast;
  toast([element("span", {}, `${word}: `, element("b", {}, lastSaved.word)), undo], `${word}: ${lastSaved.word}`, UNDO_MS);
}

// --- the loop ---

async function fetchItem(query) {
  const reply = await fetch(`${body.dataset.next}?${query}`, { headers: { Accept: "text/html", "HX-Request": "true" }, credentials: "same-origin", redirect: "manual" });
  if (reply.status === 204) return null;
  if (!reply.ok) throw new Error(`next answered ${reply.status}`);
  const parsed = new DOMParser().parseFromString(await reply.text(), "text/html");
  return document.adoptNode(parsed.querySelector("[data-item]"));
}

function known() {
  const ids = [item()?.dataset.assignment, ...held.map((x) => x.dataset.assignment), ...outbox.all().map((x) => x.assignment)];
  return [...new Set(ids.filter(Boolean))];
}

// Look one ahead; at most one request at a time.
function lookAhead() {
  fetching ??= (async () => {
    const have = known();
    if (held.length || have.length > AHEAD) return;
    const next = await fetchItem(`have=${have.join(",")}`);
    if (next && !known().includes(next.dataset.assignment)) held.push(next);
  })().catch(() => {}).finally(() => { fetching = null; });
  return fetching;
}

function place(next) {
  differences.supported && differences.hide();
  body.classList.remove("differs");
  pressed("differences", false);
  stage.replaceChildren(next);
  settle();
  scrollTo(0, 0);
  stage.querySelector("[data-heading]")?.focus({ preventScroll: true });
}

function settle() {
  startMeasuring();
  const ask = stage.querySelector(".ask");
  if (ask) new IntersectionObserver(([seen]) => ask.parentElement.classList.toggle("scrolled", !seen.isIntersecting), { rootMargin: "-49px 0px 0px" }).observe(ask);
  applyKeys();
  refresh();
  lookAhead();
}

async function goOn() {
  if (!held.length) await lookAhead();
  if (held.length) return place(held.shift());
  await sender.flush();
  if (outbox.all().length) {
    say("Nothing more to judge until the answers kept here are sent.");
    return;
  }
  location.assign(body.dataset.page + (lastSaved ? `?saved=${lastSaved.annotation}` : ""));
}

function submit(form) {
  const pick = chosen();
  if (!pick || advancing || form.dataset.sent) return;
  form.dataset.sent = "1";
  const fields = { ...Object.fromEntries(shownFields(form)), ...measured() };
  delete fields.csrfmiddlewaretoken;
  outbox.add({ url: form.action, assignment: item().dataset.assignment, word: pick.dataset.word, fields });
  state("Sending", "mute ring");
  const sent = sender.flush();
  advancing = setTimeout(async () => {
    await goOn();
    advancing = 0;
    await sent;
    if (lastSaved && !stage.querySelector("[data-toast-slot]")?.childElementCount) offerUndo("Saved");
  }, ADVANCE_MS);
}

// Reasons survive a change of mind while hidden, but only visible ones are sent.
function shownFields(form) {
  const data = new FormData(form), fields = new Map();
  const hasReasons = form.querySelector(".needs-why:checked");
  for (const [name, value] of data) {
    if (!hasReasons && /\.(reasons|sentence)$/.test(name)) continue;
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  return fields;
}

async function undoLast() {
  if (!lastSaved) return;
  const { annotation, word } = lastSaved;
  lastSaved = null;
  const reply = await post(body.dataset.undo.replace(/0$/, String(annotation)), {}, token()).catch(() => null);
  if (!reply?.ok) {
    const why = reply ? await sentence(reply) : "There is no connection; the answer stands.";
    return toast([element("span", { class: "warn" }, why)], why, 10_000);
  }
  const count = document.querySelector("[data-count]");
  count.textContent = Math.max(0, Number(count.textContent) - 1);
  const { assignment } = await reply.json();
  if (!assignment) return toast([element("span", {}, `Undone: ${word}. Somebody else has this comparison now.`)], "Undone.", 10_000);
  const again = await fetchItem(`assignment=${assignment}`);
  const now = item();
  if (now && now.dataset.assignment !== String(assignment)) {
    delete now.querySelector("[data-answer]").dataset.sent;
    held.unshift(now);
  }
  place(again);
  toast([element("span", {}, `Undone: ${word}`)], `Undone: ${word}. Answer again.`, 10_000);
}

async function sideDoor(form, submitter) {
  const fields = Object.fromEntries(new FormData(form, submitter));
  delete fields.csrfmiddlewaretoken;
  const reply = await post(form.action, fields, token()).catch(() => null);
  if (!reply?.ok) {
    const why = reply ? await sentence(reply) : "There is no connection; nothing was sent.";
    return toast([element("span", { class: "warn" }, why)], why, 10_000);
  }
  closeMenus();
  if (form.id === "flag-form") {
    form.reset();
    return toast([element("span", {}, "Flagged for the curator. You can still answer.")], "Flagged for the curator.", 10_000);
  }
  await goOn();
  toast([element("span", {}, "Skipped.")], "Skipped.", 5_000);
}

// --- choosing ---

function refresh() {
  const pick = chosen();
  for (const side of stage.querySelectorAll(".side")) {
    const mine = Boolean(pick) && pick.dataset.side === side.dataset.side;
    side.classList.toggle("picked", mine);
    side.querySelector("[data-verdict]").textContent = mine ? pick.dataset.word : "";
  }
  const why = answer()?.querySelector("[data-why]");
  if (why && pick) why.textContent = pick.dataset.side ? `Why is ${pick.dataset.side} better?` : "Why?";
  answer()?.querySelector("button.primary").setAttribute("aria-disabled", String(!pick));
}

stage.addEventListener("change", (event) => { if (event.target.type === "radio") refresh(); });
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-answer]")) { event.preventDefault(); submit(form); }
  else if (form.matches("#skip-form, #flag-form")) { event.preventDefault(); sideDoor(form, event.submitter); }
});

// --- tools of the page ---

const pressed = (name, on) => document.querySelector(`button[data-do="${name}"]`)?.setAttribute("aria-pressed", String(on));
let found = [], at = -1;

const tools = {
  differences() {
    if (!differences.supported || !item()) return;
    const on = body.classList.toggle("differs");
    pressed("differences", on);
    measure.differences ||= on;
    at = -1;
    found = on ? differences.show(stage) : (differences.hide(), []);
    if (on) say(found.length ? `${found.length} passages differ. N goes to the next.` : "Both are the same, or too long to compare.");
  },
  next() {
    if (!body.classList.contains("differs")) tools.differences();
    if (found.length) { at = (at + 1) % found.length; differences.goTo(found[at]); }
  },
  source() {
    const isSource = pressedNow("source");
    for (const drawn of stage.querySelectorAll("[data-drawn]")) {
      drawn.hidden = !isSource;
      drawn.nextElementSibling.hidden = isSource;
    }
    pressed("source", !isSource);
    measure.source ||= !isSource;
    if (body.classList.contains("differs")) { tools.differences(); tools.differences(); }
  },
  lock() {
    const isFree = body.classList.toggle("free");
    measure.free_scroll ||= isFree;
    say(isFree ? "Each side scrolls on its own." : "Both sides scroll together.");
  },
  guide() {
    const drawer = document.getElementById("guide");
    drawer.hidden = !drawer.hidden;
    const opener = document.querySelector("[aria-controls=guide]");
    opener.setAttribute("aria-expanded", String(!drawer.hidden));
    (drawer.hidden ? opener : drawer).focus({ preventScroll: true });
  },
  keys() { const sheet = document.getElementById("keys"); sheet.open ? sheet.close() : sheet.showModal(); },
};
const pressedNow = (name) => document.querySelector(`button[data-do="${name}"]`)?.getAttribute("aria-pressed") === "true";

document.addEventListener("click", (event) => {
  const tool = event.target.closest("[data-do]");
  if (tool) { event.preventDefault(); tools[tool.dataset.do](); }
  if (!event.target.closest("details.more")) closeMenus();
});
function closeMenus() { for (const menu of stage.querySelectorAll("details.more[open]")) menu.open = false; }
stage.addEventListener("toggle", (event) => {
  if (event.target.matches("details.more") && event.target.open) {
    for (const other of stage.querySelectorAll("details.more[open]")) if (other !== event.target) other.open = false;
    event.target.querySelector("button, input")?.focus();
  }
}, true);

// --- keys ---

const KEYS_NAME = "winnow.keys";
let settings = { on: true, map: {} };
try { settings = { ...settings, ...JSON.parse(localStorage.getItem(KEYS_NAME)) }; } catch { /* none stored */ }
const original = (key) => Object.keys(settings.map).find((name) => settings.map[name] === key) ?? (settings.map[key] ? null : key);

function applyKeys() {
  for (const [name, key] of Object.entries(settings.map)) {
    for (const target of document.querySelectorAll(`[data-key~="${CSS.escape(name)}"] > kbd, [data-cap="${CSS.escape(name)}"]`)) target.textContent = key.toUpperCase();
  }
  body.classList.toggle("no-keys", !settings.on);
}

function typing(event) {
  const target = event.target;
  return event.isComposing || /^(TEXTAREA|SELECT)$/.test(target.tagName) || (target.tagName === "INPUT" && !/^(radio|checkbox)$/.test(target.type));
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const open = stage.querySelector("details.more[open]"), drawer = document.getElementById("guide");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
    else if (!drawer.hidden) tools.guide();
    return;
  }
  if (event.repeat || typing(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Enter") {
    if (event.target.closest("button, a, summary") || !chosen()) return;
    event.preventDefault();
    answer().requestSubmit();
    return;
  }
  if (!settings.on) return;
  const key = original(event.key.toLowerCase());
  if (key === null) return;
  const menu = stage.querySelector("details.more[open]");
  if (menu) return menuKey(menu, key, event);
  if (key === "z") { if (lastSaved) { event.preventDefault(); undoLast(); } return; }
  if (key === "l" || key === "n") { event.preventDefault(); tools[key === "l" ? "lock" : "next"](); return; }
  const target = document.querySelector(`[data-key~="${CSS.escape(key)}"]`);
  if (!target) return;
  event.preventDefault();
  target.click();
  if (target.matches("[data-goes]") && answer()?.matches("[data-goes-on-key]")) answer().requestSubmit();
});

function menuKey(menu, key, event) {
  const pick = menu.querySelectorAll(".menu button")[Number(key) - 1];
  if (pick && menu.dataset.menu === "s") { event.preventDefault(); pick.click(); }
}

const keyForm = document.querySelector("[data-key-settings]");
for (const [name, key] of Object.entries(settings.map)) if (keyForm.elements[name]) keyForm.elements[name].value = key;
keyForm.elements.on.checked = settings.on;
keyForm.addEventListener("submit", (event) => event.preventDefault());
keyForm.addEventListener("change", () => {
  const chosenKeys = [...keyForm.querySelectorAll("input[maxlength]")].map((input) => [input.name, input.value.toLowerCase().trim()]);
  const taken = chosenKeys.map(([, key]) => key);
  const clash = taken.find((key, place) => !key || taken.indexOf(key) !== place || /[0-9]/.test(key));
  keyForm.querySelector("[data-key-error]").textContent = clash === undefined ? "" : clash ? `The key ${clash.toUpperCase()} is used twice or belongs to the scale.` : "Every action needs a key.";
  if (clash !== undefined) return;
  settings = { on: keyForm.elements.on.checked, map: Object.fromEntries(chosenKeys.filter(([name, key]) => name !== key)) };
  localStorage.setItem(KEYS_NAME, JSON.stringify(settings));
  applyKeys();
});

// --- leases stay while the page is in use ---

setInterval(async () => {
  if (Date.now() - lastInput > 5 * IDLE_AFTER_MS || !item()) return;
  const all = [item(), ...held];
  const leases = all.map((x) => `${x.dataset.assignment}:${x.dataset.token}`).join(",");
  const reply = await post(body.dataset.heartbeat, { leases }, token()).catch(() => null);
  if (!reply?.ok) return;
  const { held: alive } = await reply.json();
  held = held.filter((x) => alive.includes(Number(x.dataset.assignment)));
}, 60_000);

for (const button of document.querySelectorAll("[data-do][hidden]")) button.hidden = button.dataset.do === "differences" && !differences.supported;
if (document.querySelector("button[data-do=source]")) document.querySelector("button[data-do=source]").hidden = !stage.querySelector("[data-drawn]");
const undoForm = document.getElementById("undo-form");
if (!undoForm.action.endsWith("/0")) {
  lastSaved = { annotation: Number(undoForm.action.split("/").pop()), word: "your answer" };
  if (stage.querySelector("[data-toast-slot]")) offerUndo("Saved");
}
if (item()) settle();
sender.flush();
