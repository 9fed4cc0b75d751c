// What both pages share. Text that an agent wrote arrives visible (see core/redaction.py) and is
// only ever set with textContent, or as the value of a control; nothing else is made from it.

const TOKENS =
  /(?<lf><U\+000A>\n?)|(?<tab><U\+0009>)|(?<points>(?:<(?:U\+(?!000A>|0009>)[0-9A-F]{4,6}|0x[0-9A-F]{2})>)+)|(?<=\S)(?<spaces> {2,})/g;

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Show visible text in `target`, its tokens marked.
export function paint(target, text) {
  target.replaceChildren();
  let end = 0;
  for (const found of text.matchAll(TOKENS)) {
    target.append(...plain(text.slice(end, found.index)), ...marked(found));
    end = found.index + found[0].length;
  }
  target.append(...plain(text.slice(end)));
  return target;
}

// Letters that are drawn like an ASCII one, in words that have both: core/lookalikes.py has them too.
const LIKE_ASCII = new Set(
  "\u0391\u0392\u0395\u0396\u0397\u0399\u039A\u039C\u039D\u039F\u03A1\u03A4\u03A5\u03A7\u03B1\u03B9\u03BA\u03BD\u03BF\u03C1\u03C5\u03F2\u03F3\u0405\u0406\u0408\u0410\u0412\u0415\u041A\u041C\u041D\u041E\u0420\u0421\u0422\u0423\u0425\u0430\u0435\u043E\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0475\u04AE\u04BB\u04C0\u04CF\u0501\u050D\u051A\u051B\u051C\u051D\u053C\u054D\u054F\u0555\u0566\u0570\u0575\u0578\u057D\u0581\u0584\u0585",
);

function plain(text) {
  const parts = [];
  let end = 0;
  if (!/^[\x00-\x7f]*$/.test(text)) {
    for (const { 0: word, index } of text.matchAll(/\p{L}+/gu)) {
      if (!/[A-Za-z]/.test(word)) continue;
      for (let at = 0; at < word.length; at += 1) {
        if (!LIKE_ASCII.has(word[at])) continue;
        parts.push(text.slice(end, index + at), element("span", "twin", word[at]));
        end = index + at + 1;
      }
    }
  }
  parts.push(text.slice(end));
  return parts;
}

function marked(found) {
  if (found.groups.lf) return [element("span", "pt nl", "↵"), found[0].endsWith("\n") ? "\n" : ""];
  if (found.groups.tab) return [element("span", "pt nl", "⇥"), "\t"];
  return [element("span", found.groups.spaces ? "sp" : "pt", found[0])];
}

// time ---------------------------------------------------------------------------------------

let behind = null; // how far this machine's clock is behind the store's, ms; null: not known

export function setNow(now) {
  behind = Number(now) - Date.now();
  tickTimes();
}

export const storeNow = () => Date.now() + (behind ?? 0);

function ago(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h`;
  return seconds >= 60 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`;
}

function left(ms) {
  if (ms <= 0) return "time is over";
  const seconds = Math.floor(ms / 1000);
  const two = (number) => String(number).padStart(2, "0");
  if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d left`;
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return `${hours ? `${hours}:` : ""}${rest} left`;
}

export function tickTimes() {
  if (behind === null) return; // the times are as the server said them
  for (const time of $$("time[data-since]")) {
    setText(time, ago(storeNow() - Number(time.dataset.since)));
  }
  for (const clock of $$("[data-deadline].left")) {
    const deadline = Number(clock.dataset.deadline);
    const ms = deadline - storeNow();
    setText(clock, deadline ? left(ms) : "");
    clock.classList.toggle("soon", deadline > 0 && ms < 300000);
  }
}

export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

setInterval(tickTimes, 1000);

// the API ------------------------------------------------------------------------------------

const PATIENCE = 30_000; // ms until an answer is not waited for any more

// Ask, and return `ok`, the `status` (0: no answer came) and what was `said`; never throws.
export async function ask(path, { method = "GET", headers = {}, body } = {}) {
  const none = { ok: false, status: 0, said: { detail: "Interlock does not answer." } };
  const response = await fetch(path, {
    method,
    body,
    credentials: "same-origin",
    signal: AbortSignal.timeout(PATIENCE),
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
  }).catch(() => null);
  if (!response) return none;
  const { ok, status } = response;
  if (status === 204) return { ok, status, said: {} };
  const said = await response.json().catch(() => null);
  if (!said) return ok ? none : { ok, status, said: { detail: `Interlock does not answer: status ${status}.` } };
  if (status === 401) said.detail = "You are signed out. Load the page again to sign in.";
  return { ok, status, said };
}

// Run `act` again and again until nobody has asked for it since it began, never twice at a time.
export function oneAtATime(act) {
  let running = null;
  let asked = false;
  async function run() {
    while (asked) {
      asked = false;
      await act();
    }
  }
  return () => {
    asked = true;
    running ??= run().finally(() => (running = null));
    return running;
  };
}

// keys ---------------------------------------------------------------------------------------

export const typing = (target) => Boolean(target.closest("input:not([type=radio], [type=checkbox]), textarea, select"));

export function keys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actions[event.key];
    if (!act || (event.key !== "Escape" && typing(event.target))) return;
    if ($("dialog[open]")) return;
    if (act(event) !== false) event.preventDefault();
  });
}

export function help() {
  $("#help").showModal();
}
