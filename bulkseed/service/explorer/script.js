"use strict";
// Texts of clients go into the page as text alone (textContent), never as HTML.

const $ = (id) => document.getElementById(id);
const KEPT = 1000; // requests
const SHOWN = 200; // of them, while many come
const MANY = 50; // in one batch
const CALM = 500; // milliseconds without such a batch

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function ask(path, question) {
  const options = question === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
  };
  const reply = await fetch(path, options);
  if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
  return reply.json();
}

let saying = 0;
function say(text) {
  $("said").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => ($("said").textContent = ""), 4000);
}

const failed = (error) => say(`The local KMS does not answer: ${error.message}`);

async function copy(layer) {
  try {
    await navigator.clipboard.writeText(layer.querySelector("pre").textContent);
    say("Copied");
  } catch {
    say("The browser does not let this page copy");
  }
}

document.addEventListener("click", (event) => {
  if (event.target.matches(".copy")) copy(event.target.closest(".layer"));
});
document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "c" && plain && event.target.matches(".layer pre")) copy(event.target.closest(".layer"));
});

// Views

const views = { try: sign, code: sign, requests: drawRows, secrets: listSecrets, keys: listKeys, quota: drawQuota };

function view() {
  const name = location.hash.slice(1);
  return name in views ? name : "try";
}

function show() {
  if (location.hash === "#main") return;
  for (const name of Object.keys(views)) {
    $(name).hidden = name !== view();
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view()) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views[view()]();
}
addEventListener("hashchange", show);

// Try and Code: one call, its layers, its samples

let actions = [];
let signing = 0;
let samples = {};

function chosen() {
  return actions.find((action) => action.name === $("action").value);
}

function drawForm() {
  const action = chosen();
  $("about").textContent = `${action.text} Quota group: ${action.group}.`;
  $("fields").replaceChildren(...action.parameters.map(field));
}

function field(parameter) {
  const box = make("p");
  const id = `p-${parameter.name}`;
  const label = make("label", parameter.name, { for: id });
  const kind = make("small", `${parameter.type}, ${parameter.required ? "required" : "optional"}`);
  let input;
  if (parameter.choices.length) {
    input = make("select");
    for (const choice of ["", ...parameter.choices]) input.append(make("option", choice, { value: choice }));
  } else if (parameter.secret || ["JSON", "list"].includes(parameter.type)) {
    input = make("textarea", "", { rows: 2, spellcheck: "false" });
  } else {
    input = make("input", undefined, { inputmode: parameter.type === "integer" ? "numeric" : "text" });
  }
  input.id = id;
  input.name = parameter.name;
  input.setAttribute("aria-describedby", `${id}-text`);
  box.append(label, " ", kind, input, make("small", parameter.text, { id: `${id}-text` }));
  return box;
}

function call() {
  const parameters = {};
  for (const parameter of chosen().parameters) {
    const text = $(`p-${parameter.name}`).value;
    if (text !== "" || parameter.required) parameters[parameter.name] = text;
  }
  return { action: $("action").value, signature: $("signature").value, format: $("format").value, parameters };
}

async function sign() {
  if (!actions.length) return;
  const turn = ++signing;
  try {
    const shown = await ask("/api/sign", call());
    if (turn !== signing) return; // something newer was typed
    samples = shown.samples;
    drawLayers(shown.layers);
    drawSample();
  } catch (error) {
    failed(error);
  }
}

function drawLayers(layers) {
  const old = [...$("layers").querySelectorAll("pre")];
  if (old.length !== layers.length) {
    $("layers").replaceChildren(...layers.map(layer));
    return;
  }
  layers.forEach((one, at) => {
    if (old[at].textContent !== one.text) old[at].textContent = one.text;
    old[at].previousElementSibling.textContent = one.sentence;
  });
}

function layer(one) {
  const box = make("div", undefined, { class: "layer" });
  box.append(
    make("h4", one.title),
    make("button", "Copy", { type: "button", class: "copy", "aria-label": `Copy: ${one.title}` }),
    make("small", one.sentence),
    make("pre", one.text, { tabindex: 0, "aria-label": one.title }),
  );
  return box;
}

