const BATCH = 64, EXPLAINED = 16, LONGEST_WAIT = 10;
const LABELS = ['positive', 'neutral', 'negative'];
// The base address of the service's paths: the page's folder, unless the server names the prefix that a proxy removes.
const ROOT = new URL(document.documentElement.dataset.base || './', location.href).href.replace(/[?#].*$/, '');
const $ = id => document.getElementById(id);
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const stored = (key, value) => {
  try { return value === undefined ? sessionStorage.getItem(key) : sessionStorage.setItem(key, value); } catch { return null; }
};
let language = stored('language') || (navigator.language.startsWith('zh') ? 'zh' : 'en');
let theme = stored('theme') || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
let models = [];     // from GET /v1/models
let said = null;     // the function that returns the text of the status
const redraws = [];  // functions that draw each tab again after a change of the language
const t = key => WORDS[language][key];
const named = label => LABELS.includes(label) ? t(label) : label;
// Models of other tasks have routes of their own, and models of embeddings have no labels.
const classifies = model => model.task === 'classification' && model.labels.length > 0;
// The kind of a model that gave an answer, as the service calls the kinds.
const problemOf = ({ labels, value, scores }) => labels ? 'multi-label' : value === undefined ? 'single-label' : Object.keys(scores).length === 1 ? 'regression' : 'ordinal';
// The labels of a prediction: one, any number of a multi-label model, or none of a model of numbers.
const labelsSaid = prediction => prediction.labels ?? (problemOf(prediction) === 'regression' ? [] : [prediction.label]);
const shownNumber = value => String(Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
// Numbers have no labels to compare.
const sameLabels = (a, b) => [a, b].some(each => problemOf(each) === 'regression') || labelsSaid(a).join('\n') === labelsSaid(b).join('\n');
// The colour of a label: that of its meaning, or of its place among the labels of its model.
const tone = label => LABELS.includes(label) ? label : `tone-${Math.max(0, models.find(model => model.labels.includes(label))?.labels.indexOf(label) ?? 0) % 6}`;

function translate() {
  document.documentElement.lang = language;
  document.querySelectorAll('[data-t]').forEach(element => { element.textContent = t(element.dataset.t); });
  document.querySelectorAll('[data-l]').forEach(element => { element.setAttribute('aria-label', t(element.dataset.l)); });
  document.querySelectorAll('[data-p]').forEach(element => { element.placeholder = t(element.dataset.p); });
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  redraws.forEach(redraw => redraw());
  if (said) $('status').textContent = said();
}
// Shows a status. `words` returns the text, so that translate() can show it again in another language.
function say(words) { said = words; $('status').textContent = words(); }
// Shows the status anew if what it says has changed. A screen reader does not read the same words again.
function sayAgain() { if (said && $('status').textContent !== said()) $('status').textContent = said(); }
function paint() { document.documentElement.dataset.theme = theme; }

// The messages of an error, in the service's form or in OpenAI's.
const messageOf = answer => [answer?.error?.message, answer?.error, answer?.message].find(each => each && typeof each === 'string');
// An error whose `field` is the member of the body that the service refuses, and whose `remark` is the message without it.
function refusalOf(message) {
  const [, field, remark] = message.match(/^([a-z_]+): (.+)$/s) || [], error = new Error(message);
  return Object.assign(error, { field, remark: remark ?? message });
}
// An error that may pass by itself: the server cannot be reached, starts, stops or has too much to do.
const passing = error => Object.assign(error, { passes: true });
const PASSING_STATUSES = [429, 502, 503, 504];
// Sends a request and repeats it if the server asks to wait a moment. `body` is JSON or FormData.
async function request(path, { method, body, signal, accept } = {}) {
  const form = body instanceof FormData, headers = body && !form ? { 'Content-Type': 'application/json' } : {};
  if (accept) headers.Accept = accept;
  if ($('key').value) headers.Authorization = 'Bearer ' + $('key').value;
  for (let attempt = 0; ; ++attempt) {
    let response;
    try {
      response = await fetch(ROOT + path, {
        method: method || (body ? 'POST' : 'GET'), headers, signal, body: body && (form ? body : JSON.stringify(body)),
      });
    } catch (error) { throw error.name === 'AbortError' ? error : passing(new Error(t('unreachable'))); }
    const wait = Number(response.headers.get('Retry-After')) || 1;
    if ((response.status === 429 || response.status === 503) && attempt < 4 && wait <= LONGEST_WAIT) {
      await pause(1000 * wait, signal);
      continue;
    }
    if (response.status === 401) {
      $('key-field').hidden = false;
      throw new Error(t($('key').value ? 'keyWrong' : 'key401'));
    }
    if (!response.ok) {
      const answer = await response.json().catch(() => null);  // a proxy's error page is not JSON
      if (response.status === 413 && body && !form) throw new Error(t('tooMuch'));
      const refusal = refusalOf(messageOf(answer) || t('strange')(response.status));
      throw PASSING_STATUSES.includes(response.status) ? passing(refusal) : refusal;
    }
    return response;
  }
}
async function jsonOf(response) {
  const answer = await response.json().catch(error => {
    if (error.name === 'AbortError') throw error;
    if (!(error instanceof SyntaxError)) throw passing(new Error(t('unreachable')));  // the connection broke
  });
  if (!answer) throw new Error(t('strange')(response.status));
  return answer;
}
const ask = async (path, body, signal, method) => jsonOf(await request(path, { body, signal, method }));
// Reads server-sent events as they come, those of a piece of the body together: {name, data}. EventSource can send neither an
// API key nor a body. Comments and events without an object are left out.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let text = ''; ;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (text + value).split('\n\n');
      text = parts.pop();
      yield parts.flatMap(part => {
        const field = name => part.split('\n').find(line => line.startsWith(`${name}: `))?.slice(name.length + 2);
        return field('data')?.startsWith('{') ? [{ name: field('event'), data: JSON.parse(field('data')) }] : [];
      });
    }
  } finally { reader.cancel().catch(() => {}); }  // of a stream that broke
}
const pause = (milliseconds, signal) => new Promise((go, stopped) => {
  const timer = setTimeout(go, milliseconds);
  signal?.addEventListener('abort', () => { clearTimeout(timer); stopped(signal.reason); });
});
// Says beside a control what is wrong with its value, until that changes.
function complain(control, message) {
  const told = $(`${control.id}-problem`) || make('p', 'problem');
  told.id = `${control.id}-problem`;
  told.textContent = message;
  control.closest('.field').append(told);
  control.closest('details')?.setAttribute('open', '');
  control.setAttribute('aria-invalid', 'true');
  describe(control);
  control.addEventListener('input', () => forgive(control), { once: true });
  control.focus();
}
function forgive(control) {
  $(`${control.id}-problem`)?.remove();
  control.removeAttribute('aria-invalid');
  describe(control);
}
// A control is described by its hint and its problem, where it has them.
function describe(control) {
  const told = ['hint', 'problem'].map(what => `${control.id}-${what}`).filter($);
  if (told.length) control.setAttribute('aria-describedby', told.join(' ')); else control.removeAttribute('aria-describedby');
}
function fail(error) { $('error').textContent = error.message; $('error').hidden = false; say(() => ''); }

