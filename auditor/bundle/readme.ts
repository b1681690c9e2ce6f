/** README.txt of a bundle: what each file is, for somebody who has got nothing else. Pure. */

/** The same in every bundle. */
export const README = `This folder is the answer to a question about an audit trail, with the evidence for it.
Begin with report.html or report.pdf.

report.html, report.pdf   the question, who asked, the finding, the answer as a table, what is proven and what is not
rows.csv                  the answer as a table; a text that a spreadsheet would take for a formula begins with '
rows.ndjson               the same, with the sealed record behind each row, byte for byte
question.json             the question, and the statement that answered it, with its parameters
certificate.json          what was verified, and what came of it
certificate.note          when the certificate was made, and who signed it
certificate-key.txt       public key of who signed it, where somebody did: compare it with the one that you were told
keys.txt                  public keys of the agents by which checkpoints were judged: compare them too
checkpoints/              the signed checkpoint over each stream of records
anchors/                  that checkpoints were in the agent's anchor log, and what witnesses and time-stamps gave for it
ranges/                   the hash of each record of the time that was asked for, in order
proofs/                   for the first rows: a proof of each by itself, for \`sealtrail check\`
verify.html               checks all of this in a browser, offline: open it and drop this folder or the .zip on it
MANIFEST                  SHA-256 of each file: sha256sum -c MANIFEST

certificate.json holds the record right before and the one right behind the time that was asked for, as sealed: they show
that nothing of that time is left out. Treat it as you treat the rows.

Asked again, the same question gives the same bytes where nothing has changed, but for certificate.note, report.html,
report.pdf and MANIFEST, which say when they were made.

The page verify.html and the keys in here came to you together with the evidence. Somebody who made up all of it could have
made up these as well. Take the page from an installation that you trust, and the keys from whoever runs the agents.
`;
