// What an answer rests on: the words of a text with their weights, as colours and as a table.

// Scripts that have no spaces between words: each of their tokens is a word.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const isInner = (character = '') => /[\p{L}\p{N}\p{M}]/u.test(character) && !UNSPACED.test(character);
// Whether a word goes on at a place of a text: letters or digits are on both sides, or an apostrophe that has letters around it.
function isWithinWord(characters, at) {
  const inner = i => isInner(characters[i]) || /['’]/.test(characters[i] ?? '') && isInner(characters[i - 1]) && isInner(characters[i + 1]);
  return inner(at - 1) && inner(at);
}
// The words of an explanation, {begin, end, text, weight, pieces}. A tokenizer cuts words to pieces, whose weights are summed. What
// the encoder read and what it did not read stay apart.
function wordsOf(text, { spans, encoder_end }) {
  const characters = Array.from(text), words = [];
  for (const span of spans) {
    const before = words.at(-1);
    if (before?.end === span.begin && span.begin !== encoder_end && isWithinWord(characters, span.begin)) {
      Object.assign(before, { end: span.end, weight: before.weight + span.weight });
      before.pieces.push(span);
    } else words.push({ begin: span.begin, end: span.end, weight: span.weight, pieces: [span] });
  }
  return words.map(word => ({ ...word, text: characters.slice(word.begin, word.end).join('') }));
}
const signed = (weight, digits) => `${weight >= 0 ? '+' : ''}${weight.toFixed(digits)}`;
const piecesOf = ({ pieces }) => pieces.length > 1 ? pieces.map(({ text, weight }) => `${text.trim()} ${signed(weight, 3)}`).join(' · ') : '';
const byWeight = words => [...words].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
// The words with the largest weights, as a cell of a table.
const strongest = (text, explanation) => byWeight(wordsOf(text, explanation)).slice(0, 5).map(word => `${word.text} ${signed(word.weight, 3)}`).join('; ');

// The text with the weight of each word as a colour. What the encoder did not read stands apart from what it read.
function heat(text, explanation) {
  const box = make('p', 'text');
  if (!explanation) { box.textContent = text; return box; }
  const characters = Array.from(text), end = explanation.encoder_end ?? characters.length, words = wordsOf(text, explanation);
  const strongest = Math.max(...words.map(({ weight }) => Math.abs(weight)), 1e-9);
  const rest = make('span', explanation.ngram_end > end ? 'rest counted' : 'rest');
  rest.append(make('span', 'boundary', t('readEnd')));
  const place = at => at >= end && end < characters.length ? rest : box;
  let at = 0;
  const plain = to => {
    if (at < end && to > end) { box.append(characters.slice(at, end).join('')); at = end; }
    place(at).append(characters.slice(at, to).join(''));
    at = to;
  };
  for (const word of words) {
    plain(word.begin);
    const share = Math.abs(word.weight) / strongest, unread = word.begin >= end ? ' unread' : '';
    const mark = make('mark', (word.weight >= 0 ? 'for' : 'against') + (share < 0.15 ? ' weak' : '') + unread, word.text);
    mark.style.setProperty('--heat', (0.6 * share).toFixed(3));
    mark.title = [signed(word.weight, 3) + (unread && ` (${t('ngramsAlone')})`), piecesOf(word)].filter(Boolean).join(' = ');
    place(word.begin).append(mark);
    at = word.end;
  }
  plain(characters.length);
  if (end < characters.length) box.append(rest);
  return box;
}
// The words with their weights. The pieces that a tokenizer has cut stand below their word.
function weights(text, explanation) {
  const details = make('details'), table = make('table'), head = make('tr');
  head.append(make('th', '', t('word')), make('th', '', t('weight')));
  table.append(head, ...byWeight(wordsOf(text, explanation)).slice(0, 20).map(word => {
    const line = make('tr'), said = make('td', '', word.text), unread = word.begin >= explanation.encoder_end;
    if (piecesOf(word)) said.append(make('div', 'pieces', piecesOf(word)));
    line.append(said, make('td', '', signed(word.weight, 4) + (unread ? ` (${t('ngramsAlone')})` : '')));
    return line;
  }));
  details.append(make('summary', '', t('weights')), table);
  return details;
}
// Says which part of a text that is too long was used. An explanation gives the number of characters.
function unread(text, { explanation }, hasNgrams) {
  const rule = t(hasNgrams ? 'ngramsOnly' : 'truncated');
  return `${explanation ? t('readTo')(explanation.encoder_end, Array.from(text).length) : t('readPart')} ${rule}`;
}
