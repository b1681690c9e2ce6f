/** The way to a signed checkpoint, drawn as steps that a script in the browser takes once more. Pure. */
import { html, shown, type Html } from './html.ts';
import type { ProofPath, ProofView, Step } from './proof-path.ts';

const SIGNS: Readonly<Record<ProofPath['verdict'], readonly [kind: string, sign: string]>> = {
  proven: ['intact', '✓'],
  reached: ['cannot_tell', '✓'],
  broken: ['broken', '✕'],
  cannot_tell: ['cannot_tell', '?'],
};

/** Draws it. */
export function drawProof(proof: ProofView): Html {
  if (proof.kind === 'none') return drawNoProof(proof.sentence);
  const { leaf, steps, root, origin, size, index, verdict, sentence, sealed } = proof;
  const [kind, sign] = SIGNS[verdict];
  const isOne = steps.length === 1;
  return html`<p class="says ${kind}"><span aria-hidden="true">${sign}</span> ${sentence}</p>
    ${sealed !== null && drawSealed(sealed)}
    <p>
      Record ${index} of a tree of ${size}. ${isOne ? 'One hash is' : `${steps.length} hashes are`}
      enough to get from it to the root, whatever the number of records.
    </p>
    <ol class="path" data-leaf="${leaf}" data-root="${root}">
      <li><span class="step">The record</span><code title="${leaf}">${cut(leaf)}</code></li>
      ${steps.map(drawStep)}
      <li class="root">
        <span class="step">Root that was signed for <span class="origin">${origin}</span></span
        ><code title="${root}">${cut(root)}</code>
      </li>
    </ol>
    <p>
      <button type="button" class="quiet" data-walk hidden>Take these steps in this browser</button>
      <span data-walked role="status"></span>
    </p>`;
}

/** The record as the ledger has it. */
function drawSealed(text: string): Html {
  return html`<details open>
    <summary>What the ledger says was sealed</summary>
    <pre tabindex="0" role="region" aria-label="The event as the ledger has it">
${shown(text, 200_000)}</pre>
  </details>`;
}

/** When there is none. */
export function drawNoProof(sentence: string): Html {
  return html`<p>${shown(sentence, 1000)}</p>`;
}

function drawStep({ side, sibling, hash }: Step, index: number): Html {
  const other = html`<code class="sibling" title="${sibling}">${cut(sibling)}</code>`;
  const ours = html`<code class="ours">what we have</code>`;
  const pair = side === 'left' ? html`${other} + ${ours}` : html`${ours} + ${other}`;
  return html`<li data-side="${side}" data-sibling="${sibling}" data-hash="${hash}">
    <span class="step">Step ${index + 1}: hash of ${pair}</span
    ><code title="${hash}">${cut(hash)}</code>
  </li>`;
}

function cut(hash: string): string {
  return `${hash.slice(0, 12)}…${hash.slice(-6)}`;
}
