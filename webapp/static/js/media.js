// Sounds and films: one plays at a time, or both sides in step; how much of each side was played is told to the page.
//
// Each [data-side] with a player gets `data-played` (whole seconds of different material that were seen or heard, of its
// least played medium) and fires `winnow:played` ({side, seconds, share}) when that grows. Where [data-item] says how much
// must be played before an answer (`data-gate-seconds`, `-percent`), `unplayed(root)` names the sides that lack some; what was
// played is kept in this tab by assignment, so that a reload forgets none of it (`recall(root)`). `Together` is the shared
// time line: the first player of each side.

import { make, t, tn } from "./words.js";

const players = (root) => [...root.querySelectorAll("audio, video")];
const sides = (root) => [...root.querySelectorAll("[data-side]")].filter((side) => side.matches(".side") && players(side).length);
const lengthOf = (player) => (Number.isFinite(player.duration) ? player.duration : 0);
// The last moments of a file are often not played: players end a little before its length.
const NEARLY = 0.3;

// --- what was played: stretches that ran while they could be seen or heard ---

const kept = new WeakMap(); // player → {stretches, last, isOn}
const LONGEST_TICK = 2.5; // seconds between two reports, also at twice the speed

function of(player) {
  if (!kept.has(player)) kept.set(player, { stretches: [], last: null, isOn: false });
  return kept.get(player);
}

function ran(player) {
  const record = of(player), now = player.currentTime, before = record.last;
  record.last = player.seeking ? null : now;
  const isHeard = player.tagName === "VIDEO" || (!player.muted && player.volume > 0);
  if (!record.isOn || player.seeking || before === null || now <= before || now - before > LONGEST_TICK || !isHeard) return;
  const touching = record.stretches.filter(([from, to]) => from <= now && to >= before);
  const merged = [Math.min(before, ...touching.map(([from]) => from)), Math.max(now, ...touching.map(([, to]) => to))];
  record.stretches = [...record.stretches.filter((one) => !touching.includes(one)), merged];
}

// --- what a reload of this tab does not forget: by assignment the stretches of each player, in their order ---

const KEPT = "winnow.played", MOST_KEPT = 12;
function keptPlays() { try { return JSON.parse(sessionStorage.getItem(KEPT)) ?? {}; } catch { return {}; } }

function keep(root) {
  const { assignment } = root.dataset;
  if (!assignment) return;
  const { [assignment]: _, ...others } = keptPlays(), plays = players(root).map((player) => of(player).stretches);
  const newest = [[assignment, { at: Date.now(), plays }], ...Object.entries(others).sort(([, a], [, b]) => b.at - a.at)].slice(0, MOST_KEPT);
  try { sessionStorage.setItem(KEPT, JSON.stringify(Object.fromEntries(newest))); } catch { /* full or forbidden: a reload begins anew */ }
}

// Takes up what was played before; told to the page like what is played now.
export function recall(root) {
  const before = keptPlays()[root.dataset.assignment]?.plays ?? [];
  players(root).forEach((player, at) => {
    if (!before[at]?.length || of(player).stretches.length) return;
    of(player).stretches = before[at];
    tell(player);
  });
}

const seconds = (player) => of(player).stretches.reduce((sum, [from, to]) => sum + to - from, 0);
const isUnread = (player) => player.readyState === 0;
// Of a medium that does not tell its length no share is asked.
const share = (player) => (lengthOf(player) ? Math.min(1, (seconds(player) + NEARLY) / lengthOf(player)) : Number(!isUnread(player)));

// The seconds of a player that the gate asks for: so many, and so many per cent, of what there is.
function wanted(player, { gateSeconds, gatePercent }) {
  const least = Number(gateSeconds), length = lengthOf(player);
  if (isUnread(player)) return Math.max(least, 1);
  return Math.max(length ? Math.min(least, length) : least, (length * Number(gatePercent)) / 100) - NEARLY;
}

// The sides that still have to be played before an answer counts, each with how many seconds more.
export function unplayed(root) {
  if (!("gateSeconds" in root.dataset)) return [];
  return sides(root).map((side) => {
    const left = Math.max(...players(side).map((player) => wanted(player, root.dataset) - seconds(player)));
    return { side: side.dataset.side, seconds: Math.ceil(left) };
  }).filter((one) => one.seconds > 0);
}

