// Marks words that only one side has, by the CSS Highlight API: no element is added, no text moves.

const MOST_WORDS = 20_000, MOST_EDITS = 4_000; // beyond these it would take seconds

export const supported = typeof Highlight === "function" && Boolean(CSS.highlights);

const WORD = /[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{M}\p{N}]/gu;

// The words of a text with their places in it.
export function wordsIn(text) {
  return [...text.matchAll(WORD)].map((match) => ({ start: match.index, end: match.index + match[0].length, word: match[0] }));
}

function wordsOf(side) {
  const walker = document.createTreeWalker(side, NodeFilter.SHOW_TEXT);
  const words = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("[hidden], header, .edit")) continue;
    words.push(...wordsIn(node.data).map((word) => ({ node, ...word })));
  }
  return words;
}

// Myers' shortest edit script, keeping only the furthest point of each diagonal and step. Null where the two are too long
// to be compared, or have too little in common.
export function sharedPairs(a, b) {
  const n = a.length, m = b.length, most = Math.min(n + m, MOST_EDITS), zero = most + 1, trace = [];
  if (Math.max(n, m) > MOST_WORDS) return null;
  const v = new Int32Array(2 * most + 3); // the furthest x on diagonal k, at zero + k
  for (let d = 0; d <= most; d += 1) {
    trace.push(v.slice(zero - d, zero + d + 1));
    for (let k = -d; k <= d; k += 2) {
      let x = k === -d || (k !== d && v[zero + k - 1] < v[zero + k + 1]) ? v[zero + k + 1] : v[zero + k - 1] + 1;
      let y = x - k;
      while (x < n && y < m && a[x].word === b[y].word) { x += 1; y += 1; }
      v[zero + k] = x;
      if (x >= n && y >= m) return walkBack(trace, n, m, d);
    }
  }
  return null;
}

function walkBack(trace, x, y, depth) {
  const pairs = [];
  for (let d = depth; d >= 0; d -= 1) {
    const v = trace[d], k = x - y;
    const before = k === -d || (k !== d && v[d + k - 1] < v[d + k + 1]) ? k + 1 : k - 1;
    const startX = d === 0 ? 0 : v[d + before], startY = d === 0 ? 0 : startX - before;
    while (x > startX && y > startY) { x -= 1; y -= 1; pairs.push([x, y]); }
    [x, y] = [startX, startY];
  }
  return pairs;
}

function ranges(words, shared) {
  const found = [];
  words.forEach((word, at) => {
    if (shared.has(at)) return;
    const last = found.at(-1);
    if (last && last.at === at - 1 && last.node === word.node) {
      last.range.setEnd(word.node, word.end);
      last.at = at;
      return;
    }
    const range = new Range();
    range.setStart(word.node, word.start);
    range.setEnd(word.node, word.end);
    found.push({ node: word.node, at, range });
  });
  return found.map((entry) => entry.range);
}

// Two are compared: of one there is nothing to say, and of more a pair would say nothing of the others.
// Two answers to one prompt: those to different prompts differ in everything.
export const fits = (root) => supported && root.querySelectorAll(".side").length === 2 && !root.querySelector(".own-prompt");

// The passages that differ, marked; null where that cannot be said.
export function show(root) {
  const [a, b] = [...root.querySelectorAll(".side")].map(wordsOf);
  const pairs = sharedPairs(a, b);
  if (!pairs) return null;
  const all = [...ranges(a, new Set(pairs.map(([x]) => x))), ...ranges(b, new Set(pairs.map(([, y]) => y)))];
  CSS.highlights.set("differs", new Highlight(...all));
  return all.sort((p, q) => p.getBoundingClientRect().top - q.getBoundingClientRect().top);
}

export function hide() {
  CSS.highlights.delete("differs");
  CSS.highlights.delete("difference-here");
}

export function goTo(range) {
  CSS.highlights.set("difference-here", new Highlight(range));
  const box = range.getBoundingClientRect();
  scrollTo({ top: scrollY + box.top - innerHeight / 3, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
