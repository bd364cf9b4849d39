// How the ways between sites are said: one word, one colour and one pattern each, on the map and in tables.
import { bytes } from "./format";
import type { PeerLink, SiteLinks, UplinkUseView } from "./types";

export type Way = PeerLink["way"];

/** The best first. */
export const WAYS: Way[] = ["direct", "relayed", "quiet", "cut"];

export const WAY_MEANINGS: Record<Way, string> = {
  direct: "heard within three minutes, without a relay",
  relayed: "heard within three minutes, by a relay",
  quiet: "nobody has spoken for three minutes",
  cut: "what is sent finds nobody",
};

export const milliseconds = (us: number | null) => (us === null ? "" : us < 10_000 ? `${(us / 1_000).toFixed(1)} ms` : `${Math.round(us / 1_000)} ms`);
export const loss = (thousandths: number | null) => (thousandths === null ? "" : `${(thousandths / 10).toFixed(thousandths && thousandths < 100 ? 1 : 0)} %`);

/** Pairs of sites with the worse of what both ends say, each pair once. */
export function pairs(links: Iterable<SiteLinks>): { from: string; to: string; way: Way }[] {
  const found = new Map<string, { from: string; to: string; way: Way }>();
  for (const each of links) {
    for (const peer of each.peers) {
      const [from, to] = each.site < peer.site ? [each.site, peer.site] : [peer.site, each.site];
      const key = `${from} ${to}`;
      const known = found.get(key);
      if (!known || WAYS.indexOf(peer.way) > WAYS.indexOf(known.way)) found.set(key, { from, to, way: peer.way });
    }
  }
  return [...found.values()];
}

/** What an uplink's bytes were for, the most first. */
export function purposes(uplink: UplinkUseView): string {
  const found = Object.entries(uplink.purposes).sort(([, one], [, other]) => other - one);
  return found.map(([word, size]) => `${word} ${bytes(size)}`).join(", ");
}
