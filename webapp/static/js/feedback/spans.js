// Marked passages of one completion. M starts a word cursor in its text: arrows go by words, Shift and arrows extend, Enter
// marks, a digit marks with that category. The mouse selects too. Offsets count code points of the stored text: the
// page shows its source, in which a boxed name stands for one character.

import { wordsIn } from "../differences.js";
import { make, t, tn } from "../words.js";

const KEYS = "123456789abcdeghilnoqrtvwy";
const MOST = 200;
const BOX = "\uFFFC";
const length = (text) => [...text].length;
const indexOf = (node) => [...node.parentNode.childNodes].indexOf(node);

// One text of the completion: where each code point stands in the page.
class Source {
  constructor(holder) {
    this.holder = holder;
    this.message = holder.dataset.message === "" ? null : Number(holder.dataset.message);
    this.pre = holder.querySelector("[data-raw]");
    this.chunks = [];
    this.text = "";
    let start = 0;
    // Texts and boxed names in their order; code stands in elements of its own.
    const inside = (parent) => [...parent.childNodes].flatMap((node) => (node.tagName === "CODE" ? inside(node) : [node]));
    for (const node of inside(this.pre)) {
      const isBox = node.nodeType === Node.ELEMENT_NODE, size = isBox ? 1 : length(node.data);
      // A boxed carriage return parts words like the line break that it is.
      const data = isBox ? (node.textContent === "CR" ? "\r" : BOX) : node.data;
      this.chunks.push({ node, isBox, start, size });
      this.text += data;
      start += size;
    }
    this.size = start;
  }

  get words() {
    let units = 0, points = 0;
    this.found ??= wordsIn(this.text).map(({ start, end }) => {
      points += length(this.text.slice(units, start));
      const size = length(this.text.slice(start, end));
      units = end;
      const word = { start: points, end: points + size };
      points += size;
      return word;
    });
    return this.found;
  }

  // The code point at a place of the page; null outside this text.
  pointAt(container, offset) {
    if (container === this.pre || container.tagName === "CODE") {
      if (!this.pre.contains(container)) return null;
      const place = new Range();
      place.setStart(container, offset);
      return this.chunks.find(({ node }) => place.comparePoint(node.parentNode, indexOf(node)) >= 0)?.start ?? this.size;
    }
    const chunk = this.chunks.find(({ node }) => node === container || node.contains(container));
    if (!chunk) return null;
    if (chunk.isBox) return chunk.start + (offset > 0 ? 1 : 0);
    return chunk.start + length(chunk.node.data.slice(0, offset));
  }

  #place(point) {
    const chunk = this.chunks.find(({ start, size }) => point < start + size) ?? this.chunks.at(-1);
    if (!chunk) return [this.pre, 0];
    if (chunk.isBox) return [chunk.node.parentNode, indexOf(chunk.node) + (point > chunk.start ? 1 : 0)];
    return [chunk.node, [...chunk.node.data].slice(0, point - chunk.start).join("").length];
  }

  range(start, end) {
    const range = new Range();
    range.setStart(...this.#place(start));
    range.setEnd(...this.#endPlace(end));
    return range;
  }

  // The end of a passage is after its last character, not before the next one.
  #endPlace(end) {
    const chunk = this.chunks.find(({ start, size }) => end <= start + size) ?? this.chunks.at(-1);
    if (!chunk) return [this.pre, 0];
    if (chunk.isBox) return [chunk.node.parentNode, indexOf(chunk.node) + 1];
    return [chunk.node, [...chunk.node.data].slice(0, end - chunk.start).join("").length];
  }
}

const supported = typeof Highlight === "function" && Boolean(CSS.highlights);
const painted = new Map(); // block → ranges, so that several completions share one highlight

function paint(block, ranges, here) {
  if (!supported) return;
  painted.set(block, { ranges, here });
  for (const one of painted.keys()) if (!one.isConnected) painted.delete(one);
  const all = [...painted.values()];
  CSS.highlights.set("marked", new Highlight(...all.flatMap((one) => one.ranges)));
  CSS.highlights.set("mark-here", new Highlight(...all.flatMap((one) => one.here)));
}

