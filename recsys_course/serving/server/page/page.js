"use strict";

// The page is one more client of the server: it asks for predictions as any other would. Whatever comes from a model or
// a catalogue is put into the page as text, never as HTML.

const byId = (id) => document.getElementById(id);
const MOST_SUGGESTIONS = 50;
let models = [];
let catalogue = { movies: {}, users: {} };

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function card(id, rank, score) {
  const film = catalogue.movies[id] || { title: `Film ${id}`, year: null, genres: [] };
  const item = element("li");
  item.append(element("span", "rank", rank ?? ""));
  const title = element("span", "title", film.title);
  if (film.year) title.append(" ", element("span", "year", film.year));
  item.append(title, element("span", "score", score ?? ""));
  const genres = element("span", "genres");
  genres.append(...film.genres.map((genre) => element("span", "", genre)));
  item.append(genres);
  return item;
}

function options(select, values) {
  select.replaceChildren(...values.map((value) => new Option(value, value)));
}

function suggest() {
  const typed = byId("user").value.trim();
  const users = Object.keys(catalogue.users).filter((user) => user.startsWith(typed)).slice(0, MOST_SUGGESTIONS);
  byId("users").replaceChildren(...users.map((user) => new Option(user, user)));
}

async function chooseModel() {
  const model = models.find((one) => one.name === byId("model").value);
  options(byId("version"), model.versions);
  catalogue = await ask(`/page/models/${encodeURIComponent(model.name)}/catalogue.json`);
  suggest();
}

function says(origin, version) {
  const known = origin !== "popularity";
  const badge = element("span", known ? "badge" : "badge popularity", origin);
  const text = known ? "The model knows this user." : "The model has never met this user, so these are the most popular films.";
  byId("origin").replaceChildren(badge, ` ${text} Version ${version} answered.`);
}

function show(user, version, prediction) {
  byId("heading").textContent = `For user ${user}`;
  says(prediction.answered_by, version);
  const films = prediction.movie_ids.map((id, at) => [id, at]).filter(([id]) => id !== "");
  byId("films").replaceChildren(...films.map(([id, at]) => card(id, at + 1, prediction.scores[at].toFixed(2))));
  const liked = catalogue.users[user] || [];
  byId("history").replaceChildren(...liked.map((id) => card(id)));
  byId("liked").hidden = liked.length === 0;
  byId("answer").hidden = false;
}

function command(path, body) {
  const quoted = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  byId("command").textContent = `curl -d '${quoted}' ${location.origin}${path}`;
}

async function recommend() {
  const user = byId("user").value.trim();
  const version = byId("version").value;
  if (!user) return;
  const path = `/v1/models/${encodeURIComponent(byId("model").value)}/versions/${version}:predict`;
  const body = { instances: [user] };
  const answer = await ask(path, body);
  show(user, version, answer.predictions[0]);
  command(path, body);
}

function pick() {
  const users = Object.keys(catalogue.users);
  byId("user").value = users[Math.floor(Math.random() * users.length)] ?? "";
}

// Every action ends here, so that whatever goes wrong is said on the page.
async function act(...steps) {
  const fault = byId("fault");
  fault.hidden = true;
  try {
    for (const step of steps) await step();
  } catch (error) {
    fault.textContent = error.message;
    fault.hidden = false;
  }
}

async function start() {
  const all = await ask("/page/models.json");
  models = all.filter((model) => model.catalogue);
  const items = all.map((model) => {
    const item = element("li", "", `${model.name}, versions ${model.versions.join(", ")}: ${model.signatures.join(", ")} `);
    const link = element("a", "", "signatures");
    link.href = `/v1/models/${encodeURIComponent(model.name)}/metadata`;
    item.append(link);
    return item;
  });
  byId("plain").replaceChildren(...items);
  byId("others").hidden = false;
  if (all.length === 0) throw new Error("No model answers yet. Reload the page in a moment.");
  if (models.length === 0) return;
  options(byId("model"), models.map((model) => model.name));
  byId("ask").hidden = false;
  await chooseModel();
  const asked = new URLSearchParams(location.search).get("user");
  if (asked) byId("user").value = asked; else pick();
  await recommend();
}

byId("ask").addEventListener("submit", (event) => { event.preventDefault(); act(recommend); });
byId("model").addEventListener("change", () => act(chooseModel, recommend));
byId("version").addEventListener("change", () => act(recommend));
byId("user").addEventListener("input", suggest);
byId("anyone").addEventListener("click", () => act(pick, recommend));
byId("stranger").addEventListener("click", () => { byId("user").value = "a stranger"; act(recommend); });
act(start);
