"use strict";

// Recommendations without a server: films.js brings every film's embedding, this script does what
// recsys_course.models.recommend_from_liked does, and tests hold the two to the same lists. Titles are put into the
// page as text, never as HTML.

const MOST_LIKED = 5;
const LIST_LENGTH = 10;
const MOST_SUGGESTIONS = 8;

// --- the model

// In which direction each film's embedding differs from the mean of all: rows of length 1, one after the other.
function tasteDirections({ embeddings, step, dim }) {
  const bytes = Uint8Array.from(atob(embeddings), (letter) => letter.charCodeAt(0));
  const values = Float64Array.from(new Int16Array(bytes.buffer), (steps) => steps * step);
  const mean = new Float64Array(dim);
  values.forEach((value, at) => { mean[at % dim] += value * dim / values.length; });
  for (let row = 0; row < values.length; row += dim) {
    let squared = 0;
    for (let at = 0; at < dim; at++) squared += (values[row + at] -= mean[at]) ** 2;
    for (let at = 0; at < dim; at++) values[row + at] /= Math.sqrt(squared) || 1;
  }
  return values;
}

function cosine(directions, dim, a, b) {
  let sum = 0;
  for (let at = 0; at < dim; at++) sum += directions[a * dim + at] * directions[b * dim + at];
  return sum;
}

// The k films of highest mean cosine with the liked ones, best first; of equal scores the earlier film.
function recommendFromLiked(directions, dim, liked, k) {
  const found = [];
  for (let film = 0; film < directions.length / dim; film++) {
    if (liked.includes(film)) continue;
    const cosines = liked.map((one) => cosine(directions, dim, one, film));
    const score = cosines.reduce((sum, one) => sum + one, 0) / liked.length;
    found.push({ film, score, nearest: liked[cosines.indexOf(Math.max(...cosines))] });
  }
  return found.sort((a, b) => b.score - a.score || a.film - b.film).slice(0, k);
}

// --- the search

function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

// Films whose title has every typed word somewhere. Those that have them all at the beginning of a word come first;
// otherwise films stand in the order of how many have rated them.
function searchFilms(titles, typed, most) {
  const words = plain(typed).split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const begins = [], others = [];
  titles.forEach((title, film) => {
    if (words.every((word) => ` ${title}`.includes(` ${word}`))) begins.push(film);
    else if (words.every((word) => title.includes(word))) others.push(film);
  });
  return [...begins, ...others].slice(0, most);
}

// --- the page

function startPage(films) {
  const byId = (id) => document.getElementById(id);
  const directions = tasteDirections(films);
  const titles = films.titles.map(plain);
  const input = byId("try-film"), list = byId("try-suggestions"), chosen = byId("try-liked");
  let liked = [], suggested = [], active = -1;

  function element(kind, name, text) {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const genresOf = (film) => films.genres[film].map((genre) => films.genre_names[genre]);

  function suggest(found) {
    suggested = found;
    active = -1;
    list.replaceChildren(...found.map((film, at) => {
      const option = element("li");
      option.id = `try-suggestion-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.append(element("span", "try-title", films.titles[film]), element("span", "try-quiet", genresOf(film).join(", ")));
      option.addEventListener("pointerdown", (event) => event.preventDefault());  // keeps the focus in the box
      option.addEventListener("click", () => like(film));
      return option;
    }));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    input.removeAttribute("aria-activedescendant");
  }

  function activate(at) {
    const options = [...list.children];
    active = (at + options.length) % options.length;
    options.forEach((option, one) => option.setAttribute("aria-selected", String(one === active)));
    options[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[active].id);
  }

  function like(film) {
    input.value = "";
    suggest([]);
    if (!liked.includes(film) && liked.length < MOST_LIKED) liked = [...liked, film];
    show();
  }

  function forget(film) {
    liked = liked.filter((one) => one !== film);
    show();
    input.focus();
  }

  function chosenFilm(film) {
    const item = element("li");
    const button = element("button", "", films.titles[film]);
    button.type = "button";
    button.setAttribute("aria-label", `Remove ${films.titles[film]}`);
    button.addEventListener("click", () => forget(film));
    item.append(button);
    return item;
  }

  function card({ film, score, nearest }) {
    const item = element("li");
    item.dataset.film = films.ids[film];
    item.dataset.score = score;
    item.append(element("span", "try-title", films.titles[film]), element("span", "try-score", score.toFixed(2)));
    const genres = element("span", "try-genres");
    genres.append(...genresOf(film).map((genre) => element("span", "", genre)));
    const because = element("span", "try-because", "nearest to ");
    because.append(element("b", "", films.titles[nearest]));
    item.append(genres, because);
    return item;
  }

  function state() {
    if (liked.length === 0) return "No film chosen yet.";
    const room = liked.length < MOST_LIKED ? "" : " That is all there is room for; remove one to choose another.";
    return `${liked.length} of ${MOST_LIKED} films chosen.${room}`;
  }

  function show() {
    chosen.replaceChildren(...liked.map(chosenFilm));
    byId("try-state").textContent = state();
    byId("try-again").hidden = liked.length === 0;
    byId("try-answer").hidden = liked.length === 0;
    const found = liked.length ? recommendFromLiked(directions, films.dim, liked, LIST_LENGTH) : [];
    byId("try-list").replaceChildren(...found.map(card));
  }

  // The best known films of one genre, of those genres that have enough.
  const byGenre = films.genre_names.map((_, genre) => films.genres.flatMap((own, film) => own.includes(genre) ? film : []));
  const enough = byGenre.filter((of) => of.length >= MOST_LIKED);

  function chooseForMe() {
    liked = enough[Math.floor(Math.random() * enough.length)].slice(0, MOST_LIKED);
    show();
  }

  const keys = {
    ArrowDown: () => activate(active + 1),
    ArrowUp: () => activate(active < 0 ? suggested.length - 1 : active - 1),
    Enter: () => like(suggested[Math.max(active, 0)]),
    Escape: () => suggest([]),
  };
  input.addEventListener("input", () => suggest(searchFilms(titles, input.value, MOST_SUGGESTIONS)));
  input.addEventListener("blur", () => suggest([]));
  input.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || suggested.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });
  byId("try").addEventListener("submit", (event) => event.preventDefault());
  byId("try-anything").hidden = enough.length === 0;
  byId("try-anything").addEventListener("click", chooseForMe);
  byId("try-again").addEventListener("click", () => { liked = []; show(); input.focus(); });
  byId("try-count").textContent = films.titles.length.toLocaleString("en");
  byId("try").hidden = false;
  show();
}

if (window.courseFilms) startPage(window.courseFilms);
else document.getElementById("try-fault").hidden = false;
