// Reads and writes workbooks of Excel: XML files in a ZIP archive (ECMA-376, PKWARE's APPNOTE).
const MOST_UNPACKED = 512e6;
const EXCEL_CELL = 32767;  // characters
const EXCEL_ROWS = 1048576, EXCEL_COLUMNS = 16384;  // of a sheet

async function unpacked(bytes, method) {
  if (method === 0) return bytes;
  if (method !== 8) throw new Error(t('notWorkbook'));
  const chunks = [], reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  for (let size = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(chunks).arrayBuffer());
    size += value.length;
    if (size > MOST_UNPACKED) { reader.cancel(); throw new Error(t('tooLarge')); }
    chunks.push(value);
  }
}
// The files of an archive by name, each a function that unpacks it. The directory at the end of the archive lists them.
function archive(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), files = new Map();
  let end = bytes.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) --end;
  if (end < 0) throw new Error(t('notWorkbook'));
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; --left) {
    if (view.getUint32(at, true) !== 0x02014b50) throw new Error(t('notWorkbook'));
    const method = view.getUint16(at + 10, true), size = view.getUint32(at + 20, true), place = view.getUint32(at + 42, true);
    const nameLength = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    files.set(name, () => {
      const begin = place + 30 + view.getUint16(place + 26, true) + view.getUint16(place + 28, true);
      return unpacked(bytes.subarray(begin, begin + size), method);
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}
async function xmlOf(files, name) {
  const open = files.get(name);
  if (!open) return null;
  const text = new TextDecoder().decode(await open());
  const made = new DOMParser().parseFromString(text, 'application/xml');
  if (made.getElementsByTagName('parsererror').length) throw new Error(t('notWorkbook'));
  return made;
}
const elements = (parent, name) => parent ? [...parent.getElementsByTagNameNS('*', name)] : [];
// The text of a string with its runs, without the reading aids of Japanese.
const stringOf = element => elements(element, 't').filter(part => part.parentNode.localName !== 'rPh').map(part => part.textContent).join('')
  .replace(/_x([0-9A-Fa-f]{4})_/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
function columnOf(reference) {
  const column = [...reference.replace(/\d/g, '')].reduce((sum, letter) => 26 * sum + letter.charCodeAt(0) - 64, 0) - 1;
  if (column >= EXCEL_COLUMNS) throw new Error(t('notWorkbook'));
  return column;
}

// Which styles of cells are dates: numbers of days since the end of 1899.
function dateStyles(styles) {
  const formats = new Map(elements(styles, 'numFmt').map(each => [each.getAttribute('numFmtId'), each.getAttribute('formatCode')]));
  const isDate = id => id >= 14 && id <= 22 || id >= 45 && id <= 47 || /[ymdhs]/i.test((formats.get(String(id)) || '').replace(/"[^"]*"|\[[^\]]*\]|\\./g, ''));
  const [cells] = elements(styles, 'cellXfs');
  return elements(cells, 'xf').map(xf => isDate(Number(xf.getAttribute('numFmtId'))));
}
function dateOf(days, since1904) {
  const moment = new Date(Math.round((days + (since1904 ? 1462 : 0) - 25569) * 86400000));
  if (Number.isNaN(moment.getTime())) return String(days);
  const [date, time] = moment.toISOString().slice(0, 19).split('T');
  return days < 1 ? time : time === '00:00:00' ? date : `${date} ${time}`;
}
// The sheets that are shown, each with a function that gives its rows. Their cells are texts or numbers.
async function sheetsOf(bytes) {
  const files = archive(bytes), book = await xmlOf(files, 'xl/workbook.xml');
  if (!book) throw new Error(t('notWorkbook'));
  const targets = new Map(elements(await xmlOf(files, 'xl/_rels/workbook.xml.rels'), 'Relationship').map(each => [each.getAttribute('Id'), each.getAttribute('Target')]));
  const strings = elements(await xmlOf(files, 'xl/sharedStrings.xml'), 'si').map(stringOf);
  const dates = dateStyles(await xmlOf(files, 'xl/styles.xml'));
  const since1904 = ['1', 'true'].includes(elements(book, 'workbookPr')[0]?.getAttribute('date1904'));
  const valueOf = cell => {
    const type = cell.getAttribute('t'), value = elements(cell, 'v')[0]?.textContent ?? '';
    const formula = elements(cell, 'f')[0]?.textContent;
    if (value === '' && formula) return `=${formula}`;  // a program that does not compute wrote it, or a text that begins with =
    if (type === 's') return strings[Number(value)] ?? '';
    if (type === 'inlineStr') return stringOf(elements(cell, 'is')[0]);
    if (type === 'b') return value === '1' ? 'TRUE' : 'FALSE';
    if (type === 'str' || type === 'e' || value === '') return value;
    return dates[Number(cell.getAttribute('s'))] ? dateOf(Number(value), since1904) : Number(value);
  };
  return elements(book, 'sheet').filter(sheet => !['hidden', 'veryHidden'].includes(sheet.getAttribute('state'))).map(sheet => {
    const id = [...sheet.attributes].find(each => each.localName === 'id')?.value, target = targets.get(id) || '';
    const path = target.startsWith('/') ? target.slice(1) : `xl/${target}`;
    return {
      name: sheet.getAttribute('name'),
      rows: async () => {
        const content = await xmlOf(files, path);
        if (!content) throw new Error(t('notWorkbook'));
        const rows = elements(content, 'row').map(row => {
          const cells = [];
          for (const cell of elements(row, 'c')) {
            const reference = cell.getAttribute('r');
            cells[reference ? columnOf(reference) : cells.length] = valueOf(cell);
          }
          return cells;
        }).filter(row => row.some(cell => cell !== ''));
        const width = rows.reduce((most, row) => Math.max(most, row.length), 0);  // cells at a row's end may be left out
        return rows.map(row => Array.from({ length: width }, (_, i) => row[i] ?? ''));
      },
    };
  });
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => { for (let k = 0; k < 8; ++k) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1; return n >>> 0; });
const crc32 = bytes => { let crc = 0xffffffff; for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ crc >>> 8; return (crc ^ 0xffffffff) >>> 0; };
// An archive of files that are not compressed.
function zipped(files) {
  const parts = [], directory = [];
  let place = 0;
  const bytesOf = (size, fields) => { const view = new DataView(new ArrayBuffer(size)); for (const [at, bits, value] of fields) view[`setUint${bits}`](at, value, true); return new Uint8Array(view.buffer); };
  for (const [name, text] of files) {
    const content = new TextEncoder().encode(text), path = new TextEncoder().encode(name), crc = crc32(content), size = content.length;
    // Version 2.0, 1980-01-01: without a time of its own the same table is the same file.
    const common = [[4, 16, 20], [12, 16, 33], [14, 32, crc], [18, 32, size], [22, 32, size], [26, 16, path.length]];
    parts.push(bytesOf(30, [[0, 32, 0x04034b50], ...common.map(([at, ...rest]) => [at, ...rest])]), path, content);
    directory.push(bytesOf(46, [[0, 32, 0x02014b50], [4, 16, 20], ...common.map(([at, ...rest]) => [at + 2, ...rest]), [42, 32, place]]), path);
    place += 30 + path.length + size;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  const end = bytesOf(22, [[0, 32, 0x06054b50], [8, 16, files.length], [10, 16, files.length], [12, 32, length], [16, 32, place]]);
  return new Blob([...parts, ...directory, end], { type: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet' });
}
const inXml = text => text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`)
  .replace(/_(?=x[0-9A-Fa-f]{4}_)/g, '_x005F_').replace(/[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g, sign => `_x${sign.charCodeAt(0).toString(16).padStart(4, '0')}_`);
// A workbook of one sheet. Texts stay texts, whatever they begin with; numbers are numbers. Excel takes no longer cells.
function workbookOf(name, rows) {
  const cell = value => typeof value === 'number' ? `<c><v>${value}</v></c>`
    : value === '' ? '<c/>' : `<c t="inlineStr"><is><t xml:space="preserve">${inXml(value.slice(0, EXCEL_CELL).toWellFormed())}</t></is></c>`;
  const main = 'http:' + '//schemas.openxmlformats.org/', open = main + 'officeDocument/2006/relationships', pack = main + 'package/2006/';
  const sheet = main + 'spreadsheetml/2006/main', xml = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
  const types = 'application/vnd.openxmlformats-officedocument.spreadsheetml.';
  const link = (id, kind, target) => `<Relationship Id="${id}" Type="${open}/${kind}" Target="${target}"/>`;
  return zipped([
    ['[Content_Types].xml', `${xml}<Types xmlns="${pack}content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="${types}sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${types}worksheet+xml"/></Types>`],
    ['_rels/.rels', `${xml}<Relationships xmlns="${pack}relationships">${link('r1', 'officeDocument', 'xl/workbook.xml')}</Relationships>`],
    ['xl/workbook.xml', `${xml}<workbook xmlns="${sheet}" xmlns:r="${open}"><sheets><sheet name="${inXml(name.replace(/[\[\]:*?/\\]/g, ' ').slice(0, 31) || 'texts')}" sheetId="1" r:id="r1"/></sheets></workbook>`],
    ['xl/_rels/workbook.xml.rels', `${xml}<Relationships xmlns="${pack}relationships">${link('r1', 'worksheet', 'worksheets/sheet1.xml')}</Relationships>`],
    ['xl/worksheets/sheet1.xml', `${xml}<worksheet xmlns="${sheet}"><sheetData>${rows.map(row => `<row>${row.map(cell).join('')}</row>`).join('')}</sheetData></worksheet>`],
  ]);
}
