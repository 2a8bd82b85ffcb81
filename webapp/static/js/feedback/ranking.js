// A ranking by letters and digits: a letter takes a completion in hand, a digit places it, the same digit makes a tie, the
// arrows move it; slots take what is dragged or clicked. The selects under it hold the answer and work alone.

import { make, t } from "../words.js";

export function attach(block, data, form) {
  const rows = [...block.querySelectorAll("[data-look=place]")];
  if (!rows.length) return {};
  const ties = data.ties, names = data.places;
  const select = (row) => row.querySelector("select");
  const letter = (row) => row.dataset.label.trim().slice(-1);
  const place = (row) => Number(select(row).value) || 0;
  let inHand = null; // by its letter or a click; arrows scroll the page else

  const slots = make("ol", { class: "slots" });
  rows.forEach((_, at) => {
    const slot = make("button", { type: "button", class: "slot", "data-slot": at + 1 });
    slot.addEventListener("click", () => put(form.current, at + 1));
    slot.addEventListener("dragover", (event) => event.preventDefault());
    slot.addEventListener("drop", (event) => { event.preventDefault(); put(rows.find((row) => letter(row) === event.dataTransfer.getData("text/plain")), at + 1); });
    slots.append(make("li", {}, slot));
  });
  for (const row of rows) {
    const hand = make("button", { type: "button", class: "hand", draggable: "true" }, make("span", { class: "letter" }, letter(row)), make("span", { class: "at small" }));
    hand.addEventListener("click", () => { inHand = row; form.mark(row, { scroll: false }); });
    hand.addEventListener("dragstart", (event) => { event.dataTransfer.setData("text/plain", letter(row)); form.mark(row, { focus: false, scroll: false }); });
    row.append(hand);
  }
  block.classList.add("ranking");
  rows.at(-1).after(make("p", { class: "small mute hint" }, t("Press a letter, then its place. The same place is a tie. Or drag.")), slots);

  // Placed rows from best to worst, equals together.
  function groups() {
    const by = new Map();
    for (const row of rows.filter(place)) by.set(place(row), [...(by.get(place(row)) ?? []), row]);
    return [...by.entries()].sort(([a], [b]) => a - b).map(([, members]) => members);
  }

  // Places that a tie skips stay empty: 1, 1, 3. Gaps stay for what is not placed yet.
  function settle() {
    const isFull = rows.every(place);
    let before = 0;
    for (const members of groups()) {
      const at = isFull ? before + 1 : Math.max(place(members[0]), before + 1);
      for (const row of members) select(row).value = String(at);
      before = isFull ? before + members.length : Math.max(before + members.length, at + members.length - 1);
    }
    draw();
  }

  function write(ordered) {
    let before = 0;
    for (const members of ordered) {
      for (const row of members) select(row).value = String(before + 1);
      before += members.length;
    }
  }

  function put(row, at, { advance = true } = {}) {
    if (!rows.includes(row)) row = rows.find((one) => !place(one)) ?? rows[0];
    const taken = rows.find((other) => other !== row && place(other) === at);
    if (taken && !ties) {
      if (rows.every((one) => one === row || place(one))) insert(row, at);
      else if (place(row)) select(taken).value = select(row).value;
      else select(taken).value = "";
    }
    if (!(taken && !ties && rows.every(place) && place(row) === at)) select(row).value = String(at);
    settle();
    changed();
    if (!advance) return;
    inHand = null;
    form.advance();
  }

  function insert(row, at) {
    const ordered = groups().flat().filter((one) => one !== row);
    ordered.splice(at - 1, 0, row);
    write(ordered.map((one) => [one]));
  }

  // One step up or down: out of a tie, else into the neighbouring one, or past it where ties are not allowed.
  function move(row, by) {
    const ordered = groups(), at = ordered.findIndex((members) => members.includes(row));
    if (at < 0) return put(row, by < 0 ? 1 : rows.length, { advance: false });
    const members = ordered[at];
    if (members.length > 1) {
      members.splice(members.indexOf(row), 1);
      ordered.splice(by < 0 ? at : at + 1, 0, [row]);
    } else {
      const next = ordered[at + by];
      if (!next) return;
      if (ties) { next.push(row); ordered.splice(at, 1); }
      else { ordered.splice(at, 1); ordered.splice(at + by, 0, [row]); }
    }
    if (rows.every(place)) write(ordered);
    else for (const [index, group] of ordered.entries()) for (const one of group) select(one).value = String(index + 1);
    settle();
    changed();
  }

  function changed() {
    for (const input of block.querySelectorAll("[data-outcome] input:checked")) input.checked = false;
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
    const free = rows.filter((row) => !place(row));
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
      const before = rows.filter((row) => place(row) && place(row) < at);
      const isSkipped = !here.length && before.some((row) => place(row) + rows.filter((o) => place(o) === place(row)).length > at);
      slot.classList.toggle("filled", here.length > 0);
      const parts = here.flatMap((row, index) => [...(index ? [make("span", { class: "eq" }, "=")] : []), make("span", { class: "letter" }, letter(row))]);
      const empty = isSkipped ? t("empty after a tie") : free.length ? t("free") : "";
      slot.replaceChildren(make("span", { class: "n" }, names[at - 1]), ...(here.length ? parts : [make("span", { class: "small mute" }, empty)]));
      slot.setAttribute("aria-label", here.length ? `${names[at - 1]}: ${here.map(letter).join(" = ")}` : `${names[at - 1]}: ${empty}`);
    }
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
    open(row) {
      inHand = row;
      document.getElementById(`side-${letter(row)}`)?.scrollIntoView({ block: "nearest" });
    },
    pick(key, row) {
      if (!rows.includes(row) || !/^[1-9]$/.test(key) || Number(key) > rows.length) return false;
      put(row, Number(key));
      return true;
    },
    clear(row) { if (rows.includes(row)) { select(row).value = ""; draw(); } },
    changed: draw,
    filled: draw,
  };
}
