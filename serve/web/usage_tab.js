// What this project uses.
let usage = null;
redraws.push(() => drawUsage());

async function showUsage() {
  usage = await ask('v1/usage');
  drawUsage();
}
function drawUsage() {
  if (!usage) return;
  const { files: stored, jobs: trained, models: made } = usage;
  const lines = [
    ['storage', t('ofLimit')(size(stored.bytes), stored.limit_bytes ? size(stored.limit_bytes) : '')], ['fileCount', stored.count], ['jobCount', trained.count],
    ['jobMinutes', (trained.seconds / 60).toFixed(1)], ['trainedTokens', trained.tokens.toLocaleString(language)], ['modelCount', made.count],
  ];
  $('usage').replaceChildren(...lines.flatMap(([word, value]) => [make('dt', '', t(word)), make('dd', '', String(value))]));
}
