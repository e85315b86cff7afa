// The tabs follow the ARIA Authoring Practices: arrow keys move between them, and Tab leaves them.
const TABS = ['try', 'translate', 'tag', 'images', 'data', 'jobs', 'models', 'usage'];
const SHOWN = { translate: showTranslate, tag: showTag, images: showImages, data: showFiles, jobs: showJobs, models: showModels, usage: showUsage };
let tab = null;
function showTab() { if (SHOWN[tab]) SHOWN[tab]().catch(fail); }
function openTab(name) {
  // The address names the tab, unless it is that of a new visitor.
  if (tab || location.hash) window.history.replaceState(null, '', `#${name}`);
  if (tab !== name) say(() => '');  // what the status says is of another tab
  tab = name;
  for (const each of TABS) {
    $(`tab-${each}`).setAttribute('aria-selected', String(each === name));
    $(`tab-${each}`).tabIndex = each === name ? 0 : -1;
    $(`panel-${each}`).hidden = each !== name;
  }
  $(`tab-${name}`).scrollIntoView({ block: 'nearest', inline: 'nearest' });  // on a phone the row of tabs is wider than the page
  stopJobs();
  $('error').hidden = true;
  showTab();
}
for (const name of TABS) {
  $(`tab-${name}`).addEventListener('click', () => openTab(name));
  $(`tab-${name}`).addEventListener('keydown', event => {
    const at = TABS.indexOf(name), last = TABS.length - 1;
    const next = TABS[{ ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key]];
    if (!next) return;
    event.preventDefault();  // Home and End would scroll
    openTab(next);
    $(`tab-${next}`).focus();
  });
}
sendsBy('ask', 'texts', 'send', sendTexts);
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
$('explain-rows').addEventListener('click', () => act($('explain-rows'), explainRows));
$('run').addEventListener('click', () => runFile().catch(error => blameFile(error.message)));
$('cancel').addEventListener('click', () => stop?.abort());
$('go-on').addEventListener('click', () => wake ? wake() : sendMissing().catch(error => blameFile(error.message)));
window.addEventListener('online', () => wake?.());
$('clear').addEventListener('click', () => { history = []; stored('history', '[]'); showHistory(); $('texts').focus(); });
$('upload').addEventListener('submit', event => { event.preventDefault(); act($('upload-send'), upload); });
for (const id of ['file', 'data-file']) $(id).accept = Object.keys(FILE_KINDS).map(suffix => `.${suffix}`).join(',');
$('data-file').addEventListener('change', () => takeDataFile().catch(fail));
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
const addressed = () => TABS.find(name => name === location.hash.slice(1));
window.addEventListener('hashchange', () => { if (addressed()) openTab(addressed()); });  // other names are places in the page
openTab(addressed() || 'try');
paint(); translate(); loadModels();
