// The status page: asks status.json every two seconds and shows what it says.
// Whatever comes from a record is set as text; no markup is ever made of it.

const ASK_MS = 2_000;
const HIDDEN_MS = 20_000;
const PATIENCE_MS = 6_000;
const SVG = "http://www.w3.org/2000/svg";
const MOST_ROWS = 32;
const FEW = 6;

const byId = (id) => document.getElementById(id);
let told = null; // the newest document
let shownSteps = 300; // of its histories: all, or those since it began
const painting = []; // plots to draw once everything has its place
let heardAt = 0; // when it came, by this machine's clock that only goes forward

// ---- Words and numbers

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function count(value) {
  return value === null || value === undefined ? "–" : whole.format(Math.round(value));
}

function rate(value) {
  if (value === null || value === undefined) return "–";
  return `${value > 0 && value < 10 ? value.toFixed(1) : whole.format(Math.round(value))}/s`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1_000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  const [one, of, two, units] =
    seconds < 7_200 ? [60, "min", 1, "s"] : seconds < 172_800 ? [3_600, "h", 60, "min"] : [86_400, "d", 3_600, "h"];
  const small = Math.round(seconds / two);
  return `${Math.floor((small * two) / one)} ${of} ${small % (one / two)} ${units}`;
}

/** How long something has lasted, in whole seconds. */
function age(seconds) {
  const whole_seconds = Math.max(0, Math.floor(seconds));
  return whole_seconds < 10 ? `${whole_seconds} s` : duration(whole_seconds);
}

function clock(epochSeconds) {
  const then = new Date(epochSeconds * 1_000);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return then.toDateString() === new Date(now() * 1_000).toDateString() ? time : `${then.toLocaleDateString()} ${time}`;
}

/** A duration as an axis has it: one unit. */
function tick(seconds) {
  for (const [unit, name] of [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]])
    if (seconds >= unit) return `${Number((seconds / unit).toFixed(1))} ${name}`;
  return seconds ? `${Number((seconds * 1_000).toPrecision(2))} ms` : "0";
}

function share(part, of) {
  return of ? `${((100 * part) / of).toFixed(part && part < of && part / of > 0.999 ? 2 : 1)} %` : "–";
}

/** Seconds since the epoch by the clock of who serves: this machine's may be wrong. */
function now() {
  return told ? told.at + (performance.now() - heardAt) / 1_000 : Date.now() / 1_000;
}

// ---- Elements. What has not changed is left alone, so that focus, selection and scrolling stay.

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setClass(node, name) {
  if (node.getAttribute("class") !== name) node.setAttribute("class", name);
}

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** A sentence whose commands stand between backticks, as nodes. */
function withCommands(text) {
  return text.split("`").map((each, at) => (at % 2 ? make("code", {}, each) : each));
}

function draw(name, attributes = {}) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** Let a parent have as many children as there are items; `fill` writes each. */
function children(parent, items, create, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, at) => {
    if (at >= parent.children.length) parent.append(create());
    fill(parent.children[at], item, at);
  });
}

/** The child of that name, made when it is asked for first. */
function part(parent, name, create) {
  parent.parts ??= new Map();
  if (!parent.parts.has(name)) {
    parent.parts.set(name, create());
    parent.append(parent.parts.get(name));
  }
  return parent.parts.get(name);
}

function card(parent, title) {
  return part(parent, title, () => {
    const heading = make("h2", { id: `h-${title.toLowerCase().replace(/\W+/g, "-")}` }, title);
    return make("section", { class: "card", "aria-labelledby": heading.id }, heading);
  });
}

