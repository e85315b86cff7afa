// A file that the user chose: what it holds, how it is read, and a look at its first rows.
const FILE_KINDS = { csv: 'table', tsv: 'table', tab: 'table', txt: 'lines', ft: 'lines', fasttext: 'lines', jsonl: 'json', ndjson: 'json', json: 'json', xlsx: 'book', xlsm: 'book' };
const PREVIEWED = 5;
// The files that qing refuses by name (docs/tables.md): their suffixes, their first bytes, the word for what they are and for the
// way out.
const FOREIGN = [
  ['parquet pq', 'PAR1', 'Parquet', 'toCsv'], ['feather arrow', 'ARROW1', 'Arrow', 'toCsv'], ['xls', '\xd0\xcf\x11\xe0', 'oldWorkbook', 'toXlsx'],
  ['ods numbers xlsb', '', 'otherWorkbook', 'toXlsx'], ['gz tgz', '\x1f\x8b', 'archive', 'unpack'], ['bz2 xz zst 7z rar zip', '', 'archive', 'unpack'],
  ['pkl pickle', '', 'pickle', 'toCsv'], ['pdf', '%PDF', 'PDF', 'toText'], ['doc docx odt rtf ppt pptx htm html xml', '{\\rtf', 'document', 'toText'],
  ['png', '\x89PNG', 'picture', 'toImages'], ['jpg jpeg', '\xff\xd8\xff', 'picture', 'toImages'], ['gif webp bmp tif tiff svg', 'GIF8', 'picture', 'toTable'],
];
const suffixOf = name => name.includes('.') ? name.toLowerCase().split('.').at(-1) : '';
// Throws an Error that says what a file is if it is none of texts.
function refuseForeign(name, bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 8)), suffix = suffixOf(name);
  const found = FOREIGN.find(([suffixes, magic]) => suffix && suffixes.split(' ').includes(suffix) || magic && start.startsWith(magic));
  if (found) throw new Error(t('foreign')(t('formats')[found[2]] ?? found[2], t('remedies')[found[3]]));
}
let source = null;  // the chosen file: name, kind, bytes or sheets
let table = null;   // what is read from it: head, rows of texts, uneven, wrong, of JSON also chats and texts, of a workbook the cells
let ofFile = null;  // the function that returns the text of the file's status, and whether it is a problem; null: the notes on the file
redraws.push(() => {
  if (!source) return;
  const said = ofFile;
  nameColumns();
  showSource();
  if (said) sayOfFile(said.words, said.problem);
});
// Says how a run of the file goes, in place of the notes on it.
function sayOfFile(words, problem = false) {
  ofFile = { words, problem };
  $('batch-status').textContent = words();
  $('batch-status').classList.toggle('problem', problem);
}