// The models of a task for the list of a tab, `ID-model`, or the line `ID-none` that says there are none: then the tab shows
// nothing else. The button `ID-send` sends if there are any and `ready`.
function fillTask(id, task, ready = true) {
  const usable = models.filter(model => model.task === task);
  fill($(`${id}-model`), usable.map(({ name }) => option(name, name)));
  $(`${id}-none`).hidden = usable.length > 0;
  $(`${id}-none`).closest('[role="tabpanel"]').classList.toggle('without-model', !usable.length);
  $(`${id}-send`).disabled = !usable.length || !ready;
}
// Makes a link offer a Blob as a file.
function offerFile(link, name, content) {
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(content);
  link.download = name;
}
// Runs the task of a button unless it is under way already. A disabled button would lose the focus of the keyboard, so the button
// only says that it is disabled.
async function hold(button, task) {
  if (button.disabled || button.ariaDisabled === 'true') return;
  button.ariaDisabled = 'true';
  try { await task(); } finally { button.ariaDisabled = null; }
}
// Runs the action of a button, once at a time. Errors are shown.
const act = (button, task) => hold(button, async () => {
  $('error').hidden = true;
  try { await task(); } catch (error) { if (error.name !== 'AbortError') fail(error); }
});
// Hides or disables a control. The focus that it would lose goes to `next`.
function leaveTo(next, control, property = 'hidden') {
  const focused = document.activeElement === control;
  control[property] = true;
  if (focused) next.focus();
}
// Draws the inside of an element again. The focus stays at the control in the same place, or goes to the element itself.
function redrawn(box, made) {
  const controls = () => [...box.querySelectorAll('a[href], button, input, select, summary, [tabindex]')];
  const at = controls().indexOf(document.activeElement);
  box.replaceChildren(...made);
  if (at === -1) return;
  box.tabIndex = -1;
  (controls()[at] || box).focus();
}
// Runs a task of `all` steps for the button `id`. Its progress shows and it can be cancelled by the controls `ID-progress` and
// `ID-stop`. The task gets a signal and a function that takes the number of finished steps. `words` names the function of WORDS
// that says it.
async function counted(id, all, words, task) {
  const stopper = new AbortController(), [stop, bar] = [$(`${id}-stop`), $(`${id}-progress`)];
  const begun = tab;
  let done = 0;
  const told = words => { if (tab === begun) say(words); };  // the status is that of the open tab
  const count = finished => { done = finished; bar.value = done / all; told(() => all === 1 ? t('working') : t(words)(done, all)); };
  stop.onclick = () => stopper.abort();
  stop.hidden = bar.hidden = all === 1;
  count(0);
  try { await task(stopper.signal, count); } catch (error) {
    if (error.name === 'AbortError') told(() => `${t('cancelled')}: ${t(words)(done, all)}`);
    throw error;
  } finally {
    leaveTo($(id), stop);
    bar.hidden = true;
  }
}
// A form is sent by its button, and from its text area by Ctrl+Enter.
function sendsBy(form, area, sender, task) {
  const start = event => { event.preventDefault(); act($(sender), task); };
  $(form).addEventListener('submit', start);
  $(area).addEventListener('keydown', event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) start(event); });
}
// On a phone the results are below the fold.
function bring(id) {
  if (matchMedia('(max-width: 60rem)').matches) $(id).scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}
