/** Examples below `sealtrail keys … --help`. */

export const INIT = `
Examples:
  $ sealtrail keys init -c /etc/sealtrail/sealtrail.yaml        before the first start: keys and keys/windows.txt
  $ sealtrail keys init --root root.key --name acme/audit-root  on another machine: the root key, 0600

From then on the agent refuses to start under any other signing key than the one that keys/windows.txt names.
Exit codes: 0 made or there already, 2 not made.`;

export const LIST = `
Examples:
  $ sealtrail keys list > keys.txt       on the agent's host; then carry it to where proofs are checked
  $ sealtrail keys list --json

Lines as \`sealtrail check --trust\` reads them; no secret is read. Behind a key stand the origin and the sizes that it
may sign, once a key was replaced. Note the keys when the agent is set up: taken from the host on the day of a dispute
they prove what that host says. A keys note signed by a root key (\`keys sign-note\`) says the same and cannot be changed.
Exit codes: 0 done, 2 the data cannot be read.`;

export const ROTATE = `
Examples:
  $ sealtrail keys rotate                                       the agent that runs on ./data
  $ sealtrail keys rotate -c /etc/sealtrail/sealtrail.yaml      running, or stopped
  $ sealtrail keys rotate --prepare                             first: tell witnesses of the key that is to come
  $ sealtrail keys rotate --root-key /media/root.key            and sign the new keys note at once (the first time: --first)

The agent records \`key.rotate\`, signs with both keys until all there is is under both, writes the new windows to
keys/windows.txt, and destroys the old private key. Cut off anywhere, it is completed by the next start or by
asking again. A key out of the environment or behind a signer command is replaced by the one in keys.next.
Exit codes: 0 done, 1 refused or not complete yet (the reason says which), 2 no agent and no usable configuration.`;

export const REVOKE = `
Examples:
  $ sealtrail keys revoke 1a2b3c4d --reason "backup of 3 March was stolen"

Only of a key that was replaced: rotate first. What it has signed is refused from then on by all who have the new keys
note; trust in it rests on cosignatures and time-stamps made before. Have the root sign the new note.
Exit codes: 0 done, 1 refused, 2 no agent and no usable configuration.`;

export const SIGN_NOTE = `
Examples:
  $ sealtrail keys sign-note windows.txt --root-key root.key --first --out keys.note
  $ sealtrail keys sign-note windows.txt --root-key root.key --previous keys.note --out new.note
  $ sealtrail check event.proof --trust keys.note --root root.pub

A text that changes a closed window, takes back a revocation or lets a replaced key sign again is not signed.
Exit codes: 0 signed, 1 refused, 2 a file cannot be used.`;
