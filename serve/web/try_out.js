// The first tab: texts, their labels and explanations, by one model or by two side by side.
let history = JSON.parse(stored('history') || '[]').filter(({ labels }) => labels);  // {text, labels, number}, not what an older page has left
let limits = {}, ngrams = {};  // by choice
let shown = [];
redraws.push(() => { aboutModel(); cards.clear(); show(shown); showHistory(); showSamples(); snippets(); });

// A choice is a model's name, or the name and one of its versions as they stand in the path.
const versionOf = choice => choice.split('/versions/');
const modelOf = choice => models.find(model => model.name === versionOf(choice)[0]);
const choiceName = choice => { const [name, version] = versionOf(choice); return `${name} (${version || modelOf(choice)?.version || '?'})`; };
const labelsOf = choice => modelOf(choice)?.labels || [];
// The labels of an answer in the model's order. Another version than the one that answers may have others.
function labelsInOrder({ choice, prediction }) {
  const own = Object.keys(prediction.scores), known = labelsOf(choice);
  return known.length === own.length && known.every(label => own.includes(label)) ? known : own;
}
const explains = choice => Boolean(modelOf(choice)?.explains);
const addressOf = choice => `v1/models/${choice.split('/').map(encodeURIComponent).join('/')}`;
const pathOf = choice => `${addressOf(choice)}/predict`;
let lastExchange = null;  // the path, the body and the answer of the last request for predictions
async function predict(choice, texts, explain, signal) {
  const path = pathOf(choice), body = explain ? { texts, explain } : { texts };
  const response = await request(path, { body, signal }), answer = await jsonOf(response), id = response.headers.get('X-Request-Id');
  lastExchange = { path, body, answer };
  showExchange();
  return answer.predictions.map((prediction, index) => ({ ...prediction, asked: { id, index } }));  // feedback names the request
}
const bytesOf = text => new TextEncoder().encode(text).length;
// The items in parts of at most `most` and at most `bytes`. `cost` gives the bytes of an item. One item may have more.
function inParts(items, most, bytes, cost) {
  const made = [];
  let used = Infinity;
  for (const item of items) {
    const own = cost(item);
    if (used + own > bytes || made.at(-1).length === most) { made.push([]); used = 0; }
    made.at(-1).push(item);
    used += own;
  }
  return made;
}
// Splits the items into parts within the limits of every model that is asked. Throws an Error that names the first text that is
// longer than they allow.
function parts(choices, items, text, explain) {
  const bounds = choices.map(choice => {
    const limit = limits[choice] || {}, explained = explain && explains(choice), bytes = (limit.body_bytes || 1 << 20) - 256;
    return { texts: Math.min(explained ? EXPLAINED : BATCH, (explained ? limit.explained_texts : limit.texts) || BATCH), bytes, longest: Math.min(limit.text_bytes || bytes, bytes) };
  });
  const [most, bytes, longest] = ['texts', 'bytes', 'longest'].map(name => Math.min(...bounds.map(bound => bound[name])));
  items.forEach((item, i) => {
    const own = bytesOf(text(item));
    if (own > longest) throw new Error(t('tooLong')(item.number ?? i + 1, size(own), size(longest)));
  });
  return inParts(items, Math.max(1, most), bytes, item => bytesOf(JSON.stringify(text(item))) + 1);
}

async function predictAll(choice, texts, explain, signal) {
  const predictions = [];
  for (const part of parts([choice], texts, text => text, explain)) predictions.push(...await predict(choice, part, explain, signal));
  return predictions;
}

