// Trainings: start, follow live, pause, cancel.
const FINAL = ['succeeded', 'failed', 'cancelled'];
let jobs = [], following = null;  // `following` aborts the streams of events
const points = {};                // the points of the curves of each job
redraws.push(() => drawJobs());

function stopJobs() {
  following?.abort();
  following = null;
}
async function showJobs() {
  stopJobs();
  following = new AbortController();
  const { signal } = following;
  [files, jobs] = await Promise.all([listAll('v1/files'), listAll('v1/fine_tuning/jobs')]);
  await loadModels();
  const usable = files.filter(file => file.purpose === 'fine-tune').map(file => [file.id, file.filename]);
  fill($('job-training'), usable.map(([id, name]) => option(id, name)));
  fill($('job-validation'), [option('', ''), ...usable.map(([id, name]) => option(id, name))]);
  fill($('job-base'), [...models.filter(classifies).map(model => option(model.name, model.name)), option('scratch', t('scratch'))]);
  drawKind();
  drawJobs();
  for (const job of jobs.slice(0, 10)) follow(job, signal).catch(error => { if (error.name !== 'AbortError') fail(error); });
}
async function createJob() {
  const epochs = $('job-epochs').value.trim(), kind = kindOptions();
  if (!kind) return;
  let job = null;
  try {
    job = await ask('v1/jobs', {
      model: $('job-base').value, training_file: $('job-training').value, validation_file: $('job-validation').value || null,
      suffix: $('job-suffix').value || null,
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: epochs === 'auto' || !epochs ? 'auto' : Number(epochs) } } },
      ...kind,
    });
  } catch (error) {
    const control = refusedControl(error.field);
    if (!control) throw error;
    return complain(control, error.remark);
  }
  // The card of a training says that it has ended.
  say(() => FINAL.includes(jobs.find(({ id }) => id === job.id)?.status) ? '' : t('started')(job.id));
  await showJobs();
}
async function follow(job, signal) {
  points[job.id] = [];
  const response = await request(`v1/fine_tuning/jobs/${job.id}/events?stream=true`, { signal, accept: 'text/event-stream' });
  for await (const events of eventsOf(response)) {
    for (const { data } of events) take(job, data);
    draw(job);
  }
  if (signal.aborted) return;
  Object.assign(job, await ask(`v1/fine_tuning/jobs/${job.id}`, undefined, signal));
  draw(job);
  if (job.status === 'succeeded') loadModels();
}
function take(job, { type, data, message, level }) {
  if (type === 'metrics' && data) {
    points[job.id].push(data);
    job.progress = { step: data.step, steps: data.total_steps };
    if (!FINAL.includes(job.status) && job.status !== 'paused') job.status = 'running';
  } else if (level !== 'info' || !FINAL.includes(job.status)) {
    job.said = message;
  }
}
const svg = (tag, attributes, text) => {
  const element = document.createElementNS($('curves').namespaceURI, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
// The measure that chooses the best model by default, of ordered labels, several labels, numbers and single labels.
const MEASURES = ['kappa', 'micro_f1', 'mse', 'macro_recall'];
// Training loss (left scale) and the measure on the validation data (right scale, from 0 to 1 or to the greatest error) over
// the steps.
function curve(job) {
  const measure = MEASURES.find(name => points[job.id].some(point => `valid_${name}` in point)) || 'macro_recall', value = point => point[`valid_${measure}`];
  const loss = points[job.id].filter(point => 'train_loss' in point), scores = points[job.id].filter(point => value(point) !== undefined);
  const last = job.progress?.steps || loss.at(-1)?.step || 1, top = Math.max(...loss.map(point => point.train_loss), 1e-9);
  const most = Math.max(...scores.map(value), measure === 'mse' ? 1e-9 : 1);
  const left = 46, right = 354, x = step => left + (right - left) * step / last, line = (list, y) => list.map((point, i) => `${i ? 'L' : 'M'}${x(point.step).toFixed(1)} ${y(point).toFixed(1)}`).join('');
  const height = share => 132 - 100 * share, lossY = point => height(point.train_loss / top), scoreY = point => height(Math.max(value(point), 0) / most);
  const score = scores.length ? `${t('valid_' + measure)} ${shownNumber(value(scores.at(-1)))}` : '';
  const picture = svg('svg', { class: 'curve', viewBox: '0 0 400 160', role: 'img' });
  picture.append(svg('title', {}, `${t('trainLoss')} ${loss.at(-1)?.train_loss.toFixed(3) ?? ''}, ${score}`),
    ...[0, 0.5, 1].flatMap(share => axisMarks(height(share), [left, right], [loss.length ? top * share : undefined, scores.length ? most * share : undefined])), svg('path', { class: 'loss', d: line(loss, lossY) }),
    svg('path', { class: 'recall', d: line(scores, scoreY) }),
    ...scores.map(point => svg('circle', { class: 'dot', cx: x(point.step), cy: scoreY(point), r: 3 })),
    svg('text', { x: 10, y: 14 }, `${t('trainLoss')} ${loss.at(-1)?.train_loss.toFixed(3) ?? ''}`),
    svg('text', { x: 390, y: 14, 'text-anchor': 'end' }, score),
    svg('text', { x: left, y: 150, 'text-anchor': 'middle' }, '0'), svg('text', { x: right, y: 150, 'text-anchor': 'middle' }, String(last)),
    svg('text', { x: (left + right) / 2, y: 150, 'text-anchor': 'middle' }, t('steps')));
  return picture;
}
const tickNumber = value => String(Number(value.toPrecision(2)));  // short: it stands beside the picture
// A line of the grid with the value of each scale at its ends, where there is one.
const axisMarks = (y, [left, right], [lossThere, scoreThere]) => [
  svg('line', { class: 'axis', x1: left, x2: right, y1: y, y2: y }),
  ...(lossThere === undefined ? [] : [svg('text', { class: 'tick-loss', x: left - 5, y: y + 4, 'text-anchor': 'end' }, tickNumber(lossThere))]),
  ...(scoreThere === undefined ? [] : [svg('text', { class: 'tick-score', x: right + 5, y: y + 4 }, tickNumber(scoreThere))]),
];
const statusWord = status => t(status === 'cancelled' ? 'cancelled_job' : status);
function jobCard(job) {
  const item = make('li'), head = make('div', 'verdict'), actions = make('div', 'row');
  const tint = { succeeded: 'positive', failed: 'negative' }[job.status] || 'neutral';
  item.id = job.id;
  head.append(make('span', `label ${tint}`, statusWord(job.status)), make('strong', '', job.fine_tuned_model || `${job.model} ${job.id}`),
    make('span', 'number', when(job.created_at)));
  item.append(head);
  const { step, steps } = job.progress || {};
  if (steps && !FINAL.includes(job.status)) {
    const bar = make('progress');
    bar.max = steps;
    bar.value = step;
    bar.setAttribute('aria-label', t('step')(step, steps));
    item.append(bar, make('p', 'hint', t('step')(step, steps) + (job.estimated_finish ? `, ${t('left')(when(job.estimated_finish))}` : '')));
  }
  if (job.error?.message) item.append(make('p', 'problem', job.error.message));
  else if (job.said && !FINAL.includes(job.status)) item.append(make('p', 'hint', job.said));
  if (points[job.id]?.length) item.append(curve(job));
  const change = (word, path) => button(word, async () => {
    Object.assign(job, await ask(`v1/fine_tuning/jobs/${job.id}/${path}`, {}));
    await showJobs();
  });
  if (job.status === 'paused') actions.append(change('resumeJob', 'resume'));
  else if (!FINAL.includes(job.status)) actions.append(change('pauseJob', 'pause'));
  if (!FINAL.includes(job.status)) actions.append(change('cancelJob', 'cancel'));
  if (job.fine_tuned_model) {
    actions.append(button('tryModel', async () => { await loadModels(); $('model').value = job.fine_tuned_model; snippets(); openTab('try'); $('texts').focus(); }));
  }
  item.append(actions);
  return item;
}
function draw(job) {
  if ($(job.id)) redrawn($(job.id), [...jobCard(job).childNodes]);
  sayAgain();
}
function drawJobs() {
  redrawn($('jobs'), jobs.length ? jobs.map(jobCard) : [make('li', 'hint', t('noJobs'))]);
  sayAgain();
}
