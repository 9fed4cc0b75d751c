// Hearing of what happens: one stream of events for all that a page does. A browser keeps six
// connections to a server, over all its tabs, so a page that nobody sees lets go of its stream.
import { $, ask, element, paint } from "./common.js";

const SOONEST = 2_000; // ms until it is tried again
const LATEST = 30_000;
const FRESH = 3_000; // ms in which the loaded page knows better than the stream who is stopped
const BEAT = 5_000; // where much more than this passes between two beats, the machine slept

const followers = [];
let unseen = false; // whether it goes on while nobody sees the page
let source = null;
let latest = null; // what was heard last
let timer = 0;
let wait = SOONEST;
let signedOut = false;
let beat = Date.now();

// Call `changed(tick)` with the queue as it is, and whenever it changes while the page is seen.
export function follow(changed) {
  followers.push(changed);
  if (latest) changed(latest);
  keepUp();
}

// As `follow`, and while nobody sees the page.
export function followUnseen(changed) {
  unseen = true;
  follow(changed);
}

function keepUp() {
  if (signedOut || (document.visibilityState !== "visible" && !unseen)) return hangUp();
  if (source) return;
  const stream = (source = new EventSource("/v1/events"));
  stream.addEventListener("open", () => {
    wait = SOONEST;
    say("");
  });
  stream.addEventListener("error", () => source === stream && lost());
  stream.addEventListener("queue", (event) => {
    latest = JSON.parse(event.data);
    setTimeout(() => halt(latest.halted), Math.max(0, FRESH - performance.now()));
    for (const changed of followers) changed(latest);
  });
}

function hangUp() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

// A stream that is begun anew tells at once how the queue is, so nothing is missed.
function renew() {
  hangUp();
  keepUp();
}

// Browsers go on by themselves only after some errors, and never after an answer such as 401 or 503.
async function lost() {
  hangUp();
  say("Not live: trying to reconnect");
  timer = setTimeout(keepUp, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LATEST);
  const { status } = await ask("/v1/me");
  if (status !== 401) return;
  signedOut = true;
  hangUp();
  say("You are signed out.", "Sign in again");
}

function say(text, link) {
  const live = $("#live");
  if (live.dataset.said === text) return;
  live.dataset.said = text;
  live.hidden = !text;
  live.textContent = text;
  if (link) live.append(" ", Object.assign(element("a", "", link), { href: location.pathname + location.search }));
}

document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? renew() : keepUp()));
addEventListener("offline", () => say("Not live: this device is offline"));
addEventListener("online", renew);
addEventListener("pagehide", hangUp);
addEventListener("pageshow", (event) => event.persisted && renew());
setInterval(() => {
  const slept = Date.now() - beat > 4 * BEAT;
  beat = Date.now();
  if (slept && document.visibilityState === "visible") renew();
}, BEAT);

// Say that all agents are stopped as templates/base.html does, and take it away again.
function halt(halted) {
  const shown = $(".halted");
  if (shown?.dataset.at === (halted ? String(halted.at) : undefined)) return;
  shown?.remove();
  if (!halted) return;
  const banner = element("p", "stale halted");
  banner.setAttribute("role", "alert");
  banner.dataset.at = halted.at;
  const when = `${new Date(halted.at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
  banner.append(element("b", "", "All agents are stopped: nothing is sent."), " ", paint(element("span", "v"), halted.by));
  banner.append(` stopped them on ${when}`);
  if (halted.reason) banner.append(": ", paint(element("q", "v"), halted.reason));
  banner.append(" ", Object.assign(element("a", "", "Agents"), { href: "/agents" }));
  $("header.top").after(banner);
}
