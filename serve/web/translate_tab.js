// Translations as they are written, and for each word of them the words of the source that the model attended to.
const BEAMS = [1, 4, 8], SAID = 0.05;  // shares of attention below this are not shown
let translation = null;  // {source, text, tokens, complete, alignment, seconds, model}; while it is written without the middle ones
let leave = null;        // aborts the request
let words = { source: [], target: [] };
redraws.push(() => { fillDirections(); fillBeams(); drawTranslation(); });

async function showTranslate() {
  await loadModels();
  fillTask('translate', 'translation');
  fillDirections();
}
// "zh_Hans" as the language of the page calls it.
function languageName(code) {
  try { return new Intl.DisplayNames([language], { type: 'language' }).of(code.replaceAll('_', '-')) || code; } catch { return code; }
}
function fillDirections() {
  const { directions = [] } = models.find(model => model.name === $('translate-model').value) || {};
  fill($('direction'), directions.map(each => option(each, each.split('-').map(languageName).join(' → '))));
  $('direction-field').hidden = !directions.length;
}
function fillBeams() { fill($('beams'), BEAMS.map(n => option(String(n), n === 1 ? t('beamOne') : t('beams')(n)))); }

async function sendTranslation() {
  const source = $('source-text').value, model = $('translate-model').value, begun = performance.now();
  if (!source.trim()) {
    translation = null;
    drawTranslation();
    say(() => t('emptySource'));
    $('source-text').focus();
    return;
  }
  parts([model], [source], text => text, false);  // refuses a text that is too long
  const [from, to] = $('direction').value.split('-');
  leave = new AbortController();
  $('translate-stop').hidden = false;
  say(() => t('translating'));
  translation = { source, model, text: '' };
  drawTranslation();
  try {
    const body = { texts: [source], beam_size: Number($('beams').value), alignment: true, stream: true, ...(to && { source: from, target: to }) };
    const response = await request(`v1/models/${encodeURIComponent(model)}/translate`, { body, signal: leave.signal });
    for await (const events of eventsOf(response)) {
      for (const { name, data } of events) {
        if (name === 'error') throw new Error(messageOf(data) || t('strange')(response.status));
        if (name === 'token') translation.text = data.text;
        if (name === 'translation') translation = { ...translation, ...data, seconds: (performance.now() - begun) / 1000 };
      }
      drawTranslation();
    }
    if (!translation.alignment) throw new Error(t('unreachable'));  // the stream broke
    say(() => t('translatedNow'));
    bring('translation-title');
  } catch (error) {
    if (!translation.text) translation = null;
    if (error.name !== 'AbortError') throw error;
    say(() => t('cancelled'));
  } finally {
    leaveTo($('translate-send'), $('translate-stop'));
    if (translation) translation.over = true;
    drawTranslation();
  }
}

// Joins tokens to words: [{begin, end, tokens, piece}] without the spaces around them, in characters.
function joinTokens(characters, ranges, piece) {
  const joined = [];
  ranges.forEach(([first, last], i) => {
    let begin = first, end = last;
    while (begin < end && /\s/.test(characters[begin])) ++begin;
    while (begin < end && /\s/.test(characters[end - 1])) --end;
    const before = joined[joined.length - 1];
    const continues = before?.end === begin && (begin === end || isWithinWord(characters, begin));
    if (continues) { before.end = end; before.tokens.push(i); } else if (begin < end) joined.push({ begin, end, tokens: [i], piece });
  });
  return joined;
}
// The words of both texts. A word of the translation has the shares of the words of its piece of the source: the sum over the
// tokens of the source's word, the mean over its own.
function alignWords({ source, text, alignment }) {
  const [from, to] = [Array.from(source), Array.from(text)], found = { source: [], target: [] };
  alignment.forEach((piece, k) => {
    const sources = joinTokens(from, piece.source, k), offset = found.source.length;
    const targets = joinTokens(to, piece.target, k);
    for (const target of targets) {
      target.shares = sources.map((each, j) => {
        const share = each.tokens.reduce((sum, column) => sum + target.tokens.reduce((part, row) => part + piece.weights[row][column], 0), 0);
        return { word: offset + j, share: share / target.tokens.length };
      }).filter(({ share }) => share >= SAID).sort((a, b) => b.share - a.share);
    }
    found.source.push(...sources);
    found.target.push(...targets);
  });
  return found;
}
// A text with an element for each of its words and its spaces as they are.
function inWords(text, parts, made) {
  const characters = Array.from(text), nodes = [];
  let at = 0;
  parts.forEach((part, i) => {
    const node = made(i);
    node.textContent = characters.slice(part.begin, part.end).join('');
    nodes.push(characters.slice(at, part.begin).join(''), node);
    at = part.end;
  });
  return [...nodes, characters.slice(at).join('')];
}
const wordOf = (text, { begin, end }) => Array.from(text).slice(begin, end).join('');
const shareText = share => `${Math.round(100 * share)}%`;
const sharesOf = ({ shares }, most) => shares.slice(0, most).map(({ word, share }) => `${wordOf(translation.source, words.source[word])} ${shareText(share)}`).join(', ');

