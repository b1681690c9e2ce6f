/**
 * The 13 event classes of OCSF 1.8 that an action may map to, with their activities. Facts of the
 * standard: test/conformance/ocsf.test.ts compares them with the published class list.
 */

/** The version of OCSF that documents claim. */
export const OCSF_VERSION = '1.8.0';

/** Caption, then the activities in the order of their ids, from 1. */
const FACTS: Readonly<Record<number, string>> = {
  0: 'Base Event:',
  3001: 'Account Change: Create, Enable, Password Change, Password Reset, Disable, Delete, Attach Policy, Detach Policy, Lock, MFA Factor Enable, MFA Factor Disable, Unlock',
  3002: 'Authentication: Logon, Logoff, Authentication Ticket, Service Ticket Request, Service Ticket Renew, Preauth, Account Switch',
  3003: 'Authorize Session: Assign Privileges, Assign Groups',
  3004: 'Entity Management: Create, Read, Update, Delete, Move, Enroll, Unenroll, Enable, Disable, Activate, Deactivate, Suspend, Resume',
  3005: 'User Access Management: Assign Privileges, Revoke Privileges',
  3006: 'Group Management: Assign Privileges, Revoke Privileges, Add User, Remove User, Delete, Create, Add Subgroup, Remove Subgroup',
  6001: 'Web Resources Activity: Create, Read, Update, Delete, Search, Import, Export, Share',
  6002: 'Application Lifecycle: Install, Remove, Start, Stop, Restart, Enable, Disable, Update',
  6003: 'API Activity: Create, Read, Update, Delete',
  6004: 'Web Resource Access Activity: Access Grant, Access Deny, Access Revoke, Access Error',
  6005: 'Datastore Activity: Read, Update, Connect, Query, Write, Create, Delete, List, Encrypt, Decrypt',
  6006: 'File Hosting Activity: Upload, Download, Update, Delete, Rename, Copy, Move, Restore, Preview, Lock, Unlock, Share, Unshare, Open, Sync, Unsync, Access Check',
};

export interface OcsfClass {
  readonly caption: string;
  /** Names by `activity_id`; 0 Unknown and 99 Other are in every class. */
  readonly activities: ReadonlyMap<number, string>;
}

function readFacts(facts: string): OcsfClass {
  const [caption = '', list = ''] = facts.split(':');
  const names = list === '' ? [] : list.split(',').map((name) => name.trim());
  return { caption, activities: new Map([...['Unknown', ...names].entries(), [99, 'Other']]) };
}

/** Classes by `class_uid`. The thousands of a uid are its category: 3 identity, 6 application. */
export const OCSF_CLASSES: ReadonlyMap<number, OcsfClass> = new Map(
  Object.entries(FACTS).map(([uid, facts]) => [Number(uid), readFacts(facts)]),
);