/** A table: `columns` are {title, kind}, `groups` are {title, rows}, a row is a list of cells. */
function table(parent, name, caption, columns, groups) {
  const scroll = part(parent, name, () => {
    const head = make("tr");
    for (const column of columns) head.append(make("th", { scope: "col", class: column.kind ?? "" }, column.title));
    const made = make("table", {}, make("caption"), make("thead", {}, head));
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, made);
  });
  const made = scroll.firstElementChild;
  setText(made.caption, caption);
  made.caption.hidden = !caption;
  made.tHead.hidden = !groups.some((group) => group.rows.length);
  while (made.tBodies.length > groups.length) made.tBodies[made.tBodies.length - 1].remove();
  groups.forEach((group, at) => {
    const body = made.tBodies[at] ?? made.createTBody();
    const rows = group.title === undefined ? group.rows : [null, ...group.rows];
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((row, number) => {
      const line = body.rows[number] ?? body.insertRow();
      if (row === null) {
        if (line.firstElementChild?.scope !== "rowgroup")
          line.replaceChildren(make("th", { scope: "rowgroup", colspan: columns.length }));
        setText(line.firstElementChild, group.title);
        return;
      }
      if (line.children.length !== columns.length)
        line.replaceChildren(
          ...columns.map((column, place) =>
            make(place ? "td" : "th", { ...(place ? {} : { scope: "row" }), class: column.kind ?? "" })),
        );
      row.forEach((value, place) => cell(line.children[place], columns[place], value));
    });
  });
}

function cell(node, column, value) {
  if (value?.seconds !== undefined) {
    spark(node, value);
    return;
  }
  const { text, bad } = typeof value === "object" && value !== null ? value : { text: value, bad: false };
  setText(node, String(text));
  setClass(node, `${column.kind ?? ""}${bad ? " bad" : ""}`);
}

// ---- Plots

const DURATIONS = [
  1, 2, 4, 10, 20, 30, 60, 120, 240, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 345_600,
];

/** A round number that is not less, and whose half is round, too. */
function nice(top, isDuration) {
  if (!(top > 0)) return isDuration ? 1 : 10;
  if (isDuration && top > 0.5 && top <= DURATIONS.at(-1)) return DURATIONS.find((each) => each >= top);
  const power = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 4, 6, 10].map((each) => each * power).find((each) => each >= top);
}

