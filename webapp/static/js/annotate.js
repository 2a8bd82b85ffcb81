// The loop of an annotator with script: keys, an answer kept until it is acknowledged, the next comparison in place.
// Everything here stands on forms that also work alone.

import * as differences from "./differences.js";
import { Drafts } from "./drafts.js";
import { AnswerForm, load } from "./form.js";
import { Keys, formKey, latin, openSheet, toSentence, typing } from "./keys.js";
import { recall, unplayedWords } from "./media.js";
import { Measure } from "./measure.js";
import { GIVEN_BACK, Outbox, PATIENCE_MS, Sender, post, sentence, token, waitingWords } from "./outbox.js";
import { make as element, t, tn } from "./words.js";

const body = document.body;
const stage = document.getElementById("stage");
const live = document.querySelector("[data-live]");
const kept = (what) => `winnow.${what}.${body.dataset.person}.${body.dataset.project}`;
const outbox = new Outbox(kept("outbox"));
const drafts = new Drafts(kept("draft"));
const measure = new Measure(stage, `winnow.stretch.${body.dataset.person}`, () => { document.querySelector("[data-break]").hidden = false; }, () => { if (item()) beat(); });
const keys = new Keys(document.querySelector("[data-key-settings]"), token);
const ADVANCE_MS = 280;
// After an arrival, and after a key that came too soon: what follows it belongs to it, but not for ever.
const REST_MS = 300, BURST_MS = 600, MOST_REST_MS = 1_500;
const ANSWERS = /^([0-9]|Enter)$/;
const UNDO_MS = 10_000;
const AGAIN_MS = 10_000;
const AHEAD = 5; // the server lends fewer when little is left
const DRAFT_MS = 300;

let held = []; // fragments fetched ahead, in the order in which they come
let fetching = null;
let lastSaved = null; // {annotation, assignment, word}
let wasSaved = false;
let advancing = 0;
let sending = Promise.resolve(); // the last answer, on its way
let isUndoWanted = false; // Z came while the page went on
let wasSkipped = false;
let form = null; // the AnswerForm of the comparison shown
let drafting = 0;

const item = () => stage.querySelector("[data-item]");

// --- saying what happened ---

function say(text) { live.textContent = text; }

// How many comparisons there are until the project's break.
function countDown(by) {
  const left = document.querySelector("[data-left]");
  if (!left) return;
  left.dataset.left = String(Math.max(0, Number(left.dataset.left) + by));
  left.textContent = tn("{n} until a break", "{n} until a break", Number(left.dataset.left));
}

const tell = (words) => toast([element("span", {}, words)], words, 5_000);

let stopToast = () => {};
// Shows `parts` in the dock and says `announce`; goes after so many milliseconds of not being hovered or focused. What
// `stays` goes along to the next comparison.
function toast(parts, announce, milliseconds, stays = false) {
  const slot = stage.querySelector("[data-toast-slot]");
  stopToast();
  say(announce);
  if (!slot) return;
  slot.replaceChildren(...parts);
  slot.toggleAttribute("data-stays", stays);
  if (!milliseconds) return;
  let left = milliseconds, since = 0, timer = 0;
  const bars = (does) => { for (const bar of slot.getAnimations({ subtree: true })) bar[does](); };
  const run = () => { since = Date.now(); bars("play"); timer = setTimeout(() => { slot.replaceChildren(); lastSaved = null; }, left); };
  const pause = () => { clearTimeout(timer); bars("pause"); left = Math.max(1000, left - (Date.now() - since)); };
  const listening = new AbortController();
  for (const kind of ["mouseenter", "focusin"]) slot.addEventListener(kind, pause, { signal: listening.signal });
  for (const kind of ["mouseleave", "focusout"]) slot.addEventListener(kind, run, { signal: listening.signal });
  stopToast = () => { clearTimeout(timer); listening.abort(); };
  run();
}

const stateLabel = document.querySelector("[data-saved-state]");
function state(text, kind) {
  stateLabel.hidden = false;
  stateLabel.textContent = text;
  stateLabel.className = `state small wide ${kind}`;
}

