// The queue: live, without losing scroll, focus or the selected card.
import { $, $$, ask, element, follow, help, keys, paint, setNow, setText, tickTimes } from "./common.js";

const cards = $("#cards");
const asked = $("#main").dataset.asked; // the filters of this page
const blank = $("#card").content.firstElementChild;
const blankDone = $("#done").content.firstElementChild;

function fill(item, card) {
  item.dataset.id = card.id;
  item.dataset.version = card.version;
  item.dataset.stake = card.stake;
  $("a", item).href = `/review/${encodeURIComponent(card.id)}`;
  $(".left", item).dataset.deadline = card.deadline;
  $("time", item).dataset.since = card.created;
  const votes = card.quorum > 1 ? `${card.votes} of ${card.quorum} approved` : "";
  const waiting = card.caller_waiting ? "caller waiting" : "nobody waiting";
  const said = { ...card, tool: card.tool || "unknown tool", votes, waiting };
  for (const field of $$("[data-f]", item)) paint(field, said[field.dataset.f]);
  return item;
}

function show(queue) {
  const known = new Map($$(".card", cards).map((item) => [item.dataset.id, item]));
  let place = null; // the card after which the next one goes
  for (const card of queue.items) {
    const item = known.get(card.id) ?? blank.cloneNode(true);
    const fresh = !known.delete(card.id);
    fill(item, card);
    if (fresh) item.classList.add("fresh");
    const following = place ? place.nextElementSibling : cards.firstElementChild;
    if (following !== item) cards.insertBefore(item, following);
    place = item;
  }
  for (const gone of known.values()) leave(gone);
  setText($("#count"), String(queue.total));
  $("#empty").hidden = queue.items.length > 0;
  $("#more").hidden = !queue.next;
  $("#left-out").replaceChildren(...queue.left_out.map((rest) => leftOut(rest, queue.next)));
  document.title = `Review (${queue.total}) · Interlock`;
  setNow(queue.now);
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
    paint($(".tool", item), card.tool || "unknown tool");
    paint($(".dest", item), `${card.method} ${card.destination}`);
    paint($(".said", item), card.outcome);
    $("time", item).dataset.since = card.changed;
    return item;
  });
  if (!$("#recent").contains(document.activeElement)) $("#recent").replaceChildren(...items);
  $("#recent-none").hidden = items.length > 0;
}

let asking = false;
let again = false;

async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  const [held, recent] = await Promise.all([ask(`/v1/approvals?${asked}`), ask("/v1/approvals?state=recent&limit=12")]);
  if (held.ok) show(held.said);
  if (recent.ok) showRecent(recent.said);
  tickTimes();
  asking = false;
  if (again) {
    again = false;
    refresh();
  }
}

function move(step) {
  const links = $$(".card-link", cards);
  const at = links.indexOf(document.activeElement);
  const next = links[Math.min(Math.max(at + step, 0), links.length - 1)];
  if (next) next.focus();
}

setNow($("#main").dataset.now);
follow(refresh);
keys({
  j: () => move(1),
  k: () => move(-1),
  o: () => document.activeElement.click(),
  "?": help,
});
$("#main").dataset.ready = "yes";
$("#help-open").addEventListener("click", help);
