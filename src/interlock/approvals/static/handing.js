// Handing a call to somebody else: ask a colleague, ask those who may decide later, stop its agent.
import { $, $$, ask, element, paint, setText } from "./common.js";
import { once, opened, failed as say } from "./acting.js";
import { about, again, post, typed } from "./call.js";

const failed = (dialog, said) => say($(".error", dialog), said);

// ask somebody -------------------------------------------------------------------------------

async function people() {
  const { ok, said } = await ask("/v1/people");
  const list = $("#ask-people");
  if (!ok) return failed($("#ask"), said);
  const others = said.items.filter((each) => each.id !== about.me);
  const all = [{ id: about.me, me: true }, ...others].map((each) => ({ ...each, why: each.me ? "" : cannot(each) }));
  list.replaceChildren(...all.sort((one, two) => Boolean(one.why) - Boolean(two.why)).map(choice));
}

// Why somebody could not decide it, as far as the page knows; the server looks again.
function cannot(person) {
  const { groups, owner, voted } = $("#ask").dataset;
  const needed = JSON.parse(groups);
  if (person.id === owner) return "owns this agent";
  if (JSON.parse(voted).includes(person.id)) return "has approved it";
  if (!needed.length || person.groups.some((group) => needed.includes(group))) return "";
  return `not in ${needed.join(", ")}`;
}

function choice(person) {
  const label = element("label");
  const radio = element("input");
  radio.type = "radio";
  radio.name = "to";
  radio.value = person.id;
  radio.disabled = person.why !== "";
  const text = element("span");
  paint(text, person.me ? "me" : person.id);
  const notes = person.why ? [person.why] : [];
  if (person.assigned) notes.push(`${person.assigned} asked of them`);
  if (person.away) notes.push(person.away.to ? `away, ${person.away.to} stands in` : "away");
  if (notes.length) text.append(paint(element("small", "muted"), ` ${notes.join(", ")}`));
  label.append(radio, text);
  return label;
}

async function assign() {
  const chosen = $("input[name=to]:checked", $("#ask"));
  if (!chosen) return failed($("#ask"), { detail: "Choose somebody." });
  const body = { to: chosen.value, message: $("#ask-message").value.trim() };
  const { ok, said } = await post("assign", body);
  if (!ok) return failed($("#ask"), said);
  $("#ask").close();
  showAssigned(said.assigned);
}

export function showAssigned(assigned) {
  const line = $("#assigned");
  const said = assigned ? `${assigned.to}\n${assigned.by}\n${assigned.message}` : "";
  if (line.dataset.said === said) return;
  line.dataset.said = said;
  line.replaceChildren();
  if (!assigned) return;
  line.append("Asked: ", paint(element("b", "v"), assigned.to === about.me ? "you" : assigned.to));
  if (assigned.by === "rotation") line.append(", by rotation");
  else if (assigned.by !== assigned.to) line.append(", by ", paint(element("span", "v"), assigned.by === about.me ? "you" : assigned.by));
  if (assigned.message) line.append(": ", paint(element("q", "v"), assigned.message));
}

// ask those who may decide later -------------------------------------------------------------

async function escalate() {
  const { ok, said } = await post("escalate", { message: $("#escalate-message").value.trim() });
  if (!ok) return failed($("#escalate"), said);
  $("#escalate").close();
  const groups = JSON.parse($("#ask").dataset.groups);
  const more = JSON.parse($("#escalate-open")?.dataset.groups ?? "[]");
  if (groups.length) $("#ask").dataset.groups = JSON.stringify([...groups, ...more]); // none: anybody
  $("#escalate-open")?.remove();
  setText($("#desk-said"), "They are told now, and may decide it.");
}

// stop the agent -----------------------------------------------------------------------------

async function stop() {
  const reason = $("#stop-reason").value.trim();
  if (!reason) {
    $("#stop-reason").focus();
    return failed($("#stop"), { detail: "Say why: whoever resumes it reads this." });
  }
  const url = `/v1/agents/${encodeURIComponent(about.agent)}/suspend`;
  const headers = { "Interlock-CSRF": about.stopToken };
  const { ok, said } = await ask(url, { method: "POST", headers, body: JSON.stringify({ reason }) });
  if (!ok) return failed($("#stop"), said);
  again({ typed: typed() });
}

export function startHanding() {
  const ways = [
    ["#ask-open", "#ask", assign, people],
    ["#escalate-open", "#escalate", escalate],
    ["#stop-open", "#stop", stop],
  ];
  for (const [button, dialog, send, first] of ways) {
    if (!$(button)) continue;
    $(button).addEventListener("click", () => {
      opened($(dialog), $(button));
      first?.();
    });
    $("form", $(dialog)).addEventListener("submit", (event) => {
      event.preventDefault();
      once(event.submitter, send);
    });
  }
  for (const button of $$("[data-dismiss]")) button.addEventListener("click", () => button.closest("dialog").close());
}
