// A small JSON service on Node, as the recorded workload `node` runs it.
const { createServer } = require('node:http');
const { readFile, writeFile } = require('node:fs/promises');

const orders = new Map();
createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const shop = Number(url.searchParams.get('shop') ?? 0);
  orders.set(shop, (orders.get(shop) ?? 0) + 1);
  if (url.pathname === '/report') await writeFile('/tmp/scratch/report.json', JSON.stringify([...orders]));
  const page = await readFile(`/tmp/www/${shop % 12}.html`);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ shop, orders: orders.get(shop), bytes: page.length }));
}).listen(8081, '127.0.0.1');
