// The models: promotion, rollback, removal.
redraws.push(() => drawModels());

const isOwn = model => model.owned_by !== 'qing';  // a job of this project made it

async function showModels() {
  [files] = await Promise.all([listAll('v1/files'), loadModels()]);
  drawModels();
}
async function promote() {
  const target = $('promote-to').value, evaluation = $('promote-data').value;
  if (!evaluation && !confirm(t('sureUncompared')($('promote-from').value, target))) return;
  say(() => t('working'));
  const answer = await ask(`v1/admin/models/${target}/promote`, { from: $('promote-from').value, ...(evaluation && { rule: { evaluation } }) });
  say(() => answer.promoted ? t('promoted')(target, answer.version) : t('refused'));
  drawPromotion(answer);
  await showModels();
}
// The results of both versions on the evaluation data: overall, by source and by language. Several labels and numbers have
// measures of their own, by which their groups are compared, and ordered labels have some beside the share of correct answers.
const MEASURE_OF_GROUPS = { 'multi-label': 'micro F1', regression: 'MAE' };
function drawPromotion({ reasons, comparison }) {
  const shown = (reasons || []).map(reason => make('p', 'problem', reason));
  const measures = comparison?.measures || Object.entries(comparison?.ordinal?.measures || {}).map(([name, { a, b }]) => ({ name, before: a, after: b }));
  const groups = [...comparison?.per_source || [], ...comparison?.per_language || []].filter(group => group.name);  // all texts may have no source
  const figure = one => [one.before.toPrecision(4), one.after.toPrecision(4)];
  if (measures.length) {
    const named = MEASURE_OF_GROUPS[comparison.problem], lines = named ? groups.map(group => [`${group.name} (${named})`, String(group.texts), ...figure(group)]) : [];
    shown.push(grid([t('measure'), t('texts'), t('earlier'), t('later')], [...measures.map(one => [one.name, String(comparison.texts ?? comparison.all.texts), ...figure(one)]), ...lines]));
  }
  if (comparison?.all) {
    const percent = share => `${(100 * share).toFixed(1)}%`;
    const cells = group => [group.name || t('all'), String(group.texts), percent(group.accuracy.before), percent(group.accuracy.after)];
    shown.push(grid([t('group'), t('texts'), t('before'), t('after')], [comparison.all, ...groups].map(cells)));
  }
  $('promotion').replaceChildren(...shown);
}
async function rollBack(model) {
  const answer = await ask(`v1/admin/models/${model.name}/rollback`, undefined, undefined, 'POST');
  say(() => t('rolledBack')(model.name, answer.version));
  await showModels();
}
function modelActions(model) {
  const actions = make('div');
  if (isOwn(model)) {
    actions.append(button('remove', async () => {
      if (!confirm(t('sure')(model.name))) return;
      await ask(`v1/models/${model.name}`, undefined, undefined, 'DELETE');
      await showModels();
    }));
  }
  if (model.previous) actions.append(button('rollback', () => rollBack(model)));
  return actions;
}
// Labels with the kind that a model or a file has, unless that is the usual one.
const kindAndLabels = (kind, labels) => kind && kind !== 'single-label' ? `${t('kindNames')[kind]}: ${labels}` : labels;
const taskName = model => t('tasks')[model.task] || model.task;
function drawModels() {
  const usable = models.filter(classifies);
  const listed = list => list.map(model => option(model.name, model.name));
  fill($('promote-from'), listed(usable.filter(isOwn)));
  fill($('promote-to'), listed(usable.filter(model => !isOwn(model))));
  fill($('promote-data'), [option('', t('byHand')), ...files.filter(file => file.rows > 0).map(file => option(file.id, file.filename))]);
  $('promote-send').disabled = !$('promote-from').value || !$('promote-to').value;
  redrawn($('models'), [grid([t('name'), t('version'), t('task'), t('labels'), t('owner'), ''], models.map(model =>
    [model.name, (model.versions || [model.version]).join(', '), taskName(model), kindAndLabels(model.problem, (model.labels || []).map(named).join(', ')), isOwn(model) ? t('own') : t('shipped'), modelActions(model)]))]);
}
