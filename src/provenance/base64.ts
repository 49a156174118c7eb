// Base64 from strangers: both alphabets, one text for one value.

/**
 * Decodes standard base64, or the URL-safe alphabet padded or not. Null for all else: mixed alphabets, white space, padding
 * that is missing or too much, bits after the end. Such texts decode somewhere, to what another reader does not see.
 *
 * @source RFC 4648, sections 3.5, 4 and 5
 */
export function decodeBase64(text: string): Buffer | null {
  const isStandard = /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  const isUrlSafe = /^[A-Za-z0-9_-]*={0,2}$/.test(text) && (!text.endsWith('=') || text.length % 4 === 0);
  if (!isStandard && !isUrlSafe) return null;
  const bytes = Buffer.from(text, 'base64');
  const canonical = isStandard ? bytes.toString('base64') : bytes.toString('base64url');
  return canonical === (isStandard ? text : text.replace(/=+$/, '')) ? bytes : null;
}
