// Put the page that tries the API out (Swagger UI) where the server finds it, so that it needs no internet.
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const from = dirname(
  createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')
);
const to = join(here, '..', '..', 'jupyter_ext', 'api', 'static');

mkdirSync(to, { recursive: true });
for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
  copyFileSync(join(from, name), join(to, name));
}
copyFileSync(join(from, 'LICENSE'), join(to, 'LICENSE'));
