/** Takes the steps of a proof on the page once more: the hashes of RFC 6962, by @noble/hashes. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';

const NODE = 1;

/** Marks each step, and says whether they lead to the root. */
export function walkProof(): void {
  const path = document.querySelector<HTMLElement>('[data-root]');
  const says = document.querySelector<HTMLElement>('[data-walked]');
  if (path === null || says === null) return;
  let hash = path.dataset['leaf'] ?? '';
  let isRight = true;
  for (const step of path.querySelectorAll<HTMLElement>('li[data-sibling]')) {
    const { side, sibling = '', hash: stated } = step.dataset;
    hash = side === 'left' ? hashNode(sibling, hash) : hashNode(hash, sibling);
    const isSame = hash === stated;
    isRight &&= isSame;
    step.classList.add(isSame ? 'good' : 'bad');
  }
  isRight &&= hash === path.dataset['root'];
  says.textContent = isRight
    ? '✓ Every step is right, and the last one gives the root.'
    : '✕ The steps do not lead to the root.';
  says.className = isRight ? 'says intact' : 'says broken';
}

function hashNode(left: string, right: string): string {
  return bytesToHex(sha256(Uint8Array.of(NODE, ...hexToBytes(left), ...hexToBytes(right))));
}
