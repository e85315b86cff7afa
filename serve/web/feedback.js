// Feedback on an answer: which label, which labels or which number was right. `side.feedback` keeps what the user has begun or
// the server has stored, so that neither another language nor an error loses it:
//   {open, right, keep, stored}: whether the form is open, what stands in it, and what the service has answered.
// A side with `short` is that of a row of a table, whose buttons have signs.
const MOST_CHOICES = 12;  // labels that are shown beside each other; more are in a list
let madeForms = 0;        // makes the ids of their controls

const rightOf = prediction => ({ 'multi-label': prediction.labels, regression: '' })[problemOf(prediction)] ?? prediction.label;
function rightText(problem, right) {
  if (problem === 'regression') return shownNumber(right);
  return problem === 'multi-label' ? right.map(named).join(', ') || t('noneRight') : named(right);
}
async function sendFeedback(text, { prediction, feedback }, right, keep) {
  const { id: request_id, index } = prediction.asked;
  const stored = await ask('v1/feedback', { request_id, index, label: right, ...(keep && { text, keep_text: true }) });
  Object.assign(feedback, { open: false, right: stored.label, keep, stored });
  say(() => t('feedbackStored'));
}

// A choice of one label or of any labels.
function labelChoices(side, name, type) {
  const { feedback } = side, box = make('div', 'choices');
  box.append(...labelsInOrder(side).map(label => {
    const line = make('label', `choice ${tone(label)}`), input = make('input');
    Object.assign(input, { type, name, value: label, checked: [feedback.right].flat().includes(label) });
    input.addEventListener('change', () => {
      feedback.right = type === 'radio' ? label : [...box.querySelectorAll(':checked')].map(({ value }) => value);
    });
    line.append(input, make('span', '', named(label)));
    return line;
  }));
  return box;
}
function labelList(side, name) {
  const list = make('select');
  list.id = name;
  list.append(...labelsInOrder(side).map(label => option(label, named(label))));
  list.value = side.feedback.right;
  list.addEventListener('change', () => { side.feedback.right = list.value; });
  return list;
}
function numberField({ feedback, prediction }, name) {
  const input = make('input');
  Object.assign(input, { id: name, type: 'text', inputMode: 'decimal', autocomplete: 'off', value: feedback.right, placeholder: shownNumber(prediction.value) });
  input.addEventListener('input', () => { feedback.right = input.value; });
  return input;
}
// The form in which the user corrects an answer. `side.redraw` shows the feedback again and focuses the first control that is
// there. It is read when an answer comes, because another language draws the card anew meanwhile.
function feedbackForm(text, side) {
  const { prediction, feedback } = side, problem = problemOf(prediction), name = `feedback-${++madeForms}`;
  const form = make('form', 'correction'), field = make('fieldset', 'field'), keep = make('label', 'check'), box = make('input'), row = make('div', 'row');
  const long = labelsInOrder(side).length > MOST_CHOICES;
  const control = problem === 'regression' ? numberField(side, name) : problem === 'multi-label' ? labelChoices(side, name, 'checkbox')
    : long ? labelList(side, name) : labelChoices(side, name, 'radio');
  if (long) control.classList.add('many');
  if (control.matches('input, select')) control.setAttribute('aria-label', t('right')[problem]);
  const blame = remark => {
    const entry = control.matches('input, select') ? control : control.querySelector(':checked') || control.querySelector('input');
    entry.id ||= `${name}-entry`;
    complain(entry, remark);
  };
  field.append(make('legend', '', t('right')[problem]), control);
  if (problem === 'multi-label') {
    const hint = make('p', 'hint', t('chooseNone'));
    hint.id = `${name}-hint`;
    field.append(hint);
    field.setAttribute('aria-describedby', hint.id);
  }
  box.type = 'checkbox';
  box.checked = feedback.keep;
  box.addEventListener('change', () => { feedback.keep = box.checked; });
  keep.append(box, make('span', '', t('keepText')));
  const send = make('button', 'primary', t('feedbackSend')), leave = make('button', '', t('cancel'));
  send.type = 'submit';
  leave.type = 'button';
  leave.addEventListener('click', () => { Object.assign(feedback, { open: false, keep: Boolean(feedback.stored?.text_kept), right: feedback.stored ? feedback.stored.label : rightOf(prediction) }); side.redraw('.correct'); });
  row.append(send, leave);
  form.append(field, keep, row);
  form.addEventListener('submit', event => {
    event.preventDefault();
    const right = problem === 'regression' ? Number(feedback.right) : feedback.right;
    form.querySelectorAll('[aria-invalid]').forEach(forgive);
    if (problem === 'regression' && (!String(feedback.right).trim() || !Number.isFinite(right))) return blame(t('notNumber'));
    hold(send, async () => {
      try {
        await sendFeedback(text, side, right, feedback.keep);
        side.redraw('.correct');
      } catch (error) { if (form.isConnected) blame(error.remark ?? error.message); else fail(error); }
    });
  });
  return form;
}
// A button of a question: its word, or in a table a sign that the word explains.
function asking(side, word, sign, className = '') {
  const made = make('button', className, side.short ? sign : t(word));
  made.type = 'button';
  if (side.short) { made.title = t(word); made.setAttribute('aria-label', t(word)); }
  return made;
}
// The question whether an answer is right, or what was said of it.
function feedbackQuestion(text, side) {
  const { prediction, feedback } = side, problem = problemOf(prediction), row = make('div', 'asked');
  const correct = feedback.stored ? asking(side, 'change', '✎', 'correct') : problem === 'regression' ? asking(side, 'giveNumber', '✎', 'correct') : asking(side, 'no', '✗', 'correct');
  correct.addEventListener('click', () => { feedback.open = true; side.redraw('[type="radio"]:checked', 'select, input'); });
  if (feedback.stored) {
    const { label, text_kept, agreed } = feedback.stored;
    if (side.short) {
      const given = make('span', 'given', `${agreed ? '✓' : '✗ →'} ${rightText(problem, label)}`);
      given.title = t('saidRight')(rightText(problem, label)) + (text_kept ? ` ${t('textKept')}` : '');
      row.append(given, correct);
    } else row.append(make('span', 'given', t('saidRight')(rightText(problem, label))), ...(text_kept ? [make('span', '', t('textKept'))] : []), correct);
    return row;
  }
  if (problem !== 'regression') {  // no number is right to the last digit
    if (!side.short) row.append(make('span', '', t('askRight')));
    const yes = asking(side, 'yes', '✓'), told = make('p', 'problem');
    yes.addEventListener('click', () => hold(yes, async () => {
      told.remove();
      try {
        await sendFeedback(text, side, rightOf(prediction), false);
        side.redraw('.correct');
      } catch (error) {
        if (!row.isConnected) return fail(error);
        told.textContent = error.remark ?? error.message;
        told.setAttribute('role', 'alert');
        row.append(told);
      }
    }));
    row.append(yes);
  }
  row.append(correct);
  return row;
}
function beginFeedback(side) { side.feedback ??= { open: false, right: rightOf(side.prediction), keep: false, stored: null }; }
function feedbackOn(text, side) {
  const box = make('div', 'feedback');
  beginFeedback(side);
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', t('feedbackOn')(text));
  side.redraw = (...focused) => {
    box.replaceChildren((side.feedback.open ? feedbackForm : feedbackQuestion)(text, side));
    focused.map(css => box.querySelector(css)).find(Boolean)?.focus();
  };
  side.redraw();
  return box;
}

