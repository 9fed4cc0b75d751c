// Editing a call's arguments: a form or raw JSON, previewed by the server before it is approved.
// Fields that nobody touched are sent as the JSON they came as, and numbers as they were typed:
// neither passes through a JavaScript number.
import { $, $$, ask, element, paint } from "./common.js";
import { changeRow, settle } from "./call.js";

const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

function fieldJson(field) {
  if (!field.dataset.touched) return field.dataset.json;
  const value = $("[data-value]", field).value;
  switch (field.dataset.kind) {
    case "number":
      return numberJson(field.dataset, value.trim());
    case "choice":
      return value;
    case "json":
      try {
        JSON.parse(value);
      } catch (wrong) {
        throw new Error(`This must be JSON: ${wrong.message}.`, { cause: wrong });
      }
      return value;
    default:
      checkLength(field.dataset, [...value].length);
      return JSON.stringify(value);
  }
}

// What the schema asks, said beside the field at once; the server checks all of it again.
function numberJson(asked, value) {
  if (!NUMBER.test(value)) throw new Error("This must be a number.");
  const number = Number(value);
  if (asked.type === "integer" && !Number.isInteger(number)) throw new Error("This must be a whole number.");
  for (const [bound, wrong, words] of [
    [asked.minimum, (most) => number < most, "at least"],
    [asked.exclusiveminimum, (most) => number <= most, "more than"],
    [asked.maximum, (most) => number > most, "at most"],
    [asked.exclusivemaximum, (most) => number >= most, "less than"],
  ]) {
    if (bound !== undefined && wrong(Number(bound))) throw new Error(`This must be ${words} ${bound}.`);
  }
  return value;
}

function checkLength(asked, length) {
  if (length < Number(asked.minlength ?? 0)) throw new Error(`This needs at least ${asked.minlength} characters.`);
  if (length > Number(asked.maxlength ?? Infinity)) throw new Error(`This may have at most ${asked.maxlength} characters.`);
}

// Show what the server says of an edit beside the field that it names, where it names one.
function beside(detail) {
  for (const field of $$("[data-field]")) {
    const name = JSON.parse(field.dataset.name);
    if (![`: ${name}: `, `: ${name}.`, `\`${name}\``, `"${name}"`, `'${name}'`].some((each) => detail.includes(each))) continue;
    fail(field, detail);
    return $("[data-value]", field).focus();
  }
}

function fail(field, text) {
  const error = $("[data-error]", field);
  error.textContent = text;
  error.hidden = text === "";
  $("[data-value]", field).setAttribute("aria-invalid", String(text !== ""));
}

const sent = (field) => ($("[data-include]", field)?.checked ?? true) && (field.dataset.touched || field.dataset.json);

// The arguments as JSON text; null where a field is wrong.
function composed() {
  const members = [];
  let good = true;
  for (const field of $$("[data-field]")) {
    fail(field, "");
    if (!sent(field)) continue;
    try {
      members.push(`${field.dataset.name}: ${fieldJson(field)}`);
    } catch (wrong) {
      fail(field, wrong.message);
      if (good) $("[data-value]", field).focus();
      good = false;
    }
  }
  return good ? `{\n  ${members.join(",\n  ")}\n}` : null;
}

export function startEditing(path, decide) {
  const raw = $("#raw");
  const error = $("#edit-error");
  const send = $("#edit-send");
  let mode = "form";
  let previewed = null; // the arguments and the digest that the preview showed

  function stale() {
    previewed = null;
    send.dataset.good = "no";
    settle();
    $("#preview").hidden = true;
  }

  function edited() {
    error.hidden = true;
    if (mode === "form") return composed();
    try {
      const value = JSON.parse(raw.value);
      if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("This must be an object.");
      return raw.value;
    } catch (wrong) {
      error.textContent = wrong.message;
      error.hidden = false;
      return null;
    }
  }

  async function preview() {
    const text = edited();
    if (text === null) return;
    const answer = await ask(`${path}/preview`, { method: "POST", body: `{"edited_args": ${text}}` });
    if (!answer.ok) {
      stale();
      error.textContent = answer.said.detail;
      error.hidden = false;
      if (mode === "form") beside(answer.said.detail);
      return;
    }
    show(answer.said);
    previewed = { text, digest: answer.said.digest };
    send.dataset.good = answer.said.acceptable ? "yes" : "no";
    settle();
  }

  function show(said) {
    $("#preview-changes").replaceChildren(...said.changes.map(changeRow));
    const { level, stake, consequence } = said.decision;
    const asks = level === "allow" || level === "notify" ? "would let this pass by itself" : level === "approve_dual" ? "asks for two people" : "asks for one person";
    paint($("#preview-level"), said.why || `Policy ${asks}. Stake ${stake}. ${consequence}`);
    $("#preview-level").classList.toggle("warn", Boolean(said.why));
    $("#preview-warnings").replaceChildren(
      ...said.warnings.map((warning) => paint(element("li", "v"), `${warning.where}: ${warning.text}`)),
    );
    paint($("#preview-method"), said.call.method);
    paint($("#preview-url"), said.call.url);
    paint($("#preview-body"), said.call.body.pretty ?? said.call.body.visible);
    $("#preview").hidden = false;
    $("#preview").scrollIntoView({ block: "nearest" });
  }

  for (const field of $$("[data-field]")) {
    $("[data-value]", field).addEventListener("input", () => {
      field.dataset.touched = "yes";
      const include = $("[data-include]", field);
      if (include) include.checked = true;
      stale();
    });
    $("[data-include]", field)?.addEventListener("change", stale);
  }
  raw.addEventListener("input", stale);
  $("#edit-fields").addEventListener("submit", (event) => {
    event.preventDefault();
    preview();
  });
  for (const button of $$("[data-editor]")) {
    button.addEventListener("click", () => {
      if (button.dataset.editor === "raw" && mode === "form") {
        const text = composed();
        if (text === null) return;
        raw.value = text;
      }
      if (button.dataset.editor !== mode) stale();
      mode = button.dataset.editor;
      for (const other of $$("[data-editor]")) other.setAttribute("aria-pressed", String(other === button));
      $("#edit-fields").hidden = mode !== "form";
      $("#edit-raw").hidden = mode !== "raw";
    });
  }
  $("#preview-go").addEventListener("click", preview);
  send.addEventListener("click", () => {
    if (!previewed) return;
    const extra = `,"edited_args":${previewed.text},"edited_digest":${JSON.stringify(previewed.digest)}`;
    $("#edit-send-error").hidden = true;
    decide("edit", { message: $("#edit-message").value.trim(), extra, editedDigest: previewed.digest }, $("#edit-send-error"));
  });
}