async function loadModels() {
  try {
    const answer = await ask('v1/models');
    models = answer.models.map((model, i) => ({ ...model, owned_by: answer.data[i].owned_by }));
    const usable = models.filter(classifies);
    // The version that answers has no choice of its own. The others are there if the server has loaded them.
    const choices = usable.flatMap(({ name, version, served_versions: served = [] }) =>
      [name, ...served.filter(each => each !== version).map(each => `${name}/versions/${each}`)]);
    for (const { name, limits: own } of models) limits[name] = own;  // of models of all tasks
    // Another version may have other limits, and n-grams where the one that answers has none.
    const answering = choice => choice.includes('/') ? ask(addressOf(choice)).catch(() => modelOf(choice)) : modelOf(choice);
    for (const [i, own] of (await Promise.all(choices.map(answering))).entries()) { limits[choices[i]] = own.limits; ngrams[choices[i]] = own.ngrams; }
    fill($('model'), choices.map(choice => option(choice, choiceName(choice))));
    $('other-field').hidden = choices.length < 2;
    $('error').hidden = true;
    aboutModel();
    snippets();
  } catch (error) { fail(error); }
}
// What the model gives a text, which labels it knows, and which others can answer beside it.
function aboutModel() {
  const others = [...$('model').options].map(({ value }) => value).filter(choice => choice !== $('model').value);
  fill($('other'), [option('', t('nothingElse')), ...others.map(choice => option(choice, choiceName(choice)))]);
  const { problem = 'single-label', labels = [] } = modelOf($('model').value) || {};
  $('gives').textContent = labels.length ? t('gives')[problem] : '';
  $('about').replaceChildren(...(problem === 'regression' ? [] : labels).map(label => make('li', `label ${tone(label)}`, named(label))));
  $('explain-field').hidden = ![$('model').value, $('other').value].some(explains);
  document.title = $('model').value ? `${versionOf($('model').value)[0]} · qing` : 'qing';
}

// One model's answer to a text.
function answer({ text, choice, prediction, hasNgrams }, withText = true) {
  const box = make('div', 'answer'), verdict = make('div', 'verdict');
  const problem = problemOf(prediction), isNumber = problem === 'regression';
  for (const label of labelsSaid(prediction)) {
    verdict.append(make('span', `label ${tone(label)}`, named(label)), make('span', 'number', `${(100 * prediction.scores[label]).toFixed(1)}%`));
  }
  if (isNumber) verdict.append(make('strong', 'figure', shownNumber(prediction.value)));
  else if (!labelsSaid(prediction).length) verdict.append(make('span', 'hint', t('noLabel')));
  if (problem === 'ordinal') verdict.append(make('span', 'number', `${t('value')} ${shownNumber(prediction.value)}`));
  // Labels of an order keep it.
  const shownScores = labelsInOrder({ choice, prediction }).map(label => [label, prediction.scores[label]]);
  if (problem !== 'ordinal') shownScores.sort((a, b) => b[1] - a[1]);
  const scores = scoreBars(isNumber ? [] : shownScores.map(([label, score]) => ({ label: named(label), score, colour: tone(label) })));
  box.append(verdict, ...(withText || prediction.explanation ? [heat(text, prediction.explanation)] : []), scores);
  if (prediction.blank) box.append(make('p', 'hint', t('blank')));
  if (prediction.truncated) box.append(make('p', 'hint', unread(text, prediction, hasNgrams)));
  if (prediction.explanation && prediction.explanation.spans.length) {
    if (problem === 'multi-label') box.append(make('p', 'hint', t('explains')(named(prediction.label))));
    box.append(weights(text, prediction.explanation));
  }
  return box;
}
function card({ text, sides }) {
  const item = make('li');
  if (sides.length === 1) { item.append(answer({ text, ...sides[0] }), feedbackOn(text, sides[0])); return item; }
  const [first, second] = sides, both = make('div', 'sides');
  if (!first.prediction.explanation) item.append(make('p', 'text', text));
  if (!sameLabels(first.prediction, second.prediction)) item.append(make('p', 'differs', t('differ')));
  both.append(...sides.map(side => {
    const half = answer({ text, ...side }, false);
    half.prepend(make('h3', '', choiceName(side.choice)));
    half.append(feedbackOn(text, side));
    return half;
  }));
  item.append(both);
  return item;
}
// Shows the results of texts in place of all others. Cards that are there already stay, so that feedback on one can be written
// while others come.
let cards = new Map();
function show(results) {
  shown = results;
  cards = new Map(results.map(result => [result, cards.get(result) || card(result)]));
  const made = [...cards.values()], list = $('results');
  if ([...list.children].some((each, i) => each !== made[i])) list.replaceChildren();
  list.append(...made.slice(list.children.length));
  if (results.length) { batch = null; $('file-results').hidden = true; drawGoOn(); }
  if (batch) return;
  $('results-title').textContent = results.length ? `${t('results')}: ${results[0].sides.map(side => choiceName(side.choice)).join(' / ')}` : t('results');
  $('nothing').hidden = results.length > 0;
  $('legend').hidden = !results.some(result => result.sides.some(side => side.prediction.explanation));
}
function showSamples() {
  $('samples').replaceChildren(...t('samples').split('\n').map(text => {
    const choice = make('button', '', text);
    choice.type = 'button';
    choice.addEventListener('click', () => { $('texts').value = text; snippets(); $('send').focus(); act($('send'), sendTexts); });
    return choice;
  }));
}
function showHistory() {
  $('history').replaceChildren(...history.map(({ text, labels, number }) => {
    const item = make('li'), button = make('button');
    button.type = 'button';
    button.append(make('span', labels.length ? tone(labels[0]) : 'number', number ?? (labels.map(named).join(', ') || t('noLabel'))), make('span', '', text));
    button.addEventListener('click', () => { $('texts').value = text; $('texts').focus(); });
    item.append(button);
    return item;
  }));
  $('history-panel').hidden = history.length === 0;
}
// What the Python example prints for the kinds that have no single label.
const PRINTED = { 'multi-label': 'emotion.labels', ordinal: 'emotion, emotion.value', regression: 'emotion.value' };
function snippets() {
  const choice = $('model').value || 'emotion_analysis', [name, version] = versionOf(choice);
  const texts = $('texts').value.split('\n').filter(Boolean).slice(0, 2), list = texts.length ? texts : [t('samples').split('\n')[0]];
  const quote = text => text.replaceAll("'", "'\\''");
  $('curl').textContent = `curl ${ROOT}${pathOf(choice)} \\\n  -H 'Content-Type: application/json' \\\n` +
    ($('key').value ? "  -H 'Authorization: Bearer YOUR_API_KEY' \\\n" : '') + `  -d '${quote(JSON.stringify({ texts: list }))}'`;
  $('python').textContent = `from maas_sdk import MaaSClient\n\nclient = MaaSClient(api_key='your_api_key', endpoint='${ROOT.replace(/\/$/, '')}')\n` +
    `model = client.get_model('${name}'${version ? `, version='${version}'` : ''})\nfor emotion in model.predict(${JSON.stringify(list)}):\n    print(${PRINTED[modelOf(choice)?.problem] || 'emotion, emotion.score'})`;
}
// The last request and its answer, as they went over the wire.
function showExchange() {
  const { path, body, answer } = lastExchange, whole = JSON.stringify(answer, null, 2), most = 20000;
  $('json').textContent = `POST ${ROOT}${path}\n\n${JSON.stringify(body, null, 2).slice(0, most)}\n\n${whole.slice(0, most)}${whole.length > most ? '\n…' : ''}`;
  $('json-field').hidden = false;
}

