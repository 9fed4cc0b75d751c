// The queue: live, without losing scroll, focus or the selected card.
import { $, $$, ask, element, help, keys, oneAtATime, paint, setNow, setText, tickTimes } from "./common.js";
import { followUnseen } from "./live.js";
import { pick, picked, startBatch, unpick } from "./batch.js";

const cards = $("#cards");
const base = new URLSearchParams($("#main").dataset.asked); // the filters of this page
const blank = $("#card").content.firstElementChild;
const blankDone = $("#done").content.firstElementChild;

const page = $("#main").dataset;

function fill(item, card) {
  if (item.dataset.digest !== card.digest && $("[data-pick]", item).checked) unpick(item);
  const stake = shownStake(card);
  Object.assign(item.dataset, { id: card.id, version: card.version, stake: stake && card.stake, ownStake: card.stake, digest: card.digest, csrf: card.csrf });
  item.toggleAttribute("data-stopped", card.stopped !== "");
  item.toggleAttribute("data-together", card.batch);
  $(".pick", item).hidden = card.csrf === "";
  $("a", item).href = `/review/${encodeURIComponent(card.id)}`;
  $(".left", item).dataset.deadline = card.deadline;
  $("time", item).dataset.since = card.created;
  const votes = card.quorum > 1 ? `${card.votes} of ${card.quorum} approved` : "";
  const waiting = card.caller_waiting ? "agent is waiting" : "agent has hung up; it may ask again";
  const halted = card.stopped ? `stopped by ${card.stopped}` : "";
  const asked = card.assigned ? `asked: ${card.assigned === page.me ? "you" : card.assigned}` : "";
  const seen = card.looking.length ? `${card.looking.join(", ")} ${card.looking.length === 1 ? "is" : "are"} looking` : "";
  const twice = card.look_twice ? "Look twice" : "";
  const people = card.quorum > 1 ? "two people" : "one person";
  const said = { ...card, stake: stake || people, votes, waiting, halted, asked, seen, twice };
  $(".stake", item).classList.toggle("neutral", !stake);
  for (const field of $$("[data-f]", item)) repaint(field, said[field.dataset.f]);
  return item;
}

// What policy made of it stays folded, here too, until the person has judged; see verdict.js.
function shownStake(card) {
  return card.folded && !sessionStorage.getItem(`judged ${card.digest}`) ? "" : card.stake;
}

function unfoldJudged() {
  for (const item of $$(".card", cards)) {
    if (item.dataset.stake || !sessionStorage.getItem(`judged ${item.dataset.digest}`)) continue;
    item.dataset.stake = item.dataset.ownStake;
    setText($(".stake", item), item.dataset.ownStake);
    $(".stake", item).classList.remove("neutral");
  }
}

// Most of a card stays as it is: only what changed is painted again.
function repaint(field, text) {
  if (painted.get(field) === text) return;
  painted.set(field, text);
  paint(field, text);
}

const painted = new WeakMap();

function show(queue) {
  const wanted = new Set(queue.items.map((card) => card.id));
  const all = $$(".card", cards);
  // those that go, go first: a card that is moved would lose the focus
  for (const gone of all) if (!wanted.has(gone.dataset.id)) leave(gone);
  const known = new Map(all.map((item) => [item.dataset.id, item]));
  let place = null; // the card after which the next one goes
  for (const card of queue.items) {
    const item = known.get(card.id) ?? blank.cloneNode(true);
    const fresh = !known.has(card.id);
    fill(item, card);
    if (fresh && !showingMore) item.classList.add("fresh");
    const following = place ? place.nextElementSibling : cards.firstElementChild;
    if (following !== item) cards.insertBefore(item, following);
    place = item;
  }
  setText($("#count"), String(queue.total));
  $("#empty").hidden = queue.items.length > 0;
  $("#more").hidden = !queue.next;
  $("#left-out").replaceChildren(...queue.left_out.map((rest) => leftOut(rest, queue.next)));
  $("#earlier").hidden = starts[0] === null;
  document.title = `Review (${queue.total}) · Interlock`;
  suggest(queue.items);
  setNow(queue.now);
  picked();
}

// What the filters complete: agents and tools that are on the page.
function suggest(items) {
  for (const [list, field] of [["#agents", "agent"], ["#tools", "tool"]]) {
    const names = [...new Set(items.map((card) => card[field]))].filter(Boolean).sort().slice(0, 50);
    const known = $$("option", $(list)).map((option) => option.value);
    if (names.join("\n") === known.join("\n")) continue;
    $(list).replaceChildren(...names.map((name) => Object.assign(element("option"), { value: name })));
  }
}