const kindOf = (name, bytes) => {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return 'book';
  const kind = FILE_KINDS[suffixOf(name)], start = name.includes('.') ? '' : new TextDecoder().decode(bytes.subarray(0, 4096)).trimStart();
  if (/^[[{]/.test(start)) return 'json';
  if (start.startsWith(FASTTEXT_LABEL)) return 'lines';
  return kind && kind !== 'book' ? kind : 'table';
};
// Whether a file of lines is a table, as Excel writes "Unicode text": each row has the same tabs.
function hasTabs(text) {
  const rows = parseRows(text.slice(0, 200000), '\t', 50);
  return rows.length > 1 && rows[0].length > 1 && rows.every(row => row.length === rows[0].length);
}
async function chooseFile() {
  const file = $('file').files[0];
  if (!file) return;
  forgetFile();
  try {
    const bytes = new Uint8Array(await file.arrayBuffer()), kind = kindOf(file.name, bytes);
    refuseForeign(file.name, bytes);
    source = { name: file.name, kind, bytes, guess: {} };
    if (kind === 'book') {
      source.sheets = await sheetsOf(bytes);
      if (!source.sheets.length) throw new Error(t('noRows'));
      fill($('sheet'), source.sheets.map(({ name }, i) => option(i, name)));
      $('sheet').value = 0;
    } else {
      source.guess.encoding = guessEncoding(bytes);
      if (!source.guess.encoding) throw new Error(t('notText'));
      $('encoding').value = source.guess.encoding;
      $('separator').value = 'guess';
    }
    await readTable(true);
  } catch (error) {
    forgetFile();
    blameFile(`${file.name}: ${error.message}`);
  }
}
function blameFile(message) {
  $('batch-status').textContent = message;
  $('batch-status').classList.add('problem');
}
// The separator of the file, which its results keep; a comma for a file without one.
function separatorOf({ kind, guess }) {
  const value = $('separator').value, chosen = value === 'guess' ? guess.separator : value === 'tab' ? '\t' : value;
  return kind === 'table' || kind === 'lines' ? chosen || ',' : ',';
}
function forgetFile() {
  source = table = ofFile = null;
  drawGoOn();
  $('run').disabled = true;
  for (const id of ['table-options', 'preview', 'file-name', 'run-row']) $(id).hidden = true;
  $('batch-status').textContent = '';
  $('batch-status').classList.remove('problem');
}
// Reads the rows with the chosen settings. The settings are guessed anew when the file or its sheet is.
async function readTable(fresh) {
  const { kind, bytes, sheets, guess } = source;
  let rows = null, cells = null;  // of a workbook the cells too, whose numbers are numbers
  if (kind === 'book') {
    cells = await sheets[Number($('sheet').value)].rows();
    rows = cells.map(row => row.map(String));
  } else {
    let text = new TextDecoder($('encoding').value).decode(bytes);
    if (!text.includes('\n')) text = text.replaceAll('\r', '\n');  // as old programs for the Mac end lines
    source.broken = text.includes('\ufffd');
    const stated = kind === 'table' ? /^\ufeff?sep=(.)\r?\n/i.exec(text) : null;  // as Excel writes it
    if (stated) text = text.slice(stated[0].length);
    guess.labelled = kind === 'lines' && $('separator').value === 'guess' && isFastText(source.name, text);
    if (kind === 'json') table = parseJson(text);
    else if (guess.labelled) {
      guess.separator = null;
      table = parseFastText(text);
    } else if (kind === 'lines' && $('separator').value === 'guess' && !hasTabs(text)) {
      guess.separator = null;
      rows = text.split(/\r\n|\n/).filter(line => line.trim()).map(line => [line]);
    } else {
      guess.separator = kind === 'lines' ? '\t' : stated ? stated[1] : guessSeparator(text);
      rows = parseRows(text, $('separator').value === 'guess' ? guess.separator : { tab: '\t' }[$('separator').value] || $('separator').value);
    }
  }
  if (rows) {
    if (fresh) $('header').checked = kind === 'lines' && !guess.separator ? rows.length > 0 && isName(rows[0][0]) : guessHeader(rows);
    const header = $('header').checked && rows.length > 0;
    table = { ...tableOf(rows, header), cells: cells && header ? cells.slice(1) : cells };
  }
  const chosen = fresh ? '' : $('column').value;
  const names = nameColumns();
  $('column').value = chosen !== '' && Number(chosen) < names.length ? chosen : guessColumn(table);
  showSource();
}
// The columns that texts can be in: those of the table, and the texts of its chats.
const columnNames = () => table.chats ? [...table.head, t('userMessage')] : table.head;
function nameColumns() {
  const names = columnNames();
  fill($('column'), names.map((name, i) => option(i, name)));
  return names;
}
function showSource() {
  const { kind, guess, broken } = source, { rows, uneven, wrong, chats } = table, names = columnNames();
  const column = Number($('column').value), empty = rows.filter(row => !(row[column] ?? '').trim()).length;
  $('file-name').textContent = source.name;
  $('file-name').hidden = false;
  $('table-options').hidden = false;
  $('run-row').hidden = false;
  for (const [id, shown] of [['sheet', kind === 'book' && source.sheets.length > 1], ['encoding', kind !== 'book'], ['separator', kind === 'table' || kind === 'lines'],
    ['header', kind !== 'json' && !guess.labelled], ['column', names.length > 1]]) $(`${id}-field`).hidden = !shown;
  const signs = { ',': t('comma'), ';': t('semicolon'), '\t': t('tabSign'), '|': t('bar') };
  $('separator').options[0].textContent = t('guessed')(signs[guess.separator] || t(guess.labelled ? 'labelledLines' : 'oneEachLine'));
  for (const each of $('encoding').options) each.textContent = each.value === guess.encoding ? t('guessed')(each.value.toUpperCase()) : each.value.toUpperCase();
  const notes = [rows.length ? t('rows')(rows.length) : t('noRows')];
  if (empty) notes.push(t('emptyCells')(empty));
  if (uneven) notes.push(t('uneven')(uneven));
  if (wrong.length) notes.push(t(guess.labelled ? 'labelBehind' : 'notObjects')(wrong.length, wrong.slice(0, 5).join(', ')));
  if (broken) notes.push(t('broken'));
  ofFile = null;
  $('batch-status').textContent = notes.join(' · ');
  $('batch-status').classList.toggle('problem', Boolean(uneven || wrong.length || broken));
  $('run').disabled = rows.length === empty || Boolean(stop);
  const cut = cell => cell.length > 120 ? `${cell.slice(0, 120)}…` : cell;
  const order = [...names.keys()];
  if (chats) order.unshift(order.pop());  // before the messages, which are long
  const made = grid(order.map(i => make('span', i === column ? 'chosen' : '', names[i])),
    rows.slice(0, PREVIEWED).map(row => order.map(i => make('span', i === column ? 'chosen' : '', cut(row[i] ?? '')))));
  made.prepend(make('caption', '', t('preview')(Math.min(PREVIEWED, rows.length))));
  $('preview').replaceChildren(made);
  $('preview').hidden = rows.length === 0;
}
// Files may be dropped anywhere on the page: they go to the tab that is open.
function takeDropped(event) {
  const [file] = event.dataTransfer.files;
  document.body.classList.remove('dragging');
  if (tab === 'images') { takePictures(event.dataTransfer.files).catch(fail); return; }
  const target = { try: 'file', data: 'data-file' }[tab];
  if (!target) fail(new Error(t('dropElsewhere')));
  if (!file || !target || $(target).disabled) return;
  const list = new DataTransfer();
  list.items.add(file);
  $(target).files = list.files;
  $(target).dispatchEvent(new Event('change'));
}
