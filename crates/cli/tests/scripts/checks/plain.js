module.exports = (output, context) => output.includes(context.vars.other);
module.exports.named = () => ({ pass: true, score: 0.5, reason: 'by its name' });
