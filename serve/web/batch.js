// Predictions for a whole table.
let table = null, stop = null;
// RFC 4180: quoted fields may contain separators, doubled quotes and line breaks.
function parseTable(text, separator) {
  const rows = [[]];
  let field = '', quoted = false;
  const endField = () => { rows[rows.length - 1].push(field); field = ''; };
  text = text.replace(/^\uFEFF/, '');
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') field += c; else if (text[i + 1] === '"') { field += '"'; ++i; } else quoted = false;
    } else if (c === '"' && field === '' && separator === ',') quoted = true;
    else if (c === separator) endField();
    else if (c === '\n') { endField(); rows.push([]); }
    else if (c !== '\r' || text[i + 1] !== '\n') field += c;
  }
  endField();
  return rows.filter(row => row.length > 1 || row[0] !== '');
}
// Spreadsheets save Chinese in either encoding.
function decoded(bytes) {
  for (const encoding of ['utf-8', 'gb18030']) {
    try { return new TextDecoder(encoding, { fatal: true }).decode(bytes); } catch { /* try the next encoding */ }
  }
  return null;
}
async function chooseFile() {
  const file = $('file').files[0];
  $('download').hidden = true;
  if (!file) return;
  const content = decoded(await file.arrayBuffer());
  if (content === null) { table = null; $('run').disabled = true; $('batch-status').textContent = t('encoding'); return; }
  const rows = parseTable(content, file.name.toLowerCase().endsWith('.tsv') ? '\t' : ',');
  table = { head: rows[0] || [], rows: rows.slice(1) };
  $('column').replaceChildren(...table.head.map((name, i) => { const o = make('option', '', name); o.value = i; return o; }));
  const guess = table.head.findIndex(name => ['text', 'texts', 'content', 'review', '文本', '内容'].includes(name.trim().toLowerCase()));
  $('column').value = Math.max(guess, 0);
  $('column-label').hidden = table.head.length < 2;
  $('run').disabled = table.rows.length === 0;
  $('batch-status').textContent = table.rows.length ? t('rows')(table.rows.length) : t('noRows');
}
const csv = row => row.map(cell => /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell).join(',');
async function runFile() {
  const column = Number($('column').value), model = $('model').value, { head, rows } = table;
  const controls = ['run', 'file', 'column', 'model'].map($);
  stop = new AbortController();
  controls.forEach(control => { control.disabled = true; });
  $('cancel').hidden = false; $('progress').hidden = false; $('download').hidden = true; $('error').hidden = true;
  const finished = [];
  let problem = null;
  try {
    for (const part of parts(model, rows, row => row[column] ?? '', false)) {
      $('progress').value = finished.length / rows.length;
      $('batch-status').textContent = t('progress')(finished.length, rows.length);
      const predictions = await predict(model, part.map(row => row[column] ?? ''), false, stop.signal);
      predictions.forEach((prediction, i) => finished.push({ row: part[i], prediction }));
    }
  } catch (error) { problem = error.name === 'AbortError' ? t('cancelled') : error.message; }
  controls.forEach(control => { control.disabled = false; });
  $('cancel').hidden = true; $('progress').hidden = true;
  if (finished.length) offer(head, finished);
  $('batch-status').textContent = !problem ? t('done')(rows.length) : problem + (finished.length ? ' ' + t('part') : '');
}
function offer(head, finished) {
  // If another version was loaded meanwhile, the rows may have different labels.
  const labels = [...new Set(finished.flatMap(({ prediction }) => Object.keys(prediction.scores)))];
  const lines = finished.map(({ row, prediction: { label, score, scores } }) =>
    csv([...head.map((_, i) => row[i] ?? ''), label, String(score), ...labels.map(name => String(scores[name] ?? ''))]));
  const names = [...head];  // each new column gets a name that is not in the file
  for (let name of ['predicted', 'score', ...labels]) {
    while (names.includes(name)) name += '_qing';
    names.push(name);
  }
  const content = [csv(names), ...lines].join('\r\n') + '\r\n';
  URL.revokeObjectURL($('download').href);
  $('download').href = URL.createObjectURL(new Blob(['\uFEFF', content], { type: 'text/csv' }));
  $('download').hidden = false;
}

