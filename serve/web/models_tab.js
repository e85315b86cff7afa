// The models: side by side on a text, promotion, the way back.
let compared = [];
redraws.push(() => { drawModels(); drawCompared(); });

async function showModels() {
  await loadModels();
  drawModels();
}
async function promote(model) {
  const target = (model.base && models.some(each => each.name === model.base)) ? model.base : 'emotion_analysis';
  if (!confirm(t('promoteTo')(target))) return;
  const answer = await ask(`v1/admin/models/${target}/promote`, { from: model.name });
  say(() => t('promoted')(target, answer.version));
  $('promotion').replaceChildren(make('pre', '', JSON.stringify(answer, null, 2)));
  await showModels();
}
async function rollBack(model) {
  const answer = await ask(`v1/admin/models/${model.name}/rollback`, undefined, undefined, 'POST');
  say(() => t('rolledBack')(model.name, answer.version));
  await showModels();
}
function modelActions(model) {
  const actions = make('div');
  if (model.project) {
    actions.append(button('promote', () => promote(model)), button('remove', async () => {
      if (!confirm(t('sure')(model.name))) return;
      await ask(`v1/models/${model.name}`, undefined, undefined, 'DELETE');
      await showModels();
    }));
  }
  if (model.previous) actions.append(button('rollback', () => rollBack(model)));
  return actions;
}
function drawModels() {
  const usable = models.filter(model => model.labels.length);
  for (const id of ['compare-a', 'compare-b']) fill($(id), usable.map(model => option(model.name, model.name)));
  $('models').replaceChildren(grid([t('name'), t('version'), t('labels'), t('owner'), ''], models.map(model =>
    [model.name, (model.versions || [model.version]).join(', '), model.labels.map(named).join(', '), model.project ? t('own') : t('shipped'), modelActions(model)])));
}
async function compareModels() {
  const text = $('compare-text').value;
  compared = await Promise.all([$('compare-a').value, $('compare-b').value].map(async name => {
    const [prediction] = await predict(name, [text], true);
    return { name, text, prediction, hasNgrams: ngrams[name] };
  }));
  drawCompared();
}
function drawCompared() {
  $('comparison').replaceChildren(...compared.map(result => {
    const side = make('div');
    side.append(make('h3', '', result.name), ...card(result).childNodes);
    return side;
  }));
}
