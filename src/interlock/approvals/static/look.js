// How long the call is in sight, and who else has it open. Only time in which the page is visible
// and has the focus counts; the server believes no more than has passed.
import { $, element, paint } from "./common.js";
import { about, now, path, post, settle } from "./call.js";

const EVERY = 10_000; // ms between notes
let dwell = Number(about.dwell); // ms that policy asks for before it is approved
let looked = Number(about.looked); // ms in sight as the server knows them
let unsent = 0; // ms in sight since the last note
let since = 0; // when it came into sight; 0: it is not
let noted = 0; // when the server had noted it at the latest; 0: it has not

const inSight = () => document.visibilityState === "visible" && document.hasFocus();

function count() {
  const time = performance.now();
  if (since) unsent += time - since;
  since = inSight() ? time : 0;
}

// What the server will believe beside what it knows: no more than has passed since it noted.
function seen() {
  count();
  return noted ? Math.floor(Math.min(unsent, performance.now() - noted)) : 0;
}

export function waiting() {
  return Math.max(0, dwell - looked - seen());
}

function longer(ms) {
  dwell = looked + seen() + ms;
}

async function note() {
  count();
  const ms = Math.floor(unsent);
  unsent -= ms;
  const { ok, said } = await post("look", { visible_ms: ms });
  if (!ok) {
    unsent += ms;
    return;
  }
  looked = said.looked_ms;
  noted = performance.now();
  about.noted = "yes";
  present(said.looking);
  settle();
}

function leave() {
  count();
  const body = JSON.stringify({ leaving: true, visible_ms: Math.floor(unsent) });
  const headers = { "Content-Type": "application/json", "Interlock-CSRF": about.csrf };
  unsent = noted = 0;
  fetch(`${path}/look`, { method: "POST", headers, body, keepalive: true, credentials: "same-origin" }).catch(() => null);
}

// Say who else has it open; a reader of screens hears of it only where that changes.
export function present(others) {
  const names = others.map((each) => each.person);
  const line = $("#presence");
  if (line.dataset.names === names.join("\n")) return;
  line.dataset.names = names.join("\n");
  line.replaceChildren();
  names.forEach((name, at) => {
    if (at > 0) line.append(at === names.length - 1 ? " and " : ", ");
    line.append(paint(element("b", "v"), name));
  });
  if (names.length) line.append(names.length === 1 ? " has this open too" : " have this open too");
}

// `refresh`: who is asked, and who is stopped, moves no call; it is looked for with each note.
export function startLooking(refresh) {
  if (now.over || about.looks !== "yes") return;
  Object.assign(now, { wait: waiting, seen, longer });
  count();
  for (const event of ["visibilitychange", "focus", "blur"]) {
    (event === "visibilitychange" ? document : window).addEventListener(event, count);
  }
  note();
  const timer = setInterval(() => {
    if (now.over) return clearInterval(timer);
    note();
    if (document.visibilityState === "visible") refresh();
  }, EVERY);
  addEventListener("pagehide", () => now.over || leave());
  addEventListener("pageshow", (event) => event.persisted && note());
}