function drawSample() {
  if (!$("language").options.length) {
    for (const name of Object.keys(samples)) $("language").append(make("option", name));
  }
  const language = $("language").value;
  $("sample").textContent = samples[language];
  const untested = ["Java", "PHP", "C#"].includes(language);
  $("tested").textContent = untested
    ? "This sample follows the SDK's documentation; it was not run."
    : "No value and no key is in the code: it reads them from the environment.";
}

async function send(event) {
  event.preventDefault();
  try {
    const reply = await ask("/api/send", call());
    $("reply").hidden = false;
    $("status").textContent = `Status ${reply.status}`;
    $("status").className = reply.status === 200 ? "good" : "bad";
    $("reply-headers").textContent = Object.entries(reply.headers).map(([n, v]) => `${n}: ${v}`).join("\n");
    $("reply-body").textContent = pretty(reply.body);
  } catch (error) {
    failed(error);
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Requests

let requests = []; // oldest first
let flood = 0; // a timer while many come
let drawing = false;
const drawn = new Map(); // number → row

function listen() {
  const stream = new EventSource("/api/requests");
  stream.onopen = () => { requests = []; };
  stream.onmessage = (event) => {
    const { rows } = JSON.parse(event.data);
    // Those that were left out of a flood come later, and go where they belong.
    requests = requests.concat(rows).sort((a, b) => a.number - b.number).slice(-KEPT);
    if (rows.length > MANY) {
      clearTimeout(flood);
      flood = setTimeout(() => { flood = 0; drawSoon(); }, CALM);
    }
    drawSoon();
  };
}

function drawSoon() {
  if (drawing || view() !== "requests" || paused()) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; drawRows(); });
}

const paused = () => $("pause").getAttribute("aria-pressed") === "true";

function matches(row, words) {
  const text = `${row.caller} ${row.action} ${row.name} ${row.status} ${row.code}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function drawRows() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = words.length ? requests.filter((row) => matches(row, words)) : requests;
  const wanted = found.slice(flood ? -SHOWN : -KEPT);
  const numbers = new Set(wanted.map((row) => row.number));
  for (const [number, element] of drawn) {
    if (!numbers.has(number)) { element.remove(); drawn.delete(number); }
  }
  let below = null; // rows are newest first; those that stay keep their element, and the focus in it
  for (const row of wanted) {
    let element = drawn.get(row.number);
    if (!element) {
      element = requestRow(row);
      drawn.set(row.number, element);
      $("rows").insertBefore(element, below ?? null);
    }
    below = element;
  }
  const between = requests.length && requests.at(-1).number - requests[0].number + 1 - requests.length;
  const gap = between ? `; ${between} more follow when fewer come` : "";
  $("count").textContent = `${found.length} of the last ${requests.length} requests, the newest ${wanted.length} listed${gap}`;
}

function requestRow(row) {
  const element = make("tr");
  const good = row.status === 200;
  element.append(
    make("td", new Date(row.at * 1000).toLocaleTimeString("en-GB")),
    make("td", row.caller),
    make("td", row.action),
    make("td", row.name, { class: "name" }),
    make("td", row.status || "dropped", { class: good ? "good" : "bad" }),
    make("td", row.code === "Rejected.Throttling" ? `${row.code} (throttled)` : row.code),
    make("td", row.ms.toFixed(1), { class: "number" }),
  );
  const cell = make("td");
  if (row.code) {
    const button = make("button", "Why?", { type: "button", "aria-label": `Why was ${row.action || "it"} refused? ${row.code}` });
    button.addEventListener("click", () => openRefusal(row.number, false));
    cell.append(button);
  }
  element.append(cell);
  return element;
}

async function openRefusal(number, values) {
  let found;
  try {
    found = await ask("/api/refusal", { number, values });
  } catch {
    say("That request is no longer kept");
    return;
  }
  $("refusal-title").textContent = `Request ${number}: ${found.code}`;
  const parts = [make("p", found.message)];
  if (found.missing.length) {
    parts.push(list(found.missing));
  } else if (found.ours && found.code === "SignatureDoesNotMatch") {
    parts.push(...compared(found));
  }
  parts.push(make("h4", "The request as it came"), make("pre", found.request, { tabindex: 0, "aria-label": "The request" }));
  if (!values) {
    const button = make("button", "Show the values in it", { type: "button" });
    button.addEventListener("click", () => openRefusal(number, true));
    parts.push(button, " ");
  }
  const close = make("button", "Close", { type: "button" });
  close.addEventListener("click", () => ($("refusal").hidden = true));
  parts.push(close);
  $("refusal-text").replaceChildren(...parts);
  $("refusal").hidden = false;
  $("refusal").focus();
}

function list(texts) {
  const items = make("ul");
  items.append(...texts.map((text) => make("li", text)));
  return items;
}

function compared(found) {
  const parts = [];
  const said = found.mistake
    ? `The client's mistake: ${found.mistake}.`
    : "None of the usual mistakes leads to the signature that was sent. Another secret, or a change on the way? "
      + "Paste what the client signed below.";
  parts.push(make("p", said, { class: found.mistake ? "bad" : "soft", id: "mistake" }));
  parts.push(make("p", `Signature sent: ${found.sent}`));
  found.ours.forEach((ours, at) => {
    if (!ours.text) return;
    const theirs = found.theirs?.[at];
    parts.push(make("h4", ours.title));
    const pair = make("div", undefined, { class: "pair" });
    pair.append(marked("What the server computed", ours.text, theirs?.text));
    if (theirs) pair.append(marked("What the client must have computed", theirs.text, ours.text));
    parts.push(pair);
  });
  parts.push(...pasted(found));
  return parts;
}

