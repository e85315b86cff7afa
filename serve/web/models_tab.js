// The models: promotion, rollback, removal.
redraws.push(() => drawModels());

const isOwn = model => model.owned_by !== 'qing';  // a job of this project made it

async function showModels() {
  [files] = await Promise.all([listAll('v1/files'), loadModels()]);
  drawModels();
}
async function promote() {
  const target = $('promote-to').value, evaluation = $('promote-data').value;
  say(() => t('working'));
  const answer = await ask(`v1/admin/models/${target}/promote`, { from: $('promote-from').value, ...(evaluation && { rule: { evaluation } }) });
  say(() => answer.promoted ? t('promoted')(target, answer.version) : t('refused'));
  drawPromotion(answer);
  await showModels();
}
// The results of both versions on the evaluation data: overall, by source and by language. Several labels and numbers have
// measures of their own.
function drawPromotion({ reasons, comparison }) {
  const shown = (reasons || []).map(reason => make('p', 'problem', reason));
  if (comparison?.measures) {
    const cells = one => [one.name, String(one.texts ?? comparison.texts), one.before.toPrecision(4), one.after.toPrecision(4)];
    const rows = [...comparison.measures, ...comparison.per_source, ...comparison.per_language];
    shown.push(grid([t('group'), t('texts'), t('before'), t('after')], rows.map(cells)));
  } else if (comparison) {
    const percent = share => `${(100 * share).toFixed(1)}%`;
    const cells = group => [group.name || t('all'), String(group.texts), percent(group.accuracy.before), percent(group.accuracy.after)];
    const groups = [comparison.all, ...(comparison.per_source || []), ...(comparison.per_language || [])].filter(Boolean);
    shown.push(grid([t('group'), t('texts'), t('before'), t('after')], groups.map(cells)));
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
function drawModels() {
  const usable = models.filter(classifies);
  const listed = list => list.map(model => option(model.name, model.name));
  fill($('promote-from'), listed(usable.filter(isOwn)));
  fill($('promote-to'), listed(usable.filter(model => !isOwn(model))));
  fill($('promote-data'), [option('', t('byHand')), ...files.filter(file => file.rows > 0).map(file => option(file.id, file.filename))]);
  $('promote-send').disabled = !$('promote-from').value || !$('promote-to').value;
  $('models').replaceChildren(grid([t('name'), t('version'), t('labels'), t('owner'), ''], models.map(model =>
    [model.name, (model.versions || [model.version]).join(', '), classifies(model) ? model.labels.map(named).join(', ') : model.task === 'classification' ? '' : model.task, isOwn(model) ? t('own') : t('shipped'), modelActions(model)])));
}
