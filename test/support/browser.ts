/// <reference lib="dom" />
/** The auditor's page in a browser, as an auditor drives it, and what axe finds on it. */
import axe from 'axe-core';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import { CHROMIUM } from './host.ts';
import { PASSWORD } from './web-store.ts';

export function startBrowser(): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/** One that waits far longer than a slow machine takes. */
export async function newContext(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<BrowserContext> {
  const made = await browser.newContext(options);
  made.setDefaultTimeout(120_000);
  return made;
}

export interface AuditorPage {
  readonly page: Page;
  /** What the browser has to say against the page, other than a refusal that a test asked for. */
  readonly complaints: readonly string[];
  /** Goes to the first page, through the sign-in page where that is asked for. Default: as `alice`. */
  signIn(name?: string): Promise<void>;
  /** Asks a question through its form, and waits for the answer with its certificate. */
  ask(title: string, parameters?: Readonly<Record<string, string>>): Promise<void>;
  /** Has the answer checked in the browser: the verdict, and what is said of it. */
  verify(): Promise<string>;
  /** Violations of WCAG 2.2 AA that axe finds on the page as it stands, in light and in dark, by rule and element. */
  violations(): Promise<readonly string[]>;
}

/** A new tab for the page at `url`; nothing is loaded yet. */
export async function openAuditorPage(context: BrowserContext, url: string): Promise<AuditorPage> {
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (line) => {
    if (line.type() === 'error') complaints.push(line.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));

  async function signIn(name = 'alice'): Promise<void> {
    await page.goto(url);
    if (!page.url().endsWith('/sign-in')) return;
    await page.fill('#name', name);
    await page.fill('#password', PASSWORD);
    await page.click('main button');
    await page.waitForURL(`${url}/`);
  }

  return {
    page,
    complaints,
    signIn,
    async ask(title, parameters = {}) {
      await signIn();
      await page.click(`main a:text-is("${title}")`);
      for (const [name, value] of Object.entries(parameters)) {
        const field = page.locator(`[name="p.${name}"]`);
        if ((await field.evaluate(({ tagName }) => tagName)) === 'SELECT')
          await field.selectOption(value);
        else await field.fill(value);
      }
      await page.click('main button[type=submit]');
      await page.waitForURL(/\/answers\//);
      await page.waitForSelector('.banner.intact, .banner.broken, .banner.cannot_tell');
    },
    async verify() {
      await page.click('button[data-verify]');
      const done = page.locator(
        '.verification.intact, .verification.broken, .verification.cannot_tell',
      );
      await done.waitFor();
      return `${await done.getAttribute('class')}: ${await done.innerText()}`;
    },
    async violations() {
      await page.evaluate(axe.source);
      const found = [
        ...(await runAxe(page, AXE, 'light')),
        ...(await runAxe(page, COLOURS, 'dark')),
      ];
      await page.emulateMedia({ colorScheme: null });
      return found;
    },
  };
}

const AXE: axe.RunOptions = {
  resultTypes: ['violations'],
  runOnly: {
    type: 'tag',
    values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  },
};
/** Colours are all that differs between light and dark; nothing is wanted but what is wrong. */
const COLOURS: axe.RunOptions = { runOnly: ['color-contrast'], resultTypes: ['violations'] };

async function runAxe(
  page: Page,
  options: axe.RunOptions,
  colorScheme: 'light' | 'dark',
): Promise<string[]> {
  await page.emulateMedia({ colorScheme });
  // As text: the suite knows nothing of a browser's globals.
  const found: axe.AxeResults = await page.evaluate(
    `axe.run(document, ${JSON.stringify(options)})`,
  );
  return found.violations.map(
    ({ id, nodes }) =>
      `${colorScheme} ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
  );
}

/** Runs `body` while what the page fetches of the records comes changed, line by line, as on a way that somebody else has in hand. */
export async function withRecordsAltered(
  page: Page,
  alter: (lines: readonly string[]) => readonly string[],
  body: () => Promise<void>,
): Promise<void> {
  await page.route('**/records', async (route) => {
    const answer = await route.fetch();
    const lines = (await answer.text()).split('\n');
    await route.fulfill({ response: answer, body: alter(lines).join('\n') });
  });
  await body();
  await page.unroute('**/records');
}