const sender = new Sender(outbox, token, {
  saved(entry, reply) {
    lastSaved = { annotation: reply.annotation_id, assignment: entry.assignment, word: entry.word, opinion: opinionWords(reply.opinion), fields: entry.fields };
    wasSaved = true;
    wasSkipped = false;
    drafts.drop(entry.assignment);
    // After a reload it may stand here still; then it is done, and the page goes on.
    if (entry.assignment === item()?.dataset.assignment && form?.element) form.element.dataset.sent = "1";
    const count = document.querySelector("[data-count]");
    if (!reply.replay) { count.textContent = Number(count.textContent) + 1; countDown(-1); }
    offerUndo(reply.late);
  },
  refused(entry, why, status) {
    // What does not fit is not lost: it is back when this comparison comes again, and that is soon, since nobody else has it.
    const isBack = GIVEN_BACK.has(status), words = isBack ? t("Not saved: {answer}. {why}", { answer: entry.word, why }) : why;
    if (isBack) {
      drafts.set(entry.assignment, entry.fields.form, entry.fields);
      settled.note(entry.assignment, false);
    }
    toast([element("span", { class: "warn" }, words)], words, 20_000, true);
  },
  waiting: showWaiting,
  idle() {
    state(t("All saved"), "ok");
    if (!advancing && form?.element?.dataset.sent) goOn();
  },
});

const signIn = () => element("a", { class: "btn quiet", href: body.dataset.page }, t("Sign in"));

let waitsFor = ["offline"];
function showWaiting(count, why, reference) {
  waitsFor = [why, reference];
  const words = [waitingWords(count, why, reference), outbox.memory.size && t("Keep this page open: the browser has no room to store it.")].filter(Boolean).join(". ");
  state(words, "warn ring");
  const isLast = "waits" in (item()?.dataset ?? {}), all = isLast ? `${words}. ${t("Nothing more to judge until the answers kept here are sent.")}` : words;
  // What was saved meanwhile can be undone; of the one that is tried again the label speaks.
  if (!isLast && lastSaved && stage.querySelector("[data-undo-button]")) return;
  const parts = [element("span", { class: "warn" }, all)];
  if (why === "signed-out") parts.push(signIn());
  else {
    const again = element("button", { class: "btn quiet", type: "button" }, t("Try now"));
    again.onclick = () => sender.flush(true);
    parts.push(again);
  }
  toast(parts, all, 0, true);
}

function offerUndo(isLate = false) {
  const undo = element("button", { class: "btn quiet", type: "button", "data-key": "z", "data-undo-button": "" }, t("Undo"), " ", element("kbd", {}, "Z"), element("i", { class: "lasts" }));
  undo.onclick = undoLast;
  const said = isLate ? t("Saved late: {answer}", { answer: "\0" }) : t("Saved: {answer}", { answer: "\0" });
  const [before, after] = said.split("\0");
  const parts = [element("span", {}, before, element("b", {}, lastSaved.word), after)];
  const { opinion } = lastSaved;
  if (opinion) parts.push(element("span", { class: "mute", "data-opinion": "" }, opinion));
  toast([...parts, undo], `${before}${lastSaved.word}${after} ${opinion}`, UNDO_MS, true);
  undo.querySelector(".lasts").animate({ transform: ["scaleX(1)", "scaleX(0)"] }, { duration: UNDO_MS, fill: "forwards" });
}

// What a model judge thought, where the project shows it after the own answer.
function opinionWords(opinion) {
  if (!opinion) return "";
  if (!opinion.side) return t("A model judge saw both as equally good.");
  const percent = opinion.probability === null ? "" : ` (${Math.round(100 * opinion.probability)}%)`;
  return t("A model judge preferred {side}.", { side: opinion.side }) + percent;
}

// --- the loop ---