const linesOf = id => $(id).value.split('\n').map(line => line.trim()).filter(Boolean);
function forgetResults() {
  batch = null;
  $('file-results').hidden = true;
  show([]);
}
async function sendTexts() {
  const texts = linesOf('texts'), results = [];
  const choices = [$('model').value, $('other').value].filter(Boolean), explain = $('explain').checked;
  if (!texts.length) {
    forgetResults();  // they are not the answer to an empty text
    say(() => t('empty'));
    $('texts').focus();
    return;
  }
  try {
    await counted('send', texts.length, 'textsOf', async (signal, count) => {
      for (const part of parts(choices, texts, text => text, explain)) {
        const sides = await Promise.all(choices.map(choice => predictAll(choice, part, explain && explains(choice), signal)));
        part.forEach((text, j) => results.push({ text, sides: choices.map((choice, k) => ({ choice, prediction: sides[k][j], hasNgrams: ngrams[choice] })) }));
        show([...results]);
        count(results.length);
      }
    });
    say(() => t('done')(results.length));
    bring('results-title');
  } finally {
    if (results.length) remember(results); else forgetResults();
  }
}
// Puts texts in front of the history. A text that is there already moves.
function remember(results) {
  const made = results.map(({ text, sides: [{ prediction }] }) => ({ text, labels: labelsSaid(prediction), ...(problemOf(prediction) === 'regression' && { number: shownNumber(prediction.value) }) }));
  history = [...made, ...history].filter(({ text }, i, all) => all.findIndex(each => each.text === text) === i).slice(0, 50);
  stored('history', JSON.stringify(history));
  showHistory();
}
