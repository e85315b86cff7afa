// Pictures: files or a drawing, their labels, and what the labels rest on.
const MOST_PICTURES = 64, EXPLAINED_PICTURES = 4;  // the pictures of a request that explains them, so that their number moves
let pictures = [];  // {name, blob, answer, problem, card}: the card shows the answer or the problem, and is made when it is drawn first
redraws.push(() => { pictures.forEach(each => { each.card = null; }); drawPictures(); });

async function showImages() {
  await loadModels();
  fillTask('image', 'image', pictures.length > 0);
}
// PNG or JPEG, by the first bytes.
async function isPicture(file) {
  const [a, b, c] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return a === 0x89 && b === 0x50 && c === 0x4e || a === 0xff && b === 0xd8 && c === 0xff;
}
async function takePictures(files) {
  if ($('image-send').ariaDisabled === 'true') return;  // those that are being classified stay
  const given = [...files], fit = await Promise.all(given.map(isPicture)), others = given.filter((_, i) => !fit[i]);
  const usable = given.filter((_, i) => fit[i]);
  pictures = usable.slice(0, MOST_PICTURES).map(file => ({ name: file.name, blob: file, answer: null }));
  $('error').hidden = true;
  say(() => usable.length > MOST_PICTURES ? t('tooManyPictures')(MOST_PICTURES, usable.length) : '');
  drawPictures();
  if (others.length) fail(new Error(t('notPictures')(others.map(({ name }) => name).join(', '))));
}
async function classifyPictures() {
  const model = $('image-model').value, explain = $('image-explain').checked, asked = pictures;
  for (const each of asked) each.answer = each.problem = each.card = null;  // of another model
  drawPictures();
  const most = explain ? Math.min(EXPLAINED_PICTURES, limits[model]?.explained_texts || 1) : MOST_PICTURES, bytes = (limits[model]?.body_bytes || 1 << 20) - 1024 * MOST_PICTURES;
  await counted('image-send', asked.length, 'picturesOf', async (signal, count) => {
    for (const part of inParts(asked, most, bytes, ({ blob }) => blob.size)) {
      await classifyPart(model, part, explain, signal);
      count(asked.filter(({ answer, problem }) => answer || problem).length);
      drawPictures();
    }
  });
  const refused = asked.filter(({ problem }) => problem).length;
  say(() => t('picturesDone')(asked.length - refused) + (refused ? ` · ${t('picturesRefused')(refused)}` : ''));
  bring('image-results-title');
}
// The service refuses a request for its first damaged picture, by the picture's place. The others are sent again without it.
async function classifyPart(model, part, explain, signal) {
  for (let rest = part; rest.length;) {
    const body = new FormData();
    for (const { name, blob } of rest) body.append('images', blob, name);
    body.append('explain', String(explain));
    try {
      const { predictions } = await jsonOf(await request(`v1/models/${encodeURIComponent(model)}/predict`, { body, signal }));
      rest.forEach((each, i) => { Object.assign(each, { answer: predictions[i], card: null }); });
      return;
    } catch (error) {
      const [, place, remark] = error.message.match(/^images\[(\d+)\]: (.+)$/s) || [], damaged = rest[place];
      if (!damaged) throw error;
      Object.assign(damaged, { problem: remark, card: null });
      rest = rest.filter(each => each !== damaged);
    }
  }
}
// The policy of the page allows no addresses of pictures, so they are painted.
function painted(blob, name) {
  const canvas = make('canvas', 'picture');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', name);
  createImageBitmap(blob).then(image => {
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d').drawImage(image, 0, 0);
  }).catch(() => { canvas.replaceWith(make('span', 'picture broken', '✕')); });
  return canvas;
}
const blobOf = base64 => new Blob([Uint8Array.from(atob(base64), c => c.charCodeAt(0))], { type: 'image/png' });
function pictureCard({ name, blob, answer, problem }) {
  const made = make('article', 'pictured'), text = make('div', 'picture-said');
  made.append(painted(blob, name));
  if (answer?.explanation) made.append(painted(blobOf(answer.explanation.overlay), t('overlay')));
  text.append(make('p', 'hint', name));
  if (problem) text.append(make('p', 'problem', problem));
  if (answer) {
    const best = Object.entries(answer.scores).sort((a, b) => b[1] - a[1]).slice(0, 5);
    text.append(make('p', 'picture-label', answer.label), scoreBars(best.map(([label, score]) => ({ label, score, colour: 'tone-0' }))));
  }
  made.append(text);
  return made;
}
function drawPictures() {
  $('image-send').disabled = !$('image-model').value || !pictures.length;
  $('image-results').replaceChildren(...pictures.map(each => each.card ??= pictureCard(each)));
  $('image-nothing').hidden = pictures.length > 0;
  $('image-legend').hidden = !pictures.some(({ answer }) => answer?.explanation);
}

// A white pen on black.
const board = $('board'), pen = board.getContext('2d');
function clearBoard() { pen.fillStyle = '#000'; pen.fillRect(0, 0, board.width, board.height); }
// Joins the points to a line. A fast stroke has several points in one event.
let penAt = null;  // the last point of the stroke
function drawOn(event) {
  if (!(event.buttons & 1)) { penAt = null; return; }
  if (event.type === 'pointerdown') penAt = null;
  const box = board.getBoundingClientRect(), scale = board.width / box.width;
  const points = event.getCoalescedEvents?.() ?? [];
  Object.assign(pen, { strokeStyle: '#fff', lineWidth: 22, lineCap: 'round', lineJoin: 'round' });
  for (const { clientX, clientY } of points.length ? points : [event]) {
    const point = [(clientX - box.left) * scale, (clientY - box.top) * scale];
    pen.beginPath();
    pen.moveTo(...penAt || point);
    pen.lineTo(...point);
    pen.stroke();
    penAt = point;
  }
}
async function useDrawing() {
  const blob = await new Promise(done => board.toBlob(done, 'image/png'));
  await takePictures([new File([blob], t('drawing'), { type: 'image/png' })]);
  if ($('image-model').value) await act($('image-send'), classifyPictures);
}
clearBoard();
board.addEventListener('pointerdown', event => { drawOn(event); board.setPointerCapture(event.pointerId); });
board.addEventListener('pointermove', drawOn);
$('image-files').addEventListener('change', () => takePictures($('image-files').files).catch(fail));
$('image-form').addEventListener('submit', event => { event.preventDefault(); act($('image-send'), classifyPictures); });
$('board-use').addEventListener('click', () => act($('board-use'), useDrawing));
$('board-clear').addEventListener('click', clearBoard);
