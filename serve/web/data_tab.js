// The files of this project: upload, report, removal.
let files = [];
redraws.push(() => drawFiles());

// All pages of one of OpenAI's lists.
async function listAll(path) {
  const all = [];
  for (let after = '', more = true; more;) {
    const page = await ask(`${path}?limit=100${after && '&after=' + encodeURIComponent(after)}`);
    all.push(...page.data);
    more = page.has_more && page.data.length > 0;
    after = page.data.at(-1)?.id || '';
  }
  return all;
}
async function showFiles() {
  files = await listAll('v1/files');
  drawFiles();
}
// Only what the server can read is sent.
async function takeDataFile() {
  const [file] = $('data-file').files;
  $('upload-send').disabled = true;
  $('error').hidden = true;
  if (!file) return;
  try {
    const bytes = new Uint8Array(await file.slice(0, 4096).arrayBuffer());
    refuseForeign(file.name, bytes);
    if (bytes[0] !== 0x50 && guessEncoding(bytes) === null) throw new Error(t('notText'));
  } catch (error) {
    $('upload').reset();
    throw new Error(`${file.name}: ${error.message}`);
  }
  say(() => '');
  $('upload-send').disabled = false;
}
async function upload() {
  const file = $('data-file').files[0], form = new FormData();
  form.append('purpose', 'fine-tune');
  form.append('file', file);
  say(() => t('working'));
  const { id } = await ask('v1/files', form);
  $('upload').reset();
  leaveTo($('data-file'), $('upload-send'), 'disabled');
  await showFiles();
  const stored = files.find(each => each.id === id);  // with the report of what is in it
  if (stored?.status === 'error') throw new Error(`${file.name}: ${stored.status_details || t('failed')}`);
  say(() => t('uploaded')(file.name));
}
// The labels of a file with their numbers, or what its numbers are.
function labelCounts(file) {
  if (file.numbers) return t('numbersFrom')(...[file.numbers.least, file.numbers.most, file.numbers.mean].map(shownNumber));
  return Object.entries(file.labels || {}).map(([label, count]) => `${label} ${count}`).join(', ');
}
// The problems of a file: the first errors by line, then duplicates and contradictions.
function findings(file) {
  const box = make('div');
  if (file.status === 'error') box.append(make('p', 'problem', file.status_details || t('failed')));
  const notes = ['duplicates', 'contradictions'].filter(name => file[name] > 0).map(name => t(name)(file[name], Boolean(file.numbers)));
  if (notes.length) box.append(make('p', 'hint', notes.join(' · ')));
  const errors = file.errors || [];
  if (errors.length) {
    const details = make('details'), list = make('ul');
    list.append(...errors.slice(0, 20).map(error => make('li', '', `${t('line')} ${error.line}: ${error.message}`)));
    details.append(make('summary', '', t('problems')(file.wrong_rows)), list);
    box.append(details);
  }
  return box;
}
function drawFiles() {
  if (!files.length) return redrawn($('files'), [make('p', 'hint', t('noFiles'))]);
  redrawn($('files'), [grid([t('fileName'), t('fileRows'), t('fileLabels'), t('fileSize'), t('created'), ''], files.map(file => {
    const name = make('div'), actions = make('div');
    name.append(make('div', '', file.filename), findings(file));
    if (file.purpose === 'fine-tune' && file.status !== 'error') {
      actions.append(button('train', async () => { await openTab('jobs'); await showJobs(); $('job-training').value = file.id; drawKind(); $('job-training').focus(); }));
    }
    actions.append(button('remove', async () => {
      if (!confirm(t('sure')(file.filename))) return;
      await ask(`v1/files/${file.id}`, undefined, undefined, 'DELETE');
      await showFiles();
    }));
    return [name, String(file.rows ?? ''), file.numbers ? labelCounts(file) : kindAndLabels(file.kind, labelCounts(file)), size(file.bytes), when(file.created_at), actions];
  }))]);
}
