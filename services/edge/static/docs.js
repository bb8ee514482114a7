"use strict";
// Shows /openapi.json and sends what is tried to this very server. Text is set as text, never as markup.
let language = navigator.language.startsWith("th") ? "th" : "en";
let description = null;

const word = (name) => WORDS[language][name];
const token = () => document.getElementById("token").value.trim();

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick" || name === "onsubmit") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  const name = schema.$ref.split("/").pop();
  return { ...description.components.schemas[name], ...schema, title: name };
}

function limits(schema) {
  const said = [];
  for (const rule of ["minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems", "format"]) {
    if (schema[rule] !== undefined) said.push(`${rule} ${schema[rule]}`);
  }
  if (schema.enum) said.push(schema.enum.join(" | "));
  return said.join(", ");
}

function typeOf(schema) {
  const full = resolve(schema);
  if (full.type === "array") return `[${typeOf(full.items)}]`;
  return full.title || [full.type].flat().join(" | ") || "any";
}

// A schema as a table; what it refers to unfolds on demand, so that a schema may hold itself.
function schemaTable(schema) {
  let full = resolve(schema);
  if (full.type === "array") full = resolve(full.items);
  if (!full.properties) return element("p", { class: "soft" }, `${typeOf(schema)} ${limits(full)}`);
  const rows = Object.entries(full.properties).map(([name, property]) => {
    const inner = resolve(property.type === "array" ? property.items : property);
    const must = (full.required || []).includes(name) ? ` · ${word("required")}` : "";
    const cell = element("td", {}, property.description || inner.description || "", " ", element("span", { class: "soft" }, limits(inner)));
    if (inner.properties) cell.append(unfolding(inner.title || name, () => schemaTable(inner)));
    return element("tr", {}, element("td", {}, element("code", {}, name)), element("td", { class: "soft" }, typeOf(property) + must), cell);
  });
  return element("div", { class: "schema" }, element("table", {}, ...rows));
}

function unfolding(title, make) {
  const made = element("details", {}, element("summary", {}, title));
  made.addEventListener("toggle", () => { if (made.open && made.childElementCount === 1) made.append(make()); });
  return made;
}

function example(schema, depth = 0) {
  const full = resolve(schema);
  if (full.enum) return full.enum[Math.min(1, full.enum.length - 1)];
  if (full.type === "array") return depth > 3 ? [] : [example(full.items, depth + 1)];
  if (full.properties) {
    if (depth > 3) return {};
    return Object.fromEntries(Object.entries(full.properties).map(([name, part]) => [name, example(part, depth + 1)]));
  }
  const kind = [full.type].flat()[0];
  if (full.format === "date-time") return "2026-01-31T09:30:00Z";
  return { integer: full.minimum || 0, number: 0, boolean: false, object: {} }[kind] ?? "";
}

function operationCard(path, verb, operation) {
  const id = operation.operationId;
  const scopes = (operation.security || []).flatMap((one) => one.oauth2 || []).join(" · ");
  const isOpen = (operation.security || []).some((one) => Object.keys(one).length === 0);
  const card = element("article", { id },
    element("h3", {}, element("span", { class: `verb ${verb}` }, verb.toUpperCase()), " ", path),
    element("p", {}, operation.description || operation.summary),
    element("p", { class: "soft" }, `${word("scopes")}: ${isOpen ? word("anyone") : scopes || "Bearer"}`));
  const parameters = operation.parameters || [];
  if (parameters.length) {
    const rows = parameters.map((one) => element("tr", {},
      element("td", {}, element("code", {}, one.name)),
      element("td", { class: "soft" }, one.in + (one.required ? ` · ${word("required")}` : "")),
      element("td", {}, one.description || "", " ", element("span", { class: "soft" }, `${typeOf(one.schema)} ${limits(resolve(one.schema))}`))));
    card.append(unfolding(word("parameters"), () => element("table", {}, ...rows)));
  }
  const [kind, sent] = Object.entries(operation.requestBody?.content || {})[0] || [];
  if (sent) card.append(unfolding(`${word("body")} (${kind})`, () => schemaTable(sent.schema)));
  const answered = Object.values(operation.responses["200"]?.content || {})[0];
  if (answered) card.append(unfolding(word("response"), () => schemaTable(answered.schema)));
  card.append(unfolding(word("tryIt"), () => tryForm(path, verb, parameters, kind, sent)));
  return card;
}

