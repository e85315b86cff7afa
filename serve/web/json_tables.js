// Reads JSON, JSONL and lines of fastText as the commands do (nn/data/table_reader.h, docs/files.md): the fields of nested objects are
// columns, and a chat example has the text of its user.
const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value);
// The fields of an object by their paths, such as "data.text".
function flattened(object, prefix = '', into = new Map()) {
  for (const [name, value] of Object.entries(object)) {
    if (isObject(value) && Object.keys(value).length) flattened(value, `${prefix}${name}.`, into); else into.set(prefix + name, value);
  }
  return into;
}
// The text of a chat example: that of the last message of the user, a string or a list of parts of the type "text".
function textOfChat({ messages }) {
  const content = messages.findLast(message => message?.role === 'user')?.content;
  if (typeof content === 'string') return content;
  const isText = part => part?.type === 'text' && typeof part.text === 'string';
  return Array.isArray(content) && content.every(isText) ? content.map(part => part.text).join('') : '';
}
const isChat = object => Array.isArray(object.messages);
// The text of an object among chats that is none.
const textNamed = fields => TEXT_NAMES.map(name => fields.get(name)).find(value => typeof value === 'string') ?? '';
// A table of objects. What is no object is listed by its number and skipped. `texts` has the columns that hold strings. With `chats`
// the rows have one more cell than the table has columns: the text of their object.
function tableOfJson(values) {
  const wrong = [], objects = [], columns = new Map(), texts = new Set();
  for (const { value, line } of values) {
    const object = typeof value === 'string' ? { text: value } : value;
    if (!isObject(object)) { wrong.push(line); continue; }
    const fields = flattened(object);
    objects.push({ object, fields });
    for (const [name, each] of fields) {
      if (!columns.has(name)) columns.set(name, columns.size);
      if (typeof each === 'string') texts.add(columns.get(name));
    }
  }
  const head = [...columns.keys()], chats = objects.some(({ object }) => isChat(object));
  const cell = value => value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  const rows = objects.map(({ object, fields }) => [...head.map(name => cell(fields.get(name))), ...(chats ? [isChat(object) ? textOfChat(object) : textNamed(fields)] : [])]);
  return { head, rows, uneven: 0, wrong, chats, texts };
}
// Numbers that lose digits as doubles, such as long ids, stay as they are written.
const exact = (_, value, context) => typeof value === 'number' && context?.source && String(value) !== context.source && !Number.isSafeInteger(value) ? context.source : value;
function parseJson(text) {
  try {
    const value = JSON.parse(text, exact);
    if (Array.isArray(value)) return tableOfJson(value.map((each, i) => ({ value: each, line: i + 1 })));
  } catch { /* it has a value on each line */ }
  return tableOfJson(text.split(/\r\n|\n/).flatMap((line, i) => {
    if (!line.trim()) return [];
    try { return [{ value: JSON.parse(line, exact), line: i + 1 }]; } catch { return [{ value: null, line: i + 1 }]; }
  }));
}

const FASTTEXT_LABEL = '__label__';
const isFastText = (name, text) => ['ft', 'fasttext'].includes(suffixOf(name)) || text.split('\n').find(line => line.trim())?.startsWith(FASTTEXT_LABEL);
// Lines that begin with any labels. A line with a label behind its text is listed by its number and skipped.
function parseFastText(text) {
  const wrong = [], rows = [];
  text.split(/\r\n|\n/).forEach((line, i) => {
    if (!line.trim()) return;
    const labels = [];
    while (line.startsWith(FASTTEXT_LABEL)) {
      const [own, label] = /^__label__([^ \t]*)[ \t]*/.exec(line);
      labels.push(label);
      line = line.slice(own.length);
    }
    if (line.includes(` ${FASTTEXT_LABEL}`)) wrong.push(i + 1); else rows.push([labels.join(' '), line]);
  });
  return { head: ['label', 'text'], rows, uneven: 0, wrong };
}
