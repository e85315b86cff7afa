// The first tab: texts, their labels and explanations.
let history = JSON.parse(stored('history') || '[]');
let limits = {}, ngrams = {};  // by model
let shown = [];
redraws.push(() => { show(shown); showHistory(); snippets(); });
const predict = (model, texts, explain, signal) => ask(`v1/models/${encodeURIComponent(model)}/predict`,
  explain ? { texts, explain } : { texts }, signal).then(answer => answer.predictions);
// Splits the items into parts within the model's limits.
function* parts(model, items, text, explain) {
  const limit = limits[model] || {};
  const most = Math.max(1, Math.min(explain ? EXPLAINED : BATCH, (explain ? limit.explained_texts : limit.texts) || BATCH));
  const bytes = (limit.body_bytes || 1 << 20) - 256;
  let part = [], used = 0;
  for (const item of items) {
    const cost = new TextEncoder().encode(JSON.stringify(text(item))).length + 1;
    if (part.length && (part.length === most || used + cost > bytes)) { yield part; part = []; used = 0; }
    part.push(item);
    used += cost;
  }
  if (part.length) yield part;
}

async function loadModels() {
  try {
    const answer = await ask('v1/models');
    models = answer.models.map((model, i) => ({ ...model, owned_by: answer.data[i].owned_by }));
    limits = Object.fromEntries(models.map(model => [model.name, model.limits]));
    ngrams = Object.fromEntries(models.map(model => [model.name, model.ngrams]));
    fill($('model'), models.filter(model => model.labels.length).map(model => option(model.name, `${model.name} (${model.version})`)));
    $('error').hidden = true;
    snippets();
  } catch (error) { fail(error); }
}

function heat(text, explanation) {
  const box = make('p', 'text');
  if (!explanation) { box.textContent = text; return box; }
  const characters = Array.from(text);
  const strongest = Math.max(...explanation.spans.map(span => Math.abs(span.weight)), 1e-9);
  let at = 0;
  for (const span of explanation.spans) {
    box.append(characters.slice(at, span.begin).join(''));
    const share = Math.abs(span.weight) / strongest;
    const unread = span.begin >= explanation.encoder_end ? ' unread' : '';
    const mark = make('mark', (span.weight >= 0 ? 'for' : 'against') + (share < 0.15 ? ' weak' : '') + unread, characters.slice(span.begin, span.end).join(''));
    mark.style.setProperty('--heat', (0.75 * share).toFixed(3));
    mark.title = `${span.weight >= 0 ? '+' : ''}${span.weight.toFixed(3)}`;
    box.append(mark);
    at = span.end;
  }
  box.append(characters.slice(at).join(''));
  return box;
}
function weights(explanation) {
  const details = make('details'), grid = make('table'), head = make('tr');
  head.append(make('th', '', t('word')), make('th', '', t('weight')));
  grid.append(head, ...[...explanation.spans].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, 20).map(span => {
    const row = make('tr');
    row.append(make('td', '', span.text), make('td', '', (span.weight >= 0 ? '+' : '') + span.weight.toFixed(4)));
    return row;
  }));
  details.append(make('summary', '', t('weights')), grid);
  return details;
}
// Says which part of a text that is too long was used. An explanation gives the number of characters.
function unread(text, { explanation }, hasNgrams) {
  const rule = t(hasNgrams ? 'ngramsOnly' : 'truncated');
  return explanation ? `${rule} ${t('readTo')(explanation.encoder_end, Array.from(text).length)}` : rule;
}
function card({ text, prediction, hasNgrams }) {
  const item = make('li'), verdict = make('div', 'verdict'), scores = make('div', 'scores');
  verdict.append(make('span', `label ${tone(prediction.label)}`, named(prediction.label)), make('span', 'number', `${(100 * prediction.score).toFixed(1)}%`));
  for (const [label, score] of Object.entries(prediction.scores).sort((a, b) => b[1] - a[1])) {
    const bar = make('div', `bar ${tone(label)}`), fill = make('span');
    fill.style.width = `${100 * score}%`;
    bar.append(fill);
    bar.setAttribute('aria-hidden', 'true');
    scores.append(make('span', '', named(label)), bar, make('span', 'number', score.toFixed(3)));
  }
  item.append(verdict, heat(text, prediction.explanation), scores);
  if (prediction.blank) item.append(make('p', 'hint', t('blank')));
  if (prediction.truncated) item.append(make('p', 'hint', unread(text, prediction, hasNgrams)));
  if (prediction.explanation && prediction.explanation.spans.length) item.append(weights(prediction.explanation));
  return item;
}
function show(results) {
  shown = results;
  $('results').replaceChildren(...results.map(card));
  $('nothing').hidden = results.length > 0;
  $('legend').hidden = !results.some(result => result.prediction.explanation);
}
function showHistory() {
  $('history').replaceChildren(...history.map(({ text, label }) => {
    const item = make('li'), button = make('button');
    button.type = 'button';
    button.append(make('span', tone(label), named(label)), make('span', '', text));
    button.addEventListener('click', () => { $('texts').value = text; $('texts').focus(); });
    item.append(button);
    return item;
  }));
  $('clear').hidden = history.length === 0;
}
function snippets() {
  const model = $('model').value || 'emotion_analysis', texts = $('texts').value.split('\n').filter(Boolean).slice(0, 2);
  const list = texts.length ? texts : ['I love this film'], quote = text => text.replaceAll("'", "'\\''");
  $('curl').textContent = `curl ${ROOT}v1/models/${model}/predict \\\n  -H 'Content-Type: application/json' \\\n` +
    ($('key').value ? "  -H 'Authorization: Bearer YOUR_API_KEY' \\\n" : '') + `  -d '${quote(JSON.stringify({ texts: list }))}'`;
  $('python').textContent = `from maas_sdk import MaaSClient\n\nclient = MaaSClient(api_key='your_api_key', endpoint='${ROOT.replace(/\/$/, '')}')\n` +
    `model = client.get_model('${model}')\nfor emotion in model.predict(${JSON.stringify(list)}):\n    print(emotion, emotion.score)`;
}

async function send(event) {
  event.preventDefault();
  if ($('send').disabled) return;  // Ctrl+Enter was pressed while a request is in flight
  const texts = $('texts').value.split('\n').map(line => line.trim()).filter(Boolean);
  $('error').hidden = true;
  if (!texts.length) { say(() => t('empty')); $('texts').focus(); return; }
  $('send').disabled = true;
  say(() => t('working'));
  try {
    const results = [], model = $('model').value, explain = $('explain').checked;
    for (const part of parts(model, texts, text => text, explain)) {
      (await predict(model, part, explain)).forEach((prediction, j) => results.push({ text: part[j], prediction, hasNgrams: ngrams[model] }));
      show([...results]);
    }
    history = [...results.map(({ text, prediction }) => ({ text, label: prediction.label })), ...history].slice(0, 50);
    stored('history', JSON.stringify(history));
    showHistory();
    say(() => t('done')(results.length));
  } catch (error) { fail(error); } finally { $('send').disabled = false; }
}

