"use strict";
(() => {
  const [ARN, TYPE, REGION, VERDICT, OWNER, REASON, FINDINGS] = [0, 1, 2, 3, 4, 5, 6];
  const [TAG, PROBLEM, TEXT] = [0, 1, 2];
  const NOBODY = "nobody named", EXEMPTION = "exemption", STEP = 200;
  const WORDS = { "non-compliant": "not compliant" };
  const all = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const filters = {
    verdict: (row, value) => row[VERDICT] === value,
    problem: (row, value) => row[FINDINGS].some((one) => one[PROBLEM] === value),
    type: (row, value) => row[TYPE] === value,
    owner: (row, value) => (row[OWNER] || NOBODY) === value,
    tag: (row, value) => row[FINDINGS].some((one) => (one[TAG] || EXEMPTION) === value),
  };
  const texts = all.map((row) => [row[ARN], row[TYPE], row[OWNER], row[REASON],
    ...row[FINDINGS].map((one) => one[TEXT])].join("\n").toLowerCase());
  const order = { "non-compliant": 0, unknown: 1, exempt: 2, untaggable: 3, compliant: 4 };
  let sort = { column: VERDICT, down: false }, limit = STEP;

  // Whatever comes from AWS becomes a text node, and is kept apart from what stands around it.
  const make = (name, text, kind) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const apart = (name, text, kind) => {
    const made = make(name, undefined, kind);
    made.append(make("bdi", text));
    return made;
  };

  const offer = (id, values) => {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
    for (const value of [...counts.keys()].sort()) {
      const option = make("option", `${WORDS[value] || value} (${counts.get(value)})`);
      option.value = value;
      by(id).append(option);
    }
  };
  offer("verdict", all.map((row) => row[VERDICT]));
  offer("problem", all.flatMap((row) => [...new Set(row[FINDINGS].map((one) => one[PROBLEM]))]));
  offer("type", all.map((row) => row[TYPE]));
  offer("owner", all.map((row) => row[OWNER] || NOBODY));
  offer("tag", all.flatMap((row) => [...new Set(row[FINDINGS].map((one) => one[TAG] || EXEMPTION))]));

  const line = (row) => {
    const made = document.createElement("tr");
    const where = make("td");
    where.append(apart("code", row[ARN], "arn"));
    const verdict = make("td");
    verdict.append(make("span", WORDS[row[VERDICT]] || row[VERDICT], `verdict ${row[VERDICT]}`));
    const wrong = make("td"), list = make("ul", undefined, "wrong");
    for (const one of row[FINDINGS]) list.append(apart("li", one[TEXT]));
    if (row[FINDINGS].length) wrong.append(list);
    if (row[REASON]) wrong.append(apart("span", row[REASON], "tag"));
    made.append(where, make("td", row[TYPE]), apart("td", row[OWNER] || NOBODY), verdict, wrong);
    return made;
  };

  const show = () => {
    const search = by("search").value.trim().toLowerCase();
    const chosen = Object.entries(filters).map(([id, fits]) => [by(id).value, fits]).filter(([value]) => value);
    const found = [];
    all.forEach((row, number) => {
      if (search && !texts[number].includes(search)) return;
      if (chosen.every(([value, fits]) => fits(row, value))) found.push(row);
    });
    const key = (row) => (sort.column === VERDICT ? order[row[VERDICT]] : row[sort.column]);
    const sign = sort.down ? -1 : 1;
    found.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x !== y) return (x < y ? -1 : 1) * sign;
      return a[ARN] < b[ARN] ? -1 : 1;
    });
    by("rows").replaceChildren(...found.slice(0, limit).map(line));
    by("shown").textContent = `${found.length.toLocaleString("en")} of ${all.length.toLocaleString("en")}`;
    by("more").hidden = found.length <= limit;
    for (const button of document.querySelectorAll("[data-sort]")) {
      const mine = Number(button.dataset.sort) === sort.column;
      button.parentElement.setAttribute("aria-sort", mine ? (sort.down ? "descending" : "ascending") : "none");
    }
    for (const button of document.querySelectorAll("[data-filter]")) {
      button.classList.toggle("on", by(button.dataset.filter).value === button.dataset.value);
    }
  };
  const afresh = () => { limit = STEP; show(); };

  by("search").addEventListener("input", afresh);
  for (const id of Object.keys(filters)) by(id).addEventListener("change", afresh);
  by("clear").addEventListener("click", () => {
    by("search").value = "";
    for (const id of Object.keys(filters)) by(id).value = "";
    afresh();
  });
  by("more").addEventListener("click", () => { limit += STEP; show(); });
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const column = Number(button.dataset.sort);
      sort = { column, down: sort.column === column && !sort.down };
      show();
    });
  }
  for (const button of document.querySelectorAll("[data-filter]")) {
    const select = by(button.dataset.filter), value = button.dataset.value;
    if (![...select.options].some((option) => option.value === value)) { button.disabled = true; continue; }
    button.addEventListener("click", () => {
      select.value = select.value === value ? "" : value;
      afresh();
      by("list").scrollIntoView({ behavior: "smooth" });
    });
  }
  show();
})();
