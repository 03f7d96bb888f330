// Owns: where a page may be fetched from: which addresses are public, and which URLs are worth a look at all. A URL that
// passes is still only a name: what it resolves to is checked when the connection is made (safe-fetch.node.ts).
// Refuses by default: every range that is not plain public unicast is refused, also those not invented yet.
// Next: safe-fetch.node.ts.

import ipaddr from 'ipaddr.js';

export class FetchError extends Error {}

/** What may be reached besides public addresses: for search engines of one's own and for tests. */
export interface AllowedPlace {
  /** Literal address. */
  readonly address: string;
  readonly port: number;
}

/** Only as addresses are written by machines: `127.1` and `0x7f.1` mean different things to different readers. */
export function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

/** Whether an address is one of the public Internet. Anything else, and what is no address, is not. */
export function isPublicAddress(address: string): boolean {
  if (!isAddress(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed instanceof ipaddr.IPv4) return !parsed.match(ipaddr.IPv4.parse('192.88.99.0'), 24); // 6to4 relays
  if (parsed.zoneId !== undefined) return false;
  // Global unicast is 2000::/3; within it 2001::/23 and 2002::/16 wrap other addresses, 3fff::/20 is for books.
  const within = (net: string, bits: number): boolean => parsed.match(ipaddr.IPv6.parse(net), bits);
  return (
    within('2000::', 3) &&
    !within('2001::', 23) &&
    !within('2001:db8::', 32) &&
    !within('2002::', 16) &&
    !within('3fff::', 20)
  );
}

const PORTS = [80, 443, 8080, 8443];
/** Names that never lead to the public Internet. */
const PRIVATE_NAMES =
  /(^|\.)(localhost|localdomain|local|internal|intranet|lan|home|corp|private|arpa|onion|test|invalid|alt)$/;

/**
 * Reads a URL that a model wrote or a page sent us to.
 *
 * Throws FetchError unless it is http or https, without user name and password, on a usual port, of a public-looking host.
 */
export function checkedUrl(text: string, allowed: readonly AllowedPlace[] = []): URL {
  if (text.length > 4096) throw new FetchError('the address is longer than 4096 characters');
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new FetchError('it is no URL');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new FetchError(`only http and https can be opened, not ${url.protocol.slice(0, 30)}`);
  }
  if (url.username !== '' || url.password !== '') throw new FetchError('it holds a user name or a password');
  url.hash = '';
  const host = hostOf(url);
  const port = portOf(url);
  if (allowed.some((place) => place.address === host && place.port === port)) return url;
  if (!PORTS.includes(port)) throw new FetchError(`port ${port} is not opened; only ${PORTS.join(', ')} are`);
  if (isAddress(host)) {
    if (!isPublicAddress(host)) throw new FetchError(`${host} is not a public address`);
  } else {
    const name = host.replace(/\.+$/, '');
    if (!name.includes('.') || PRIVATE_NAMES.test(name)) throw new FetchError(`${host} is not a public name`);
  }
  return url;
}

/** Without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}
