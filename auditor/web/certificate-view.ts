/** What a certificate says, as a banner: in a colour, with a sign and in words. Pure. */
import { html, shown, type Html } from './html.ts';
import { recordOf, type Certificate } from '../certificate/certificate.ts';

const WORDS: Readonly<Record<Certificate['verdict'], readonly [sign: string, word: string]>> = {
  intact: ['✓', 'Intact'],
  broken: ['✕', 'Broken'],
  cannot_tell: ['?', 'Cannot tell'],
};

const FINDINGS_SHOWN = 20;

/** The banner: the verdict and what was found; what they rest on opens. */
export function drawCertificate(certificate: Certificate): Html {
  const { verdict, finding, findings, proven, not_proven: notProven, notes } = certificate;
  const [sign, word] = WORDS[verdict];
  const list = (title: string, lines: readonly string[]): Html | false =>
    lines.length > 0 &&
    html`<h2>${title}</h2>
      <ul>
        ${lines.map((line) => html`<li>${shown(line, 2000)}</li>`)}
      </ul>`;
  const found = findings.slice(0, FINDINGS_SHOWN).map((one) => {
    const place = one.rows.length === 0 ? 'Not among the rows' : `Row ${one.rows.join(', ')}`;
    const record = recordOf(one);
    return `${place}: ${one.message}${record && ` (${record})`}`;
  });
  const facts = factsOf(certificate).map(
    ([name, value]) =>
      html`<div>
        <dt>${name}</dt>
        <dd>${shown(value, 500)}</dd>
      </div>`,
  );
  return html`<div class="banner ${verdict}">
    <p class="verdict">
      <span class="sign" aria-hidden="true">${sign}</span
      ><span><strong>${word}.</strong> ${shown(restOf(finding), 2000)}</span>
    </p>
    ${list('What was found', found)}
    <details>
      <summary>What this rests on</summary>
      ${list('What is shown', proven)}${list('What is not shown', notProven)}${list('Notes', notes)}
      <dl class="facts">${facts}</dl>
    </details>
  </div>`;
}

/** The sentence behind its verdict, which the banner says in its own type. */
function restOf(finding: string): string {
  const rest = finding.replace(/^(Intact:|BROKEN|Cannot tell:) /, '');
  return `${rest.charAt(0).toUpperCase()}${rest.slice(1)}`;
}

function factsOf({
  records,
  streams,
  login,
  verifier,
}: Certificate): (readonly [string, string])[] {
  const unique = (values: readonly string[]): string => [...new Set(values)].join(', ');
  const keys = unique(streams.flatMap((one) => one.keys));
  const anchors = unique(
    streams.flatMap(({ anchored }) =>
      anchored === null ? [] : [`${anchored.time} by ${anchored.by.join(', ')}`],
    ),
  );
  return [
    ['Records compared', records.toLocaleString('en-US')],
    ['Signed by', keys === '' ? 'no key that is known here' : keys],
    ['Anchored', anchors === '' ? 'not judged' : anchors],
    ['Read as', login],
    ['Verified by', verifier],
  ];
}

/** When none could be made. */
export function drawNoCertificate(reason: string): Html {
  return html`<div class="banner cannot_tell">
    <p class="verdict">
      <span class="sign" aria-hidden="true">?</span
      ><span><strong>Cannot tell.</strong> ${shown(reason, 1000)}</span>
    </p>
  </div>`;
}

/** Before it is made. */
export function certificatePlace(id: string): Html {
  return html`<div class="banner pending" data-part="/answers/${id}/certificate">
    <p class="verdict">
      <span class="sign" aria-hidden="true">…</span
      ><span data-part-says
        >The certificate is made apart from the answer.
        <a href="/answers/${id}/certificate">Check the records</a></span
      >
    </p>
  </div>`;
}