async function fetchItem(query) {
  const reply = await fetch(`${body.dataset.next}?person=${body.dataset.person}&${query}`, { headers: { Accept: "text/html", "HX-Request": "true" }, credentials: "same-origin", redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (reply.status === 204) return null;
  if (!reply.ok) throw Object.assign(new Error(`next answered ${reply.status}`), { status: reply.status });
  const parsed = new DOMParser().parseFromString(await reply.text(), "text/html");
  return document.adoptNode(parsed.querySelector("[data-item]"));
}

// One that this person holds; null where they do not any more, or nobody says.
const fetchAgain = (assignment) => fetchItem(`assignment=${assignment}`).catch(() => null);

function known() {
  const ids = [item()?.dataset.assignment, ...held.map((x) => x.dataset.assignment), ...outbox.all().map((x) => x.assignment)];
  return [...new Set(ids.filter(Boolean))];
}

// Look some ahead, so that a lost network does not stop anybody at once; one request at a time.
let trouble = "", waiting = []; // trouble: why none came; nothing where the server has none
const arrived = () => { for (const go of waiting.splice(0)) go(); };
function lookAhead() {
  fetching ??= (async () => {
    while (held.length < AHEAD) {
      const have = known();
      if (have.length > AHEAD) return;
      const next = await fetchItem(`have=${have.join(",")}`);
      trouble = "";
      if (!next || known().includes(next.dataset.assignment)) return;
      held.push(next);
      arrived();
    }
  })().catch((error) => { trouble = troubleOf(error); })
    .finally(() => { fetching = null; arrived(); });
  return fetching;
}

function troubleOf(error) {
  if (error.status === 401) return "signed-out";
  return error instanceof TypeError || error.name === "TimeoutError" || error.status >= 500 ? "offline" : "";
}

// Until one is held or none comes, not until all are that may be.
function lookOnce() {
  lookAhead();
  return new Promise((go) => waiting.push(go));
}

async function place(next) {
  try {
    await show(next);
  } catch (error) {
    console.warn(error);
    const words = t("The next comparison could not be shown.");
    toast([element("span", { class: "warn" }, words), element("a", { class: "btn quiet", href: body.dataset.page }, t("Load this page anew"))], words, 0);
  }
}

async function show(next) {
  await load(next);
  differences.supported && differences.hide();
  body.classList.remove("differs", "marking");
  pressed("differences", false);
  pressed("source", false);
  form?.leave();
  const said = stage.querySelector("[data-toast-slot][data-stays]");
  stage.replaceChildren(next);
  if (said?.childElementCount) stage.querySelector("[data-toast-slot]")?.replaceWith(said);
  settle();
  scrollTo(0, 0);
  stage.querySelector("[data-heading]")?.focus({ preventScroll: true });
  if (form.current && form.current !== form.rows()[0]) form.mark(form.current, { focus: false }); // what a draft goes on with
}

function settle() {
  const { fields, measured } = drafts.get(item().dataset.assignment, formId());
  measure.restart(measured);
  recall(item());
  const ask = stage.querySelector(".ask");
  if (ask) new IntersectionObserver(([seen]) => ask.parentElement.classList.toggle("scrolled", !seen.isIntersecting), { rootMargin: "-49px 0px 0px" }).observe(ask);
  form = new AnswerForm(item(), { changed: keepDraft, say, holds });
  sayHeld();
  for (const part of document.querySelectorAll("button[data-do=differences], #keys .keys > div:has(> dt > :is([data-cap=d], [data-cap=n]))")) part.hidden = !differences.fits(stage);
  if (Object.keys(fields).length) { form.fill(fields); say(t("What you had begun here is back.")); }
  for (const cap of document.querySelectorAll("header [data-key]:not(label) > kbd, #guide [data-key] > kbd, .dock [data-key]:not(label) > kbd, #keys > dl [data-cap]")) {
    const key = cap.dataset.cap ?? cap.parentElement.dataset.key;
    if (/^[a-z]$/.test(key)) cap.textContent = (form.letters.includes(key) ? "⇧" : "") + key.toUpperCase();
  }
  keys.print();
  lookAhead();
}

const formId = () => stage.querySelector("[data-answer] [name=form]").value;

const begun = () => ({ ...form.fields(), ...measure.fields() });

function keepDraft() {
  clearTimeout(drafting);
  stage.querySelector("[data-toast-slot] [data-complaint]")?.remove();
  const assignment = item().dataset.assignment, sent = form;
  drafting = setTimeout(() => { if (form === sent && !form.element.dataset.sent) drafts.set(assignment, formId(), begun()); }, DRAFT_MS);
}
addEventListener("beforeunload", (event) => { if (outbox.memory.size) event.preventDefault(); });
addEventListener("pagehide", () => { if (form?.element && !form.element.dataset.sent && item()) drafts.set(item().dataset.assignment, formId(), begun()); });

// A key pressed before anybody can have seen the next comparison was meant for the last one.
let resting = 0, restsUntil = 0, cameTooSoon = 0;
function rest() {
  restsUntil = Date.now() + MOST_REST_MS;
  restFor(Math.max(REST_MS, cameTooSoon + BURST_MS - Date.now()));
}
function restFor(time) {
  clearTimeout(resting);
  stage.dataset.rests = "";
  resting = setTimeout(() => { delete stage.dataset.rests; }, time);
}

let going = null;
function goOn() {
  going ??= toNext().finally(() => { going = null; });
  return going;
}

async function toNext() {
  if (!held.length) await lookOnce();
  if (held.length) {
    await place(held.shift());
    return rest();
  }
  await sender.flush();
  if (!outbox.all().length && !trouble) return location.assign(body.dataset.page + (lastSaved ? `?saved=${lastSaved.annotation}` : ""));
  // This one is sent; it stands here until the connection is back, and takes no other answer meanwhile.
  item().dataset.waits = "";
  for (const part of item().querySelectorAll("[data-row]:not(.docked), [data-block], .docked :is(.scale, .reasons, .outcome), button.primary")) part.inert = true;
  if (outbox.all().length) return showWaiting(outbox.all().length, ...waitsFor);
  const isElse = trouble === "signed-out";
  const words = isElse ? t("Somebody else is signed in here now. Sign in again as yourself to go on.") : t("There is no connection; the next comparison comes when it is back.");
  toast([element("span", { class: "warn" }, words), ...(isElse ? [signIn()] : [])], words, 0);
  setTimeout(() => { if (form?.element?.dataset.sent) goOn(); }, AGAIN_MS);
}

// --- coming back to a page that the browser kept ---

// What was answered or skipped in this tab: a page out of the browser's memory may still show it as if new.
const settled = {
  all() { try { return JSON.parse(sessionStorage.getItem(kept("settled"))) ?? []; } catch { return []; } },
  has(assignment) { return this.all().includes(assignment); },
  note(assignment, isSettled = true) {
    const others = this.all().filter((one) => one !== assignment);
    try { sessionStorage.setItem(kept("settled"), JSON.stringify([...(isSettled ? [assignment] : []), ...others].slice(0, 100))); } catch { /* then the server alone knows */ }
  },
};

// On with what is this person's now, where the comparison shown was settled meanwhile.
async function catchUp() {
  if (!form?.element || form.element.dataset.sent) return;
  const shown = form, now = item().dataset.assignment, isSettled = settled.has(now);
  if (isSettled) shown.element.dataset.sent = "1"; // takes no answer until the server was asked
  const alive = await beat();
  // What was answered meanwhile goes its own way.
  if (shown !== form || advancing || (!isSettled && shown.element.dataset.sent)) return;
  const isKept = outbox.all().some((entry) => entry.assignment === now);
  const isMine = !isKept && (alive?.includes(Number(now)) ?? !isSettled);
  if (isSettled) delete shown.element.dataset.sent;
  // What was begun here is kept: late, it still counts if an answer is wanted.
  if (isMine || (!isSettled && form.rows().some((row) => form.answered(row)))) return;
  form.element.dataset.sent = "1";
  await goOn();
}
addEventListener("pageshow", (event) => { if (event.persisted) { sender.flush(); catchUp(); } });

const holds = (one) => (one.isUnable ? "" : unplayedWords(item()));

function submit() {
  if (!form || advancing || form.element.dataset.sent) return;
  const complaint = form.complaint();
  if (complaint) {
    form.mark(form.missing() ?? form.current);
    return toast([element("span", { class: "warn", "data-complaint": "" }, complaint)], complaint, 5_000);
  }
  const unplayed = holds(form);
  if (unplayed) return toast([element("span", { class: "warn" }, unplayed)], unplayed, 5_000);
  form.element.dataset.sent = "1";
  clearTimeout(drafting);
  const fields = { ...begun(), person: body.dataset.person };
  settled.note(item().dataset.assignment);
  outbox.add({ url: form.element.action, assignment: item().dataset.assignment, word: savedWord(), fields });
  drafts.drop(item().dataset.assignment);
  state(t("Sending"), "mute ring");
  lastSaved = null; // Undo means this one, also while it is on its way.
  sending = sender.flush();
  advancing = setTimeout(async () => {
    await goOn().finally(() => { if (!isUndoWanted) advancing = 0; });
    await sending;
    if (isUndoWanted) return undoLast();
    if (lastSaved && !stage.querySelector("[data-toast-slot]")?.childElementCount) offerUndo();
  }, ADVANCE_MS);
}

// What was answered, for "Saved: …"; where no answer has a word of its own, what was done.
function savedWord() {
  const rows = form.rows().filter((row) => form.answered(row)), looks = new Set(rows.map((row) => row.dataset.look));
  if (rows.some((row) => form.outcome(row)) || ![...looks].every((look) => ["slider", "spans", "segments"].includes(look))) return form.word;
  const marks = stage.querySelectorAll(".mark").length, marked = marks ? tn("{n} marked", "{n} marked", marks) : t("nothing marked");
  return [looks.has("slider") && t("rated"), (looks.has("spans") || looks.has("segments")) && marked].filter(Boolean).join(", ");
}

async function undoLast() {
  isUndoWanted = false;
  // Keys that come before the comparison is back would answer the one that goes.
  advancing = -1;
  await sending;
  await undo().finally(() => { advancing = 0; });
}

async function undo() {
  if (!lastSaved) {
    // What waits to be sent is still said, with the way to send it.
    if (outbox.all().length) return;
    const words = wasSkipped ? t("A skip is not taken back; others judge this comparison.") : wasSaved ? t("Too late to undo. H shows your answers, where each can be changed.") : t("Nothing to undo.");
    toast([element("span", {}, words)], words, 5_000);
    return rest(); // The keys that follow were meant for the answer that does not come back.
  }
  const { annotation, word, opinion, fields } = lastSaved;
  lastSaved = null;
  wasSaved = false;
  const reply = await post(body.dataset.undo.replace(/0$/, String(annotation)), {}, token()).catch(() => null);
  if (!reply?.ok) {
    const why = reply ? await sentence(reply) : t("There is no connection; the answer stands.");
    return toast([element("span", { class: "warn" }, why)], why, 10_000);
  }
  const count = document.querySelector("[data-count]");
  count.textContent = Math.max(0, Number(count.textContent) - 1);
  countDown(1);
  const { assignment } = await reply.json();
  if (!assignment) {
    const gone = t("Undone: {answer}. Somebody else has this comparison now.", { answer: word });
    return toast([element("span", {}, gone)], gone, 10_000);
  }
  settled.note(String(assignment), false);
  if (fields) drafts.set(String(assignment), fields.form, fields);
  const again = await fetchAgain(assignment);
  // It comes by itself once the server can be reached.
  if (!again) return toast([element("span", {}, t("Undone: {answer}", { answer: word }))], t("Undone: {answer}", { answer: word }), 10_000);
  const now = item()?.dataset.assignment;
  if (now && now !== String(assignment)) {
    drafts.set(now, formId(), begun());
    const aside = await fetchAgain(now);
    if (aside) held.unshift(aside); // else its lease is over, and somebody else has it
  }
  await place(again);
  rest();
  if (opinion) measure.use("opinion_seen");
  toast([element("span", {}, t("Undone: {answer}", { answer: word }))], t("Undone: {answer}. Answer again.", { answer: word }), 10_000);
}

const opinionShown = () => document.querySelector("[data-opinion]")?.textContent ?? "";

// Where undoing loads the page anew, the new one is told that the judge's opinion was read.
const opinionRead = {
  note() { try { sessionStorage.setItem(kept("opinion"), "1"); } catch { /* then nobody knows */ } },
  take() {
    try {
      const isRead = sessionStorage.getItem(kept("opinion")) !== null;
      sessionStorage.removeItem(kept("opinion"));
      return isRead;
    } catch { return false; }
  },
};

async function sideDoor(door, submitter) {
  // The menu of the other width has a field of the same name, which is empty.
  const fields = Object.fromEntries([...new FormData(door, submitter)].filter(([, value]) => value !== ""));
  delete fields.csrfmiddlewaretoken;
  const reply = await post(door.action, fields, token()).catch(() => null);
  if (!reply?.ok) {
    const why = reply ? await sentence(reply) : t("There is no connection; nothing was sent.");
    return toast([element("span", { class: "warn" }, why)], why, 10_000);
  }
  closeMenus();
  if (door.id === "flag-form") {
    door.reset();
    for (const slot of item().querySelectorAll("[data-flag-reason]")) slot.textContent = fields.reason.trim();
    for (const sign of item().querySelectorAll("[data-flagged]")) sign.hidden = false;
    const flagged = t("Flagged for the curator. You can still answer.");
    return toast([element("span", {}, flagged)], flagged, 10_000);
  }
  drafts.drop(item().dataset.assignment);
  settled.note(item().dataset.assignment);
  lastSaved = null; // Undo means what was done last, and a skip is not undone.
  wasSkipped = true;
  form.element.dataset.sent = "1"; // It takes no answer any more, also where the next one does not come at once.
  await goOn();
  if (!("waits" in item().dataset)) toast([element("span", {}, t("Skipped."))], t("Skipped."), 5_000);
}

document.addEventListener("submit", (event) => {
  const door = event.target;
  if (door.matches("[data-answer]")) { event.preventDefault(); submit(); }
  else if (door.matches("#undo-form") && opinionShown()) opinionRead.note();
  else if (door.matches("#skip-form, #flag-form")) { event.preventDefault(); sideDoor(door, event.submitter); }
});

// --- tools of the page ---

const pressed = (name, on) => document.querySelector(`button[data-do="${name}"]`)?.setAttribute("aria-pressed", String(on));
let found = [], at = -1;

const tools = {
  differences() {
    [found, at] = [[], -1];
    if (!differences.fits(stage)) return;
    const isOn = body.classList.contains("differs"), shown = isOn ? null : differences.show(stage);
    body.classList.toggle("differs", Boolean(shown));
    pressed("differences", Boolean(shown));
    if (isOn) return differences.hide();
    if (!shown) return tell(t("Too long, or too different throughout, to show the differences."));
    measure.use("differences");
    found = shown;
    if (found.length) say(tn("{n} passage differs. N goes to the next.", "{n} passages differ. N goes to the next.", found.length));
    else tell(t("Both have the same words."));
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
    if (!isSource) measure.use("source");
    if (body.classList.contains("differs")) { tools.differences(); tools.differences(); }
  },
  lock() {
    if (stage.querySelectorAll(".side").length < 2) return;
    const isFree = body.classList.toggle("free");
    if (isFree) measure.use("free_scroll");
    say(isFree ? t("Each side scrolls on its own.") : t("Both sides scroll together."));
  },
  // The earlier turns of a long chat (of two: each has its own), from their beginning. The focus stays where answers are given, and folding them
  // brings that back into view.
  older() {
    const [first, ...others] = stage.querySelectorAll("details.older");
    if (!first) return;
    first.open = !first.open;
    for (const other of others) other.open = first.open;
    first.scrollIntoView({ block: "nearest" });
    if (!first.open) form.mark(form.current, { focus: false });
  },
  guide() {
    const drawer = document.getElementById("guide");
    drawer.hidden = !drawer.hidden;
    const opener = document.querySelector("[aria-controls=guide]");
    opener.setAttribute("aria-expanded", String(!drawer.hidden));
    if (drawer.hidden) return back(opener);
    drawer.focus({ preventScroll: true });
  },
  keys() {
    // Those of the questions stand above, and what this form has no use for is not listed.
    openSheet(form, keys, ["x", "u", ...((form?.rows().length ?? 0) > 1 ? [] : ["j", "k", "p"]), ...(stage.querySelector("details.older") ? [] : ["o"]), ...(stage.querySelectorAll(".side").length > 1 ? [] : ["l"])]);
  },
};
const pressedNow = (name) => document.querySelector(`button[data-do="${name}"]`)?.getAttribute("aria-pressed") === "true";

document.addEventListener("click", (event) => {
  // Without network the browser would put a page of its own in the place of this one.
  if (event.target.closest("a[data-key=h]") && !navigator.onLine) {
    event.preventDefault();
    const words = t("There is no connection; your answers are shown when it is back.");
    toast([element("span", { class: "warn" }, words)], words, 10_000);
  }
  const tool = event.target.closest("[data-do]");
  if (tool) { event.preventDefault(); tools[tool.dataset.do](); }
  if (!event.target.closest("details.more")) closeMenus();
});
function closeMenus() { for (const menu of stage.querySelectorAll("details.more[open]")) menu.open = false; }
stage.addEventListener("winnow:played", ({ detail }) => { Object.assign(measure.exposure, { [`played_${detail.side.toLowerCase()}`]: detail.seconds, [`share_${detail.side.toLowerCase()}`]: detail.share }); form?.refresh(); });
stage.addEventListener("toggle", (event) => {
  if (event.target.matches("details.more") && event.target.open) intoMenu(event.target, "button, input");
}, true);
// Only one is open, and the focus is in it. `toggle` comes a moment after the menu stands there; the Enter of a quick hand
// must not come before, so a key that opens one calls this itself.
function intoMenu(menu, first) {
  for (const other of stage.querySelectorAll("details.more[open]")) if (other !== menu) other.open = false;
  if (!menu.querySelector(".menu").contains(document.activeElement)) menu.querySelector(first)?.focus();
}

document.querySelector("[data-break-close]").addEventListener("click", () => { document.querySelector("[data-break]").hidden = true; });

// --- keys ---

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return escape(event);
  if ((event.repeat && !event.key.startsWith("Arrow")) || typing(event)) return;
  // Keys typed in one go are all taken or none.
  const rests = "rests" in stage.dataset, isAnswer = ANSWERS.test(event.key) || Boolean(form?.letters.includes(latin(event)));
  if (advancing && isAnswer) cameTooSoon = Date.now();
  if (rests && isAnswer) restFor(Math.min(BURST_MS, restsUntil - Date.now()));
  if (advancing) { isUndoWanted ||= advancing > 0 && keys.on && keys.shipped(latin(event)) === "z"; return; }
  if (!form) return bareKey(event);
  const isSent = Boolean(form.element?.dataset.sent);
  if (!isSent && !rests && formKey(event, form)) return;
  if (event.key === "Enter") {
    if (event.target.closest("button, a, summary")) return;
    event.preventDefault();
    if (rests) return;
    // One Enter too many after a submit is no question; it would take the place of "Saved, Undo".
    if (form.rows().some((row) => form.answered(row)) || !stage.querySelector("[data-toast-slot] > :not([data-complaint])")) submit();
    return;
  }
  if (event.key === "Tab" && toSentence(event, form)) return event.preventDefault();
  if (!keys.on || event.key.startsWith("Arrow")) return;
  const pressedKey = latin(event), isShifted = event.shiftKey && form.letters.includes(pressedKey);
  const menu = stage.querySelector("details.more[open]");
  if (menu) return menuKey(menu, pressedKey, event);
  const key = form.letters.includes(pressedKey) ? pressedKey : keys.shipped(pressedKey);
  if (key === null) return;
  const stood = form.stands;
  if (!isShifted && !isSent && !rests && form.pick(key)) {
    event.preventDefault();
    const label = form.takePressed();
    // An answer that was changed waits for Enter, or for the same key once more.
    if (label?.matches("[data-goes]") && "goesOnKey" in item().dataset && (!stood || stood === label.querySelector("input"))) submit();
    return;
  }
  if (toolKey(key, event)) return event.preventDefault();
  if (/^\d$/.test(key) && !isSent && !rests) {
    const words = t("{key} answers nothing here.", { key });
    toast([element("span", { class: "warn", "data-complaint": "" }, words)], words, 3_000);
  }
});

