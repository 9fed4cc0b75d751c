// Notices that people were not told of: send again, drop; and a sample through each channel.
import { $, $$, paint } from "./common.js";
import { again, failed, once, send, started, sure, words } from "./acting.js";

const path = (button) => `/v1/notifications/${encodeURIComponent(button.closest("[data-id]").dataset.id)}`;

async function change(path, method, text) {
  const { ok, status, said } = await send(path, method);
  if (!ok && status !== 404) return failed($("#notices-error"), said);
  again(ok ? text : words(said), "main");
}

for (const button of $$("[data-retry]")) {
  button.addEventListener("click", () => once(button, () => change(`${path(button)}/retry`, "POST", "It is sent again now.")));
}
for (const button of $$("[data-drop]")) {
  button.addEventListener("click", () => {
    if (!sure(button, "Drop it: nobody is told")) return;
    once(button, () => change(path(button), "DELETE", "Dropped."));
  });
}
for (const button of $$("[data-test]")) {
  const line = $(".said", button.closest("li"));
  button.addEventListener("click", () =>
    once(button, async () => {
      paint(line, "Sending…");
      line.classList.remove("bad");
      const { ok, said } = await send("/v1/notifications/test", "POST", { channel: button.dataset.test });
      const arrived = ok && said.delivered;
      line.classList.toggle("bad", !arrived);
      paint(line, arrived ? "The receiver took it." : `Not delivered: ${ok ? said.why : words(said)}`);
    }),
  );
}
started();
