// Sounds and films: one plays at a time, or both sides in step; how long each side was played is told to the page.
//
// Each [data-side] with a player gets `data-played` (whole seconds of different material, its least played medium) and fires
// `winnow:played` ({side, seconds}) when that grows. `gateOpen(root, seconds)` says whether every side was played so long,
// or to its end.

import { make, t } from "./words.js";

const players = (root) => [...root.querySelectorAll("audio, video")];
const sides = (root) => [...root.querySelectorAll("[data-side]")].filter((side) => players(side).length);
const seconds = (player) => {
  let sum = 0;
  for (let at = 0; at < player.played.length; at += 1) sum += player.played.end(at) - player.played.start(at);
  return sum;
};

export function played(side) {
  return Math.min(...players(side).map(seconds));
}

export function gateOpen(root, least) {
  return sides(root).every((side) => players(side).every((player) => (
    seconds(player) >= Math.min(least, (Number.isFinite(player.duration) ? player.duration : least) - 0.3)
  )));
}

let inStep = null; // the item whose sides play together

document.addEventListener("play", (event) => {
  if (inStep?.contains(event.target)) return;
  stop();
  for (const other of players(document)) if (other !== event.target) other.pause();
}, true);

document.addEventListener("timeupdate", (event) => {
  const side = event.target.closest?.("[data-side]");
  if (!side) return;
  const now = String(Math.floor(played(side)));
  if (side.dataset.played === now) return;
  side.dataset.played = now;
  side.dispatchEvent(new CustomEvent("winnow:played", { bubbles: true, detail: { side: side.dataset.side, seconds: Number(now) } }));
}, true);

function firsts(root) {
  return sides(root).map((side) => players(side)[0]);
}

// Two sounds at once cannot be judged: all run, one is heard.
function hear(root, index) {
  firsts(root).forEach((player, at) => { player.muted = at !== index; });
  const button = root.querySelector("[data-hear]");
  const all = sides(root);
  button.hidden = false;
  button.dataset.hear = String(index);
  button.textContent = t("Hear {side} instead", { side: all[(index + 1) % all.length].dataset.side });
}

function start(root) {
  inStep = root;
  const both = firsts(root), from = Math.min(...both.map((player) => (player.ended ? 0 : player.currentTime)));
  for (const player of both) player.currentTime = from;
  hear(root, 0);
  for (const player of both) player.play().catch(() => {});
  root.querySelector("[data-play-both]").setAttribute("aria-pressed", "true");
}

function stop() {
  if (!inStep) return;
  const root = inStep;
  inStep = null;
  for (const player of firsts(root)) { player.pause(); player.muted = false; }
  root.querySelector("[data-hear]").hidden = true;
  root.querySelector("[data-play-both]").setAttribute("aria-pressed", "false");
}

// A side that waits for its bytes, or was moved by hand, takes the others along.
for (const kind of ["seeked", "pause", "ended"]) {
  document.addEventListener(kind, (event) => {
    if (!inStep?.contains(event.target)) return;
    if (kind === "ended") return stop();
    for (const other of firsts(inStep)) {
      if (other === event.target) continue;
      if (kind === "pause" && !event.target.ended) other.pause();
      if (kind === "seeked" && Math.abs(other.currentTime - event.target.currentTime) > 0.15) other.currentTime = event.target.currentTime;
    }
  }, true);
}

document.addEventListener("click", (event) => {
  const both = event.target.closest("[data-play-both]"), other = event.target.closest("[data-hear]");
  const bar = both ?? other;
  if (!bar) return;
  const root = bar.closest("[data-item]") ?? document.body;
  if (other) return hear(root, (Number(other.dataset.hear) + 1) % sides(root).length);
  if (inStep) stop(); else start(root);
});

// The control stands above the sides where two of them have something to play.
function offer(root) {
  const all = sides(root);
  const place = all[0]?.parentElement;
  if (all.length < 2 || !place || root.querySelector("[data-media-bar]")) return;
  (place.closest(".board") ?? place).before(make("div", { class: "row wrap media-bar", "data-media-bar": true },
    make("button", { class: "btn", type: "button", "data-play-both": true, "aria-pressed": "false" }, t("Play both in step")),
    make("button", { class: "btn quiet", type: "button", "data-hear": "0", hidden: true })));
}

const stage = document.getElementById("stage");
const offerAll = () => document.querySelectorAll("[data-item]").forEach(offer);
offerAll();
if (stage) new MutationObserver(offerAll).observe(stage, { childList: true });