function escape(event) {
  if (form && formKey(event, form)) return;
  const open = stage.querySelector("details.more[open]"), drawer = document.getElementById("guide");
  if (open) { open.open = false; back(open.querySelector("summary")); }
  else if (!drawer.hidden) tools.guide();
  else if (form && typing(event)) form.mark(form.current);
}

// Where nothing is left to judge, the tools that the page still prints.
function bareKey(event) {
  const key = keys.on ? keys.shipped(latin(event)) : null;
  if (key !== null && toolKey(key, event)) event.preventDefault();
}

// Where the focus was when a key opened something: there it goes back to, so that the next digit and Enter answer.
let cameFrom = null;
document.addEventListener("pointerdown", () => { cameFrom = null; }, true);
function back(opener) {
  // The page's body takes no focus; leaving the field is going back there.
  if (cameFrom === document.body) return document.activeElement?.blur();
  (cameFrom?.isConnected ? cameFrom : opener).focus({ preventScroll: true });
}

function toolKey(key, event) {
  const own = form && { z: undoLast, l: () => tools.lock(), n: () => tools.next(), o: () => tools.older(), j: () => form.step(1), k: () => form.step(-1), p: () => { if (!form.element?.dataset.sent) form.clear(event.shiftKey); } }[key];
  if (own) { own(); return true; }
  // One that can be seen, else what the narrow page hides: its key still works.
  const targets = [...document.querySelectorAll(`[data-key~="${CSS.escape(key)}"]:not(label)`)];
  const target = targets.find((one) => one.offsetParent) ?? targets[0];
  if (!stage?.querySelector("details.more[open]") && document.getElementById("guide")?.hidden !== false) cameFrom = document.activeElement;
  target?.click();
  const menu = target?.closest("details.more[open]");
  if (menu) intoMenu(menu, key === "f" ? "input" : "button, input"); // The narrow page has one menu for both: F means its field.
  return Boolean(target);
}

