/** The page verify.html: a person drops a bundle on it, and it checks all of it here, offline. */
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { checkBundle, type BundleCheck } from '../check/bundle.ts';
import { textOf, type BundleFiles } from '../check/files.ts';
import { FILES } from '../bundle/names.ts';
import { answerSignatures } from './node-crypto.ts';
import { droppedOf, pickedOf, readBundle } from './read-files.ts';
import { byId, show, showFault, type Shown } from './view.ts';

/** In a turn a check asks for one signature more of each note; while keys take over, a note has several. */
const TURNS_MAX = 20;

let files: BundleFiles | null = null;

/** The keys that somebody has put in, or else those that came with the bundle. */
function readKeys(bundle: BundleFiles): Result<{ trust: Trust | null; isOwn: boolean }, string> {
  const own = byId('keys', HTMLTextAreaElement).value.trim();
  const text =
    own || [FILES.keys, FILES.signer].map((name) => textOf(bundle, name) ?? '').join('\n');
  if (text.trim() === '') return ok({ trust: null, isOwn: false });
  const trust = parseTrust(text);
  if (trust.ok) return ok({ trust: trust.value, isOwn: own !== '' });
  return err(
    `${own === '' ? 'the keys of the bundle' : 'the keys that you put in'}: ${trust.error}`,
  );
}

async function check(
  bundle: BundleFiles,
  trust: Trust | null,
): Promise<Omit<Shown, 'trust' | 'isOwn'>> {
  let result: BundleCheck = checkBundle(bundle, trust);
  try {
    for (let turn = 0; turn < TURNS_MAX && (await answerSignatures()); turn++)
      result = checkBundle(bundle, trust);
    return { result, isSignatureChecked: true };
  } catch (error) {
    // Older browsers know no Ed25519.
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    return { result: checkBundle(bundle, null), isSignatureChecked: false };
  }
}

async function run(): Promise<void> {
  const bundle = files;
  if (bundle === null) return;
  byId('status', HTMLElement).textContent = 'Checking …';
  // Lets the browser draw before it computes.
  await new Promise((settle) => setTimeout(settle, 20));
  const keys = readKeys(bundle);
  if (!keys.ok) showFault(keys.error);
  else show({ ...keys.value, ...(await check(bundle, keys.value.trust)) });
}

async function take(picked: Parameters<typeof readBundle>[0]): Promise<void> {
  if (picked.length === 0) return;
  const read = await readBundle(picked);
  if (!read.ok) {
    files = null;
    showFault(read.error);
    return;
  }
  files = read.value;
  // Who knows the keys of one bundle has not seen those of the next.
  byId('confirm', HTMLInputElement).checked = false;
  await run();
}

const guarded = (work: Promise<void>): void =>
  void work.catch((error: unknown) => showFault(messageOf(error)));

for (const name of ['zip', 'folder']) {
  const input = byId(name, HTMLInputElement);
  input.addEventListener('change', () => guarded(take(pickedOf(input.files))));
}
byId('keys', HTMLTextAreaElement).addEventListener('change', () => guarded(run()));
byId('confirm', HTMLInputElement).addEventListener('change', () => guarded(run()));
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('over');
});
document.addEventListener('dragleave', () => document.body.classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  if (event.dataTransfer !== null) guarded(droppedOf(event.dataTransfer).then(take));
});