function leftOut(rest, next) {
  const item = element("li");
  const link = element("a", "", `and ${rest.count}${next ? " or more" : ""} of `);
  link.href = `/review?agent=${encodeURIComponent(rest.id)}`;
  link.append(paint(element("span", "v"), rest.agent));
  item.append(link);
  return item;
}

function leave(item) {
  if (item.contains(document.activeElement)) {
    const other = item.nextElementSibling ?? item.previousElementSibling;
    if (other) $("a", other).focus({ preventScroll: true });
  }
  item.remove();
}

function showRecent(queue) {
  const items = queue.items.slice(0, 12).map((card) => {
    const item = blankDone.cloneNode(true);
    item.dataset.state = card.state;
    $("a", item).href = `/review/${encodeURIComponent(card.id)}`;
    paint($(".tool", item), card.title);
    paint($(".dest", item), card.target || `${card.method} ${card.destination}`);
    paint($(".said", item), card.outcome);
    $("time", item).dataset.since = card.changed;
    return item;
  });
  if (!$("#recent").contains(document.activeElement)) $("#recent").replaceChildren(...items);
  $("#recent-none").hidden = items.length > 0;
}

// pages ----------------------------------------------------------------------------------------
// The page holds a window of the queue: one request for each of its parts, each going on where the
// one before it ended, so that no call is left out or shown twice when others come and go.

const PART = 100;
const MOST = 500; // cards kept in the page
let starts = [base.get("cursor")]; // the cursor at which each part begins; null: the beginning
let following = null; // where the next part would begin
let showingMore = false;

async function part(cursor) {
  const query = new URLSearchParams(base);
  if (cursor !== null) query.set("cursor", cursor);
  else query.delete("cursor");
  return ask(`/v1/approvals?${query}`);
}

async function whole() {
  const found = { items: [], left_out: [] };
  const seen = new Set();
  let cursor = starts[0];
  const begun = [];
  for (const _ of starts) {
    const { ok, said } = await part(cursor);
    if (!ok) return null;
    begun.push(cursor);
    const items = said.items.filter((card) => !seen.has(card.id) && seen.add(card.id));
    Object.assign(found, said, { items: [...found.items, ...items] });
    cursor = said.next;
    if (cursor === null) break;
  }
  starts = begun;
  following = cursor;
  return found;
}

async function more(event) {
  event.preventDefault();
  const last = cards.lastElementChild;
  if (base.has("share")) {
    base.delete("share"); // from here on the queue as it is, every call of every agent
    base.set("limit", PART);
  } else {
    base.set("limit", base.get("limit") ?? PART);
    if (following) starts.push(following);
    if (starts.length * Number(base.get("limit")) > MOST) starts.shift();
  }
  showingMore = true;
  await refresh();
  showingMore = false;
  const first = last?.isConnected ? last.nextElementSibling : cards.firstElementChild;
  setText($("#more-said"), `${$$(".card", cards).length} shown`);
  if (first) $("a", first).focus();
}

const refresh = oneAtATime(async () => {
  const [held, recent] = await Promise.all([whole(), ask("/v1/approvals?state=recent&limit=12")]);
  if (held) show(held);
  if (recent.ok) showRecent(recent.said);
  tickTimes();
});

function move(step) {
  const links = $$(".card-link", cards);
  const at = links.indexOf(document.activeElement?.closest(".card")?.querySelector(".card-link"));
  const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  if (next) next.focus();
}

// A filter is in the address, so that it can be kept and sent to others; fields left empty are not.
$("#filters").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = [...new FormData(event.currentTarget)].filter(([, value]) => value.trim());
  location.assign(wanted.length ? `/review?${new URLSearchParams(wanted)}` : "/review");
});
for (const field of $$("#filters [type=checkbox], #filters select")) {
  field.addEventListener("change", () => $("#filters").requestSubmit());
}
$("#filters").addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.target.blur();
});
$("#more-link").addEventListener("click", more);
following = new URL($("#more-link").href).searchParams.get("cursor");
unfoldJudged();
startBatch(cards, refresh);
followUnseen(refresh); // its title counts what waits
// who looks and who is asked moves no call, so nothing announces it
setInterval(() => document.visibilityState === "visible" && refresh(), 15_000);
keys({
  j: () => move(1),
  k: () => move(-1),
  o: () => document.activeElement.click(),
  x: () => pick(document.activeElement?.closest(".card")),
  "/": () => $("#filter-text").focus(),
  "?": help,
});
page.ready = "yes";
$("#help-open").addEventListener("click", help);
