// Random properties draw other cases at each developer's run, and what they find becomes an example of its own. The gate draws
// the same ones each time: it judges a commit, not its luck. A test's own seed goes first.
import fc from 'fast-check';

if (process.env['CI'] === 'true') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20_251_126 });
