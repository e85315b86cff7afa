// Pictures: files or a drawing, their labels, and what the labels rest on.
const MOST_PICTURES = 64;
let pictures = [];  // {name, blob}
let seen = [];      // the answer of each
redraws.push(() => drawPictures());

async function showImages() {
  await loadModels();
  fillTask('image', 'image', pictures.length > 0);
}
function takePictures(files) {
  pictures = [...files].slice(0, MOST_PICTURES).map(file => ({ name: file.name, blob: file }));
  seen = [];
  drawPictures();
}
async function classifyPictures() {
  const body = new FormData();
  for (const { name, blob } of pictures) body.append('images', blob, name);
  body.append('explain', String($('image-explain').checked));
  say(() => t('working'));
  const answer = await (await request(`v1/models/${encodeURIComponent($('image-model').value)}/predict`, { body })).json();
  seen = answer.predictions;
  say(() => t('picturesDone')(seen.length));
  drawPictures();
}
// The policy of the page allows no addresses of pictures, so they are painted.
function painted(blob, name) {
  const canvas = make('canvas', 'picture');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', name);
  createImageBitmap(blob).then(image => {
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext('2d').drawImage(image, 0, 0);
  }).catch(() => { canvas.hidden = true; });
  return canvas;
}
const blobOf = base64 => new Blob([Uint8Array.from(atob(base64), c => c.charCodeAt(0))], { type: 'image/png' });
function drawPictures() {
  $('image-send').disabled = !$('image-model').value || !pictures.length;
  $('image-results').replaceChildren(...pictures.map(({ name, blob }, i) => {
    const made = make('article', 'pictured'), answer = seen[i];
    made.append(painted(blob, name));
    if (answer?.explanation) made.append(painted(blobOf(answer.explanation.overlay), t('overlay')));
    const text = make('div');
    text.append(make('p', 'hint', name));
    if (answer) {
      text.append(make('p', 'picture-label', answer.label));
      const scores = make('div', 'scores');
      for (const [label, score] of Object.entries(answer.scores).sort((a, b) => b[1] - a[1]).slice(0, 5)) {
        const bar = make('div', 'bar tone-0'), length = make('span');
        length.style.width = `${100 * score}%`;
        bar.append(length);
        bar.setAttribute('aria-hidden', 'true');
        scores.append(make('span', '', label), bar, make('span', 'number', score.toFixed(3)));
      }
      text.append(scores);
    }
    made.append(text);
    return made;
  }));
}

// A white pen on black.
const board = $('board'), pen = board.getContext('2d');
function clearBoard() { pen.fillStyle = '#000'; pen.fillRect(0, 0, board.width, board.height); }
function drawOn(event) {
  if (!(event.buttons & 1)) return;
  const box = board.getBoundingClientRect(), scale = board.width / box.width;
  const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
  pen.fillStyle = '#fff';
  pen.beginPath();
  pen.arc(x, y, 11, 0, 2 * Math.PI);
  pen.fill();
}
async function useDrawing() {
  const blob = await new Promise(done => board.toBlob(done, 'image/png'));
  takePictures([new File([blob], t('drawing'), { type: 'image/png' })]);
  if ($('image-model').value) await classifyPictures();
}
clearBoard();
for (const kind of ['pointerdown', 'pointermove']) board.addEventListener(kind, drawOn);
$('image-files').addEventListener('change', () => takePictures($('image-files').files));
$('image-form').addEventListener('submit', event => { event.preventDefault(); act($('image-send'), classifyPictures); });
$('board-use').addEventListener('click', () => act($('board-use'), useDrawing));
$('board-clear').addEventListener('click', clearBoard);
