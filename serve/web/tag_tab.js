// Named entities: marked in the texts with their kinds, counted, as a table and as files.
let tagged = [];      // {text, entities}
let shownKind = null; // the only kind that is shown; null: all
redraws.push(() => drawTagged());

async function showTag() {
  await loadModels();
  fillTask('tag', 'tagging');
}
const kindName = kind => t('kinds')[kind.toUpperCase()] || kind;
// The kinds of entities that are there, most frequent first, with their numbers.
function countKinds() {
  const counts = new Map();
  for (const { entities } of tagged) for (const { type } of entities) counts.set(type, (counts.get(type) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}
// A kind keeps its colour from one answer to the next: that of its place among the kinds of the model.
let kindOrder = [];
const kindTone = kind => `tone-${Math.max(0, kindOrder.indexOf(kind)) % 6}`;

async function findEntities() {
  const name = $('tag-model').value, texts = linesOf('tag-texts');
  tagged = [];  // they are not the entities of these texts
  shownKind = null;
  drawTagged();
  if (!texts.length) { say(() => t('empty')); $('tag-texts').focus(); return; }
  kindOrder = [...new Set((models.find(model => model.name === name)?.labels || []).map(label => label.replace(/^[A-Z]-/, '')))].filter(kind => kind !== 'O');
  await counted('tag-send', texts.length, 'textsOf', async (signal, count) => {
    for (const part of parts([name], texts, text => text, false)) {
      const { results } = await ask(`v1/models/${encodeURIComponent(name)}/tag`, { texts: part }, signal);
      tagged.push(...part.map((text, i) => ({ text, entities: results[i].entities })));
      drawTagged();
      count(tagged.length);
    }
  });
  const found = tagged.reduce((sum, { entities }) => sum + entities.length, 0);
  say(() => t('tagged')(found, tagged.length));
  bring('tagged-title');
}

// The text with its entities marked. The kind stands behind each, and is not selected when the text is copied.
function marked({ text, entities }) {
  const box = make('p', 'text'), characters = Array.from(text);
  let at = 0;
  for (const { type, begin, end, score } of entities) {
    const mark = make('mark', `entity ${kindTone(type)}${shownKind && shownKind !== type ? ' faded' : ''}`);
    mark.append(make('span', 'entity-text', characters.slice(begin, end).join('')), '\u00a0', make('span', 'entity-kind', kindName(type)));
    mark.title = `${type} ${score.toFixed(3)}`;
    box.append(characters.slice(at, begin).join(''), mark);
    at = end;
  }
  box.append(characters.slice(at).join(''));
  return box;
}
function drawKinds() {
  $('kinds').replaceChildren(...countKinds().map(([kind, count]) => {
    const choice = make('button', 'tally');
    choice.type = 'button';
    choice.setAttribute('aria-pressed', String(shownKind === kind));
    choice.append(make('span', `dot ${kindTone(kind)}`), make('span', '', kindName(kind)), ...(kindName(kind) === kind ? [] : [make('span', 'number', kind)]), make('strong', 'number', String(count)));
    choice.addEventListener('click', () => {
      shownKind = shownKind === kind ? null : kind;
      drawTagged();
      $('kinds').querySelectorAll('button')[countKinds().findIndex(([each]) => each === kind)].focus();
    });
    return choice;
  }));
}
const ENTITY_COLUMNS = ['text', 'begin', 'end', 'type', 'score', 'entity'];
function drawTagged() {
  const rows = tagged.flatMap(({ entities }, i) => entities.map(entity => ({ number: i + 1, ...entity })));
  $('tagged').hidden = !tagged.length;
  $('tagged-nothing').hidden = tagged.length > 0;
  $('entities-field').hidden = !rows.length;
  drawKinds();
  $('tagged-texts').replaceChildren(...tagged.map(each => {
    const item = make('li');
    item.append(marked(each));
    if (!each.entities.length) item.append(make('p', 'hint', t('noEntities')));
    return item;
  }));
  if (!rows.length) return;
  const cell = (className, text) => make('span', className, text);
  $('entities').replaceChildren(grid([t('textNumber'), t('entity'), t('kind'), t('begin'), t('end'), t('score')], rows.filter(({ type }) => !shownKind || shownKind === type).map(
    ({ number, text, type, begin, end, score }) => [String(number), text, cell(`label ${kindTone(type)}`, kindName(type)), String(begin), String(end), cell('number', score.toFixed(3))])));
  const lines = rows.map(({ number, begin, end, type, score, text }) => csvLine([number, begin, end, type, score, text].map(String)));
  offerFile($('entities-csv'), 'entities.csv', new Blob(['\ufeff', [csvLine(ENTITY_COLUMNS), ...lines].join('\r\n') + '\r\n'], { type: 'text/csv' }));
  offerFile($('entities-jsonl'), 'entities.jsonl', new Blob([tagged.map(each => JSON.stringify(each) + '\n').join('')], { type: 'application/jsonl' }));
}
$('tag-example').addEventListener('click', () => { $('tag-texts').value = t('tagSamples'); $('tag-texts').focus(); });
sendsBy('tag-form', 'tag-texts', 'tag-send', findEntities);
