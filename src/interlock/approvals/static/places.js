// Where the row of pages is wider than the screen, the one that is open is in sight.
document.querySelector(".places [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