function menuKey(menu, key, event) {
  const pick = menu.querySelectorAll("[form=skip-form]")[Number(key) - 1];
  if (pick) { event.preventDefault(); pick.click(); }
}

// --- leases stay while the page is in use ---

// Which of them are this person's still; null where nobody says.
async function beat() {
  const asked = item(), leases = [asked, ...held].map((x) => `${x.dataset.assignment}:${x.dataset.token}`).join(",");
  const reply = await post(body.dataset.heartbeat, { leases, person: body.dataset.person }, token()).catch(() => null);
  if (!reply?.ok) return null;
  const { held: alive, until } = await reply.json();
  heldUntil = new Date(until ?? heldUntil);
  sayHeld();
  held = held.filter((x) => alive.includes(Number(x.dataset.assignment)));
  if (item() === asked && !alive.includes(Number(asked.dataset.assignment))) sayLost();
  return alive;
}

// What was fetched ahead says when it came; since then all have been renewed together.
let heldUntil = new Date(0);
function sayHeld() {
  for (const time of item()?.querySelectorAll("[data-held] time") ?? []) {
    const until = new Date(Math.max(heldUntil, new Date(time.dateTime)));
    time.dateTime = until.toISOString();
    time.textContent = until.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", numberingSystem: "latn" });
  }
}