// The same in words; nothing where the gate is open.
export function unplayedWords(root) {
  const left = unplayed(root).map(({ side, seconds: more }) => tn("{side}: {n} second more", "{side}: {n} seconds more", more, { side }));
  return left.length ? t("To be played before you answer: {sides}", { sides: left.join(", ") }) : "";
}

function showGate(root) {
  const note = root.querySelector("[data-gate]"), words = unplayedWords(root);
  if (note && note.textContent !== words) note.textContent = words;
}

function tell(player) {
  ran(player);
  const side = player.closest("[data-side]");
  if (!side) return;
  const all = players(side), now = String(Math.floor(Math.min(...all.map(seconds)))), part = Math.floor(100 * Math.min(...all.map(share))) / 100;
  if (side.dataset.played === now && side.dataset.share === String(part)) return;
  side.dataset.played = now;
  side.dataset.share = String(part);
  const root = side.closest("[data-item]");
  if (root) {
    showGate(root);
    keep(root);
  }
  side.dispatchEvent(new CustomEvent("winnow:played", { bubbles: true, detail: { side: side.dataset.side, seconds: Number(now), share: part } }));
}

document.addEventListener("timeupdate", (event) => tell(event.target), true);
for (const kind of ["pause", "ended"]) document.addEventListener(kind, (event) => { tell(event.target); of(event.target).isOn = false; }, true);
// A jump is not played; what ran before it was told with the last report.
for (const kind of ["seeking", "waiting"]) document.addEventListener(kind, (event) => { of(event.target).last = null; }, true);
for (const kind of ["seeked", "playing"]) document.addEventListener(kind, ({ target }) => { Object.assign(of(target), { last: target.currentTime, isOn: !target.paused }); }, true);
document.addEventListener("volumechange", (event) => { ran(event.target); }, true);

// --- both in step ---

const isOver = (player) => lengthOf(player) > 0 && player.currentTime >= lengthOf(player) - 0.05;

export class Together {
  constructor(root) {
    // `endsAt`: where play that begins at a place stops; null for the end of all.
    Object.assign(this, { root, until: null, heard: 0, isOn: false, endsAt: () => null });
  }

  get sides() { return sides(this.root); }
  get players() { return this.sides.map((side) => players(side)[0]); }
  get lengths() { return this.players.map(lengthOf); }
  get length() { return Math.max(0, ...this.lengths); }
  get time() { return Math.max(0, ...this.players.map((player) => player.currentTime)); }

  // Two sounds at once cannot be judged: all run, one is heard.
  // Alone, by its own control, each is heard.
  hear(index) {
    this.heard = index;
    this.players.forEach((player, at) => { player.muted = this.isOn && at !== index; });
    this.show();
  }

  hearNext() { this.hear((this.heard + 1) % this.sides.length); }

  seek(time) {
    for (const player of this.players) {
      player.currentTime = Math.max(0, Math.min(time, lengthOf(player) || time));
      if (this.isOn && player.paused && !isOver(player)) player.play().catch(() => {}); // it was over, and is not any more
    }
  }

  toggle() { if (this.isOn) this.stop(); else this.start(); }

  // Where the one is that came least far and is not over; the beginning after the end.
  get from() {
    const open = this.players.filter((player) => !isOver(player)).map((player) => player.currentTime);
    return open.length ? Math.min(...open) : 0;
  }

  start() {
    stop();
    for (const other of players(document)) other.pause();
    running = this;
    this.isOn = true;
    this.seek(this.from);
    this.until = this.endsAt(this.time);
    this.hear(this.heard);
    // One that is over already stays at its end.
    for (const player of this.players) if (!isOver(player)) player.play().catch(() => {});
  }

  stop() {
    this.isOn = false;
    if (running === this) running = null;
    for (const player of this.players) { player.pause(); player.muted = false; }
    this.show();
  }

  // What the keys would do now, and which side is heard.
  show() {
    const [play, hear] = ["play-both", "hear"].map((name) => this.root.querySelector(`[data-${name}]`)), letters = this.sides.map((side) => side.dataset.side);
    play.replaceChildren(make("kbd", {}, t("Space")), this.isOn ? t("Pause; {side} is heard", { side: letters[this.heard] }) : t("Play both, hear {side}", { side: letters[this.heard] }));
    hear.replaceChildren(make("kbd", {}, `⇧ ${t("Space")}`), t("Hear {side} instead", { side: letters[(this.heard + 1) % letters.length] }));
    this.root.dispatchEvent(new CustomEvent("winnow:together"));
  }
}

