// The tabs follow the ARIA Authoring Practices: arrow keys move between them, and Tab leaves them.
const TABS = ['try', 'translate', 'tag', 'images', 'data', 'jobs', 'models', 'usage'];
const SHOWN = { translate: showTranslate, tag: showTag, images: showImages, data: showFiles, jobs: showJobs, models: showModels, usage: showUsage };
let tab = 'try';
function showTab() { if (SHOWN[tab]) SHOWN[tab]().catch(fail); }
function openTab(name) {
  tab = name;
  for (const each of TABS) {
    $(`tab-${each}`).setAttribute('aria-selected', String(each === name));
    $(`tab-${each}`).tabIndex = each === name ? 0 : -1;
    $(`panel-${each}`).hidden = each !== name;
  }
  stopJobs();
  $('error').hidden = true;
  showTab();
}
for (const name of TABS) {
  $(`tab-${name}`).addEventListener('click', () => { openTab(name); window.history.replaceState(null, '', `#${name}`); });
  $(`tab-${name}`).addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length];
    openTab(next);
    $(`tab-${next}`).focus();
  });
}
$('ask').addEventListener('submit', send);
$('texts').addEventListener('keydown', event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send(event); });
$('texts').addEventListener('input', snippets);
$('example').addEventListener('click', () => { $('texts').value = t('samples'); snippets(); $('texts').focus(); });
$('model').addEventListener('change', () => { aboutModel(); snippets(); });
$('other').addEventListener('change', aboutModel);
$('key-field').addEventListener('submit', event => { event.preventDefault(); $('key').blur(); });
$('key').addEventListener('change', () => { loadModels(); showTab(); });
$('file').addEventListener('change', chooseFile);
for (const id of ['sheet', 'encoding', 'separator']) $(id).addEventListener('change', () => readTable(true).catch(fail));
for (const id of ['header', 'column']) $(id).addEventListener('change', () => readTable(false).catch(fail));
for (const [type, task] of [['dragover', () => document.body.classList.add('dragging')], ['drop', takeDropped]]) {
  document.addEventListener(type, event => {
    if (![...event.dataTransfer.types].includes('Files')) return;  // selected text is dragged as usual
    event.preventDefault();
    task(event);
  });
}
document.addEventListener('dragleave', event => { if (!event.relatedTarget) document.body.classList.remove('dragging'); });
$('filter').addEventListener('input', () => { view = { ...view, words: $('filter').value, rows: SHOWN_ROWS }; showBatch(); });
$('more').addEventListener('click', () => { view.rows += 4 * SHOWN_ROWS; showBatch(); });
$('explain-rows').addEventListener('click', () => act($('explain-rows'), explainRows).finally(countChosen));
$('run').addEventListener('click', runFile);
$('cancel').addEventListener('click', () => stop.abort());
$('clear').addEventListener('click', () => { history = []; stored('history', '[]'); showHistory(); $('texts').focus(); });
$('upload').addEventListener('submit', event => { event.preventDefault(); act($('upload-send'), upload); });
$('data-file').addEventListener('change', () => { $('upload-send').disabled = !$('data-file').files.length; });
$('job').addEventListener('submit', event => { event.preventDefault(); act($('job-send'), createJob); });
$('promote').addEventListener('submit', event => { event.preventDefault(); act($('promote-send'), promote); });
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
fill($('encoding'), ENCODINGS.map(name => option(name, name)));
openTab(TABS.find(name => name === location.hash.slice(1)) || 'try');
paint(); translate(); loadModels();
