// Renews the tables of docs/mapping.md from the code that maps (run it by `npm run docs`).
import { readFileSync, writeFileSync } from 'node:fs';
import { fillTables } from '../dist/schemas/mapping-doc.js';

const path = new URL('../docs/mapping.md', import.meta.url);
writeFileSync(path, fillTables(readFileSync(path, 'utf8')));
