// Reads tables from files as they come: CSV by any separator and lines, in the encodings of spreadsheets.
const ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'gb18030', 'windows-1252', 'windows-1251', 'big5', 'shift_jis', 'euc-kr'];
const SEPARATORS = [',', ';', '\t', '|'];
// The first of these that a table has names its texts, as for the commands (docs/tables.md); the last two are the page's own.
const TEXT_NAMES = ['text', 'sentence', 'content', 'review', 'comment', 'comment_text', 'message', 'tweet', 'body', '文本', '内容', '评论', '句子', 'texts', '正文'];
const OTHER_NAMES = ['label', 'labels', 'id', 'score', 'stars', 'rating', 'date', 'category', 'class', 'sentiment', 'emotion', '标签', '编号'];

// How many bytes above 127 stand in pairs that GB 2312 has for its common characters and signs, and how many there are.
// In cp1252 such bytes stand alone among ASCII letters; a Cyrillic or Greek page has other pairs.
function chinesePairs(bytes) {
  let pairs = 0, high = 0;
  for (let i = 0; i < bytes.length; ++i) {
    if (bytes[i] < 0x80) continue;
    ++high;
    const lead = bytes[i], trail = bytes[i + 1];
    if (trail >= 0xa1 && trail <= 0xfe && (lead >= 0xb0 && lead <= 0xd7 || lead >= 0xa1 && lead <= 0xa3)) { pairs += 2; ++high; ++i; }
    else if (trail >= 0x40) { if (trail >= 0x80) ++high; ++i; }
  }
  return high ? pairs / high : 0;
}
function decodes(bytes, encoding) {
  try { return new TextDecoder(encoding, { fatal: true }).decode(bytes) !== null; } catch { return false; }
}
// The encoding of a text file; null for a file that is no text.
function guessEncoding(bytes) {
  const [a, b, c] = bytes;
  if (a === 0xef && b === 0xbb && c === 0xbf) return 'utf-8';
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  const start = bytes.subarray(0, 4096);
  const zeros = parity => start.filter((byte, i) => byte === 0 && i % 2 === parity).length;
  const [even, odd] = [zeros(0), zeros(1)];
  if (odd > start.length / 5 && even < odd / 10) return 'utf-16le';  // without a mark, but the text has ASCII
  if (even > start.length / 5 && odd < even / 10) return 'utf-16be';
  if (even + odd > 0) return null;
  if (decodes(bytes, 'utf-8')) return 'utf-8';
  return chinesePairs(bytes) > 0.5 && decodes(bytes, 'gb18030') ? 'gb18030' : 'windows-1252';
}

// The end of a quoted field that begins at `from`, which is the place of its closing quote; -1 if it does not end as one.
function closing(text, from, separator) {
  for (let i = from + 1; (i = text.indexOf('"', i)) !== -1; ++i) {
    if (text[i + 1] === '"') { ++i; continue; }
    const next = text[i + 1];
    return next === undefined || next === separator || next === '\n' || next === '\r' && text[i + 2] === '\n' ? i : -1;
  }
  return -1;
}
// RFC 4180: quoted fields may contain separators, doubled quotes and line breaks. A carriage return alone is text. A quote that no field needs is text: within
// a field, and around a field of a file with tabs that would be the same without. `most` bounds the rows.
function parseRows(text, separator, most = Infinity) {
  const rows = [];
  let row = [], i = 0;
  const endRow = () => { if (row.length > 1 || row[0] !== '') rows.push(row); row = []; };
  while (i < text.length && rows.length < most) {
    const end = text[i] === '"' ? closing(text, i, separator) : -1;
    const inner = end === -1 ? '' : text.slice(i + 1, end);
    if (end !== -1 && (separator !== '\t' || /["\t\r\n]/.test(inner))) {
      row.push(inner.replaceAll('""', '"'));
      i = end + 1;
    } else {
      const begin = i;
      while (i < text.length && text[i] !== separator && text[i] !== '\n') ++i;
      const line = text[i] === separator || i === begin || text[i - 1] !== '\r' ? i : i - 1;  // without the \r of a \r\n
      row.push(text.slice(begin, text[i] === '\n' ? line : i));
    }
    if (text[i] === separator) {
      if (++i === text.length) row.push('');
      continue;
    }
    if (text[i] === '\r' && text[i + 1] === '\n') ++i;
    ++i;
    endRow();
  }
  if (row.length) endRow();
  return rows;
}
// The separator that cuts most rows of the beginning into the same number of cells, more than one; a comma if none does.
function guessSeparator(text) {
  const start = text.slice(0, 200000);
  let best = ',', most = 0;
  for (const separator of SEPARATORS) {
    const rows = parseRows(start, separator, 50), counts = new Map();
    for (const row of rows) counts.set(row.length, (counts.get(row.length) || 0) + 1);
    const [width, rowsOfIt] = [...counts].sort((x, y) => y[1] - x[1])[0] || [1, 0];
    const fit = width > 1 ? rowsOfIt / rows.length + (rows[0].length === width ? 0.5 : 0) + Math.min(width, 20) / 1000 : 0;
    if (fit > most) { most = fit; best = separator; }
  }
  return best;
}
const isName = cell => TEXT_NAMES.includes(cell.trim().toLowerCase()) || OTHER_NAMES.includes(cell.trim().toLowerCase());
// Whether the first row looks like names: a usual one, or different short words that do not occur again below, no numbers and
// no sentences. A single word above a single column is a name if the cells below are longer.
function guessHeader(rows) {
  const [first = [], ...rest] = rows.slice(0, 200);
  if (first.some(isName)) return true;
  if (!rest.length || new Set(first).size < first.length) return false;
  if (!first.every(cell => cell.trim() && cell.length <= 30 && !/^[\d.,+-]+$/.test(cell) && cell.trim().split(/\s+/).length < 4)) return false;
  if (first.some((cell, i) => rest.some(row => row[i] === cell))) return false;
  return first.length > 1 || !/\s/.test(first[0].trim()) && rest.some(([cell]) => /\s/.test(cell.trim()) || cell.length > 2 * first[0].length);
}
// The column of a usual name: as it stands, in the object `data`, or in any other object. Else the one with the longest texts.
function guessColumn({ head, rows, chats, texts }) {
  if (chats) return head.length;
  const names = head.map(name => name.trim().toLowerCase());
  for (const own of [name => name, name => name.replace(/^data\./, ''), name => name.split('.').at(-1)]) {
    const found = TEXT_NAMES.map(usual => names.findIndex(name => own(name) === usual)).find(at => at !== -1);
    if (found !== undefined) return found;
  }
  const lengths = head.map((_, i) => texts && !texts.has(i) ? -1 : rows.slice(0, 50).reduce((sum, row) => sum + (row[i] ?? '').length, 0));
  return Math.max(0, lengths.indexOf(Math.max(...lengths)));
}
// A table of rows. Rows of another width are counted; longer ones widen the table.
function tableOf(rows, header) {
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const head = Array.from({ length: width }, (_, i) => (header && rows[0][i]) || `${t('column')} ${i + 1}`);
  const body = header ? rows.slice(1) : rows, usual = header ? rows[0].length : rows[0]?.length;
  return { head, rows: body, uneven: body.filter(row => row.length !== usual).length, wrong: [] };
}
// A text that a spreadsheet shows as the same number is one, as for `qing predict --out` (serve/runs/table_writer.cpp).
const asNumber = text => text.length <= 11 && /^[-.\d]+$/.test(text) && String(Number(text)) === text ? Number(text) : text;
const csvCell = cell => /[",;|\t\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
const csvLine = (row, separator = ',') => row.map(csvCell).join(separator);
