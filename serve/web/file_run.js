// Sends the texts of a file in parts, a few at a time. Finished rows stay when the run stops or the server is lost, and only the missing
// ones are sent again.
const AT_ONCE = 3, WAITS = [1, 2, 4, 8, 15, 30];  // seconds before each try after a failure, the last before all further ones
let stop = null;  // aborts the run; null: none is under way
let wake = null;  // ends the wait before the next try; null: none waits
redraws.push(() => drawGoOn());

const isMissing = item => !item.empty && !item.prediction;
async function runFile() {
  const column = Number($('column').value), model = $('model').value, other = $('other').value, choices = [model, other].filter(Boolean);
  const items = table.rows.map((row, i) => ({ number: i + 1, row: table.cells ? table.cells[i] : row.map(asNumber), text: row[column] ?? '', prediction: null, chosen: false }));
  for (const item of items) item.empty = !item.text.trim();  // empty cells are not sent and stay empty
  parts(choices, items.filter(isMissing), item => item.text, false);  // refuses a text that is too long, before anything is sent
  batch = {
    model, other, choices, sides: other ? ['prediction', 'other'] : ['prediction'], items, title: columnNames()[column], head: table.head, source,
    name: source.name.replace(/\.[^.]*$/, ''), separator: separatorOf(source), part: true, hasNgrams: ngrams[model],
  };
  view = { label: null, differ: false, words: '', rows: SHOWN_ROWS };
  $('filter').value = '';
  show([]);
  $('file-results').hidden = true;
  await sendMissing();
}
// Sends what is missing until all is there, the user stops it or an error does not pass by itself.
async function sendMissing() {
  const disabled = ['run', 'send', 'file', 'column', 'model', 'other', 'sheet', 'encoding', 'separator', 'header'].map($).filter(control => !control.disabled);
  const all = batch.items.filter(item => !item.empty).length;
  let done = all - batch.items.filter(isMissing).length, problem = null;
  const count = finished => {
    done += finished;
    $('progress').value = done / all;
    sayOfFile(() => t('progress')(done, all));
  };
  stop = new AbortController();
  $('cancel').hidden = false;
  disabled.forEach(control => leaveTo($('cancel'), control, 'disabled'));
  leaveTo($('cancel'), $('go-on'));
  $('progress').hidden = false; $('error').hidden = true;
  count(0);
  for (let failures = 0; ;) {
    const before = done;
    problem = await sendParts(count).catch(error => error);
    if (!problem?.passes || stop.signal.aborted) break;
    failures = done > before ? 0 : failures + 1;
    if (done) showPart();
    const why = problem.message.replace(/[.。]$/, '');
    sayOfFile(() => t('waiting')(why, done, all), true);
    try { await waitToTry(WAITS[Math.min(failures, WAITS.length - 1)]); } catch { break; }  // the user has stopped it
    sayOfFile(() => t('progress')(done, all));
  }
  const cancelled = stop.signal.aborted, why = () => cancelled ? t('cancelled') : problem.message;
  stop = null;
  batch.part = Boolean(problem);
  disabled.forEach(control => { control.disabled = false; });
  $('progress').hidden = true; $('progress').value = 0;
  sayOfFile(() => !problem ? t('done')(all) : why() + (done ? ` · ${t('part')}` : ''), batch.part);
  if (done) { showPart(); bring('results-title'); } else { batch = null; $('nothing').hidden = false; }
  drawGoOn();
  leaveTo($('go-on').hidden ? $('run') : $('go-on'), $('cancel'));
}
// Sends the missing rows in parts. Returns the first error, after which no further part is sent; null if there is none.
async function sendParts(count) {
  const run = batch, queue = parts(run.choices, run.items.filter(isMissing), item => item.text, false);
  let problem = null;
  const work = async () => {
    for (let part; !problem && (part = queue.shift());) {
      const texts = part.map(item => item.text);
      const sides = await Promise.all(run.choices.map(choice => predictAll(choice, texts, false, stop.signal)));
      part.forEach((item, i) => { [item.prediction, item.other] = sides.map(side => side[i]); });
      count(part.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => work().catch(error => { problem ||= error; })));
  return problem;
}
function showPart() { showBatch(); offer(); }
// Waits before the next try. The button says how long and ends the wait, as does the network when it is there again.
async function waitToTry(seconds) {
  const woken = new Promise(go => { wake = go; });
  let awake = false;
  woken.then(() => { awake = true; });
  try {
    for (let left = seconds; left > 0 && !awake; --left) {
      drawGoOn(left);
      await Promise.race([pause(1000, stop.signal), woken]);
    }
  } finally {
    wake = null;
    leaveTo($('cancel'), $('go-on'));
  }
}
// The button that goes on with a run: at once while it waits, or with what is missing once it has stopped.
function drawGoOn(left) {
  const missing = batch?.part && !stop && batch.source === source ? batch.items.filter(isMissing).length : 0;
  $('go-on').hidden = !wake && !missing;
  if (wake && left) $('go-on').textContent = t('tryNow')(left);
  if (!wake && missing) $('go-on').textContent = t('goOn')(missing);
}
