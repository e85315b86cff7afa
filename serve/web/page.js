'use strict';
const WORDS = {
  en: {
    skip: 'Skip to the content', tagline: 'what do these words feel like?', theme: 'Light / dark', askTitle: 'Your texts',
    textsLabel: 'Texts, one per line', textsHint: 'Any language the model knows. Ctrl+Enter sends.', send: 'Analyse',
    explain: 'Explain', example: 'Example', model: 'Model', key: 'API key', keyHint: 'only if the server asks for one',
    results: 'Results', nothing: 'No results yet. Type a text above.', for: 'for', against: 'against',
    legend: 'the label; a stronger colour means a larger weight.', batch: 'A whole file',
    file: 'CSV or TSV file', column: 'Column', run: 'Run', cancel: 'Cancel', download: 'Download results', code: 'From code',
    copy: 'Copy', copied: 'Copied', history: 'History', historyHint: 'Stored only in this tab until it is closed.',
    clear: 'Clear history', working: 'Working…', done: n => `${n} text${n === 1 ? '' : 's'} analysed`, empty: 'Type at least one text.',
    truncated: 'The text is longer than the model reads: its end was left out.',
    ngramsOnly: 'The text is longer than the encoder reads: in its end only the n-grams of words count.',
    blank: 'No visible text: these are the scores of an empty text.',
    readTo: (read, all) => `The encoder read the first ${read} of ${all} characters.`, weights: 'Weights as a table', word: 'Part', weight: 'Weight',
    rows: n => `${n} rows`, progress: (n, all) => `${n} of ${all} rows`, cancelled: 'Cancelled', noRows: 'The file has no rows of texts.',
    unreachable: 'The server does not answer.', strange: status => `The server or a proxy answered with status ${status}.`,
    part: 'Stopped. The download has the finished rows.', encoding: 'The file is neither UTF-8 nor GB 18030.', key401: 'The server needs an API key: enter it above.', page: 'Language',
    positive: 'positive', neutral: 'neutral', negative: 'negative',
    samples: 'I love this film, it moved me to tears.\nThe food was cold and the service was terrible.\n我非常喜欢这个电影',
  },
  zh: {
    skip: '跳到正文', tagline: '这些文字是什么情绪？', theme: '浅色 / 深色', askTitle: '输入文本', textsLabel: '文本，每行一条',
    textsHint: '支持模型所学的语言。按 Ctrl+Enter 提交。', send: '分析', explain: '解释', example: '示例', model: '模型', key: 'API 密钥',
    keyHint: '仅在服务器要求时填写', results: '结果', nothing: '还没有结果，请在上面输入文本。', for: '支持', against: '反对',
    legend: '该标签；颜色越深，词语的影响越大。', batch: '批量文件', file: 'CSV 或 TSV 文件', column: '列', run: '开始', cancel: '取消',
    download: '下载结果', code: '在代码中使用', copy: '复制', copied: '已复制', history: '历史', historyHint: '只保存在此标签页中，关闭后即消失。',
    clear: '清空历史', working: '分析中…', done: n => `已分析 ${n} 条文本`, empty: '请至少输入一条文本。', truncated: '文本超出模型长度，结尾未被读取。',
    blank: '没有可见文字：此为空文本的分数。',
    ngramsOnly: '文本超出编码器长度，结尾部分只计入词的 n-gram。', readTo: (read, all) => `编码器读取了前 ${read} 个字符，共 ${all} 个。`,
    weights: '权重表', word: '片段', weight: '权重', rows: n => `${n} 行`, progress: (n, all) => `${n} / ${all} 行`, cancelled: '已取消',
    noRows: '文件中没有文本行。', unreachable: '服务器没有响应。', strange: status => `服务器或其代理返回了状态 ${status}。`,
    part: '已停止；可下载已完成的部分。', encoding: '文件既不是 UTF-8 也不是 GB 18030 编码。', key401: '服务器需要 API 密钥，请在上面填写。', page: '语言',
    positive: '积极', neutral: '中性', negative: '消极',
    samples: '我非常喜欢这个电影\n这个产品真的很差\nThe committee meets on Tuesday.',
  },
};
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
let history = JSON.parse(stored('history') || '[]');
let limits = {}, ngrams = {};  // by model
let shown = [], table = null, stop = null, said = null;
const t = key => WORDS[language][key];
const named = label => LABELS.includes(label) ? t(label) : label;
const tone = label => LABELS.includes(label) ? label : 'other';

