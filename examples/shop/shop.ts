/**
 * The shop's routes, in the order in which a user meets them.
 */
import type { FastifyInstance } from 'fastify';
import { addExport } from './export.ts';
import { addImpersonation } from './impersonation.ts';
import { addLogin } from './login.ts';
import { addPayments } from './payments.ts';
import type { ShopParts } from './shop-parts.ts';

/** Adds the routes. */
export function createShop(parts: ShopParts): FastifyInstance {
  addLogin(parts);
  addExport(parts);
  addImpersonation(parts);
  addPayments(parts);
  return parts.web;
}
