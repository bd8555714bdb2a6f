export default async (output, context) => ({
  pass: output.startsWith(context.vars.word), score: 0.9, reason: 'a module',
});