const button = (word, task, className) => {
  const made = make('button', className, t(word));
  made.type = 'button';
  made.addEventListener('click', () => act(made, task));
  return made;
};
// A bar for each of the scores, {label, score, colour}.
function scoreBars(scores) {
  const made = make('div', 'scores');
  for (const { label, score, colour } of scores) {
    const bar = make('div', `bar ${colour}`), filled = make('span');
    filled.style.width = `${100 * score}%`;
    bar.append(filled);
    bar.setAttribute('aria-hidden', 'true');
    made.append(make('span', '', label), bar, make('span', 'number', score.toFixed(3)));
  }
  return made;
}
const option = (value, text) => { const made = make('option', '', text); made.value = value; return made; };
// Puts options into a list and keeps the choice if it still exists.
function fill(list, options) {
  const chosen = list.value;
  list.replaceChildren(...options);
  if (options.some(made => made.value === chosen)) list.value = chosen;
}
const when = seconds => seconds ? new Date(1000 * seconds).toLocaleString(language) : '';
function size(bytes) {
  const [unit, scale] = [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]].find(([, least]) => bytes >= least) || ['B', 1];
  return `${(bytes / scale).toFixed(scale === 1 ? 0 : 1)} ${unit}`;
}
// The cells may be texts or elements.
const row = (tag, cells) => { const line = make('tr'); line.append(...cells.map(cell => { const made = make(tag); made.append(cell); return made; })); return line; };
function grid(heads, lines) {
  const made = make('table', 'wide'), head = make('thead'), body = make('tbody');
  head.append(row('th', heads));
  body.append(...lines.map(cells => row('td', cells)));
  made.append(head, body);
  return made;
}