export function attach(block, data, form) {
  const row = block.querySelector("[data-look=spans]"), field = row.querySelector("input[type=hidden]");
  const side = document.getElementById(`side-${data.side}`);
  const sources = [...side.querySelectorAll("[data-message]")].filter((holder) => holder.querySelector("[data-raw]")).map((holder) => new Source(holder));
  const list = make("ol", { class: "marks" });
  const start = make("button", { class: "btn", type: "button" }, make("kbd", { "data-cap": "m" }, "M"), t("Mark a passage"));
  const none = make("button", { class: "btn quiet", type: "button", "aria-pressed": "false" }, make("kbd", {}, "0"), t("Nothing to mark"));
  const hint = make("p", { class: "small mute hint" });
  const sets = new Map(); // row of a mark → what takes its answer; "" takes it out
  let marks = [], open = -1, cursor = null, numbers = 0;

  row.querySelector("[data-marks]").append(make("div", { class: "row" }, start, none), hint);
  row.after(list);
  start.addEventListener("mousedown", (event) => event.preventDefault()); // keep the selection
  start.addEventListener("click", () => { if (!markSelection()) begin(); });
  none.addEventListener("click", nothing);
  const listening = new AbortController();
  side.addEventListener("mouseup", () => {
    if (!selected()) return;
    form.mark(row, { focus: false, scroll: false });
    hint.textContent = t("Enter marks what is selected.");
  }, { signal: listening.signal });

  // --- the answer ---

  // Only the changed fields of a mark are kept: the passage itself is in the text, not in this browser.
  function store() {
    field.value = marks.length || none.getAttribute("aria-pressed") === "true" ? JSON.stringify(marks.map(({ id, quote, ...mark }) => mark)) : "";
    draw();
    form.judged(block);
    form.refresh();
    form.on.changed();
  }

  function read() {
    const kept = field.value ? JSON.parse(field.value) : [];
    marks = kept.map((mark) => ({ answers: {}, comment: "", ...mark, id: (numbers += 1) }));
    none.setAttribute("aria-pressed", String(field.value !== "" && !marks.length));
    open = -1;
    draw();
  }

  function add(source, from, to, category) {
    const same = marks.findIndex((mark) => mark.message === source.message && mark.start === from && mark.end === to);
    if (same >= 0) return again(same, category);
    if (marks.length >= MOST) return form.on.say(t("A completion takes at most {n} marks.", { n: MOST }));
    const mark = { id: (numbers += 1), message: source.message, start: from, end: to, category: category ?? "", severity: "", comment: "", answers: {} };
    marks.push(mark);
    marks.sort((a, b) => (a.message ?? 0) - (b.message ?? 0) || a.start - b.start || a.end - b.end);
    none.setAttribute("aria-pressed", "false");
    form.on.say(tn("{n} passage marked", "{n} passages marked", marks.length));
    opened(mark);
    return mark;
  }

  // A passage that is marked is not marked twice: its mark is opened, with the category that was said now.
  function again(at, category) {
    if (category) marks[at].category = category;
    form.on.say(t("This passage is marked already."));
    opened(marks[at]);
    hint.textContent = t("This passage is marked already.");
    return marks[at];
  }

  function opened(mark) {
    open = marks.indexOf(mark);
    getSelection().removeAllRanges();
    leaveCursor();
    store();
    const own = ownRows();
    if (own.length) form.mark(own.find((one) => !form.answered(one)) ?? own.at(-1));
    else form.mark(row);
  }

  const ownRows = () => [...list.querySelectorAll("[data-row]")].filter((one) => !one.closest("[hidden]"));

  function remove(mark) {
    marks = marks.filter((one) => one !== mark);
    open = -1;
    store();
    form.mark(row);
    form.on.say(tn("{n} passage marked", "{n} passages marked", marks.length));
  }

  function nothing() {
    if (marks.length) return form.on.say(t("Remove the marks first."));
    none.setAttribute("aria-pressed", String(none.getAttribute("aria-pressed") !== "true"));
    store();
  }

  // --- the list of marks ---

  const quoted = (mark) => {
    const source = sources.find((one) => one.message === mark.message);
    return source ? source.range(mark.start, mark.end).toString() : "";
  };

  function draw() {
    none.hidden = marks.length > 0;
    list.replaceChildren(...marks.map((mark, at) => drawMark(mark, at)));
    const ranges = (some) => some.flatMap((mark) => sources.filter((one) => one.message === mark.message).map((one) => one.range(mark.start, mark.end)));
    paint(block, ranges(marks.filter((_, at) => at !== open)), ranges(marks.filter((_, at) => at === open)));
  }

  function drawMark(mark, at) {
    const words = [mark.category, mark.severity].filter(Boolean).join(", ");
    const edit = make("button", { class: "btn quiet", type: "button", "aria-expanded": String(at === open) }, make("span", { class: "quote", dir: "auto" }, quoted(mark)), make("span", { class: "small mute" }, words || t("no category yet")));
    edit.addEventListener("click", () => { open = open === at ? -1 : at; draw(); form.refresh(); form.mark(ownRows().find((one) => !form.answered(one)) ?? ownRows()[0] ?? row, { scroll: false }); });
    const away = make("button", { class: "btn quiet", type: "button", "aria-label": t("Remove the mark on “{quote}”", { quote: quoted(mark).slice(0, 60) }) }, "×");
    away.addEventListener("click", () => remove(mark));
    const body = make("div", { class: "mark-body", "data-away": "", hidden: at !== open && isDone(mark) }, ...asked(mark));
    return make("li", { class: `mark${at === open ? " open" : ""}`, "data-mark": mark.id }, make("div", { class: "mark-head" }, edit, away), body);
  }

  const isDone = (mark) => Boolean((!data.categories.length || mark.category) && (!data.severities.length || mark.severity) && data.questions.every((q) => !q.needed || q.rows.every((one) => at(mark.answers[q.key], one.path) !== undefined)));

  function at(answer, path) { return path.reduce((value, key) => value?.[key], answer); }

  function asked(mark) {
    const rows = [];
    if (data.categories.length) rows.push(asRow(mark, "category", t("Category"), data.categories.map((word) => [word, word]), mark.category, true, (word) => { mark.category = word; }));
    if (data.severities.length) rows.push(asRow(mark, "severity", t("Severity"), data.severities.map((word) => [word, word]), mark.severity, true, (word) => { mark.severity = word; }));
    for (const question of data.questions) {
      // Of parts the title stands above; else it is the label of the only row.
      const isTitled = question.rows[0].label !== question.title, help = question.help ? [make("span", { class: "small mute", dir: "auto" }, question.help)] : [];
      if (isTitled) rows.push(make("p", { class: "asked-of" }, make("b", { dir: "auto" }, question.title), ...help));
      question.rows.forEach((one, place) => {
        const label = isTitled ? `${question.title} ${one.label}` : one.label;
        rows.push(asRow(mark, `${question.key}.${place}`, one.label, question.choices, at(mark.answers[question.key], one.path), question.needed, (value) => answer(mark, question, one.path, value), label, isTitled ? [] : help));
      });
    }
    if (data.comment) {
      const input = make("input", { class: "input", type: "text", form: "answer", maxlength: 2000, dir: "auto", placeholder: t("Comment, optional"), "aria-label": t("Comment on “{quote}”", { quote: quoted(mark).slice(0, 60) }) });
      input.value = mark.comment;
      input.addEventListener("input", () => { mark.comment = input.value; field.value = JSON.stringify(marks.map(({ id, quote, ...kept }) => kept)); form.on.changed(); });
      rows.push(input);
    }
    return rows;
  }

  function answer(mark, question, path, value) {
    let here = (mark.answers[question.key] ??= {});
    for (const key of path.slice(0, -1)) here = here[key] ??= {};
    here[path.at(-1)] = value;
    if (value === "") delete here[path.at(-1)];
    // Without any of its rows a question is not answered, and an empty answer would be refused.
    if (question.rows.every((one) => at(mark.answers[question.key], one.path) === undefined)) delete mark.answers[question.key];
  }

  // `cap` of a choice: its key where it has one of its own; `said`: the label with what it belongs to; `more`: below it.
  function asRow(mark, name, label, choices, chosen, needed, set, said = label, more = []) {
    const id = `${row.dataset.row}.mark${mark.id}.${name}`;
    sets.set(id, set);
    const options = choices.map(([value, word, cap], place) => {
      const key = cap ?? KEYS[place];
      const input = make("input", { type: "radio", name: id, value: String(value), checked: value === chosen, "aria-label": word });
      input.addEventListener("change", () => { set(value); store(); const again = list.querySelector(`[data-row="${CSS.escape(id)}"]`); if (again && form.current?.dataset.row === id) form.mark(again, { scroll: false }); });
      return make("label", { "data-key": key ?? "", "data-word": word }, input, ...(key ? [make("kbd", {}, key.toUpperCase())] : []), make("span", { class: "word", "aria-hidden": "true" }, word));
    });
    return make("fieldset", { class: "q-row q-choices", "data-row": id, "data-at": row.dataset.at, "data-look": "choices", "data-group": id, "data-needed": needed, "data-label": `${quoted(mark).slice(0, 40)}: ${said}`, tabindex: "-1" },
      make("legend", { class: "sr" }, `${quoted(mark).slice(0, 60)}: ${said}`), make("span", { class: "q-label", "aria-hidden": "true" }, make("b", {}, label)), ...more, make("div", { class: "opts" }, ...options));
  }

  // --- the word cursor and the selection ---

  // The selection inside one of this completion's texts, as code points.
  function selected() {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    for (const source of sources) {
      const from = source.pointAt(range.startContainer, range.startOffset), to = source.pointAt(range.endContainer, range.endOffset);
      if (from !== null && to !== null && to > from) return { source, from, to };
    }
    return null;
  }

  function markSelection(category) {
    const found = selected();
    if (!found) return false;
    add(found.source, found.from, found.to, category);
    return true;
  }

  function begin() {
    const source = cursor?.source ?? sources.find((one) => one.words.length);
    if (!source) return;
    cursor = { source, anchor: cursor?.anchor ?? firstVisible(source), focus: cursor?.anchor ?? firstVisible(source), on: true };
    hint.replaceChildren(t("Arrows go by words, Shift and arrows extend, Enter marks, a digit marks with that category, Escape leaves."), ...legend());
    document.body.classList.add("marking");
    row.focus({ preventScroll: true });
    show();
  }

  // What the digits stand for, where a passage is not marked yet.
  function legend() {
    return data.categories.slice(0, 9).map((word, place) => make("span", { class: "legend" }, make("kbd", {}, String(place + 1)), make("bdi", {}, word)));
  }

  function firstVisible(source) {
    const words = source.words;
    let low = 0, high = words.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (source.range(words[middle].start, words[middle].end).getBoundingClientRect().top < 110) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function span() {
    const words = cursor.source.words, [a, b] = [Math.min(cursor.anchor, cursor.focus), Math.max(cursor.anchor, cursor.focus)];
    return { from: words[a].start, to: words[b].end };
  }

  function show() {
    const { from, to } = span(), range = cursor.source.range(from, to), word = cursor.source.words[cursor.focus];
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    const box = cursor.source.range(word.start, word.end).getBoundingClientRect();
    if (box.top < 120 || box.bottom > innerHeight - 190) scrollBy({ top: box.top - innerHeight / 3, behavior: "instant" });
    form.on.say(range.toString());
  }

  function leaveCursor() {
    if (!cursor?.on) return;
    cursor.on = false;
    cursor.anchor = cursor.focus;
    hint.textContent = "";
    document.body.classList.remove("marking");
  }

  // A line up or down: the word nearest to this one's middle on the next line that has words.
  function line(by) {
    const words = cursor.source.words, boxOf = (at) => cursor.source.range(words[at].start, words[at].end).getBoundingClientRect();
    const here = boxOf(cursor.focus), middle = (here.left + here.right) / 2;
    let best = null, top = null;
    for (let at = cursor.focus + by; at >= 0 && at < words.length; at += by) {
      const box = boxOf(at);
      if (Math.abs(box.top - here.top) < here.height / 2) continue;
      top ??= box.top;
      if (Math.abs(box.top - top) > here.height / 2) break;
      const distance = Math.abs((box.left + box.right) / 2 - middle);
      if (!best || distance < best.distance) best = { at, distance };
    }
    return best?.at ?? cursor.focus;
  }

  function moved(key) {
    const words = cursor.source.words, isRtl = getComputedStyle(cursor.source.holder).direction === "rtl" ? -1 : 1;
    const next = { ArrowRight: cursor.focus + isRtl, ArrowLeft: cursor.focus - isRtl, ArrowDown: () => line(1), ArrowUp: () => line(-1), Home: 0, End: words.length - 1 }[key];
    if (next === undefined) return null;
    return Math.max(0, Math.min(words.length - 1, typeof next === "function" ? next() : next));
  }

  read();
  return {
    key(event, current) {
      const mark = marks.find((one) => current?.closest(`[data-mark="${one.id}"]`));
      if (event.key === "Delete" && mark) { event.preventDefault(); remove(mark); return true; }
      if (!cursor?.on) {
        if (event.key !== "Enter" || !selected()) return false;
        event.preventDefault();
        return markSelection();
      }
      if (event.key === "Escape") { leaveCursor(); getSelection().removeAllRanges(); event.preventDefault(); return true; }
      if (event.key === "Enter") { event.preventDefault(); const { from, to } = span(); add(cursor.source, from, to); return true; }
      const place = KEYS.indexOf(event.key);
      if (/^[1-9]$/.test(event.key) && place < data.categories.length) { event.preventDefault(); const { from, to } = span(); add(cursor.source, from, to, data.categories[place]); return true; }
      const next = moved(event.key);
      if (next === null) return false;
      event.preventDefault();
      cursor.focus = next;
      if (!event.shiftKey) cursor.anchor = next;
      show();
      return true;
    },
    pick(key, current) {
      if (current !== row || key !== "0") return false;
      // Said twice it is said: P takes it out.
      if (none.getAttribute("aria-pressed") !== "true") nothing();
      else if (form.outcome(row)) store();
      if (field.value !== "") form.advance();
      return true;
    },
    open: begin,
    // A row of a finished mark is put away; to step onto it opens its mark.
    reveal(one) {
      const place = marks.findIndex((mark) => one.closest(`[data-mark="${mark.id}"]`));
      if (place < 0 || place === open) return one;
      open = place;
      draw();
      form.refresh();
      return list.querySelector(`[data-row="${CSS.escape(one.dataset.row)}"]`);
    },
    answered: (one) => (one === row ? field.value !== "" : undefined),
    clear(one) {
      if (one === row) { none.setAttribute("aria-pressed", "false"); if (!marks.length) store(); return; }
      const mark = marks.find((candidate) => one.closest(`[data-mark="${candidate.id}"]`));
      if (!mark) return;
      const id = one.dataset.row, isHere = form.current?.dataset.row === id;
      sets.get(id)("");
      store();
      // The list is drawn anew: the cursor stays on the row that was emptied.
      if (isHere) form.mark(list.querySelector(`[data-row="${CSS.escape(id)}"]`), { scroll: false });
    },
    // What is selected still would be marked by the Enter that submits.
    changed() {
      if (!form.outcome(row)) return;
      leaveCursor();
      getSelection().removeAllRanges();
    },
    filled: read,
    leave() { listening.abort(); leaveCursor(); painted.delete(block); paint(block, [], []); },
  };
}
