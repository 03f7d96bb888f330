// The formats of strings, as patterns over the whole text. Each allows only what every validator of the format allows;
// where the full format is larger (mail addresses with quotes, leap seconds), the rare rest is left out.
// Refuses nothing itself: a format that is not here is refused where the schema is read.

const year = '[0-9]{4}';
const leapYear = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'; // every fourth, of hundreds every fourth
const date = `(?:${year}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|${leapYear}-02-29)`;
const clock = '(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?';
const zone = '(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])';

const count = '[0-9]{1,6}';
const timeOfDuration = `T(?:${count}H(?:${count}M(?:${count}S)?)?|${count}M(?:${count}S)?|${count}S)`;
const dateOfDuration = `(?:${count}Y(?:${count}M(?:${count}D)?)?|${count}M(?:${count}D)?|${count}D)`;
const duration = `P(?:${dateOfDuration}(?:${timeOfDuration})?|${timeOfDuration}|${count}W)`;

const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const hostname = `${label}(?:\\.${label}){0,3}`; // four labels stay below the 253 characters of a name
const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,31}";
const email = `${atom}(?:\\.${atom})?@${label}(?:\\.${label}){1,2}`;

const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const group = '[0-9A-Fa-f]{1,4}';
/** Eight groups, or fewer around one gap. */
const ipv6 = [
  `(?:${group}:){7}${group}`,
  `(?:${group}:){1,7}:`,
  ...[1, 2, 3, 4, 5, 6].map((after) => `(?:${group}:){1,${7 - after}}(?::${group}){${after}}`),
  `:(?:(?::${group}){1,7}|:)`,
].join('|');

const segment = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
const uri = `[A-Za-z][A-Za-z0-9+.-]{0,31}://${hostname}(?::[0-9]{1,5})?(?:/${segment}*)*(?:\\?(?:${segment}|[/?])*)?(?:#(?:${segment}|[/?])*)?`;

/** Pattern by name. */
export const stringFormats: ReadonlyMap<string, string> = new Map([
  ['date', date],
  ['time', `${clock}${zone}`],
  ['date-time', `${date}T${clock}${zone}`],
  ['duration', duration],
  ['uuid', '[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}'],
  ['email', email],
  ['hostname', hostname],
  ['ipv4', ipv4],
  ['ipv6', ipv6],
  ['uri', uri],
]);

/** Formats of OpenAPI for numbers: the lowest integer and the first one above; null: says nothing about the value. */
export const numberFormats: ReadonlyMap<string, readonly [number, number] | null> = new Map([
  ['int32', [-(2 ** 31), 2 ** 31]],
  ['int64', [-(2 ** 63), 2 ** 63]],
  ['float', null],
  ['double', null],
]);
