/** The catalogue of questions in plain words, and the form of each. Pure. */
import type { Parameter } from '../answer.ts';
import { html, type Html } from './html.ts';
import { csrfField, type Page, type PageContext } from './page.ts';
import type { Question } from '../questions/question.ts';
import { PRESETS, ZONES } from './times.ts';

/** What stands in a form: as it was typed, or as it was asked. */
export interface Typed {
  readonly tenant: string;
  readonly preset: string;
  /** As a field of the kind datetime-local holds them. */
  readonly since: string;
  readonly until: string;
  readonly zone: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** True: nobody has chosen the zone; the script puts the browser's own there. */
  readonly isFresh: boolean;
}

export interface Fault {
  readonly message: string;
  /** Name of a parameter, or of since, until, zone; undefined: of none. */
  readonly field?: string | undefined;
}

/** All questions, one a card. */
export function cataloguePage(catalogue: readonly Question[], tenants: readonly string[]): Page {
  const cards = catalogue.map(
    ({ id, title, help }) =>
      html`<li class="card">
        <h2><a href="/questions/${id}">${title}</a></h2>
        <p>${firstSentence(help)}</p>
      </li>`,
  );
  const of = tenants.length === 1 ? html` of <strong>${tenants[0]}</strong>` : '';
  return {
    title: 'Questions',
    at: 'questions',
    body: html`<h1>What do you want to know?</h1>
      <p class="lead">
        Pick a question about the audit trail${of}. Every answer says whether the records behind it
        are unchanged.
      </p>
      <ul class="cards">
        ${cards}
      </ul>`,
  };
}

/** The form of a question; with a fault, as it was typed. */
export function formPage(
  context: PageContext,
  question: Question,
  tenants: readonly string[],
  typed: Typed,
  fault: Fault | null,
): Page {
  const faultOf = (field: string): string | null => (fault?.field === field ? fault.message : null);
  const parameters = question.parameters.map((parameter) =>
    drawParameter(
      parameter,
      typed.parameters[parameter.name] ?? parameter.default ?? '',
      faultOf(parameter.name),
    ),
  );
  return {
    title: question.title,
    at: 'questions',
    body: html`<nav class="crumbs" aria-label="Where you are"><a href="/">Questions</a></nav>
      <h1>${question.title}</h1>
      <p class="lead">${question.help}</p>
      ${fault !== null && html`<p class="fault" role="alert">${fault.message}</p>`}
      <form method="post" action="/ask" class="fields sheet">
        ${csrfField(context)}<input type="hidden" name="question" value="${question.id}" />
        ${parameters} ${drawTenant(tenants, typed.tenant)} ${drawRange(typed, faultOf)}
        <div class="actions"><button type="submit">Ask</button></div>
      </form>`,
  };
}

function drawField(
  name: string,
  title: string,
  hint: Html | string,
  control: Html,
  fault: string | null,
): Html {
  return html`<div class="field${fault !== null && ' wrong'}">
    <label for="f-${name}">${title}</label>${control}
    <p class="hint" id="h-${name}">${fault !== null && html`<strong>${fault}.</strong> `}${hint}</p>
  </div>`;
}

function drawParameter(parameter: Parameter, value: string, fault: string | null): Html {
  const { name, title, help, kind, choices = [], example } = parameter;
  const isNeeded = parameter.default === undefined;
  const common = html`id="f-${name}" name="p.${name}"
  aria-describedby="h-${name}"${fault !== null && INVALID}`;
  const control =
    kind === 'choice'
      ? html`<select ${common}>
          ${choices.map((one) => drawOption(one, one === '' ? 'any' : one, value))}
        </select>`
      : html`<input
          ${common}
          value="${value}"
          maxlength="4000"
          autocomplete="off"
          autocapitalize="none"
          spellcheck="false"
          ${kind === 'number' && NUMERIC}${isNeeded && REQUIRED}
          placeholder="${example}"
        />`;
  const hint = html`${capital(help)}.${!isNeeded && kind !== 'choice' && parameter.default === '' && ' May be left empty.'}`;
  return drawField(name, title, hint, control, fault);
}

function drawTenant(tenants: readonly string[], chosen: string): Html {
  if (tenants.length === 1)
    return html`<input type="hidden" name="tenant" value="${tenants[0]}" />`;
  const options = tenants.map((tenant) => drawOption(tenant, tenant, chosen));
  return drawField(
    'tenant',
    'Tenant',
    'Those that your login may see.',
    html`<select id="f-tenant" name="tenant" aria-describedby="h-tenant">
      ${options}
    </select>`,
    null,
  );
}

function drawRange(typed: Typed, faultOf: (field: string) => string | null): Html {
  const presets = PRESETS.map(
    ([name, title]) =>
      html`<label class="choice"
        ><input
          type="radio"
          name="preset"
          value="${name}"
          ${typed.preset === name && CHECKED}
        /><span>${title}</span></label
      >`,
  );
  const time = (name: 'since' | 'until', title: string, hint: string): Html =>
    drawField(
      name,
      title,
      hint,
      html`<input
        id="f-${name}"
        name="${name}"
        type="datetime-local"
        step="60"
        value="${typed[name]}"
        aria-describedby="h-${name}"
        ${faultOf(name) !== null && INVALID}
      />`,
      faultOf(name),
    );
  const zone = drawField(
    'zone',
    'Time zone',
    'The times above are by its clock, and so are those of the answer.',
    html`<select id="f-zone" name="zone" aria-describedby="h-zone" ${typed.isFresh && FRESH}>
      ${[...ZONES].map((name) => drawOption(name, name, typed.zone))}
    </select>`,
    faultOf('zone'),
  );
  return html`<fieldset>
      <legend>When</legend>
      <div class="choices" data-presets>${presets}</div>
      <div class="pair" data-custom>
        ${time('since', 'From', 'This minute is part of it.')}${time('until', 'Until', 'This minute is not.')}
      </div>
    </fieldset>
    ${zone}`;
}

function drawOption(value: string, title: string, chosen: string): Html {
  return html`<option value="${value}" ${value === chosen && SELECTED}>${title}</option>`;
}

function firstSentence(text: string): string {
  return /^.*?[.:](?= |$)/.exec(text)?.[0].replace(/:$/, '.') ?? text;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '');
}

const CHECKED = { markup: ' checked' };
const FRESH = { markup: ' data-fresh' };
const INVALID = { markup: ' aria-invalid="true"' };
const NUMERIC = { markup: ' inputmode="decimal"' };
const REQUIRED = { markup: ' required' };
const SELECTED = { markup: ' selected' };