function marked(title, text, other) {
  const box = make("div");
  const pre = make("pre", undefined, { tabindex: 0, "aria-label": title });
  const at = other === undefined ? -1 : firstDifference(text, other);
  if (at < 0) {
    pre.textContent = text;
  } else {
    const end = Math.min(text.length, at + 1);
    pre.append(text.slice(0, at), make("mark", text.slice(at, end) || "⏎ends here"), text.slice(end));
  }
  box.append(make("small", title), pre);
  return box;
}

function firstDifference(text, other) {
  const length = Math.min(text.length, other.length);
  for (let at = 0; at < length; at++) if (text[at] !== other[at]) return at;
  return text.length === other.length ? -1 : length;
}

function pasted(found) {
  const label = make("label", "Compare with what your client signed", { for: "paste" });
  const input = make("textarea", "", { id: "paste", rows: 3, spellcheck: "false" });
  const result = make("div", undefined, { "aria-live": "polite" });
  input.addEventListener("input", () => {
    const names = ["Canonical request", "String to sign"];
    const best = found.ours
      .filter((one) => names.includes(one.title))
      .map((one) => ({ one, at: firstDifference(one.text, input.value) }))
      .sort((a, b) => (b.at < 0 ? Infinity : b.at) - (a.at < 0 ? Infinity : a.at))[0];
    if (!input.value) result.replaceChildren();
    else if (best.at < 0) result.replaceChildren(make("p", `Equal to the ${best.one.title.toLowerCase()}.`, { class: "good" }));
    else {
      const pair = make("div", undefined, { class: "pair" });
      pair.append(marked(`The server's ${best.one.title.toLowerCase()}`, best.one.text, input.value));
      pair.append(marked("Yours", input.value, best.one.text));
      result.replaceChildren(pair);
    }
  });
  return [make("h4", "Your client's text"), label, input, result];
}

// Secrets and keys

const look = (action, parameters) => ask("/api/look", { action, parameters });
const PAGE = 20;
const at = { secrets: 1, keys: 1 }; // pages
const asked = { secrets: 0, keys: 0 };