function line(values, x, y) {
  let path = "";
  let down = false;
  values.forEach((value, at) => {
    if (value === null) down = false;
    else {
      path += `${down ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      if (!down && values[at + 1] === null) path += "h.1";
      down = true;
    }
  });
  return path;
}

/** The area between two lines, in pieces where values are missing. */
function area(low, high, x, y) {
  let path = "";
  let from = null;
  for (let at = 0; at <= high.length; at++) {
    const known = at < high.length && high[at] !== null;
    if (known && from === null) from = at;
    if (!known && from !== null) {
      const places = Array.from({ length: at - from }, (_, each) => from + each);
      const up = places.map((each) => `${x(each).toFixed(1)} ${y(high[each]).toFixed(1)}`);
      const back = places.reverse().map((each) => `${x(each).toFixed(1)} ${y(low[each]).toFixed(1)}`);
      path += `M${up.join("L")}L${back.join("L")}Z`;
      from = null;
    }
  }
  return path;
}

/** A row's small plot: an area of records, and before it a line of seconds. */
function spark(node, { seconds, records, top, most }) {
  let svg = node.firstElementChild;
  if (!svg) {
    // The row says the same in numbers.
    svg = draw("svg", { class: "spark", viewBox: "0 0 100 22", preserveAspectRatio: "none", "aria-hidden": "true" });
    svg.append(draw("path", { class: "wait" }), draw("path", { class: "stroke a" }));
    node.append(svg);
  }
  const x = (at) => (100 * at) / (seconds.length - 1);
  const height = (highest) => (value) => 21 - (20 * value) / highest;
  svg.firstElementChild.setAttribute("d", area(records.map(() => 0), records, x, height(most)));
  svg.lastElementChild.setAttribute("d", line(seconds, x, height(top)));
}

/** A plot over the last minutes. `series`: {name, values, look}; `stacked`: each on top of those before. */
function plot(parent, title, { series, format, axis = tick, stacked = false, note = "" }) {
  const shown = series.filter((each, at) => at === 0 || each.values.some((value) => value));
  const figure = part(parent, title, () => {
    const caption = make("figcaption", {}, make("h2", {}, title), make("p"), make("ul", { class: "legend" }));
    const svg = draw("svg", { class: "plot", role: "img" });
    const values = make("details", {}, make("summary", {}, "By the minute"));
    return make("figure", { class: "card" }, caption, svg, values);
  });
  const [caption, svg, values] = figure.children;
  const newest = shown.map((each) => `${shown.length > 1 ? `${each.name} ` : ""}${format(last(each.values))}`);
  setText(caption.children[1], [`now ${newest.join(", ")}`, note].filter(Boolean).join("; "));
  children(
    caption.children[2],
    shown.length > 1 ? shown : [],
    () => {
      const key = draw("svg", { "aria-hidden": "true", viewBox: "0 0 24 10" });
      key.append(draw("path", { d: stacked ? "M0 0H24V10H0Z" : "M0 5H24" }));
      return make("li", {}, key, make("span"));
    },
    (node, each) => {
      setClass(node.querySelector("path"), `${stacked ? "fill" : "stroke"} ${each.look}`);
      setText(node.lastElementChild, each.name);
    },
  );
  const known = shown.flatMap((each) => each.values.filter((value) => value !== null));
  const highest = known.length ? Math.max(...known) : null;
  svg.setAttribute(
    "aria-label",
    `${title}, the last ${minutes()} minutes: now ${newest.join(", ")}; highest ${format(highest)}. The figures by the minute follow.`,
  );
  painting.push(() => paint(svg, shown, axis, stacked));
  if (values.open || !values.parts) byTheMinute(values, title, shown, format);
}

const minutes = () => Math.round((told.step_seconds * steps()) / 60);
const steps = () => shownSteps;

/** The document with as much of its histories as there is something to see of: two minutes, five or ten. */
function trimmed(full) {
  const histories = [full.lag.seconds, full.lag.records, ...Object.values(full.throughput ?? {}),
    ...(full.groups ?? []).map((each) => each.history.offsets_per_second)];
  const begun = Math.min(...histories.map((values) => values.findIndex((value) => value !== null)).filter((at) => at >= 0));
  const known = full.lag.seconds.length - (Number.isFinite(begun) ? begun : full.lag.seconds.length);
  shownSteps = [120, 300].map((seconds) => seconds / full.step_seconds).find((each) => each >= known) ?? full.lag.seconds.length;
  const cut = (value) => {
    if (Array.isArray(value)) return value.length === full.lag.seconds.length ? value.slice(-shownSteps) : value;
    return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, cut(each)])) : value;
  };
  const partitions = full.partitions.map((each) => ({ ...each, history: cut(each.history) }));
  const groups = full.groups?.map((each) => ({ ...each, history: cut(each.history) }));
  return { ...full, lag: cut(full.lag), throughput: cut(full.throughput), latency: cut(full.latency), partitions, groups };
}
const last = (values) => values.at(-1) ?? null;

function paint(svg, series, axis, stacked) {
  const width = Math.max(200, svg.clientWidth || 320);
  const height = 150;
  const [left, right, bottom, above] = [46, 6, 20, 6];
  const length = series[0].values.length;
  let layers = series.map((each) => ({ ...each, low: null, high: each.values }));
  if (stacked) {
    let below = series[0].values.map(() => 0);
    layers = series.map((each) => {
      const low = below;
      const high = each.values.map((value, at) => (value === null && low[at] === 0 ? null : low[at] + (value ?? 0)));
      below = high.map((value) => value ?? 0);
      return { ...each, low, high };
    });
  }
  const top = nice(Math.max(0, ...layers.flatMap((each) => each.high.filter((value) => value !== null))), axis === tick);
  const x = (at) => left + ((width - left - right) * at) / (length - 1);
  const y = (value) => height - bottom - ((height - bottom - above) * value) / top;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const nodes = [0, 0.5, 1].flatMap((each) => {
    const text = draw("text", { x: left - 6, y: y(top * each) + 4, class: "end" });
    text.textContent = axis(top * each);
    const d = `M${left} ${y(top * each)}H${width - right}`;
    return [draw("path", { class: each ? "grid-line" : "base", d }), text];
  });
  for (const layer of layers) {
    nodes.push(
      layer.low
        ? draw("path", { class: `fill ${layer.look}`, d: area(layer.low, layer.high, x, y) })
        : draw("path", { class: `stroke ${layer.look}`, d: line(layer.high, x, y) }),
    );
  }
  for (const [share_, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    const text = draw("text", { x: left + (width - left - right) * share_, y: height - 5, "text-anchor": anchor });
    text.textContent = share_ === 1 ? "now" : `−${Number((minutes() * (1 - share_)).toFixed(1))} min`;
    nodes.push(text);
  }
  svg.replaceChildren(...nodes);
}

function byTheMinute(parent, title, series, format) {
  const each = Math.round(60 / told.step_seconds);
  const rows = [];
  for (let end = series[0].values.length, ago = 0; end > 0; end -= each, ago++) {
    const means = series.map(({ values }) => {
      const known = values.slice(Math.max(0, end - each), end).filter((value) => value !== null);
      return known.length ? Math.max(...known) : null;
    });
    if (means.some((value) => value !== null)) rows.push([ago ? `${ago} min ago` : "last minute", ...means.map(format)]);
  }
  const columns = [{ title: "when" }, ...series.map(({ name }) => ({ title: `${name}, highest`, kind: "number" }))];
  if (parent.parts && parent.columns !== columns.length) {
    parent.parts.forEach((node) => node.remove());
    parent.parts.clear();
  }
  parent.columns = columns.length;
  table(parent, `${title} by the minute`, "", columns, [{ rows }]);
}

// ---- The first line

function judged() {
  const silent = performance.now() - heardAt;
  if (told && silent > PATIENCE_MS)
    return [{
      level: "trouble",
      sentence: told.kind === "worker" ? "The worker does not answer" : "Nobody answers",
      do: "It may have ended, or the way to it is cut; its log says which. What is below is old.",
      runbook: told.kind === "worker" ? "StreamAppWorkerDown" : "StreamAppGroupUnseen",
      detail: "", since: told.at,
    }];
  return told.problems;
}

function since(problem) {
  const begun = problem.since ? `since ${clock(problem.since)} (${age(now() - problem.since)})` : "";
  return [begun, problem.detail].filter(Boolean).join(" · ");
}

function runbook(problem) {
  if (!problem.runbook) return [];
  return [" ", make("a", { href: `runbook#${problem.runbook.toLowerCase()}` }, `Runbook: ${problem.runbook}`)];
}

function showVerdict() {
  const problems = judged();
  const [first, ...others] = problems;
  const level = first ? first.level : "ok";
  setClass(byId("verdict"), level);
  setText(byId("sentence"), first ? first.sentence : told.well);
  setText(byId("facts"), first ? since(first) : told.detail ?? "");
  const advice = byId("advice");
  const key = first ? `${first.do} ${first.runbook}` : "";
  if (advice.key !== key) {
    advice.key = key;
    advice.replaceChildren(...(first ? [...withCommands(first.do), ...runbook(first)] : []));
  }
  const list = byId("others");
  list.hidden = !others.length;
  children(list, others, () => make("li", {}, make("span"), make("span", { class: "facts" }), make("span")), (node, problem) => {
    setText(node.children[0], `${problem.sentence} `);
    setText(node.children[1], since(problem));
    if (node.key !== problem.runbook) node.children[2].replaceChildren(...runbook(problem));
    node.key = problem.runbook;
  });
  document.body.classList.toggle("stale", performance.now() - heardAt > PATIENCE_MS);
  const sign = { ok: "✓", notice: "!", trouble: "✕" }[level];
  document.title = `${sign} ${told.name}, stream-app`;
  setText(byId("fresh"), `as of ${clock(told.at)}`);
}

// ---- The parts below

function figures(parent, pairs) {
  const list = part(parent, "figures", () => make("dl", { class: "figures" }));
  children(list, pairs, () => make("div", {}, make("dt"), make("dd")), (node, [name, value, bad]) => {
    setText(node.firstElementChild, name);
    setText(node.lastElementChild, value);
    setClass(node.lastElementChild, bad ? "trouble" : "");
  });
}

function summed(names, pick) {
  const lists = names.map(pick).filter(Boolean);
  return Array.from({ length: steps() }, (_, at) => {
    const known = lists.map((values) => values[at]).filter((value) => value !== null && value !== undefined);
    return known.length ? known.reduce((sum, value) => sum + value, 0) : null;
  });
}

function lagPlots(grid, lag) {
  plot(grid, "Lag in seconds", {
    series: [{ name: "the partition furthest behind", values: lag.seconds, look: "a" }],
    format: duration, note: "of the partition furthest behind",
  });
  plot(grid, "Lag in records", {
    series: [{ name: "records", values: lag.records, look: "a" }],
    format: count, axis: (value) => short.format(value), note: "of all partitions",
  });
}

function showPartitions(partitions) {
  const parent = byId("partitions");
  parent.hidden = false;
  setClass(parent, "card");
  part(parent, "h", () => make("h2", { id: "h-partitions" }, "Partitions"));
  parent.setAttribute("aria-labelledby", "h-partitions");
  const ranked = [...partitions].sort((one, two) => (two.seconds ?? 0) - (one.seconds ?? 0));
  const chosen = new Set(ranked.slice(0, MOST_ROWS));
  const rows = partitions.filter((each) => chosen.has(each));
  const highest = (name, least) => Math.max(least, ...rows.flatMap((each) => each.history?.[name] ?? []));
  const [top, most] = [highest("seconds", 1), highest("records", 10)];
  const fleet = told.kind === "fleet";
  const line_ = { title: "the last minutes", kind: fleet ? "part" : "wide" };
  const [records, lag] = ["records", "lag"].map((title) => ({ title, kind: "number" }));
  const columns = fleet
    ? [{ title: "partition" }, lag, { title: "verdict" }, records, line_, { title: "done in", kind: "number" }, { title: "held by", kind: "member" }]
    : [{ title: "partition" }, ...(told.workers ? [{ title: "worker", kind: "holder" }] : []),
      records, lag, { title: "peak", kind: "number" }, line_];
  const groups = new Map();
  for (const each of rows) {
    const title = told.groups?.length > 1 ? `${each.group} · ${each.topic}` : each.topic;
    if (!groups.has(title)) groups.set(title, { title, rows: [] });
    const history = each.history?.seconds ?? [];
    const peak = history.length ? Math.max(...history, each.seconds ?? 0) : each.seconds;
    const waiting = `${each.records_exact === false ? "~" : ""}${count(each.records)}`;
    const behind = { text: duration(each.seconds), bad: each.seconds > 60 };
    const drawn = { seconds: history, records: each.history?.records ?? [], top, most };
    groups.get(title).rows.push(
      fleet
        ? [each.partition, behind, { text: each.verdict, bad: ["stall", "stop", "rewind"].includes(each.verdict) },
          waiting, drawn, duration(each.drain_seconds), holder(each)]
        : [each.partition, ...(told.workers ? [`${each.worker}`] : []), waiting, behind, duration(peak), drawn],
    );
  }
  const hidden = partitions.length - rows.length;
  const scale = `${minutes()} minutes: the line is the lag in seconds, up to ${duration(top)}; the area is the records that wait, up to ${count(most)}.`;
  table(parent, "Lag by partition", hidden ? `${scale} ${count(hidden)} more with less lag are in status.json.` : scale, columns, [...groups.values()]);
  if (!partitions.length) setText(part(parent, "none", () => make("p", { class: "none" })), "No partition is held.");
  else parent.parts.get("none")?.replaceChildren();
}

/** Who holds a partition: workers put the name of their group before their own. */
function holder(each) {
  const [member, prefix] = [each.member ?? "nobody", `${each.group}@`];
  return member.startsWith(prefix) ? member.slice(prefix.length) : member;
}

function showWorker() {
  setText(byId("who"), [told.worker, `model ${told.model} ${told.model_version}`, `stream-app ${told.version}`].join(" · "));
  const top = byId("plots");
  const { throughput, latency, partitions, serving, dead_letters: letters, state } = told;
  const worst = Math.max(0, ...partitions.map((each) => each.seconds ?? 0));
  const waiting = partitions.reduce((sum, each) => sum + (each.records ?? 0), 0);
  const all = summed(Object.keys(throughput), (name) => throughput[name]);
  const recent = all.slice(-5).filter((value) => value !== null);
  const lettersInAll = letters.last_ten_minutes.reduce((sum, each) => sum + each.count, 0);
  const champion = serving.filter((each) => each.served_by === "champion").reduce((sum, each) => sum + each.last_minute, 0);
  const served = serving.reduce((sum, each) => sum + each.last_minute, 0);
  figures(top, [
    ["records done", rate(recent.length ? recent.reduce((a, b) => a + b) / recent.length : null)],
    ["oldest record that waits", duration(worst), worst > 60],
    ["records that wait", count(waiting)],
    ["latency, median", duration(latency.last_minute.p50)],
    ["latency, 99 in 100", duration(latency.last_minute.p99)],
    ["served by the champion", share(champion, served)],
    ["dead letters, 10 min", count(lettersInAll)],
  ]);
  if (told.workers) showWorkers(top);
  const grid = part(top, "grid", () => make("div", { class: "grid" }));
  plot(grid, "Throughput", {
    series: [
      { name: "predicted", values: throughput.predicted, look: "a" },
      { name: "state only", values: throughput.state_only, look: "b" },
      { name: "dead letters", values: throughput.dead_lettered, look: "c" },
      { name: "skipped", values: throughput.skipped, look: "d" },
    ],
    format: rate, axis: (value) => `${short.format(value)}/s`, stacked: true,
  });
  plot(grid, "Latency", {
    series: [
      { name: "99 in 100", values: latency.p99, look: "c" },
      { name: "9 in 10", values: latency.p90, look: "b" },
      { name: "median", values: latency.p50, look: "a" },
    ],
    format: duration,
  });
  lagPlots(grid, told.lag);
  showPartitions(partitions);

  const rest = part(byId("rest"), "grid", () => make("div", { class: "grid" }));
  const [left, right] = ["left", "right"].map((side) => part(rest, side, () => make("div", { class: "column" })));
  const serves = card(left, "Who serves");
  table(serves, "Predictions of the last minute", serving.length ? "Predictions of the last minute" : "No prediction in the last minute",
    [{ title: "model", kind: "text" }, { title: "as", kind: "text" }, { title: "share", kind: "number" }],
    [{ rows: serving.map((each) => [`${each.model} ${each.version}`, each.served_by === "champion" && !each.degraded
      ? "champion" : { text: `fallback, for ${each.degraded ?? "no reason"}`, bad: true }, share(each.last_minute, served)]) }]);
  setText(part(serves, "models", () => make("p", { class: "sub" })), `Loaded, in the order in which they are asked: ${told.models.join(", ")}`);

  showState(card(left, "State and waits"), state);

  const refused = card(right, "Dead letters");
  table(refused, "Dead letters by reason", letters.last_ten_minutes.length ? "Of the last ten minutes" : "None in the last ten minutes",
    [{ title: "reason", kind: "text" }, { title: "topic, stage", kind: "text" }, { title: "records", kind: "number" }],
    [{ rows: letters.last_ten_minutes.map((each) => [
      each.disposition === "bug" ? { text: `${each.reason} (code is to blame)`, bad: true } : each.reason,
      `${each.topic}, ${each.stage}`, count(each.count)]) }]);
  lines(refused, "The latest", letters.latest.map((each) => [
    `${clock(each.at)} · ${each.topic}[${each.partition}] at ${each.offset} · ${each.reason}, ${each.stage}`, each.message,
  ]), "message");

  lines(card(right, "What happened"), "", told.happenings.map((each) => [
    `${clock(each.at)}${each.times > 1 ? ` · ${count(each.times)} times` : ""}`, each.what,
  ]), "");
}

function showState(parent, state) {
  const pairs = [
    ["partitions whose state is rebuilt", state.rebuilding_partitions
      ? `${count(state.rebuilding_partitions)}, for ${age(now() - state.rebuilding_since)}` : "none"],
    ["records read again for it, last minute", count(state.rebuilt_records_last_minute)],
    ["states that others had changed, last minute", count(state.conflicts_last_minute)],
    ["records held until their turn", count(told.held_records)],
    ["work in hand for long", told.in_hand ? `${told.in_hand.stage}, ${age(told.in_hand.seconds)}: ${told.in_hand.records}` : "none"],
    ["waits for", told.waits.map((each) => `${each.service}, for ${age(now() - each.since)}`).join("; ") || "nobody"],
    ["stopped partitions", told.stopped_partitions.map((each) =>
      `${each.topic}[${each.partition}] at ${each.offset}, for ${age(now() - each.since)}`).join("; ") || "none"],
  ];
  const list = part(parent, "pairs", () => make("dl", { class: "pairs" }));
  children(list, pairs, () => make("div", {}, make("dt"), make("dd")), (node, [name, value]) => {
    setText(node.firstElementChild, name);
    setText(node.lastElementChild, value);
  });
}

/** A list of [line of small print, text]: a few, and the others behind a click. */
function lines(parent, title, items, look) {
  const heading = part(parent, "title", () => make("h3"));
  heading.hidden = !title || !items.length;
  setText(heading, title);
  const list = part(parent, "list", () => make("ol", { class: "list" }));
  const more = part(parent, "more", () => make("details", {}, make("summary"), make("ol", { class: "list" })));
  more.hidden = items.length <= FEW;
  setText(more.firstElementChild, `${items.length - FEW} more`);
  for (const [place, some] of [[list, items.slice(0, FEW)], [more.lastElementChild, items.slice(FEW)]])
    children(place, some, () => make("li", {}, make("p", { class: "meta" }), make("p", { class: look })), (node, [meta, text]) => {
      setText(node.firstElementChild, meta);
      setText(node.lastElementChild, text);
    });
}

/** Of several workers behind one supervisor: a line each. */
function showWorkers(parent) {
  const columns = ["lag", "records done", "that wait", "partitions", "runs for"];
  const rows = told.workers.map((each) => [
    `${each.number}`,
    { text: each.name ?? "does not answer", bad: each.name === null },
    { text: duration(each.seconds), bad: each.seconds > 60 },
    rate(each.records_per_second), count(each.records), count(each.partitions),
    each.since === null ? "–" : age(now() - each.since),
  ]);
  table(card(parent, "Workers"), "Workers of this host", "",
    [{ title: "worker" }, { title: "name", kind: "text" }, ...columns.map((title) => ({ title, kind: "number" }))], [{ rows }]);
}

function showFleet() {
  setText(byId("who"), `seen from outside, by stream-app ${told.version}`);
  const top = byId("plots");
  const columns = ["records that wait", "oldest of them", "offsets a second", "members", "looked at"];
  const rows = told.groups.map((each) => [
    count(each.records), { text: duration(each.seconds), bad: each.seconds > 60 }, rate(each.offsets_per_second),
    count(each.members), each.looked_at === null ? { text: "never", bad: true }
      : { text: `${age(now() - each.looked_at)} ago`, bad: now() - each.looked_at > 60 },
  ]);
  if (rows.length === 1)
    figures(top, columns.map((title, at) => [title, rows[0][at].text ?? rows[0][at], rows[0][at].bad]));
  else
    table(card(top, "Groups"), "Groups that are watched", "",
      [{ title: "group", kind: "text" }, ...columns.map((title) => ({ title, kind: "number" }))],
      [{ rows: rows.map((row, at) => [told.groups[at].group, ...row]) }]);
  const grid = part(top, "grid", () => make("div", { class: "grid" }));
  const looks = ["a", "b", "c", "d"];
  plot(grid, "Throughput", {
    series: told.groups.slice(0, 4).map((each, at) => ({ name: each.group, values: each.history.offsets_per_second, look: looks[at] })),
    format: rate, axis: (value) => `${short.format(value)}/s`, note: "offsets that are committed in a second",
  });
  lagPlots(grid, told.lag);
  showPartitions(told.partitions);
}

function show() {
  if (!told) return;
  setText(byId("name"), told.name);
  for (const each of document.querySelectorAll("footer .worker")) each.hidden = told.kind !== "worker";
  if (told.kind === "worker") showWorker();
  else showFleet();
  for (const each of painting.splice(0)) each();
  showVerdict();
}

// ---- Asking

async function ask() {
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const document_ = await answer.json();
    told = trimmed(document_);
    heardAt = performance.now();
    show();
  } catch {
    if (told) showVerdict();
    else setText(byId("sentence"), "Nobody answers yet. This page asks again by itself.");
  }
  setTimeout(ask, document.hidden ? HIDDEN_MS : ASK_MS);
}

window.addEventListener("resize", show);
document.addEventListener("visibilitychange", () => told && showVerdict());
setInterval(() => told && showVerdict(), 1_000);
ask();
