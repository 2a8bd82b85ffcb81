// Segments of two sounds or films on their shared time line. M marks a start where it plays and, again, the end; a digit
// says which is better there; J and K go through the segments; Delete takes one away. On the line the mouse draws them,
// moves their ends and goes to a place.

import { offer, together } from "../media.js";
import { make, t, tn } from "../words.js";

const SHORTEST = 0.1; // seconds
const EDGE = 8, STILL = 4; // pixels: how near an end is taken, and how far a press may move and be none
const rounded = (time) => Math.round(time * 10) / 10; // what is shown is what is stored

// 0:04.2, and back from that or from plain seconds.
export function clock(time) {
  const tenths = Math.round(time * 10), minutes = Math.floor(tenths / 600);
  return `${minutes}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
}

function timeOf(text) {
  const match = /^\s*(?:(\d{1,4}):)?(\d{1,5}(?:[.,]\d{1,3})?)\s*$/.exec(text);
  return match ? rounded(60 * Number(match[1] ?? 0) + Number(match[2].replace(",", "."))) : null;
}

export function attach(block, data, form) {
  const row = block.querySelector("[data-look=segments]"), field = row.querySelector("input[type=hidden]");
  const root = block.closest("[data-item]") ?? document.body, bar = offer(root), both = together(root), isBoth = both.sides.length > 1;
  const listening = new AbortController(), { signal } = listening;
  const list = make("ol", { class: "marks segments" });
  const start = make("button", { class: "btn", type: "button" });
  const none = make("button", { class: "btn quiet", type: "button", "aria-pressed": "false" }, make("kbd", {}, "0"), t("They differ nowhere"));
  const hint = make("p", { class: "small mute hint" });
  // With the line above both, where it is in reach on a narrow page too.
  let marks = [], pending = null, numbers = 0, here = null;

  row.querySelector("[data-marks]").append(make("div", { class: "row" }, none), hint);
  row.after(list);
  start.addEventListener("click", press);
  none.addEventListener("click", nothing);

  // --- the answer ---

  function store() {
    const kept = marks.map(({ start: from, end, choice, comment }) => ({ start: from, end, choice, comment }));
    field.value = kept.length || none.getAttribute("aria-pressed") === "true" ? JSON.stringify(kept) : "";
    paint();
    form.judged(block);
    form.refresh();
    form.on.changed();
  }

  function read() {
    const kept = field.value ? JSON.parse(field.value) : [];
    marks = kept.map((mark) => ({ comment: "", choice: "", ...mark, id: (numbers += 1) }));
    none.setAttribute("aria-pressed", String(field.value !== "" && !marks.length));
    draw();
    paint();
  }

  // Between its neighbours: segments may touch, not overlap. Null where no room is left.
  function fitted(from, to, but = null) {
    const others = marks.filter((mark) => mark !== but);
    let [begin, end] = [Math.max(0, Math.min(from, to)), Math.min(both.length || Infinity, Math.max(from, to))];
    const around = others.find((mark) => mark.start <= begin && mark.end > begin);
    if (around) begin = around.end;
    const after = others.filter((mark) => mark.start >= begin).sort((a, b) => a.start - b.start)[0];
    if (after) end = Math.min(end, after.start);
    [begin, end] = [rounded(begin), rounded(end)];
    if (end > both.length) end = Math.floor(10 * both.length) / 10;
    return end - begin > SHORTEST / 2 ? [begin, end] : null;
  }

  function add(from, to) {
    if (marks.length >= data.most) return form.on.say(t("A comparison takes at most {n} segments.", { n: data.most }));
    const fits = fitted(from, to);
    if (!fits) return form.on.say(t("There is no room for a segment here."));
    const mark = { id: (numbers += 1), start: fits[0], end: fits[1], choice: "", comment: "" };
    marks.push(mark);
    none.setAttribute("aria-pressed", "false");
    draw();
    store();
    form.on.say(t("Segment {from} to {to}. Which is better there?", { from: clock(mark.start), to: clock(mark.end) }));
    form.mark(rowOf(mark));
  }

  function remove(mark) {
    marks = marks.filter((one) => one !== mark);
    draw();
    store();
    form.mark(row);
    form.on.say(tn("{n} segment marked", "{n} segments marked", marks.length));
  }

  function move(mark, from, to) {
    const fits = fitted(from, to, mark);
    if (!fits) return false;
    [mark.start, mark.end] = fits;
    return true;
  }

  // M: the start, then the end; what plays stops there, so that the choice can be made.
  function press() {
    if (!isBoth || !both.length) return;
    if (form.current !== row && pending === null) form.mark(row, { scroll: false });
    if (pending === null) {
      if (marks.length >= data.most) return form.on.say(t("A comparison takes at most {n} segments.", { n: data.most }));
      pending = rounded(both.time);
      form.on.say(t("Start at {time}. M marks the end.", { time: clock(pending) }));
    } else {
      const from = pending;
      pending = null;
      both.stop();
      add(from, both.time);
    }
    paint();
  }

  // The time line is one for all questions of the page: its keys act wherever the cursor is.
  function keyAnywhere(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape" && pending !== null) { pending = null; paint(); event.preventDefault(); return true; }
    if (!by || !isBoth || event.target.matches("input")) return false;
    event.preventDefault();
    both.seek(both.time + by * (event.shiftKey ? 0.1 : 1));
    return true;
  }

  function nothing() {
    if (marks.length) return form.on.say(t("Remove the segments first."));
    none.setAttribute("aria-pressed", String(none.getAttribute("aria-pressed") !== "true"));
    store();
  }

  // --- the list ---

  const rowOf = (mark) => list.querySelector(`[data-mark="${mark.id}"] [data-row]`);
  const markOf = (element) => marks.find((mark) => element?.closest(`[data-mark="${mark.id}"]`)) ?? null;
  const wordOf = (mark) => data.choices.find((choice) => choice.value === mark.choice)?.word ?? t("no choice yet");

  function draw() {
    marks.sort((a, b) => a.start - b.start);
    list.replaceChildren(...marks.map(drawMark));
  }

  function drawMark(mark) {
    const name = `${row.dataset.row}.mark${mark.id}`;
    const head = make("button", { class: "btn quiet", type: "button" }, make("span", { class: "times" }), make("span", { class: "small mute word-of" }));
    head.addEventListener("click", () => { form.mark(rowOf(mark), { scroll: false }); go(mark); });
    const away = make("button", { class: "btn quiet", type: "button", "aria-label": "×" }, "×");
    away.addEventListener("click", () => remove(mark));
    const options = data.choices.map((choice) => {
      const input = make("input", { type: "radio", name, value: choice.value, checked: choice.value === mark.choice, "aria-label": choice.word });
      input.addEventListener("change", () => { mark.choice = choice.value; store(); });
      const pips = [...Array(Math.max(0, choice.pips))].map(() => make("i", {}));
      return make("label", { "data-key": choice.keys, "data-word": choice.word, ...(choice.pips === 0 ? { class: "tie" } : {}) }, input, make("kbd", {}, choice.cap),
        make("span", { class: "pips", "aria-hidden": "true" }, ...(pips.length ? pips : [make("i", { class: "ring" })])), make("span", { class: "word", "aria-hidden": "true" }, choice.word));
    });
    const scale = make("fieldset", { class: "q-row q-scale bare", "data-row": name, "data-at": row.dataset.at, "data-look": "scale", "data-group": name, "data-needed": true, tabindex: "-1" },
      make("legend", { class: "sr" }), make("div", { class: `scale steps-${options.length}` }, ...options),
      make("div", { class: "ends small mute", "aria-hidden": "true" }, make("span", {}, data.choices[0].word), make("span", {}, data.choices.filter((choice) => choice.side).at(-1).word)));
    const more = make("div", { class: "mark-more" }, make("div", { class: "row times-set" }, timeInput(mark, "start", t("From")), timeInput(mark, "end", t("to"))), make("p", { class: "small bad", role: "alert", "data-fault": "" }), ...(data.comment ? [commentInput(mark)] : []));
    const made = make("li", { class: "mark", "data-mark": mark.id }, make("div", { class: "mark-head" }, head, away), make("div", { class: "mark-body" }, scale, more));
    say(mark, made);
    return made;
  }

  function timeInput(mark, end, label) {
    const input = make("input", { class: "input", type: "text", inputmode: "decimal", size: 7, autocomplete: "off", "data-end": end });
    input.addEventListener("change", () => {
      const time = timeOf(input.value), [from, to] = end === "start" ? [time, mark.end] : [mark.start, time];
      const moved = time !== null && from < to && move(mark, from, to);
      store();
      const words = moved ? "" : t("That place is taken, outside, or no time; the segment stays as it was.");
      input.closest(".mark-more").querySelector("[data-fault]").textContent = words;
    });
    return make("label", {}, make("span", { class: "small mute" }, label), input);
  }

  function commentInput(mark) {
    const input = make("input", { class: "input", type: "text", maxlength: 2000, dir: "auto", placeholder: t("Comment, optional"), "aria-label": t("Comment, optional") });
    input.value = mark.comment;
    input.addEventListener("input", () => { mark.comment = input.value; store(); });
    return input;
  }

  // What a segment's entry says of it.
  function say(mark, entry) {
    const times = `${clock(mark.start)} – ${clock(mark.end)}`, scale = entry.querySelector("[data-row]");
    entry.querySelector(".times").textContent = times;
    entry.querySelector(".word-of").textContent = wordOf(mark);
    entry.querySelector(".mark-head > :last-child").setAttribute("aria-label", t("Remove the segment {times}", { times }));
    scale.dataset.label = times;
    scale.querySelector("legend").textContent = t("{times}: which is better there?", { times });
    for (const input of entry.querySelectorAll("[data-end]")) if (input !== document.activeElement) input.value = clock(mark[input.dataset.end]);
  }

  // --- the time line ---

  const track = make("div", { class: "tl-track", role: "slider", tabindex: "0", "aria-label": t("Place on the time line"), "aria-valuemin": "0" });
  const layer = make("div", { class: "tl-marks", "aria-hidden": "true" }), head = make("div", { class: "tl-head", "aria-hidden": "true" });
  const said = make("span", { class: "tl-time small", "aria-hidden": "true" });
  const lanes = both.sides.map((side) => make("div", { class: "tl-lane", "aria-hidden": "true" }, make("b", {}, side.dataset.side)));
  const line = make("div", { class: "timeline" }, make("div", { class: "tl-surface" }, ...lanes, layer, head, track), said);
  if (isBoth) { bar.querySelector("[data-hear]").after(start); bar.append(line); }
  bar?.classList.toggle("with-line", isBoth);
  const at = (time) => `${both.length ? (100 * Math.min(time, both.length)) / both.length : 0}%`;

  function paint() {
    const isReady = isBoth && both.length > 0, isOpen = pending !== null;
    start.replaceChildren(make("kbd", { "data-cap": "m" }, "M"), isOpen ? t("Mark the end") : t("Mark a start"));
    start.setAttribute("aria-disabled", String(!isReady));
    hint.textContent = !isBoth ? t("Segments need a sound or film on both sides; this comparison has none.") : isOpen ? t("From {time}. Escape forgets it.", { time: clock(pending) }) : t("Space plays, M marks a start and an end, arrows move by a second, with Shift by a tenth.");
    for (const [index, length] of both.lengths.entries()) lanes[index].style.width = at(length);
    for (const mark of marks) { const entry = list.querySelector(`[data-mark="${mark.id}"]`); if (entry) say(mark, entry); }
    layer.replaceChildren(...marks.map((mark) => strip(mark.start, mark.end, `tl-mark${mark === here ? " here" : ""}${mark.choice ? " done" : ""}`, mark)));
    if (isOpen) layer.append(strip(Math.min(pending, both.time), Math.max(pending, both.time), "tl-mark open"));
    tick();
  }

  function strip(from, to, name, mark) {
    const made = make("div", { class: name, ...(mark ? { "data-mark-strip": mark.id } : {}) });
    made.style.left = at(from);
    made.style.width = `calc(${at(to)} - ${at(from)})`;
    const side = mark && data.choices.find((choice) => choice.value === mark.choice)?.side;
    if (side) made.append(side); else if (mark?.choice) made.append("=");
    return made;
  }

  function tick() {
    const now = both.time;
    head.style.left = at(now);
    said.textContent = `${clock(now)} / ${clock(both.length)}`;
    track.setAttribute("aria-valuemax", both.length.toFixed(1));
    track.setAttribute("aria-valuenow", now.toFixed(1));
    track.setAttribute("aria-valuetext", clock(now));
    if (pending !== null) layer.querySelector(".open")?.replaceWith(strip(Math.min(pending, now), Math.max(pending, now), "tl-mark open"));
  }

  let frame = 0;
  function run() { tick(); frame = both.players.some((player) => !player.paused) ? requestAnimationFrame(run) : 0; }
  for (const player of both.players) {
    for (const kind of ["loadedmetadata", "durationchange"]) player.addEventListener(kind, paint, { signal });
    for (const kind of ["play", "seeked", "pause"]) player.addEventListener(kind, () => { frame ||= requestAnimationFrame(run); }, { signal });
  }

  const timeAt = (event) => { const box = track.getBoundingClientRect(); return both.length * Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)); };
  track.addEventListener("pointerdown", (event) => {
    if (event.button || !both.length) return;
    event.preventDefault();
    const pixel = both.length / track.getBoundingClientRect().width, from = timeAt(event);
    const near = marks.flatMap((mark) => ["start", "end"].map((end) => ({ mark, end, far: Math.abs(mark[end] - from) / pixel }))).filter((one) => one.far <= EDGE).sort((a, b) => a.far - b.far)[0];
    const inside = marks.find((mark) => mark.start <= from && mark.end > from);
    const dragging = new AbortController(), options = { signal: dragging.signal };
    let moved = false;
    track.setPointerCapture(event.pointerId);
    track.addEventListener("pointermove", (now) => {
      moved ||= Math.abs(now.clientX - event.clientX) > STILL;
      if (!moved) return;
      const to = timeAt(now);
      if (near) { move(near.mark, near.end === "start" ? to : near.mark.start, near.end === "end" ? to : near.mark.end); paint(); } else if (!inside) { pending = from; both.seek(to); paint(); }
    }, options);
    track.addEventListener("pointercancel", () => { dragging.abort(); pending = null; paint(); }, options);
    track.addEventListener("pointerup", (now) => {
      dragging.abort();
      const mark = near?.mark ?? inside;
      if (moved && near) { store(); form.mark(rowOf(near.mark), { focus: false, scroll: false }); return; }
      if (moved && !inside) { pending = null; add(from, timeAt(now)); return; }
      if (mark) form.mark(rowOf(mark), { scroll: false });
      both.seek(from);
    }, options);
  });
  track.addEventListener("focus", () => { if (!markOf(form.current)) form.mark(row, { focus: false, scroll: false }); });

  // --- the cursor: at a segment, play stays inside it ---

  function go(mark) {
    if (both.isOn) both.stop();
    both.seek(mark.start);
  }
  both.endsAt = (time) => { const mark = markOf(form.current); return mark && time >= mark.start - 0.05 && time < mark.end - SHORTEST ? mark.end : null; };
  let travelled = false;
  row.addEventListener("focus", () => { here = null; paint(); });
  list.addEventListener("focusin", (event) => {
    const mark = markOf(event.target);
    if (mark === here) return;
    here = mark;
    if (mark && travelled) go(mark);
    paint();
  });
  for (const kind of ["keydown", "keyup"]) document.addEventListener(kind, (event) => { travelled = kind === "keydown" && /^[jk]$/i.test(event.key); }, { signal, capture: true });

  read();
  return {
    key(event, current) {
      const mark = markOf(current);
      if (event.key === "Delete" && mark) { event.preventDefault(); remove(mark); return true; }
      return keyAnywhere(event);
    },
    keyAnywhere,
    pick(key, current) {
      if (key === "m") { press(); return true; }
      if (current !== row || key !== "0") return false;
      if (none.getAttribute("aria-pressed") !== "true") nothing();
      else if (form.outcome(row)) store();
      if (field.value !== "") form.advance();
      return true;
    },
    open: press,
    answered: (one) => (one === row ? field.value !== "" : undefined),
    complaint: () => (pending === null ? "" : t("A segment begins at {time} and has no end: M marks it, Escape forgets it.", { time: clock(pending) })),
    said: () => marks.map((mark) => `${clock(mark.start)} – ${clock(mark.end)}: ${wordOf(mark)}`).join("; ") || t("They differ nowhere"),
    sheet: () => (row.offsetParent ? [{ row, cap: "0", word: t("They differ nowhere") }] : []),
    clear(one) {
      if (one === row) { none.setAttribute("aria-pressed", "false"); if (!marks.length) store(); return; }
      const mark = markOf(one);
      if (mark) { mark.choice = ""; store(); }
    },
    filled: read,
    leave() { listening.abort(); cancelAnimationFrame(frame); both.endsAt = () => null; },
  };
}
