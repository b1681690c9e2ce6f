/** `sealtrail keys`: the keys that sign, how another one takes over, and the root that vouches for them. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { windowsPath } from '../agent/key-files.ts';
import { messageOf } from '../schemas/result.ts';
import * as help from './keys-help.ts';
import { changeKeys, initKeys, type ChangeOptions, type InitOptions } from './keys-change.ts';
import { runList } from './keys-list.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import {
  makeRootKey,
  readIfThere,
  readRootKey,
  ROOT_NAME_DEFAULT,
  signKeysNote,
} from './root-key.ts';

const CONFIG_OPTION = '-c, --config <file>';
const CONFIG_HELP = "the agent's configuration, for an agent that does not run";
const CONFIG_DEFAULT = 'config/sealtrail.yaml';

/** Adds the commands. */
export function addKeysCommand(program: Command): void {
  const keys = program.command('keys').description("the agent's signing keys");
  keys
    .command('init')
    .description("make an agent's keys, or the root key that vouches for them")
    .option(CONFIG_OPTION, CONFIG_HELP, CONFIG_DEFAULT)
    .option('--root <file>', 'make a root key in this file instead')
    .option('--name <name>', 'name of the root key', ROOT_NAME_DEFAULT)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', help.INIT)
    .action(async (options: InitOptions & { readonly root?: string; readonly name: string }) => {
      process.exitCode =
        options.root === undefined
          ? await initKeys(options)
          : await initRoot(options.root, options.name, options.json === true);
    });
  keys
    .command('list')
    .description('print the public keys that sign the streams of an agent')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP)
    .option('--json', 'print them as JSON')
    .addHelpText('after', help.LIST)
    .action(async (options: { readonly dataDir?: string; readonly json?: boolean }) => {
      process.exitCode = await runList(options.dataDir ?? defaultDataDir(), options.json === true);
    });
  withChange(keys.command('rotate').description('let another key take over'))
    .option('--prepare', 'make the next key known, and change nothing else')
    .addHelpText('after', help.ROTATE)
    .action(async (options: ChangeOptions & { readonly prepare?: boolean }) => {
      const what = options.prepare === true ? 'prepare' : 'rotate';
      process.exitCode = await changeKeys({ ...options, what });
    });
  withChange(keys.command('revoke').description('take the trust off a key that was replaced'))
    .argument('<key>', 'its 8 hex digits, or the whole key')
    .requiredOption('--reason <text>', 'why, in one line')
    .addHelpText('after', help.REVOKE)
    .action(async (key: string, options: ChangeOptions & { readonly reason: string }) => {
      process.exitCode = await changeKeys({ ...options, what: 'revoke', key });
    });
  keys
    .command('sign-note')
    .description('sign the text of a keys note with the root key, on a machine of its own')
    .argument('[text]', "the agent's keys/windows.txt", windowsPath(defaultDataDir()))
    .requiredOption('--root-key <file>', 'the root key')
    .option('--previous <note>', 'the note that was signed last')
    .option('--first', 'there is none: this is the first')
    .option('--out <file>', 'where to write the note (default: standard output)')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', help.SIGN_NOTE)
    .action(async (text: string, options: SignOptions) => {
      process.exitCode = await signText(text, options);
    });
}

function withChange(command: Command): Command {
  return command
    .option(DATA_DIR_OPTION, DATA_DIR_HELP)
    .option(CONFIG_OPTION, CONFIG_HELP, CONFIG_DEFAULT)
    .option('--root-key <file>', 'sign the new keys note with this root key at once')
    .addOption(new Option('--note <file>', 'the keys note, replaced (default: keys/keys.note)'))
    .option('--previous <note>', 'with --root-key: the note that was signed last (default: that)')
    .option('--first', 'with --root-key: there is none, this is the first')
    .option('--json', 'print the result as JSON');
}

async function initRoot(file: string, name: string, json: boolean): Promise<number> {
  const made = await makeRootKey(resolve(file), name);
  if (!made.ok) {
    console.error(`keys init: ${made.error}`);
    return 2;
  }
  if (json) console.log(JSON.stringify({ root: made.value, file: resolve(file) }, null, 2));
  else {
    console.log(made.value);
    console.error(
      `The private key is in ${resolve(file)}: keep it off the agent's host. Give the line above to all who check proofs.`,
    );
  }
  return 0;
}

interface SignOptions {
  readonly rootKey: string;
  readonly previous?: string;
  readonly first?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

async function signText(path: string, options: SignOptions): Promise<number> {
  const refuse = (reason: string): number => {
    console.error(`keys sign-note: ${reason}`);
    return 2;
  };
  if ((options.previous === undefined) !== (options.first === true))
    return refuse(
      'name the note that was signed last with --previous, or say --first; one of both',
    );
  try {
    const text = await readIfThere(path);
    if (text === null) return refuse(`${path} is not there`);
    const previous = options.previous === undefined ? null : await readIfThere(options.previous);
    if (options.previous !== undefined && previous === null)
      return refuse(`${options.previous} is not there`);
    const root = await readRootKey(options.rootKey);
    if (!root.ok) return refuse(root.error);
    const note = await signKeysNote({ text, root: root.value, previous });
    if (!note.ok) {
      console.error(`keys sign-note: ${note.error}`);
      return 1;
    }
    if (options.out !== undefined) await writeFile(options.out, note.value);
    if (options.json === true)
      console.log(JSON.stringify({ note: note.value, root: root.value.vkey }));
    else if (options.out === undefined) process.stdout.write(note.value);
    else console.log(`signed by ${root.value.vkey}: ${join(options.out)}`);
    return 0;
  } catch (error) {
    return refuse(messageOf(error));
  }
}
