/**
 * Redaction of metadata: one recursive walk in which names decide first and values second.
 * Members are dropped (secrets), replaced by tokens (`ssn` -> `ssn_token`), by what may stay
 * (`card_number` -> `card: {last4}`), or by a structured stand-in (free text with a finding).
 */
import type { Json } from '../schemas/event.ts';
import { CARD_NUMBER_MIN, isCardNumber } from './card-number.ts';
import type { KeyClass } from './keys.ts';
import { marker, panMarker } from './markers.ts';
import { CARD_MEMBER_NAMES, type RedactionKind } from './rules.ts';
import type { RedactedText, Tokenize } from './text.ts';
import { isToken } from './tokens.ts';
import { normalizeId } from './token-lookup.ts';
import { foldText } from './views.ts';

/** What the walk needs of the tenant whose event it is. */
export interface MetadataScope {
  redact(text: string): RedactedText | null;
  readonly tokenize: Tokenize;
}

type JsonObject = { readonly [name: string]: Json };

/** Level of metadata in an event, and the deepest level an event may have. */
const METADATA_DEPTH = 2;
const DEPTH_MAX = 16;
const PASSES_MAX = 6;
const CARD_MEMBERS = new Set(CARD_MEMBER_NAMES);
const CARD_DIGITS = /^\d{12,19}$/;

/** Creates the walk; it returns the same object when nothing in it had to change. */
export function createMetadataRedactor(
  classifyKey: (name: string) => KeyClass,
): (metadata: JsonObject, scope: MetadataScope) => JsonObject {
  function walk(value: Json, scope: MetadataScope, depth: number, inCard: boolean): Json {
    if (typeof value === 'string') return scope.redact(value)?.text ?? value;
    if (typeof value === 'number') return redactNumber(value);
    if (typeof value !== 'object' || value === null) return value;
    return isList(value)
      ? mapList(value, (item) => walk(item, scope, depth + 1, inCard))
      : walkObject(value, scope, depth, inCard);
  }

  function walkObject(
    object: JsonObject,
    scope: MetadataScope,
    depth: number,
    inCard: boolean,
  ): JsonObject {
    let output: Members | null = null;
    for (const name in object) {
      const value = object[name];
      if (value === undefined) continue;
      const nameClass = inCard && CARD_MEMBERS.has(name) ? 'card' : classifyKey(name);
      const cleanName = scope.redact(name)?.text ?? name;
      const member = redactMember(cleanName, nameClass, value, { scope, depth, inCard });
      if (output === null) {
        if (member !== null && member.name === name && member.value === value) continue;
        output = createMembers(object, name);
      }
      if (member !== null) output.put(member);
    }
    return output === null ? object : output.finish();
  }

  function redactMember(
    name: string,
    nameClass: KeyClass,
    value: Json,
    place: { readonly scope: MetadataScope; readonly depth: number; readonly inCard: boolean },
  ): Member | null {
    const { scope, depth, inCard } = place;
    const walked = (card: boolean): Member => ({
      name,
      value: walk(value, scope, depth + 1, card),
    });
    if (value === null || typeof value === 'boolean' || value === '') return { name, value };
    switch (nameClass) {
      case 'none':
        return walked(inCard);
      case 'secret':
        return keepsSecretName(name, value) ? { name, value } : null;
      case 'national_id': {
        const token = tokenizeDeep(value, scope);
        // Tokens alone: an earlier pass left them under this name because the other was taken.
        if (token === value) return { name, value };
        return { name: `${name}_token`, value: token, otherwise: name };
      }
      case 'national_token':
        return { name, value: tokenizeDeep(value, scope) };
      case 'card':
        return (
          redactCard(name, value, { scope, inCard, canNest: depth < DEPTH_MAX }) ?? walked(true)
        );
      case 'free_text':
      case 'personal_text': {
        const always = nameClass === 'personal_text';
        const seen = structureText(value, scope, depth + 1, always);
        return seen === null ? walked(inCard) : { name, value: seen };
      }
    }
  }

  return (metadata, scope) => {
    let current = metadata;
    // A name that was cleaned may say something else now; walking again until nothing changes is
    // what makes a second redaction a no-op. A clean event takes one pass.
    for (let pass = 0; pass < PASSES_MAX; pass++) {
      const next = walkObject(current, scope, METADATA_DEPTH, false);
      if (next === current) break;
      current = next;
    }
    return current;
  };
}

/** A member to write; `otherwise` names it where `name` is taken by something else. */
interface Member {
  readonly name: string;
  readonly value: Json;
  readonly otherwise?: string;
  /** Set for a card: what stands under `otherwise` when `card` cannot take the digits. */
  readonly last4?: string;
}

