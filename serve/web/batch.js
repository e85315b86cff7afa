// The results of a file: a summary by label, a filter, explanations of chosen rows, downloads.
const SHOWN_ROWS = 50;
let batch = null;  // what the last run of a file has made (file_run.js)
let view = { label: null, differ: false, words: '', rows: SHOWN_ROWS };
redraws.push(() => { if (batch && !$('file-results').hidden) showBatch(); });

const NO_LABEL = '';  // in place of a label: the rows that have none
// Whether the answers of a side, 'prediction' or 'other', are numbers.
const givesNumbers = side => batch.items.some(item => item[side] && problemOf(item[side]) === 'regression');
const differs = item => Boolean(item.other) && !sameLabels(item.other, item.prediction);
const finishedItems = () => batch.items.filter(item => item.prediction || (item.empty && !batch.part));  // of a part without the rows that have no text

// The least, the mean and the greatest of the numbers.
function figures() {
  const numbers = batch.items.flatMap(({ prediction }) => prediction ? [prediction.value] : []);
  const { least, mean, most } = numbers.reduce(({ least, mean, most }, value) => ({ least: Math.min(least, value), mean: mean + value / numbers.length, most: Math.max(most, value) }),
    { least: Infinity, mean: 0, most: -Infinity });
  return make('p', 'number', t('numbersFrom')(...[least, most, mean].map(shownNumber)));
}
// How often each label was predicted. A button shows the rows of its label alone.
function summary() {
  const finished = batch.items.filter(item => item.prediction), counts = new Map();
  for (const label of batch.labels) counts.set(label, 0);
  for (const { prediction } of finished) for (const label of labelsSaid(prediction)) counts.set(label, (counts.get(label) || 0) + 1);
  const share = count => `${(100 * count / Math.max(finished.length, 1)).toFixed(1)}%`;
  const bar = make('div', 'shares');
  bar.setAttribute('aria-hidden', 'true');
  const none = givesNumbers('prediction') ? 0 : finished.filter(({ prediction }) => !labelsSaid(prediction).length).length;
  if (none) counts.set(NO_LABEL, none);
  const made = [...counts].sort((a, b) => b[1] - a[1]).map(([label, count]) => {
    const colour = label === NO_LABEL ? 'neutral' : tone(label), piece = make('span', colour), choice = make('button', 'tally');
    piece.style.flexGrow = count;
    if (count) bar.append(piece);
    choice.type = 'button';
    choice.setAttribute('aria-pressed', String(view.label === label));
    choice.append(make('span', `dot ${colour}`), make('span', '', label === NO_LABEL ? t('noneRight') : named(label)), make('strong', 'number', String(count)), make('span', 'number', share(count)));
    choice.addEventListener('click', () => { view = { ...view, label: view.label === label ? null : label, rows: SHOWN_ROWS }; showBatch(); });
    return choice;
  });
  if (batch.other && !givesNumbers('prediction') && !givesNumbers('other')) {
    const choice = make('button', 'tally');
    choice.type = 'button';
    choice.setAttribute('aria-pressed', String(view.differ));
    choice.append(make('span', '', t('differing')), make('strong', 'number', String(finished.filter(differs).length)));
    choice.addEventListener('click', () => { view = { ...view, differ: !view.differ, rows: SHOWN_ROWS }; showBatch(); });
    made.push(choice);
  }
  const blank = batch.items.filter(item => item.empty).length;
  redrawn($('summary'), [...(givesNumbers('prediction') ? [figures()] : [bar, ...made]), ...(blank ? [make('span', 'hint', t('emptyCells')(blank))] : [])]);
}
// The cells of an answer by a model: its number, or its labels and their scores, with the question whether it is right.
function answerCells(item, name) {
  const side = item[name], question = side && questionOfRow(item, name);
  if (givesNumbers(name)) {
    const figure = make('td', 'number', side ? shownNumber(side.value) : '');
    if (side) figure.append(question);
    return [figure];
  }
  const verdict = make('td');
  if (!side) return [verdict, make('td')];
  const labels = labelsSaid(side);
  verdict.append(...labels.map(label => make('span', `label ${tone(label)}`, named(label))), ...(labels.length ? [] : [make('span', 'hint', t('noneRight'))]), question);
  return [verdict, make('td', 'number', labels.map(label => `${(100 * side.scores[label]).toFixed(1)}%`).join(' '))];
}
// The row of a text, and below it the forms that are open.
function rowsOf(item) {
  const { prediction, text, number } = item, line = make('tr'), box = make('input'), choose = make('td'), said = make('td', 'said');
  box.type = 'checkbox';
  box.checked = item.chosen;
  box.disabled = !prediction;
  box.setAttribute('aria-label', t('chooseRow')(number));
  box.addEventListener('change', () => { item.chosen = box.checked; countChosen(); });
  choose.append(box);
  const explanation = item.explained?.explanation;
  said.append(explanation ? heat(text, explanation) : make('p', 'text', text.length > 400 ? `${text.slice(0, 400)}…` : text));
  if (explanation && item.explained.truncated) said.append(make('p', 'hint', unread(text, item.explained, batch.hasNgrams)));
  line.append(choose, make('td', 'number', String(number)), said);
  for (const side of batch.sides) line.append(...answerCells(item, side));
  const open = batch.sides.filter(side => item.answers?.[side]?.feedback.open);
  return [line, ...open.map(side => formOfRow(item, side, line.children.length))];
}
const shownItems = () => batch.items.filter(item => (item.prediction || item.empty) && (view.label === null || (item.prediction && (view.label === NO_LABEL ? !labelsSaid(item.prediction).length : labelsSaid(item.prediction).includes(view.label)))) &&
  (!view.differ || differs(item)) &&
  (!view.words || item.text.toLowerCase().includes(view.words.toLowerCase())));