function translate() {
  document.documentElement.lang = language;
  document.querySelectorAll('[data-t]').forEach(element => { element.textContent = t(element.dataset.t); });
  document.querySelectorAll('[data-p]').forEach(element => { element.placeholder = t(element.dataset.p); });
  $('language').textContent = language === 'en' ? '中文' : 'English';
  $('language').lang = language === 'en' ? 'zh' : 'en';
  show(shown); showHistory(); snippets();
  if (said) $('status').textContent = said();
}
// Shows a status. `words` returns the text, so that translate() can show it again in another language.
function say(words) { said = words; $('status').textContent = words(); }
function paint() { document.documentElement.dataset.theme = theme; }

async function ask(path, body, signal) {
  const headers = body ? { 'Content-Type': 'application/json' } : {};
  if ($('key').value) headers.Authorization = 'Bearer ' + $('key').value;
  for (let attempt = 0; ; ++attempt) {
    let response;
    try {
      response = await fetch(ROOT + path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal });
    } catch (error) { throw error.name === 'AbortError' ? error : new Error(t('unreachable')); }
    const wait = Number(response.headers.get('Retry-After')) || 1;
    if ((response.status === 429 || response.status === 503) && attempt < 4 && wait <= LONGEST_WAIT) {
      await pause(1000 * wait, signal);
      continue;
    }
    if (response.status === 401) throw new Error(t('key401'));
    const answer = await response.json().catch(() => null);  // a proxy's error page is not JSON
    if (!response.ok || !answer) throw new Error(answer?.error || t('strange')(response.status));
    return answer;
  }
}
const pause = (milliseconds, signal) => new Promise((go, stopped) => {
  const timer = setTimeout(go, milliseconds);
  signal?.addEventListener('abort', () => { clearTimeout(timer); stopped(signal.reason); });
});
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

function fail(error) { $('error').textContent = error.message; $('error').hidden = false; say(() => ''); }

async function loadModels() {
  try {
    const { models } = await ask('v1/models');
    const chosen = $('model').value;
    limits = Object.fromEntries(models.map(model => [model.name, model.limits]));
    ngrams = Object.fromEntries(models.map(model => [model.name, model.ngrams]));
    $('model').replaceChildren(...models.map(model => { const o = make('option', '', `${model.name} (${model.version})`); o.value = model.name; return o; }));
    if (models.some(model => model.name === chosen)) $('model').value = chosen;
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

$('ask').addEventListener('submit', send);
$('texts').addEventListener('keydown', event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send(event); });
$('texts').addEventListener('input', snippets);
$('example').addEventListener('click', () => { $('texts').value = t('samples'); snippets(); $('texts').focus(); });
$('model').addEventListener('change', snippets);
$('key').addEventListener('change', loadModels);
$('file').addEventListener('change', chooseFile);
$('run').addEventListener('click', runFile);
$('cancel').addEventListener('click', () => stop.abort());
$('clear').addEventListener('click', () => { history = []; stored('history', '[]'); showHistory(); $('texts').focus(); });
$('language').addEventListener('click', () => { language = language === 'en' ? 'zh' : 'en'; stored('language', language); translate(); });
$('theme').addEventListener('click', () => { theme = theme === 'dark' ? 'light' : 'dark'; stored('theme', theme); paint(); });
document.querySelectorAll('.copy').forEach(button => button.addEventListener('click', async () => {
  const code = $(button.dataset.copy);
  // Only pages over TLS or from this machine may write to the clipboard. Otherwise the text is selected, to be copied by hand.
  if (!navigator.clipboard) return getSelection().selectAllChildren(code);
  await navigator.clipboard.writeText(code.textContent);
  button.textContent = t('copied');
  setTimeout(() => { button.textContent = t('copy'); }, 1500);
}));
paint(); translate(); loadModels();
