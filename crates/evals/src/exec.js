// Runs a program of a suite as if it had been started with its arguments.
const told = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.argv = ["node", told.name, ...told.arguments];
const program = { exports: {} };
new Function("require", "module", "exports", "__filename", told.source)(require, program, program.exports, told.name);