function showBatch() {
  batch.labels = [...new Set([...labelsOf(batch.model), ...batch.items.flatMap(item => item.prediction ? labelsSaid(item.prediction) : [])])];
  const found = shownItems(), shownNow = found.slice(0, view.rows);
  summary();
  const head = make('thead');
  head.append(row('th', [make('span', 'unseen', t('choose')), '#', batch.title,
    ...batch.sides.flatMap(side => {
      const name = batch.other && choiceName(side === 'other' ? batch.other : batch.model);
      return givesNumbers(side) ? [name || t('number')] : [name || t('label'), t('score')];
    })]));
  const body = make('tbody');
  body.append(...shownNow.flatMap(rowsOf));
  redrawn($('rows'), [head, body]);
  $('rows-status').textContent = t('shownRows')(shownNow.length, found.length);
  if (shownNow.length >= found.length) leaveTo($('rows-box'), $('more')); else $('more').hidden = false;
  $('file-results').hidden = false;
  $('nothing').hidden = true;
  $('legend').hidden = !batch.items.some(item => item.explained);
  $('results-title').textContent = `${t('results')}: ${[batch.model, batch.other].filter(Boolean).map(choiceName).join(' / ')}`;
  $('rows').classList.toggle('unexplained', !explains(batch.model));
  $('explain-rows').hidden = !explains(batch.model);
  countChosen();
}
function countChosen() {
  const chosen = batch.items.filter(item => item.chosen).length;
  if (chosen === 0) leaveTo($('rows-box'), $('explain-rows'), 'disabled'); else $('explain-rows').disabled = false;
  $('explain-rows').textContent = t('explainRows')(chosen);
}
async function explainRows() {
  const run = batch, chosen = run.items.filter(item => item.chosen);
  await counted('explain-rows', chosen.length, 'explainedOf', async (signal, count) => {
    let done = 0;
    for (const part of parts([run.model], chosen, item => item.text, true)) {
      const predictions = await predict(run.model, part.map(item => item.text), true, signal);
      if (batch !== run) return;  // other results have taken the place of these
      predictions.forEach((prediction, i) => { part[i].explained = prediction; part[i].chosen = false; });
      count(done += part.length);
      showBatch();
      offer();
    }
  });
  say(() => t('explained')(chosen.length));
}

// The rows with their new columns, which are those of `qing predict --out` (docs/tables.md). Their names are not in the file.
// Numbers are numbers.
function resultRows() {
  const finished = finishedItems();
  // If another version was loaded meanwhile, the rows may have different labels.
  const numbers = givesNumbers('prediction'), names = [...batch.head];
  const labels = numbers ? [] : [...new Set(finished.flatMap(({ prediction }) => prediction ? Object.keys(prediction.scores) : []))];
  const answers = (side, ending) => {
    const of = kind => finished.some(item => item[side] && problemOf(item[side]) === kind), value = [`value${ending}`, item => item[side]?.value];
    if (givesNumbers(side)) return [value];
    return [[`label${ending}`, item => item[side] && asNumber(labelsSaid(item[side]).join('|'))],
      ...(of('multi-label') ? [] : [[`score${ending}`, item => item[side]?.score]]), ...(of('ordinal') ? [value] : [])];
  };
  const columns = [...answers('prediction', ''), ...labels.map(label => [`score_${label}`, item => item.prediction?.scores[label]])];
  if (batch.other) columns.push(...answers('other', ` ${choiceName(batch.other)}`));
  if (finished.some(item => item.explained)) columns.push(['explanation', item => item.explained && strongest(item.text, item.explained.explanation)]);
  if (finished.some(saidOfRow)) columns.push(['feedback', item => saidOfRow(item)]);
  for (let [name] of columns) {
    while (names.includes(name)) name = `predicted_${name}`;
    names.push(name);
  }
  return [names, ...finished.map(item => [...batch.head.map((_, i) => item.row[i] ?? ''), ...columns.map(([, value]) => value(item) ?? '')])];
}
function offer() {
  const rows = resultRows(), name = `${batch.name} ${batch.model.replaceAll('/', ' ')}`;
  const csv = new Blob(['\uFEFF', rows.map(row => csvLine(row.map(String), batch.separator)).join('\r\n') + '\r\n'], { type: 'text/csv' });
  let workbook = null;
  if (rows.length <= EXCEL_ROWS && rows[0].length <= EXCEL_COLUMNS) {
    try { workbook = workbookOf(batch.model, rows); } catch (error) { if (!(error instanceof RangeError)) throw error; }  // longer than a text can be
  }
  $('download-xlsx').hidden = !workbook;
  for (const [id, content, ending] of [['download', csv, batch.separator === '\t' ? 'tsv' : 'csv'], ['download-xlsx', workbook, 'xlsx']]) {
    if (content) offerFile($(id), `${name}.${ending}`, content);
  }
  $('cut-cells').hidden = !rows.some(row => row.some(cell => cell.length > EXCEL_CELL));
}
