/**
 * The 13 event classes of OCSF 1.8 that an action may map to, with their activities. Facts of the
 * standard: test/conformance/ocsf.test.ts compares them with the published class list.
 */

export interface OcsfClass {
  readonly caption: string;
  /** Names by `activity_id`. */
  readonly activities: ReadonlyMap<number, string>;
}

/** The version of OCSF that documents claim. */
export const OCSF_VERSION = '1.8.0';

/** The class and activity of what no vocabulary describes: API Activity, Other. */
export const OCSF_UNDECLARED = { class_uid: 6003, activity_id: 99 } as const;

/** Activities of a class in the order of their ids, from 1; 0 and 99 are in every class. */
function ocsfClass(caption: string, activities: string): OcsfClass {
  const names = ['Unknown', ...activities.split(', ')];
  return { caption, activities: new Map([...names.entries(), [99, 'Other']]) };
}

/** Classes by `class_uid`. The thousands of a uid are its category: 3 identity, 6 application. */
export const OCSF_CLASSES: ReadonlyMap<number, OcsfClass> = new Map([
  [
    0,
    {
      caption: 'Base Event',
      activities: new Map([
        [0, 'Unknown'],
        [99, 'Other'],
      ]),
    },
  ],
  [
    3001,
    ocsfClass(
      'Account Change',
      'Create, Enable, Password Change, Password Reset, Disable, Delete, Attach Policy, Detach Policy, Lock, MFA Factor Enable, MFA Factor Disable, Unlock',
    ),
  ],
  [
    3002,
    ocsfClass(
      'Authentication',
      'Logon, Logoff, Authentication Ticket, Service Ticket Request, Service Ticket Renew, Preauth, Account Switch',
    ),
  ],
  [3003, ocsfClass('Authorize Session', 'Assign Privileges, Assign Groups')],
  [
    3004,
    ocsfClass(
      'Entity Management',
      'Create, Read, Update, Delete, Move, Enroll, Unenroll, Enable, Disable, Activate, Deactivate, Suspend, Resume',
    ),
  ],
  [3005, ocsfClass('User Access Management', 'Assign Privileges, Revoke Privileges')],
  [
    3006,
    ocsfClass(
      'Group Management',
      'Assign Privileges, Revoke Privileges, Add User, Remove User, Delete, Create, Add Subgroup, Remove Subgroup',
    ),
  ],
  [
    6001,
    ocsfClass(
      'Web Resources Activity',
      'Create, Read, Update, Delete, Search, Import, Export, Share',
    ),
  ],
  [
    6002,
    ocsfClass(
      'Application Lifecycle',
      'Install, Remove, Start, Stop, Restart, Enable, Disable, Update',
    ),
  ],
  [6003, ocsfClass('API Activity', 'Create, Read, Update, Delete')],
  [
    6004,
    ocsfClass(
      'Web Resource Access Activity',
      'Access Grant, Access Deny, Access Revoke, Access Error',
    ),
  ],
  [
    6005,
    ocsfClass(
      'Datastore Activity',
      'Read, Update, Connect, Query, Write, Create, Delete, List, Encrypt, Decrypt',
    ),
  ],
  [
    6006,
    ocsfClass(
      'File Hosting Activity',
      'Upload, Download, Update, Delete, Rename, Copy, Move, Restore, Preview, Lock, Unlock, Share, Unshare, Open, Sync, Unsync, Access Check',
    ),
  ],
]);
