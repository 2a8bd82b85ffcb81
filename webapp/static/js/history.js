// The list of one's own answers: what still waits in this browser is said, sent and, once the server has it, offered to be
// shown. One sender for each project in which this person has answered here.

import { askAside } from "./aside.js";
import { Drafts } from "./drafts.js";
import { GIVEN_BACK, Outbox, Sender, outboxNames, token, waitingWords } from "./outbox.js";
import { make, t, tn } from "./words.js";

const note = document.querySelector("[data-outbox]");
const { person, project } = note.dataset;
const draftsOf = (outbox) => new Drafts(outbox.name.replace(/^winnow\.outbox\./, "winnow.draft."));
const outboxes = outboxNames(person).map((name) => new Outbox(name));
const refusals = [], setAside = [];
let saved = 0, held = null; // held: [why, reference], while what waits cannot be sent

const senders = outboxes.map((outbox) => new Sender(outbox, token, {
  saved(entry) {
    saved += 1;
    held = null;
    draftsOf(outbox).drop(entry.assignment);
    draw();
  },
  // As on the annotation page: what does not fit is back when its comparison comes again.
  refused(entry, why, status) {
    held = null;
    if (GIVEN_BACK.has(status)) draftsOf(outbox).set(entry.assignment, entry.fields.form, entry.fields);
    refusals.push([entry.word, why]);
    draw();
  },
  waiting(_, why, reference) {
    held = [why, reference];
    draw();
  },
  idle: draw,
}));

const flush = () => { for (const sender of senders) sender.flush(true); };
const counted = (some) => some.reduce((sum, outbox) => sum + outbox.all().length, 0);

function draw() {
  const waits = counted(outboxes), others = counted(outboxes.filter((outbox) => outbox.name !== `winnow.outbox.${person}.${project}`));
  const lines = [];
  if (waits) {
    const words = held ? waitingWords(waits, ...held) : tn("{n} answer waits in this browser and is being sent", "{n} answers wait in this browser and are being sent", waits);
    lines.push(make("p", {}, make("b", {}, words)));
  }
  if (others) lines.push(make("p", {}, t("Of these in other projects: {n}", { n: others })));
  if (saved) lines.push(make("p", {}, tn("{n} answer that waited in this browser is saved now.", "{n} answers that waited in this browser are saved now.", saved)));
  for (const sender of senders) lines.push(...sender.failing.map((entry) => failingLine(sender, entry)));
  for (const word of setAside) lines.push(make("p", {}, make("b", {}, make("bdi", {}, word)), " – ", t("set aside; it is not sent any more.")));
  for (const [word, why] of refusals) lines.push(make("p", {}, make("b", {}, make("bdi", {}, word)), " – ", why));
  put(note.querySelector("[data-lines]"), lines);
  put(note.querySelector("[data-ways]"), ways(waits));
  note.className = `note ${waits || refusals.length || setAside.length ? "warn" : "success"} gap-b`;
  note.hidden = !lines.length;
}

// The only way out for an answer that would wait for ever; taken by hand, never by itself.
function failingLine(sender, entry) {
  const aside = make("button", { class: "btn", type: "button", "data-aside": entry.fields.submit_key }, t("Set aside…"));
  aside.addEventListener("click", () => askAside(entry, sender.outbox.name.split(".").at(-1), () => {
    setAside.push(entry.word);
    held = null;
    sender.setAside(entry);
    draw();
  }));
  return make("div", { class: "row" }, make("span", {}, make("b", {}, make("bdi", {}, entry.word)), " – ", t("the server fails at it each time.")), aside);
}

function ways(waits) {
  if (waits && held?.[0] === "signed-out") return [make("a", { class: "btn", href: location.pathname }, t("Sign in"))];
  const shown = [];
  if (waits && held) {
    const again = make("button", { class: "btn", type: "button" }, t("Try now"));
    again.onclick = flush;
    shown.push(again);
  }
  if (saved) shown.push(make("a", { class: "btn", href: location.pathname }, t("Load this page anew")));
  return shown;
}

// Only what differs is drawn anew: each new try would take the button from under the focus and be read out again.
function put(slot, parts) {
  if (slot.innerHTML !== parts.map((part) => part.outerHTML).join("")) slot.replaceChildren(...parts);
}

// J and K start at the answer that one comes back from; once a row is opened, keys choose no other.
const opened = [...document.querySelectorAll("a[data-open]")].find((link) => link.href === document.referrer);
opened?.focus();
let isLeaving = false;
document.addEventListener("click", (event) => { isLeaving ||= Boolean(event.target.closest("a[data-open]")) && !event.ctrlKey && !event.metaKey && !event.shiftKey; });
addEventListener("pageshow", () => { isLeaving = false; });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open], details[open]")) return;
  if (event.key === "Escape" && !event.repeat) location.assign(note.dataset.judge);
  else if (isLeaving && /^(j|k|Enter)$/.test(event.key)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);

draw();
flush();