// Shows what a word of the translation rests on; null: none.
function lookAt(index) {
  const chosen = index === null ? null : words.target[index];
  [...$('translation').querySelectorAll('.word')].forEach((node, i) => node.setAttribute('aria-pressed', String(i === index)));
  const shares = new Map((chosen?.shares || []).map(({ word, share }) => [word, share]));
  [...$('aligned-source').querySelectorAll('.word')].forEach((node, i) => {
    const share = shares.get(i);
    node.classList.toggle('attended', share !== undefined);
    node.style.setProperty('--heat', ((share || 0) * 0.6).toFixed(3));
    if (share === undefined) delete node.dataset.share; else node.dataset.share = shareText(share);
  });
  const name = chosen && wordOf(translation.text, chosen);
  $('aligned-said').textContent = !chosen ? '' : chosen.shares.length ? t('restsOnThis')(name, sharesOf(chosen, 4)) : t('restsOnNothing')(name);
}
// The words are one stop of the Tab key. The arrow keys move among them.
function moveTo(index) {
  const nodes = [...$('translation').querySelectorAll('.word')];
  nodes.forEach((node, i) => { node.tabIndex = i === index ? 0 : -1; });
  nodes[index]?.focus();
}
function targetWord(i) {
  const node = make('span', 'word');  // a button would not break lines as text does
  node.setAttribute('role', 'button');
  node.tabIndex = i === 0 ? 0 : -1;
  node.setAttribute('aria-describedby', 'aligned-said');
  node.addEventListener('focus', () => lookAt(i));
  node.addEventListener('pointerenter', () => lookAt(i));
  node.addEventListener('click', () => moveTo(i));
  node.addEventListener('keydown', event => {
    const last = words.target.length - 1;
    const next = { ArrowRight: Math.min(i + 1, last), ArrowLeft: Math.max(i - 1, 0), Home: 0, End: last }[event.key];
    if (next !== undefined) { event.preventDefault(); moveTo(next); }
  });
  return node;
}
function drawTranslation() {
  $('translated').hidden = !translation;
  $('translation-nothing').hidden = Boolean(translation);
  $('translation-title').textContent = translation ? `${t('translation')}: ${translation.model}` : t('translation');
  if (!translation) return;
  const { source, text, alignment, tokens, seconds, complete, over } = translation;
  $('translation').setAttribute('aria-busy', String(!alignment && !over));
  $('translation-copy').hidden = !alignment;
  $('translation-facts').textContent = seconds === undefined ? '' : t('translationFacts')(tokens, seconds.toFixed(seconds < 1 ? 2 : 1)) + (complete ? '' : ` · ${t('cutShort')}`);
  $('aligned').hidden = !alignment?.length;
  if (!alignment) { $('translation').textContent = text; return; }
  words = alignWords(translation);
  $('translation').replaceChildren(...inWords(text, words.target, targetWord));
  $('aligned-source').replaceChildren(...inWords(source, words.source, () => make('span', 'word')));
  $('aligned-table').replaceChildren(grid([t('translation'), t('restsOn')], words.target.map(word => [wordOf(text, word), sharesOf(word, 5)])));
  lookAt(null);
}
$('translation').addEventListener('pointerleave', () => {
  const focused = [...$('translation').querySelectorAll('.word')].indexOf(document.activeElement);
  lookAt(focused === -1 ? null : focused);
});
$('translation').addEventListener('focusout', event => { if (!$('translation').contains(event.relatedTarget)) lookAt(null); });
$('translate-model').addEventListener('change', fillDirections);
$('translate-stop').addEventListener('click', () => leave?.abort());
sendsBy('translate-form', 'source-text', 'translate-send', sendTranslation);
