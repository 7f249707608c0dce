// Where pictures come from: files, the clipboard, the camera. Each error says what to do.

/**
 * A picture, or the running camera. draw: draws it into a context at its width and height.
 *
 * @typedef {object} Source
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {boolean} live
 * @property {boolean} reduced               whether it is smaller than the original picture
 * @property {CanvasImageSource} image
 * @property {() => void} close
 */

const LONGEST = 1600; // pixels of the longer side; larger pictures are reduced
const MOST_BYTES = 100e6, MOST_PIXELS = 100e6;

/** An error whose message is written for the reader of the page. */
export class Problem extends Error {}

/**
 * Read a picture file.
 *
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<Source>}
 */
export async function readPicture(file, name) {
  const large = `${name} is too large for this page. Reduce it to less than ${MOST_PIXELS / 1e6} megapixels and ` +
    `${MOST_BYTES / 1e6} MB first.`;
  if (file.size > MOST_BYTES) throw new Problem(large);
  const kind = file.type && !file.type.startsWith("image/") ? "is not a picture" : "cannot be read as a picture";
  const image = await createImageBitmap(file).catch(() => {
    throw new Problem(`${name} ${kind}. Choose a JPEG, PNG, WebP or GIF file.`);
  });
  if (image.width * image.height > MOST_PIXELS) {
    image.close();
    throw new Problem(large);
  }
  return { name, ...fitted(image.width, image.height), live: false, image, close: () => image.close() };
}

/**
 * Return the size at which the page works with a picture.
 *
 * @param {number} width
 * @param {number} height
 */
function fitted(width, height) {
  const factor = Math.min(1, LONGEST / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * factor)), height: Math.max(1, Math.round(height * factor)),
    reduced: factor < 1 };
}

/**
 * Return the first picture of dropped or pasted data.
 *
 * @param {DataTransfer | null} transfer
 * @returns {File}
 */
export function pictureIn(transfer) {
  const files = Array.from(transfer?.files ?? []);
  const file = files.find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (!file) throw new Problem("What was pasted or dropped contains no picture. Copy or drag a picture or its file.");
  return file;
}

/** @type {Record<string, string>} */
const CAMERA_PROBLEMS = {
  NotAllowedError: "The camera is not allowed. Allow it in the browser's address bar, then press Camera again.",
  NotFoundError: "No camera was found. Connect one, then press Camera again.",
  NotReadableError: "The camera is in use by another program. Close that program, then press Camera again.",
};

/**
 * Open the camera.
 *
 * @param {() => void} ended  is called when the camera stops by itself
 * @returns {Promise<Source>}
 */
export async function openCamera(ended) {
  if (!navigator.mediaDevices) {
    throw new Problem("This browser gives this page no camera. Open the page in Chrome, Edge or Firefox.");
  }
  const wanted = { video: { facingMode: "environment", width: { ideal: 640 }, height: { ideal: 480 } } };
  const stream = await navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
    const other = `The camera cannot be opened (${error.message}). Try another browser.`;
    throw new Problem(CAMERA_PROBLEMS[error.name] ?? other);
  });
  const video = document.createElement("video");
  [video.srcObject, video.muted, video.playsInline] = [stream, true, true];
  const close = () => {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
  try {
    await video.play();
  } catch {
    close();
    throw new Problem("The camera delivers no picture. Check it, then press Camera again.");
  }
  stream.getVideoTracks()[0].onended = ended;
  const source = { name: "camera", ...fitted(video.videoWidth, video.videoHeight), live: true, image: video, close };
  video.onresize = () => Object.assign(source, fitted(video.videoWidth, video.videoHeight));
  return source;
}

/**
 * Call a function for every new frame of the camera until it returns false.
 *
 * @param {CanvasImageSource} image
 * @param {() => boolean} onFrame
 */
export function eachFrame(image, onFrame) {
  const video = /** @type {HTMLVideoElement} */ (image);
  const again = () => {
    if (!onFrame()) return;
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(again);
    else requestAnimationFrame(again);
  };
  again();
}
