// What every page does for who is signed in: where the row of pages is wider than the screen, the one
// that is open is in sight; times go on; and that all agents are stopped is said at once.
import { $, setNow } from "./common.js";
import { follow } from "./live.js";

$(".places [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
const now = $("#main")?.dataset.now;
if (now) setNow(now);
follow(() => undefined);
