// Shows one function at a time, a column for each form of its code. Lines that name the same offset in the module
// belong together. All text comes from a module that may be hostile: it is only ever set as text.
"use strict";
(() => {
  const { head, functions } = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const MOST_LISTED = 1000;
  const CHUNK = 200;
  const hidden = new Set([1, 3]); // columns that are not shown at first
  let current = null; // the function that is shown
  let panes = []; // its columns: {box, rows, wasm, index}
  let groups = new Map(); // rows by the offset that they name
  let lit = []; // rows that are highlighted
  let pinned = null; // an offset that stays highlighted
  let cursor = null; // {pane, row}
  let query = "";
  let hits = []; // rows of the function that is shown, in the order of the columns
  let hit = -1;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const hex = (number) => "0x" + number.toString(16);
  const label = (f) => f.name ?? "function " + f.index;

  // Searching. Texts are folded when they are first searched.
  const folded = new Map();
  const fold = (f) => {
    if (!folded.has(f)) folded.set(f, f.columns.map((column) => column.text.toLowerCase()));
    return folded.get(f);
  };
  const named = (f) => label(f).toLowerCase().includes(query) || String(f.index) === query;
  const contains = (f) => fold(f).some((text, i) => !hidden.has(i) && text.includes(query));
  const matching = () => {
    if (!query) return functions;
    const byName = functions.filter(named);
    const byText = functions.filter((f) => !named(f) && contains(f));
    return byName.concat(byText);
  };
  let found = functions; // those that the search finds

  function list() {
    found = matching();
    const items = found.slice(0, MOST_LISTED).map((f) => {
      const link = element("a");
      link.href = "#" + f.index;
      link.append(element("span", "index", f.index), label(f));
      link.title = `${label(f)}: ${f.size} bytes at ${hex(f.start)}`;
      if (f === current) link.setAttribute("aria-current", "true");
      return link;
    });
    const remark = (text) => items.push(element("p", "", text));
    if (found.length > MOST_LISTED) remark(`and ${found.length - MOST_LISTED} more: search`);
    if (found.length === 0) remark("nothing found");
    if (head.left_out > 0) remark(`${head.left_out} functions are not on this page: it is full. --function chooses functions, --max-page makes room.`);
    $("functions").replaceChildren(...items);
  }

  function column(data, index) {
    const section = element("section");
    const box = element("div", "lines");
    box.tabIndex = 0;
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", head.columns[index]);
    const pane = { box, section, rows: [], wasm: data.wasm, index };
    const texts = data.wasm.length > 0 ? data.text.split("\n") : [];
    const places = data.at ?? (index === 0 ? data.wasm : []);
    texts.forEach((text, i) => {
      if (i % CHUNK === 0) {
        const chunk = element("div", "chunk");
        chunk.setAttribute("role", "presentation");
        chunk.style.containIntrinsicBlockSize = `auto calc(${Math.min(CHUNK, texts.length - i)} * var(--row))`;
        box.append(chunk);
      }
      const row = element("div", "line");
      row.id = `c${index}-${i}`;
      row.setAttribute("role", "option");
      const place = places[i] ?? -1;
      row.append(element("span", "at", place < 0 ? "" : hex(place)), element("span", "text", text));
      row.line = i;
      box.lastChild.append(row);
      pane.rows.push(row);
      const wasm = data.wasm[i];
      if (wasm >= 0) {
        if (!groups.has(wasm)) groups.set(wasm, []);
        groups.get(wasm).push({ pane, row });
      }
    });
    if (data.missing) box.append(element("div", "missing", data.missing));
    section.append(element("h3", "", head.columns[index]), box);
    section.hidden = hidden.has(index);
    box.addEventListener("mouseover", (event) => {
      const row = event.target.closest(".line");
      if (row && pinned === null) light(pane.wasm[row.line], null);
    });
    box.addEventListener("mouseleave", () => { if (pinned === null) light(-1, null); });
    box.addEventListener("click", (event) => {
      const row = event.target.closest(".line");
      if (!row) return;
      move(pane, row.line);
      pin(pane.wasm[row.line]);
    });
    box.addEventListener("focus", () => { if (cursor?.pane !== pane) move(pane, counterpart(pane), true); });
    return pane;
  }

  // Highlights the lines that name an offset, and shows them in all columns but `from`, if that is said.
  function light(wasm, from) {
    lit.forEach(({ row }) => row.classList.remove("same"));
    lit = groups.get(wasm) ?? [];
    lit.forEach(({ row }) => row.classList.add("same"));
    if (!from) return;
    for (const pane of panes) {
      const first = lit.find((entry) => entry.pane === pane);
      if (first && pane !== from) reveal(first);
    }
  }

  // Scrolls the column, not the page.
  function reveal({ pane, row }) {
    const box = pane.box.getBoundingClientRect();
    const line = row.getBoundingClientRect();
    if (line.top < box.top + line.height) pane.box.scrollTop += line.top - box.top - box.height / 4;
    if (line.bottom > box.bottom - line.height) pane.box.scrollTop += line.bottom - box.bottom + box.height / 4;
  }

  // Pins an offset, or lets go of it where it is pinned.
  function pin(wasm) {
    const same = pinned === wasm;
    for (const { row } of groups.get(pinned) ?? []) row.classList.remove("pinned");
    pinned = same || wasm < 0 || wasm === undefined ? null : wasm;
    for (const { row } of groups.get(pinned) ?? []) row.classList.add("pinned");
    if (pinned !== null) light(pinned, cursor?.pane);
  }

  // Puts the cursor on a line.
  function move(pane, line, quiet) {
    const row = pane.rows[Math.max(0, Math.min(line, pane.rows.length - 1))];
    cursor?.row.classList.remove("cursor");
    cursor?.row.removeAttribute("aria-selected");
    if (!row) { cursor = null; return; }
    cursor = { pane, row };
    row.classList.add("cursor");
    row.setAttribute("aria-selected", "true");
    pane.box.setAttribute("aria-activedescendant", row.id);
    if (quiet) return;
    reveal(cursor);
    if (pinned === null) light(pane.wasm[row.line], pane);
  }

  // The line of a column that belongs to the one under the cursor.
  function counterpart(pane) {
    const wasm = cursor ? cursor.pane.wasm[cursor.row.line] : -1;
    return groups.get(wasm)?.find((entry) => entry.pane === pane)?.row.line ?? 0;
  }

  function sideways(step) {
    const shown = panes.filter((pane) => !hidden.has(pane.index));
    const next = shown[shown.indexOf(cursor?.pane) + step];
    if (!next) return;
    move(next, counterpart(next));
    next.box.focus({ preventScroll: true });
  }

  function show(f) {
    current = f;
    groups = new Map();
    lit = [];
    pinned = cursor = null;
    panes = f.columns.map(column);
    $("code").replaceChildren(...panes.map((pane) => pane.section));
    $("name").textContent = `${f.index}: ${label(f)}`;
    const compiled = f.quick ? "Compiled quickly" : "Compiled for speed";
    $("note").textContent = f.not_compiled ? `Not compiled: ${f.not_compiled}` : compiled;
    for (const link of $("functions").querySelectorAll("a")) {
      if (link.hash === "#" + f.index) {
        link.setAttribute("aria-current", "true");
        link.scrollIntoView({ block: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    mark();
  }

  // Marks the lines of this function in which the query is found.
  function mark() {
    hits.forEach(({ row }) => row.classList.remove("hit"));
    hits = [];
    hit = -1;
    if (query && current) {
      fold(current).forEach((text, i) => {
        if (hidden.has(i) || !text.includes(query)) return;
        text.split("\n").forEach((line, at) => {
          const row = panes[i].rows[at];
          if (row && line.includes(query)) hits.push({ pane: panes[i], row });
        });
      });
      hits.forEach(({ row }) => row.classList.add("hit"));
    }
    tell();
  }

  function tell() {
    const where = hit < 0 ? "" : `${hit + 1} of `;
    $("hits").textContent = query ? `${where}${hits.length} lines here; ${found.length} functions` : "";
  }

  function nextHit(step) {
    if (hits.length === 0) { go(step); return; }
    hit = hit < 0 && step < 0 ? hits.length - 1 : (hit + step + hits.length) % hits.length;
    move(hits[hit].pane, hits[hit].row.line);
    tell();
  }

  function go(step) {
    const next = found[found.indexOf(current) + step] ?? (found.includes(current) ? null : found[0]);
    if (next) location.hash = "#" + next.index;
  }

  const follow = () => {
    const wanted = functions.find((f) => "#" + f.index === location.hash) ?? functions[0];
    if (wanted && wanted !== current) show(wanted);
  };

  let typing;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      query = $("search").value.trim().toLowerCase();
      list();
      mark();
    }, 120);
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") $("search").blur();
  });
  $("theme").addEventListener("change", () => { document.documentElement.dataset.theme = $("theme").value; });

  const KEYS = {
    "/": () => { $("search").focus(); $("search").select(); },
    n: () => go(1),
    p: () => go(-1),
    ArrowDown: () => step(1),
    j: () => step(1),
    ArrowUp: () => step(-1),
    k: () => step(-1),
    PageDown: () => step(20),
    PageUp: () => step(-20),
    Home: () => step(-Infinity),
    End: () => step(Infinity),
    ArrowRight: () => sideways(1),
    l: () => sideways(1),
    ArrowLeft: () => sideways(-1),
    h: () => sideways(-1),
    " ": () => { if (cursor) pin(cursor.pane.wasm[cursor.row.line]); },
    Escape: () => { pin(pinned ?? -1); light(-1, null); },
  };
  function step(lines) {
    if (cursor) move(cursor.pane, cursor.row.line + lines);
    else sideways(1);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const used = event.key === " " ? "input, select, summary" : "[type=search], select, summary";
    if (event.target.closest?.(used)) return;
    const action = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : null;
    if (!action) return;
    event.preventDefault();
    action();
  });
  window.addEventListener("hashchange", follow);

  head.columns.forEach((title, i) => {
    const box = element("input");
    box.type = "checkbox";
    box.checked = !hidden.has(i);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(i); else hidden.add(i);
      if (current) panes[i].section.hidden = !box.checked;
      list();
      mark();
    });
    const wrapped = element("label");
    wrapped.append(box, " " + title);
    $("columns").append(wrapped);
  });
  $("file").textContent = head.file;
  $("about").textContent = `wasmrun ${head.version}, ${head.machine}`;
  list();
  if (functions.length > 0) follow();
  else $("note").textContent = "The module defines no functions.";
})();