// Nobody is told after the work what could be known before.
function sayLost() {
  const { dataset } = item();
  if (!form?.element || form.element.dataset.sent || "lost" in dataset || outbox.all().some((entry) => entry.assignment === dataset.assignment)) return;
  dataset.lost = "";
  for (const words of item().querySelectorAll("[data-held]")) words.hidden = true;
  const words = t("This comparison is not held for you any more; somebody else may have it. Your answer is kept, and counts if one is still wanted.");
  toast([element("span", { class: "warn" }, words)], words, 0);
}
setInterval(() => { if (!measure.isIdle && item()) beat(); }, 60_000);

for (const button of document.querySelectorAll("[data-do][hidden]")) button.hidden = button.dataset.do === "differences"; // until `settle` knows
if (document.querySelector("button[data-do=source]")) document.querySelector("button[data-do=source]").hidden = !stage.querySelector("[data-drawn]");
const undoForm = document.getElementById("undo-form");
if (!undoForm.action.endsWith("/0")) {
  lastSaved = { annotation: Number(undoForm.action.split("/").pop()), word: t("your answer"), opinion: opinionShown() };
  if (stage.querySelector("[data-toast-slot]")) offerUndo();
}
body.classList.add("scripted");
if (item()) {
  await load(stage);
  settle();
  if (opinionRead.take()) measure.use("opinion_seen");
} else keys.print();
body.dataset.ready = "";
if (performance.getEntriesByType("navigation")[0]?.type === "back_forward") catchUp();
sender.flush();