async function listed(kind, action, parameters) {
  const turn = ++asked[kind];
  const found = await look(action, { ...parameters, PageSize: String(PAGE), PageNumber: String(at[kind]) });
  if (turn !== asked[kind]) return null; // another page was asked for
  if (found.fault) {
    say(found.fault);
    return null;
  }
  const pages = Math.max(1, Math.ceil(found.TotalCount / PAGE));
  if (at[kind] > pages) { // what was on it is gone
    at[kind] = pages;
    return listed(kind, action, parameters);
  }
  $(`${kind}-page`).textContent = `${found.TotalCount} in all; page ${at[kind]} of ${pages}`;
  $(`${kind}-back`).disabled = at[kind] <= 1;
  $(`${kind}-next`).disabled = at[kind] >= pages;
  return found;
}

function turnPage(kind, by) {
  at[kind] += by;
  views[kind]();
}

async function listSecrets() {
  const parameters = { FetchTags: "true" };
  const named = $("named").value;
  if (named) parameters.Filters = JSON.stringify([{ Key: "SecretName", Values: [named] }]);
  try {
    const found = await listed("secrets", "ListSecrets", parameters);
    if (found) $("secret-list").replaceChildren(...(found.SecretList?.Secret ?? []).map(secretBox));
  } catch (error) {
    failed(error);
  }
}

function secretBox(secret) {
  const box = make("details");
  const summary = make("summary");
  summary.append(make("strong", secret.SecretName), " ", make("small", secret.SecretType));
  if (secret.Tags) summary.append(" ", make("small", plain(secret.Tags)));
  if (secret.PlannedDeleteTime) summary.append(" ", make("small", `deleted on ${secret.PlannedDeleteTime}`, { class: "bad" }));
  const inside = make("div");
  box.append(summary, inside);
  box.addEventListener("toggle", () => box.open && fillSecret(inside, secret.SecretName));
  return box;
}

async function fillSecret(box, name) {
  try {
    const described = await look("DescribeSecret", { SecretName: name, FetchTags: "true" });
    const versions = await look("ListSecretVersionIds", { SecretName: name, IncludeDeprecated: "true", PageSize: "100" });
    if (described.fault) return box.replaceChildren(make("p", described.fault, { class: "bad" }));
    const scroll = make("div", undefined, { class: "scroll", tabindex: 0, role: "region", "aria-label": `Versions of ${name}` });
    const table = make("table");
    const head = make("tr");
    for (const title of ["Version", "Stages", "Created", "Value"]) head.append(make("th", title, { scope: "col" }));
    table.append(head, ...(versions.VersionIds?.VersionId ?? []).map((version) => versionRow(name, version)));
    scroll.append(table);
    box.replaceChildren(facts(described, ["RequestId", "SecretName"]), scroll);
  } catch (error) {
    failed(error);
  }
}

function facts(document, left) {
  const found = make("dl");
  for (const [term, value] of Object.entries(document)) {
    if (left.includes(term) || plain(value) === "") continue;
    found.append(make("dt", term), make("dd", plain(value)));
  }
  return found;
}