/** Tokens of ours stay under a secret name, and so do counts (`tokens: 512`). */
function keepsSecretName(name: string, value: Json): boolean {
  if (typeof value === 'string') return /token$/i.test(name) && isToken(value);
  return typeof value === 'number' && /(?:tokens|secrets|passwords|cookies)$/i.test(name);
}

function redactNumber(value: number): Json {
  if (value < CARD_NUMBER_MIN && value > -CARD_NUMBER_MIN) return value;
  const digits = String(Math.trunc(Math.abs(value)));
  return isCardNumber(digits) ? panMarker(digits.slice(-4)) : value;
}

function tokenizeDeep(value: Json, scope: MetadataScope): Json {
  if (typeof value === 'number') return tokenizeId(String(value).padStart(9, '0'), scope);
  if (typeof value === 'string') {
    return value === '' || isToken(value) ? value : tokenizeId(value, scope);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return mapList(value, (item) => tokenizeDeep(item, scope));
  const output: Record<string, Json> = {};
  let changed = false;
  for (const [name, member] of Object.entries(value)) {
    const cleanName = scope.redact(name)?.text ?? name;
    const token = tokenizeDeep(member, scope);
    changed ||= token !== member || cleanName !== name;
    output[cleanName] = token;
  }
  return changed ? output : value;
}

function tokenizeId(text: string, scope: MetadataScope): string {
  const { kind, normalized } = normalizeId(text);
  return scope.tokenize(kind, normalized);
}

/** The member for a card number; null when the value is no bare number. */
function redactCard(
  name: string,
  value: Json,
  place: { readonly scope: MetadataScope; readonly inCard: boolean; readonly canNest: boolean },
): Member | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const digits = foldText(String(value)).replace(/[^\p{L}\p{N}*]/gu, '');
  if (!CARD_DIGITS.test(digits)) return null;
  const last4 = digits.slice(-4);
  if (place.inCard) return { name: 'last4', value: last4, otherwise: name, last4 };
  if (!place.canNest) return { name, value: panMarker(last4) };
  return { name: 'card', value: { last4 }, otherwise: name, last4 };
}

/** The stand-in for free text, or null when it may stay (then it is walked as any value). */
function structureText(
  value: Json,
  scope: MetadataScope,
  depth: number,
  always: boolean,
): Json | null {
  if (typeof value === 'string') {
    const found = scope.redact(value);
    if (found === null && !(always && /\S\s+\S/.test(value))) return null;
    const kinds: readonly RedactionKind[] = found?.kinds ?? ['free_text'];
    if (depth > DEPTH_MAX) return marker('free_text');
    return { redacted: true, length: value.length, kinds: [...kinds] };
  }
  if (!isList(value) || !value.every((item) => typeof item === 'string')) return null;
  const items = value.map((item) => structureText(item, scope, depth + 1, always) ?? item);
  return items.some((item, index) => item !== value[index]) ? items : null;
}

interface Members {
  put(member: Member): void;
  finish(): JsonObject;
}

/** Collects members, beginning with the clean ones before `firstChanged`. */
function createMembers(source: JsonObject, firstChanged: string): Members {
  const output = new Map<string, Json>();
  const late: Member[] = [];
  for (const name in source) {
    if (name === firstChanged) break;
    const value = source[name];
    if (value !== undefined) output.set(name, value);
  }

  function settle(member: Member): void {
    const taken = output.get(member.name);
    if (taken === undefined) output.set(member.name, member.value);
    else if (member.last4 !== undefined) settleCard(member, member.last4, taken);
    else if (taken !== member.value)
      output.set(freeName(member.otherwise ?? member.name), member.value);
  }

  function settleCard(member: Member, last4: string, taken: Json): void {
    if (taken === last4) return;
    const card = typeof taken === 'object' && taken !== null && !isList(taken) ? taken : null;
    if (card !== null && (card['last4'] === undefined || card['last4'] === last4)) {
      output.set(member.name, { ...card, last4 });
    } else {
      output.set(freeName(member.otherwise ?? member.name), panMarker(last4));
    }
  }

  function freeName(name: string): string {
    if (!output.has(name)) return name;
    let number = 2;
    while (output.has(`${name}_${number}`)) number++;
    return `${name}_${number}`;
  }

  return {
    // A member with a new name waits: the name may belong to one that comes later.
    put(member) {
      if (member.otherwise !== undefined || output.has(member.name)) late.push(member);
      else output.set(member.name, member.value);
    },
    finish() {
      late.forEach(settle);
      return Object.fromEntries(output);
    },
  };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function mapList(list: readonly Json[], change: (item: Json) => Json): readonly Json[] {
  let changed: Json[] | null = null;
  for (let index = 0; index < list.length; index++) {
    const before = list[index];
    if (before === undefined) continue;
    const after = change(before);
    if (after === before) continue;
    changed ??= [...list];
    changed[index] = after;
  }
  return changed ?? list;
}
