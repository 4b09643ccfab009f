"use strict";
(() => {
  const three = (v) => (v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0));
  const scaled = (v, units, base) => {
    let n = 0;
    while (n + 1 < units.length && v >= base * 0.9995) { v /= base; n += 1; }
    return (n === 0 && units[0] !== "s" ? String(Math.round(v)) : three(v)) + " " + units[n];
  };
  const bytes = (v) => scaled(v, ["B", "KiB", "MiB", "GiB", "TiB"], 1024);
  const formats = {
    ns: (v) => (v < 99.95e9 ? scaled(v, ["ns", "µs", "ms", "s"], 1000)
      : Math.floor(v / 6e10) + "m " + String(Math.round(v / 1e9) % 60).padStart(2, "0") + "s"),
    bytes, "bytes/s": (v) => bytes(v) + "/s",
    ratio: (v) => (v * 100).toFixed(1) + " %",
    W: (v) => v.toFixed(0) + " W", C: (v) => v.toFixed(0) + " °C", cores: (v) => three(v),
  };
  const clock = (ms) => {
    const s = Math.max(0, ms / 1000);
    return Math.floor(s / 3600) + ":" + String(Math.floor(s / 60) % 60).padStart(2, "0") + ":"
      + (s % 60).toFixed(1).padStart(4, "0");
  };

  // The read-out of plots over time: the point under the pointer, and a line through it.
  for (const figure of document.querySelectorAll("figure.time")) {
    const figures = JSON.parse(figure.querySelector("script.figures").textContent);
    const svg = figure.querySelector(".plot svg");
    const readout = figure.querySelector("output");
    const [starts, ends] = figures.x;
    const format = formats[figures.unit] || String;
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", "0");
    cursor.setAttribute("y2", "200");
    const show = (event) => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * figures.width;
      let best = -1;
      for (let i = 0, distance = Infinity; i < starts.length; i += 1) {
        const away = Math.max(starts[i] - at, at - ends[i], 0);
        if (away < distance) { distance = away; best = i; }
        if (starts[i] > at) break;
      }
      if (best < 0) return;
      const x = (starts[best] + ends[best]) / 2 / (figures.width || 1) * 1000;
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      if (!cursor.parentNode) svg.append(cursor);
      const parts = figures.series.filter((one) => one.values[best] !== null)
        .map((one) => one.name + " " + format(one.values[best]));
      readout.textContent = [clock(figures.first + starts[best]), ...parts].join(" · ");
      readout.hidden = false;
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", () => { readout.hidden = true; cursor.remove(); });
  }

  // Shapes that tell something of their own.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointermove", (event) => {
    const over = event.target instanceof Element && event.target.closest("[data-tip]");
    tip.hidden = !over;
    if (!over) return;
    tip.textContent = over.getAttribute("data-tip");
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(4, event.clientY - box.height - 12) + "px";
  });

  // Long tables: sorted by a head, filtered by a text, cut until asked.
  for (const explorer of document.querySelectorAll(".explorer")) {
    const body = explorer.querySelector("tbody");
    const all = [...body.rows];
    const texts = all.map((row) => row.textContent.toLowerCase());
    const input = explorer.querySelector("input");
    const count = explorer.querySelector(".count");
    const button = explorer.querySelector(".all");
    const what = count.textContent.replace(/^[\d,]+ /, "");
    let most = Number(explorer.dataset.shown);
    const refresh = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = new Set(all.filter((_, i) => words.every((word) => texts[i].includes(word))));
      let shown = 0;
      for (const row of body.rows) {
        row.hidden = !fits.has(row) || shown >= most;
        if (!row.hidden) shown += 1;
      }
      count.textContent = (words.length ? fits.size.toLocaleString("en") + " of " : "")
        + all.length.toLocaleString("en") + " " + what;
      if (button) button.hidden = shown >= fits.size;
    };
    input.addEventListener("input", refresh);
    if (button) button.addEventListener("click", () => { most = Infinity; refresh(); });
    const heads = [...explorer.querySelectorAll("th")];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const figures = head.classList.contains("n");
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : figures;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => (figures ? Number(row.cells[column].dataset.v)
        : row.cells[column].textContent);
      const keys = new Map(all.map((row) => [row, key(row)]));
      const compare = (a, b) => (figures ? keys.get(a) - keys.get(b)
        : keys.get(a).localeCompare(keys.get(b)));
      body.append(...[...all].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
      refresh();
    }));
    refresh();
  }

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
})();