let running = null; // the Together that plays
const made = new WeakMap();
export function together(root) {
  if (!made.has(root)) made.set(root, new Together(root));
  return made.get(root);
}
function stop() { running?.stop(); }

document.addEventListener("play", (event) => {
  if (running?.players.includes(event.target)) return;
  stop();
  for (const other of players(document)) if (other !== event.target) other.pause();
}, true);

// A side that waits for its bytes, or was moved by hand, takes the others along; one that is over does not stop them.
document.addEventListener("ended", () => { if (running?.players.every((player) => player.ended)) stop(); }, true);
document.addEventListener("pause", (event) => {
  if (!running?.players.includes(event.target) || event.target.ended) return;
  for (const other of running.players) if (other !== event.target) other.pause();
}, true);
document.addEventListener("seeked", (event) => {
  if (!running?.players.includes(event.target)) return;
  for (const other of running.players) {
    const to = Math.min(event.target.currentTime, lengthOf(other));
    if (other !== event.target && !other.ended && Math.abs(other.currentTime - to) > 0.15) other.currentTime = to;
  }
}, true);
document.addEventListener("timeupdate", () => {
  if (running?.until === null || !running || running.time < running.until) return;
  const { until } = running, ended = running;
  ended.stop();
  ended.seek(until);
}, true);

document.addEventListener("click", (event) => {
  const both = event.target.closest("[data-play-both]"), other = event.target.closest("[data-hear]");
  if (!both && !other) return;
  const one = together((both ?? other).closest("[data-item]") ?? document.body);
  if (other) one.hearNext(); else one.toggle();
});

// A bar above the sides: the control of both where two of them have something to play, and what still must be played.
export function offer(root) {
  const all = sides(root), place = all[0]?.parentElement;
  if (!place || root.querySelector("[data-media-bar]")) return root.querySelector("[data-media-bar]");
  const both = all.length < 2 ? [] : [
    make("button", { class: "btn", type: "button", "data-play-both": true }),
    make("button", { class: "btn quiet", type: "button", "data-hear": "" }),
  ];
  const bar = make("div", { class: "wrap media-bar", "data-media-bar": true }, make("div", { class: "row" }, ...both, make("p", { class: "small warn gate", "data-gate": true })));
  (place.closest(".board") ?? place).before(bar);
  if (both.length) together(root).show();
  showGate(root);
  return bar;
}
for (const kind of ["loadedmetadata", "durationchange"]) {
  document.addEventListener(kind, ({ target }) => {
    const root = target.closest?.("[data-item]");
    if (!root) return;
    if (of(target).stretches.length) tell(target); // now that its share is known
    showGate(root);
  }, true);
}

// A sound has no picture in which a browser would show its captions: they stand below it.
function showCues(sound) {
  const [track] = sound.textTracks;
  if (!track || sound.dataset.cued !== undefined) return;
  sound.dataset.cued = "";
  const place = make("p", { class: "cues", dir: "auto" });
  sound.after(place);
  track.mode = "hidden";
  track.addEventListener("cuechange", () => { place.textContent = [...(track.activeCues ?? [])].map((cue) => cue.getCueAsHTML().textContent).join("\n"); });
}

const stage = document.getElementById("stage");
const offerAll = () => { document.querySelectorAll("[data-item]").forEach(offer); document.querySelectorAll("audio").forEach(showCues); };
offerAll();
if (stage) new MutationObserver(offerAll).observe(stage, { childList: true });

// Space plays and pauses, with Shift it changes the side that is heard, where nothing else has the focus that would take it.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || event.repeat || event.ctrlKey || event.metaKey || event.altKey || document.body.classList.contains("no-keys")) return;
  if (event.target.closest("button, a, summary, input, textarea, select, audio, video, pre, dialog") || document.querySelector("dialog[open]")) return;
  const root = document.querySelector("[data-item]"), all = root ? sides(root) : [];
  if (!all.length) return;
  event.preventDefault();
  if (all.length > 1 && event.shiftKey) together(root).hearNext();
  else if (all.length > 1) together(root).toggle();
  else if (players(all[0])[0].paused) players(all[0])[0].play().catch(() => {});
  else players(all[0])[0].pause();
});
