// Answers on their way: kept in this browser until the server has said 2xx or has refused them for good.
// Holds ids, choices and keys only, never a text that was judged. Resending is safe: the key makes it the same vote.

import { t, tn } from "./words.js";

// Refused for good, where the reply is the app's own.
const REFUSALS = new Set([400, 404, 409, 422]);

// Of these nothing is kept on the server: the answer goes back to the page that shows its comparison again.
export const GIVEN_BACK = new Set([400, 404, 422]);

// A request that nobody answers is as good as no network: what waits for it goes on, and it is sent again.
export const PATIENCE_MS = 20_000;

// The cookie's, because signing in again in another tab changes it; the page's own where cookies cannot be read.
export const token = () => /(?:^|; )winnow_csrf=([^;]+)/.exec(document.cookie)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]").value;

// The names of a person's outboxes that hold something in this browser, one a project.
export function outboxNames(person) {
  return [...new Set(keysFrom(`winnow.outbox.${person}.`).map((key) => key.split(".").slice(0, 4).join(".")))];
}

function keysFrom(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
  } catch {
    return []; // storage is forbidden
  }
}

// What is said of `count` answers that wait because of `why`; `reference` is that of the server's error, if it gave one.
export function waitingWords(count, why, reference = "") {
  const words = {
    offline: tn("{n} answer kept on this device, sending when back", "{n} answers kept on this device, sending when back", count),
    "signed-out": tn("{n} answer kept on this device. Sign in again as yourself to send it.", "{n} answers kept on this device. Sign in again as yourself to send them.", count),
    server: tn("{n} answer kept on this device, trying again", "{n} answers kept on this device, trying again", count),
  }[why];
  return reference ? `${words} (${t("reference {reference}", { reference })})` : words;
}

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

// A key an entry, so that two tabs never overwrite what the other has not sent yet.
export class Outbox {
  constructor(name) {
    this.name = name;
    this.memory = new Map(); // What storage did not take (full or forbidden): it lives as long as this page.
    this.#takeOver();
  }

  // Earlier versions kept one list for all, in which something may wait since before an upgrade.
  #takeOver() {
    const list = stored(this.name);
    if (!list) return;
    localStorage.removeItem(this.name);
    for (const entry of list) this.add(entry);
  }

  // In the order in which they were given.
  all() {
    return [...keysFrom(`${this.name}.`).map(stored).filter(Boolean), ...this.memory.values()].sort((one, other) => one.at - other.at);
  }

  add(entry) {
    const key = this.#key(entry), kept = { ...entry, at: Date.now() };
    try {
      localStorage.setItem(key, JSON.stringify(kept));
    } catch {
      this.memory.set(key, kept);
    }
  }

  remove(entry) {
    this.memory.delete(this.#key(entry));
    try {
      localStorage.removeItem(this.#key(entry));
    } catch { /* forbidden: nothing is there */ }
  }

  #key(entry) { return `${this.name}.${entry.fields.submit_key}`; }
}

// At so many of its own failures in a row, trying once more is not all that can be offered.
const MANY_FAILURES = 3;

const pause = (failures) => Math.min(30_000, 1000 * 2 ** Math.min(failures - 1, 5));

// Sends in their order. One at which the server fails rests and is tried again later, and those behind it go on; without
// network or session all wait.
export class Sender {
  // `on` has saved(entry, reply), refused(entry, sentence, status), waiting(count, why, reference) and idle().
  constructor(outbox, token, on) {
    Object.assign(this, { outbox, token, on, busy: null, failures: 0, rests: new Map(), failed: new Map(), held: [], timer: 0 });
    addEventListener("online", () => this.flush(true));
  }

  // `isNow`: also what rests.
  flush(isNow = false) {
    clearTimeout(this.timer);
    if (isNow) this.rests.clear();
    this.busy ??= this.#sendAll().finally(() => { this.busy = null; });
    return this.busy;
  }

  async #sendAll() {
    const tried = new Set();
    let goesOn = true;
    for (let next = this.#next(tried); goesOn && next; next = this.#next(tried)) {
      tried.add(next.fields.submit_key);
      goesOn = await this.#send(next);
    }
    const left = this.outbox.all();
    if (!left.length) return this.on.idle();
    const ends = left.map(({ fields }) => this.rests.get(fields.submit_key)?.until ?? 0);
    const milliseconds = goesOn ? Math.max(1000, Math.min(...ends) - Date.now()) : pause(this.failures);
    this.timer = setTimeout(() => this.flush(), milliseconds);
    this.on.waiting(left.length, ...this.held);
  }

  // Those at which the server fails each time, not what waits for network or session.
  get failing() { return this.outbox.all().filter(({ fields }) => this.failed.get(fields.submit_key) >= MANY_FAILURES); }

  // By hand only: it is not sent any more.
  setAside(entry) {
    this.#settle(entry);
    return this.flush();
  }

  #next(tried) {
    return this.outbox.all().find(({ fields: { submit_key: key } }) => !tried.has(key) && !(this.rests.get(key)?.until > Date.now()));
  }

  // Whether those behind this one may go on.
  async #send(entry) {
    let reply;
    try {
      reply = await post(entry.url, entry.fields, this.token());
    } catch (error) {
      if (error.name === "TimeoutError") this.#rest(entry); // It may be this one that takes too long: the next round begins behind it.
      return this.#stop("offline");
    }
    // Only what the app itself says settles an answer: a proxy, a portal or a redirect speaks for nobody.
    const body = await reply.json().catch(() => null);
    if (reply.ok && body?.annotation_id) {
      this.#settle(entry);
      this.on.saved(entry, body);
      return true;
    }
    if (REFUSALS.has(reply.status) && typeof body?.error === "string") {
      this.#settle(entry);
      this.on.refused(entry, body.error, reply.status);
      return true;
    }
    if (reply.status === 401) return this.#stop("signed-out");
    this.held = ["server", typeof body?.reference === "string" ? body.reference : ""];
    this.failed.set(entry.fields.submit_key, (this.failed.get(entry.fields.submit_key) ?? 0) + 1);
    return this.#rest(entry);
  }

  #settle(entry) {
    this.failures = 0;
    this.rests.delete(entry.fields.submit_key);
    this.failed.delete(entry.fields.submit_key);
    this.outbox.remove(entry);
  }

  #rest(entry) {
    const failures = (this.rests.get(entry.fields.submit_key)?.failures ?? 0) + 1;
    this.rests.set(entry.fields.submit_key, { failures, until: Date.now() + pause(failures) });
    return true;
  }

  #stop(why) {
    this.failures += 1;
    this.held = [why];
    return false;
  }
}

export function post(url, fields, token) {
  return fetch(url, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": token },
    body: new URLSearchParams(Object.entries(fields)),
    credentials: "same-origin",
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
}

export async function sentence(reply) {
  try {
    return (await reply.json()).error;
  } catch {
    return t("The server answered {status}.", { status: reply.status });
  }
}