function tryForm(path, verb, parameters, kind, sent) {
  const fields = new Map(parameters.map((one) => [one, element("input", { autocomplete: "off" })]));
  const rows = [...fields].map(([one, input]) => element("label", {}, `${one.name} `, input));
  let body = null;
  if (kind === "application/octet-stream") body = element("input", { type: "file", "aria-label": word("file") });
  else if (sent) {
    body = element("textarea", { spellcheck: "false", "aria-label": word("body") });
    body.value = kind.includes("json") ? JSON.stringify(example(sent.schema), null, 2) : "";
  }
  const shown = element("pre", { hidden: "" });
  const form = element("form", {}, ...rows, body, element("button", { type: "submit" }, word("send")), shown);
  form.onsubmit = async (event) => {
    event.preventDefault();
    shown.hidden = false;
    shown.textContent = "…";
    shown.textContent = await sendTried(path, verb, fields, kind, body);
  };
  return form;
}

async function sendTried(path, verb, fields, kind, body) {
  const query = new URLSearchParams();
  const headers = {};
  let address = path;
  for (const [one, input] of fields) {
    const value = input.value;
    if (one.in === "path") address = address.replace(`{${one.name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (one.in === "header") headers[one.name] = value;
    else if (one.schema.type === "object") new URLSearchParams(value).forEach((text, name) => query.append(name, text));
    else if (one.schema.type === "array") value.split(",").forEach((text) => query.append(one.name, text.trim()));
    else query.append(one.name, value);
  }
  if (token() && path !== "/oauth2/token") headers.Authorization = `Bearer ${token()}`;
  if (body) headers["Content-Type"] = kind;
  const content = body ? (body.files ? body.files[0] : body.value) : undefined;
  try {
    const asked = `${address}${query.size ? `?${query}` : ""}`;
    const answer = await fetch(asked, { method: verb.toUpperCase(), headers, body: content });
    const text = await answer.text();
    const told = ["etag", "location", "last-modified", "nhip-position"].filter((name) => answer.headers.has(name));
    const lines = [`${verb.toUpperCase()} ${asked}`, `${answer.status} ${answer.statusText}`, ...told.map((name) => `${name}: ${answer.headers.get(name)}`)];
    return `${lines.join("\n")}\n\n${readable(text)}`;
  } catch (error) {
    return `${word("failed")}: ${error.message}`;
  }
}

function readable(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

async function getToken(event) {
  event.preventDefault();
  const state = document.getElementById("token-state");
  const form = new URLSearchParams([...new FormData(event.target)].filter(([, value]) => value !== ""));
  try {
    const answer = await fetch("/oauth2/token", { method: "POST", body: form });
    const said = await answer.json();
    if (answer.ok) {
      document.getElementById("token").value = said.access_token;
      const ends = new Date(Date.now() + said.expires_in * 1000);
      state.textContent = `${word("haveToken")} · ${said.scope} · ${word("until")} ${ends.toLocaleTimeString(language)}`;
    } else state.textContent = `${said.error || said.reason}: ${said.error_description || said.detail || ""}`;
  } catch (error) {
    state.textContent = `${word("failed")}: ${error.message}`;
  }
}

function show() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-word]")) place.textContent = word(place.dataset.word);
  document.getElementById("language").textContent = word("other");
  const filter = document.getElementById("filter");
  filter.placeholder = word("filter");
  document.getElementById("token-state").textContent = token() ? word("haveToken") : word("noToken");
  const wanted = filter.value.trim().toLowerCase();
  const contents = document.getElementById("contents");
  const operations = document.getElementById("operations");
  contents.replaceChildren();
  operations.replaceChildren();
  for (const tag of description.tags) {
    const found = [];
    for (const [path, verbs] of Object.entries(description.paths)) {
      for (const [verb, operation] of Object.entries(verbs)) {
        const text = `${verb} ${path} ${operation.operationId} ${operation.summary}`.toLowerCase();
        if (operation.tags.includes(tag.name) && text.includes(wanted)) found.push([path, verb, operation]);
      }
    }
    if (!found.length) continue;
    contents.append(element("h3", {}, tag.name), ...found.map(([path, verb, operation]) => element("a", { href: `#${operation.operationId}` }, `${verb.toUpperCase()} ${path}`)));
    operations.append(element("h2", {}, tag.name), element("p", { class: "soft" }, tag.description), ...found.map((one) => operationCard(...one)));
  }
}

async function start() {
  description = await (await fetch("/openapi.json")).json();
  document.getElementById("filter").addEventListener("input", show);
  document.getElementById("language").onclick = () => { language = language === "th" ? "en" : "th"; show(); };
  document.getElementById("token-form").onsubmit = getToken;
  show();
}

start();