function plain(value) {
  if (value && Array.isArray(value.Tag)) return value.Tag.map((tag) => `${tag.TagKey}=${tag.TagValue}`).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function versionRow(name, version) {
  const row = make("tr");
  const cell = make("td", undefined, { class: "name" });
  const button = make("button", "Show", { type: "button", "aria-label": `Show the value of version ${version.VersionId}` });
  button.addEventListener("click", async () => {
    try {
      const found = await look("GetSecretValue", { SecretName: name, VersionId: version.VersionId });
      cell.replaceChildren(make("code", found.fault ?? found.SecretData));
    } catch (error) {
      failed(error);
    }
  });
  cell.append(button);
  row.append(
    make("td", version.VersionId),
    make("td", (version.VersionStages?.VersionStage ?? []).join(", ")),
    make("td", version.CreateTime),
    cell,
  );
  return row;
}

async function listKeys() {
  try {
    const found = await listed("keys", "ListKeys", {});
    if (!found) return;
    const turn = asked.keys;
    const ids = (found.Keys?.Key ?? []).map((key) => key.KeyId);
    const described = await Promise.all(ids.map((id) => look("DescribeKey", { KeyId: id })));
    if (turn !== asked.keys) return;
    $("key-list").replaceChildren(...described.filter((one) => one.KeyMetadata).map((one) => keyBox(one.KeyMetadata)));
  } catch (error) {
    failed(error);
  }
}

function keyBox(key) {
  const box = make("details");
  const summary = make("summary");
  summary.append(make("strong", key.KeyId), " ", make("small", `${key.KeySpec}, ${key.KeyUsage}`), " ");
  summary.append(make("small", key.KeyState, { class: key.KeyState === "Enabled" ? "good" : "bad" }));
  const inside = make("div");
  box.append(summary, inside);
  box.addEventListener("toggle", () => box.open && fillKey(inside, key));
  return box;
}

async function fillKey(box, key) {
  const id = { KeyId: key.KeyId };
  const page = { ...id, PageNumber: "1", PageSize: "100" };
  try {
    const [aliases, tags, versions] = await Promise.all([
      look("ListAliasesByKeyId", page), look("ListResourceTags", id), look("ListKeyVersions", page),
    ]);
    box.replaceChildren(facts({
      ...key,
      Aliases: (aliases.Aliases?.Alias ?? []).map((alias) => alias.AliasName).join(", "),
      Tags: tags.Tags ?? "",
      Versions: (versions.KeyVersions?.KeyVersion ?? []).map((one) => `${one.KeyVersionId} of ${one.CreationDate}`).join(", "),
    }, ["KeyId"]));
  } catch (error) {
    failed(error);
  }
}

// Quota

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function drawQuota() {
  let found;
  try {
    found = await ask("/api/quota");
  } catch (error) {
    return failed(error);
  }
  if (view() !== "quota") return;
  $("groups").replaceChildren(...found.map(groupBox));
  setTimeout(() => view() === "quota" && !document.hidden && drawQuota(), 1000);
}
document.addEventListener("visibilitychange", () => !document.hidden && view() === "quota" && drawQuota());

function groupBox({ group, limit, used, refused }) {
  const box = make("div");
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const most = Math.max(...used);
  const text = `${sum(used)} requests, at most ${most} a second; limit ${limit || "none"}; ${sum(refused)} refused`;
  const top = Math.max(1, limit || 0, ...used.map((count, at) => count + refused[at])) * 1.1;
  const drawing = shape("svg", { viewBox: `0 0 ${used.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": `${group}: ${text}` });
  used.forEach((count, at) => {
    const [low, high] = [(count / top) * 100, (refused[at] / top) * 100];
    drawing.append(shape("rect", { x: at + 0.1, width: 0.8, y: 100 - low, height: low }));
    drawing.append(shape("rect", { class: "refused", x: at + 0.1, width: 0.8, y: 100 - low - high, height: high }));
  });
  if (limit) {
    const y = 100 - (limit / top) * 100;
    drawing.append(shape("line", { x1: 0, x2: used.length, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
  }
  box.append(make("h3", group), make("p", text, { class: "soft" }), drawing);
  return box;
}

// Start

async function start() {
  history.replaceState(null, "", location.pathname + location.hash); // the cookie has taken the token's place
  const found = await ask("/api/actions");
  actions = found.actions;
  $("where").textContent = `${found.endpoint}, region ${found.region}, signing as ${found.access_key_id}`;
  for (const action of actions) $("action").append(make("option", action.name));
  $("action").value = "CreateSecret";
  drawForm();
  $("action").addEventListener("change", () => { drawForm(); sign(); });
  for (const kind of ["input", "change"]) {
    $("call").addEventListener(kind, (event) => event.target.id === "action" || sign());
  }
  $("call").addEventListener("submit", send);
  $("language").addEventListener("change", drawSample);
  $("filter").addEventListener("input", drawRows);
  $("pause").addEventListener("click", () => {
    $("pause").setAttribute("aria-pressed", String(!paused()));
    if (!paused()) drawRows();
  });
  $("named").addEventListener("input", () => { at.secrets = 1; listSecrets(); });
  for (const kind of Object.keys(at)) {
    $(`${kind}-back`).addEventListener("click", () => turnPage(kind, -1));
    $(`${kind}-next`).addEventListener("click", () => turnPage(kind, 1));
  }
  show();
  listen();
}
start().catch(failed);
