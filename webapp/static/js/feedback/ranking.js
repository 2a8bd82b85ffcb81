// A ranking by letters and digits: a letter takes a completion in hand, a digit places it and nothing else, the same digit
// makes a tie, the arrows move it past its neighbour; slots take what is dragged or clicked. Places stand as typed until all
// have one; from then on those are shown that are stored, and a digit means one of those. The selects under it hold the answer
// and work alone.

import { make, t } from "../words.js";

export function attach(block, data, form) {
  const rows = [...block.querySelectorAll("[data-look=place]")];
  if (!rows.length) return {};
  const ties = data.ties, names = data.places;
  const select = (row) => row.querySelector("select");
  const letter = (row) => row.dataset.label.trim().slice(-1);
  const typed = (row) => Number(select(row).value) || 0;
  const isFull = () => rows.every(typed);
  // What is stored: gaps are closed, and places that a tie skips stay empty (1, 1, 3).
  const place = (row) => (isFull() ? 1 + rows.filter((other) => typed(other) < typed(row)).length : typed(row));
  const anew = new Set(); // those typed over since all had a place
  let reached = null; // to which a digit went on by itself
  let inHand = null; // by its letter or a click; arrows scroll the page else

  const slots = make("ol", { class: "slots" });
  rows.forEach((_, at) => {
    const slot = make("button", { type: "button", class: "slot", "data-slot": at + 1 });
    slot.addEventListener("click", () => { put(form.current, at + 1); goOn(); });
    slot.addEventListener("dragover", (event) => event.preventDefault());
    slot.addEventListener("drop", (event) => { event.preventDefault(); put(rows.find((row) => letter(row) === event.dataTransfer.getData("text/plain")), at + 1); goOn(); });
    slots.append(make("li", {}, slot));
  });
  for (const row of rows) {
    const hand = make("button", { type: "button", class: "hand", draggable: "true" }, make("span", { class: "letter" }, letter(row)), make("span", { class: "at small" }));
    hand.addEventListener("click", () => { take(row); form.mark(row, { scroll: false }); show(row); });
    hand.addEventListener("dragstart", (event) => { event.dataTransfer.setData("text/plain", letter(row)); form.mark(row, { focus: false, scroll: false }); });
    row.append(hand);
  }
  block.classList.add("ranking");
  const hint = make("p", { class: "small mute hint" }, t("Press a letter, then its place. The same place is a tie. Or drag."));
  rows.at(-1).after(hint, slots);

  // Placed rows from best to worst, equals together.
  function groups() {
    const by = new Map();
    for (const row of rows.filter(place)) by.set(place(row), [...(by.get(place(row)) ?? []), row]);
    return [...by.entries()].sort(([a], [b]) => a - b).map(([, members]) => members);
  }

  function take(row) {
    inHand = row;
    reached = null;
  }

  // The places shown become those typed, so that what is typed next means what it is seen beside. While each completion is
  // typed over once, by letters or by digits that go on by themselves, the others keep what was typed: swapping two makes no
  // tie on the way. Whoever takes one a second time answers what the screen shows by then.
  function settle(row) {
    if (!isFull()) return anew.clear();
    if (!row || (row !== reached && (!anew.size || anew.has(row)))) {
      for (const [one, shown] of rows.map((one) => [one, place(one)])) select(one).value = String(shown);
      anew.clear();
    }
    if (row) anew.add(row);
    reached = null;
  }

  // Where ties are not allowed, who stood there is to be placed anew.
  function put(row, at) {
    if (!rows.includes(row)) row = rows.find((one) => !place(one)) ?? rows[0];
    settle(row);
    for (const other of rows) if (!ties && place(other) === at) select(other).value = "";
    select(row).value = String(at);
    changed();
  }

  function goOn() {
    inHand = null;
    form.advance();
  }

  const free = () => rows.map((_, at) => at + 1).filter((at) => !rows.some((row) => place(row) === at));

  // One step in the order, past one neighbour and all that share its place; of those in the same place it leaves them first.
  function move(row, by) {
    if (!place(row)) return put(row, free().at(by < 0 ? 0 : -1));
    settle(null);
    const ordered = groups(), at = ordered.findIndex((members) => members.includes(row)), mates = ordered[at].filter((one) => one !== row);
    const places = ordered.map(([one]) => place(one));
    if (mates.length) {
      ordered.splice(at, 1, ...(by < 0 ? [[row], mates] : [mates, [row]]));
      const nearest = (one) => Math.abs(one - place(row) - by / 2);
      places.push(free().sort((a, b) => nearest(a) - nearest(b))[0]);
      places.sort((a, b) => a - b);
    } else if (ordered[at + by]) ordered.splice(at + by, 0, ...ordered.splice(at, 1));
    ordered.forEach((members, index) => { for (const one of members) select(one).value = String(places[index]); });
    changed();
  }

  function changed() {
    draw();
    form.judged(block);
    form.refresh();
    form.on.changed();
    const row = form.current;
    if (rows.includes(row) && place(row)) form.on.say(`${letter(row)}: ${words(row)}`);
  }

  function words(row) {
    if (!place(row)) return t("Not placed yet");
    const tied = rows.filter((other) => other !== row && place(other) === place(row)).map(letter);
    return tied.length ? t("{place}, tied with {letters}", { place: names[place(row) - 1], letters: tied.join(", ") }) : names[place(row) - 1];
  }

  function draw() {
    for (const row of rows) {
      row.querySelector(".at").textContent = place(row) ? names[place(row) - 1] : "–";
      row.querySelector(".hand").setAttribute("aria-label", t("Completion {letter}: {place}", { letter: letter(row), place: words(row) }));
      const side = document.getElementById(`side-${letter(row)}`);
      if (!side) continue;
      side.classList.toggle("picked", place(row) > 0);
      side.querySelector("[data-verdict]").textContent = words(row);
    }
    for (const slot of slots.querySelectorAll(".slot")) {
      const at = Number(slot.dataset.slot), here = rows.filter((row) => place(row) === at);
      slot.classList.toggle("filled", here.length > 0);
      const parts = here.flatMap((row, index) => [...(index ? [make("span", { class: "eq" }, "=")] : []), make("span", { class: "letter" }, letter(row))]);
      const empty = isFull() ? "" : t("free");
      slot.replaceChildren(make("span", { class: "n" }, names[at - 1]), ...(here.length ? parts : [make("span", { class: "small mute" }, empty)]));
      slot.setAttribute("aria-label", here.length ? `${names[at - 1]}: ${here.map(letter).join(" = ")}` : `${names[at - 1]}: ${empty}`);
    }
  }

  // The page moves, at once, only where the beginning of the completion is not in sight.
  function show(row) {
    const side = document.getElementById(`side-${letter(row)}`), top = side?.getBoundingClientRect().top;
    if (top < 0 || top > innerHeight / 3) side.scrollIntoView({ block: "start", behavior: "instant" });
  }

  draw();
  return {
    key(event) {
      if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return false;
      if (!inHand || inHand !== form.current) return false;
      event.preventDefault();
      move(form.current, event.key === "ArrowUp" ? -1 : 1);
      return true;
    },
    open: take,
    shown: show,
    // Where all have places, digits go on through the rows, so that a ranking can be typed over.
    pick(key, row) {
      if (!rows.includes(row) || !/^[1-9]$/.test(key) || Number(key) > rows.length) return false;
      const next = isFull() && rows[rows.indexOf(row) + 1];
      put(row, Number(key));
      if (next && isFull()) { inHand = null; form.mark(next); reached = next; } else goOn();
      return true;
    },
    said: () => groups().map((members) => members.map(letter).join(" = ")).join(" > "),
    fields(fields) { if (isFull()) for (const row of rows) if (select(row).name in fields) fields[select(row).name] = String(place(row)); },
    // Of a full ranking the others keep the places that they show.
    clear(row) {
      if (!rows.includes(row)) return;
      settle(null);
      select(row).value = "";
      draw();
    },
    changed: draw,
    filled: draw,
  };
}
