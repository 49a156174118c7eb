// Under `npm run coverage`, the processes that tests start (commands, supervisor, guard) leave word of what they ran.
const folder = process.env['PROVOST_PROCESS_COVERAGE'];
// Too late for this process, which vitest measures itself; in time for its children.
if (folder !== undefined && folder !== '') process.env['NODE_V8_COVERAGE'] = folder;
