// Runs one assertion's script and tells what it gave back, behind the mark.
const fs = require('node:fs');
const told = JSON.parse(fs.readFileSync(0, 'utf8'));
const tell = (answer) =>
  process.stdout.write('\n' + told.mark + JSON.stringify(answer), () => process.exit(0));

async function asked() {
  if (told.body !== undefined) {
    const script = new Function('output', 'context', 'process', told.body);
    return script(told.output, told.context, { mainModule: { require } });
  }
  const file = '/tmp/' + told.name;
  fs.writeFileSync(file, told.source);
  const loaded = await import(file);
  const given = loaded.default?.default ?? loaded.default ?? loaded;
  const script = told.function ? (given[told.function] ?? loaded[told.function]) : given;
  if (typeof script !== 'function') throw new Error('the file gives no function to ask');
  return script(told.output, told.context);
}

asked()
  .then((value) => {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`it gave ${value}`);
    tell({ value });
  })
  .catch((error) => tell({ error: String(error?.message ?? error) }));