// The answer of a row of a file by one model, `name` is 'prediction' or 'other'. It stays when the table is drawn again.
function sideOfRow(item, name) {
  item.answers ??= {};
  return item.answers[name] ??= { choice: name === 'other' ? batch.other : batch.model, prediction: item[name], short: true };
}
// The question in a cell of the row. The form has a line of its own below, where there is room for it.
function questionOfRow(item, name) {
  const side = sideOfRow(item, name), box = make('div', 'feedback');
  beginFeedback(side);
  box.id = `feedback-${item.number}-${name}`;
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', t('feedbackOn')(item.text));
  side.redraw = (...focused) => {
    showBatch();
    if (side.feedback.stored) offer();
    const places = [$(`${box.id}-form`), $(box.id)].filter(Boolean);
    focused.flatMap(css => places.map(place => place.querySelector(css))).find(Boolean)?.focus();
  };
  if (!side.feedback.open) box.append(feedbackQuestion(item.text, side));
  return box;
}
function formOfRow(item, name, columns) {
  const line = make('tr', 'correcting'), cell = make('td');
  cell.id = `feedback-${item.number}-${name}-form`;
  cell.colSpan = columns;
  cell.append(feedbackForm(item.text, sideOfRow(item, name)));
  line.append(cell);
  return line;
}
// What was said to be right of a row, as a cell of a table.
function saidOfRow(item) {
  const stored = item.answers?.prediction?.feedback.stored;
  return stored && (Array.isArray(stored.label) ? stored.label.join('|') : stored.label);
}
