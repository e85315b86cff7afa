// What a training learns: one label, several labels, ordered labels or a number, with the options of that kind.
const KINDS = ['single-label', 'multi-label', 'ordinal', 'regression'];
// The measures that can choose the best model, those of `qing train`; the first is the usual one.
const MEASURES_OF = {
  'single-label': ['macro_recall', 'accuracy', 'macro_f1', 'loss'], 'multi-label': ['micro_f1', 'macro_f1', 'subset_accuracy', 'loss'],
  ordinal: ['kappa', 'mae', 'accuracy', 'macro_recall', 'macro_f1', 'loss'], regression: ['mse', 'mae', 'pearson', 'spearman'],
};
// The control of each member of a request.
const JOB_CONTROLS = {
  training_file: 'job-training', validation_file: 'job-validation', model: 'job-base', suffix: 'job-suffix', n_epochs: 'job-epochs', multi_label: 'job-kind',
  ordinal: 'job-kind', regression: 'job-kind', best: 'job-best', positive_weight: 'job-weight', text_column: 'job-text-column', label_column: 'job-label-column',
  label_columns: 'job-label-columns', label_separator: 'job-separator',
};
redraws.push(() => drawKind());

const trainingFile = () => files.find(file => file.id === $('job-training').value);
const baseModel = () => models.find(model => model.name === $('job-base').value);
const baseKind = () => baseModel()?.problem || 'single-label';
// A file of several labels or of numbers shows its kind. One of ordered labels looks like one of single labels.
const fileKind = () => ['multi-label', 'regression'].includes(trainingFile()?.kind) ? trainingFile().kind : null;
const chosenKind = () => $('job-kind').value || fileKind() || baseKind();
const isNumber = label => label.trim() !== '' && Number.isFinite(Number(label));
// The names of a list between commas, and such a list of names. A comma of a name stands behind a backslash, as on the command line.
const listed = text => (text.match(/(\\[,\\]|[^,])+/g) || []).map(each => each.trim().replace(/\\([,\\])/g, '$1')).filter(Boolean);
const listText = names => names.map(name => name.replace(/[,\\]/g, '\\$&')).join(', ');
// The labels whose order the user must say: those of the file, unless they are numbers or the base model has their order. Those
// of a column that the user names are not known here.
function labelsToOrder() {
  const labels = $('job-label-column').value.trim() ? [] : Object.keys(trainingFile()?.labels || {});
  const base = baseKind() === 'ordinal' ? baseModel().labels : [];
  return labels.every(isNumber) || labels.every(label => base.includes(label)) ? [] : labels;
}
function drawOrder() {
  const labels = labelsToOrder(), named = listed($('job-order').value);
  $('job-order-labels').replaceChildren(...labels.filter(label => !named.includes(label)).map(label => {
    const choice = make('button', 'choice', label);
    choice.type = 'button';
    choice.addEventListener('click', () => {
      const next = choice.nextElementSibling ? [...$('job-order-labels').children].indexOf(choice) : 0;
      $('job-order').value = listText([...listed($('job-order').value), label]);
      $('job-order').dispatchEvent(new Event('input'));
      ($('job-order-labels').children[next] || $('job-order')).focus();
    });
    return choice;
  }));
}
const LEAST_TO_DIVIDE = 200;  // texts of which a tenth is held out (docs/training.md)
// What validates without a file of its own.
function drawSplit() {
  const file = trainingFile(), few = file && file.rows < LEAST_TO_DIVIDE;
  const [none] = $('job-validation').options;
  if (none) none.textContent = t(few ? 'noSplit' : 'splitFile');
  $('job-validation-hint').textContent = t('splitRule')(LEAST_TO_DIVIDE);
  $('job-validation-few').textContent = few && !$('job-validation').value ? t('fewTexts')(file.rows) : '';
}
// Shows the options of the chosen kind, and why it is chosen.
function drawKind() {
  drawSplit();
  const kind = chosenKind(), automatic = fileKind() || baseKind(), numbers = trainingFile()?.numbers;
  fill($('job-kind'), [option('', t('automatic')(t('kindNames')[automatic])), ...KINDS.map(each => option(each, t('kindNames')[each]))]);
  $('job-kind-hint').textContent = t('kindHints')[kind] + (kind === 'regression' && numbers ? ` ${t('numbersFrom')(...[numbers.least, numbers.most, numbers.mean].map(shownNumber))}` : '');
  $('job-kind-misfit').textContent = fileKind() && fileKind() !== kind ? t('misfit')(t('kindNames')[fileKind()]) : '';
  fill($('job-best'), MEASURES_OF[kind].map((name, i) => option(i ? name : '', t('measures')[name])));
  for (const field of document.querySelectorAll('#job [data-kinds]')) field.hidden = !field.dataset.kinds.split(' ').includes(kind);
  $('job-order-field').hidden ||= !labelsToOrder().length && !$('job-label-column').value.trim();
  drawOrder();
}
// The members of the request that say what to learn. Nothing: a control needs another value, which is said beside it.
function kindOptions() {
  const kind = chosenKind(), text = id => $(id).closest('[hidden]') ? '' : $(id).value.trim(), made = {};
  if (kind !== baseKind()) made[kind === 'single-label' ? baseKind().replace('-', '_') : kind.replace('-', '_')] = kind === 'single-label' ? 0 : 1;
  const order = listed(text('job-order')), missing = kind === 'ordinal' ? labelsToOrder().filter(label => !order.includes(label)) : [];
  if (missing.length) return complain($('job-order'), t('orderMissing')(missing.join(', ')));
  if (order.length) made.labels = order;
  if (text('job-number-name')) made.labels = [text('job-number-name')];
  if (text('job-weight')) {
    made.positive_weight = Number(text('job-weight'));
    if (!(made.positive_weight >= 0)) return complain($('job-weight'), t('notWeight'));
  }
  for (const [member, id] of [['best', 'job-best'], ['text_column', 'job-text-column'], ['label_column', 'job-label-column'], ['label_separator', 'job-separator']]) {
    if (text(id)) made[member] = text(id);
  }
  if (text('job-label-columns')) made.label_columns = listed(text('job-label-columns'));
  return made;
}
// The control of what the service has refused; none: it is no member of the form.
function refusedControl(field) {
  const id = field === 'labels' ? (chosenKind() === 'regression' ? 'job-number-name' : 'job-order') : JOB_CONTROLS[field];
  return id && !$(id).closest('[hidden]') ? $(id) : null;
}
$('job-validation').addEventListener('change', drawSplit);
for (const id of ['job-training', 'job-base', 'job-kind']) $(id).addEventListener('change', drawKind);
$('job-label-column').addEventListener('input', drawKind);
$('job-order').addEventListener('input', drawOrder);
