// Writes docs/errors.md from the sources: `npm run docs:errors`.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodesOf, errorPage } from '../test/source/error-codes.ts';
import { PROJECT_FOLDER, readSources } from '../test/source/source-file.ts';

writeFileSync(join(PROJECT_FOLDER, 'docs/errors.md'), errorPage(errorCodesOf(readSources('src'))));
