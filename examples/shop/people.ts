/**
 * The shop's data, in memory: who may log in, and whose data there is.
 */
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto';

export type Role = 'admin' | 'clerk' | 'customer';

export interface User {
  readonly id: string;
  readonly login: string;
  readonly name: string;
  readonly role: Role;
  readonly salt: Buffer;
  readonly passwordHash: Buffer;
}

export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly orders: number;
}

const USERS: readonly User[] = [
  defineUser('u_alice', 'alice', 'Alice Admin', 'admin', 'wonderland'),
  defineUser('u_bob', 'bob', 'Bob Clerk', 'clerk', 'builder'),
  defineUser('u_grace', 'grace', 'Grace Customer', 'customer', 'compiler'),
];
const CUSTOMERS: readonly Customer[] = [
  { id: 'c-1', name: 'Grace Ltd', email: 'grace@customer.example', orders: 1200 },
  { id: 'c-2', name: 'Ada & Sons', email: 'ada@customer.example', orders: 3 },
];

function defineUser(id: string, login: string, name: string, role: Role, password: string): User {
  const salt = randomBytes(16);
  return { id, login, name, role, salt, passwordHash: scryptSync(password, salt, 32) };
}

/** Finds a user by login name. */
export function findUser(login: string): User | undefined {
  return USERS.find((user) => user.login === login);
}

/** Whether this is the user's password. */
export function isPassword(user: User, password: string): boolean {
  return timingSafeEqual(scryptSync(password, user.salt, 32), user.passwordHash);
}

/** Finds a customer. */
export function findCustomer(id: string): Customer | undefined {
  return CUSTOMERS.find((customer) => customer.id === id);
}
