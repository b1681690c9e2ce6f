/** Whether a question can be asked as it is: every parameter of its kind, the range a range. Pure. */
import { err, ok, type Result } from '../schemas/result.ts';
import { suggest } from '../schemas/suggest.ts';
import { readInstant } from './times.ts';
import type { Asked, AskError, Parameter } from './answer.ts';
import { findQuestion } from './catalogue.ts';
import type { Question, Resolved } from './questions/question.ts';

const CHARACTERS_MAX = 8_192;

/** The question and its parameters, defaults filled in; or the parameter that is wrong, and what would be right. */
export function resolveAsked(
  asked: Asked,
): Result<{ readonly question: Question; readonly resolved: Resolved }, AskError> {
  const question = findQuestion(asked.question);
  if (!question.ok) return question;
  const range = resolveRange(asked);
  if (!range.ok) return range;
  const parameters = resolveParameters(question.value, asked.parameters);
  if (!parameters.ok) return parameters;
  const resolved = { ...asked, ...range.value, parameters: parameters.value };
  const wrong = question.value.check?.(withReaders(resolved)) ?? null;
  if (wrong !== null)
    return err({ ...wrong, message: `--${wrong.parameter ?? ''} ${wrong.message}` });
  return ok({ question: question.value, resolved: withReaders(resolved) });
}

function withReaders(asked: Asked): Resolved {
  const text = (name: string): string => asked.parameters[name] ?? '';
  return {
    ...asked,
    text,
    number: (name) => Number(text(name)),
    list: (name) =>
      [
        ...new Set(
          text(name)
            .split(',')
            .map((one) => one.trim()),
        ),
      ].filter((one) => one !== ''),
  };
}

function invalid(parameter: string, message: string): { ok: false; error: AskError } {
  return err({ kind: 'invalid', parameter, message: `--${parameter} ${message}` });
}

function resolveRange(
  asked: Asked,
): Result<Pick<Asked, 'tenant' | 'since' | 'until' | 'timeZone'>, AskError> {
  const { tenant, timeZone } = asked;
  const fault = textFault(tenant);
  if (fault !== null || tenant === '') return invalid('tenant', fault ?? 'must name one');
  if (!isTimeZone(timeZone))
    return invalid('time-zone', 'is no IANA time zone like Europe/Berlin or UTC');
  const [since, until] = [readInstant(asked.since), readInstant(asked.until)];
  if (since === null) return invalid('since', 'is no time like 2026-10-01T00:00:00Z');
  if (until === null) return invalid('until', 'is no time like 2026-11-01T00:00:00Z');
  if (since >= until) return invalid('until', 'must be after --since');
  return ok({ tenant, timeZone, since, until });
}

/**
 * A name, since of an offset the rules for summer time are not known; with its region, since PostgreSQL takes CET, IST and
 * their like for offsets, and of other places than the browser does.
 */
export function isTimeZone(name: string): boolean {
  if (!/^(UTC|GMT|[A-Za-z][A-Za-z0-9_+-]{1,31}\/[A-Za-z0-9_+/-]{1,63})$/i.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function resolveParameters(
  question: Question,
  given: Asked['parameters'],
): Result<Readonly<Record<string, string>>, AskError> {
  const known = question.parameters.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = suggest(name, known);
    const has = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    return err({
      kind: 'invalid',
      parameter: name.slice(0, 64),
      message: `${question.id} has no parameter ${name.slice(0, 64)}; ${near === null ? has : `did you mean ${near}?`}`,
    });
  }
  const values: [string, string][] = [];
  for (const parameter of question.parameters) {
    const value = Object.hasOwn(given, parameter.name) ? given[parameter.name] : parameter.default;
    if (value === undefined)
      return invalid(parameter.name, `must be given: ${parameter.help}, as ${parameter.example}`);
    const fault = findFault(parameter, value);
    if (fault !== null) return invalid(parameter.name, fault);
    values.push([parameter.name, value]);
  }
  return ok(Object.fromEntries(values));
}

function findFault(parameter: Parameter, value: string): string | null {
  if (parameter.kind === 'number')
    return /^\d{1,15}(\.\d{1,6})?$/.test(value)
      ? null
      : `must be a number like ${parameter.example}`;
  if (parameter.kind === 'choice') {
    const choices = parameter.choices ?? [];
    if (choices.includes(value)) return null;
    const near = suggest(value, choices);
    return `must be one of ${choices.join(', ')}${near === null ? '' : `; did you mean ${near}?`}`;
  }
  if (value === '' && parameter.default !== '') return 'must not be empty';
  return textFault(value);
}

/** PostgreSQL takes no U+0000, and no half of a surrogate pair. */
function textFault(value: string): string | null {
  if (value.length > CHARACTERS_MAX) return `must have at most ${CHARACTERS_MAX} characters`;
  return value.includes('\0') || !value.isWellFormed()
    ? 'holds a character that no event has'
    : null;
}
