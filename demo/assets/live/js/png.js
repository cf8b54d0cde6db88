/** Marks a PNG as edited, with the same text chunks as gan_core.images.save_png. */

const SOFTWARE = "GAN Studio";
const DIGITAL_SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
const HEADER = 8 + 25;  // the signature and the first chunk

/** @param {Blob} png @param {string} note What was done. @returns {Promise<Blob>} */
export async function marked(png, note) {
  const bytes = new Uint8Array(await png.arrayBuffer());
  const chunks = [
    chunk("tEXt", `Software\0${SOFTWARE}`),
    chunk("iTXt", `Description\0\0\0\0\0${note}`),
    chunk("iTXt", `XML:com.adobe.xmp\0\0\0\0\0${xmp(note)}`),
  ];
  return new Blob([bytes.subarray(0, HEADER), ...chunks, bytes.subarray(HEADER)], { type: "image/png" });
}

/** What was done, for `marked`. @param {Record<string, number>} strengths By attribute. */
export function editNote(strengths) {
  const used = Object.entries(strengths).filter(([, value]) => value);
  const words = used.map(([name, value]) => `${name} ${value > 0 ? "+" : ""}${value}`).join(", ") || "nothing changed";
  return `edited with GAN Studio on this device, HFGI (people (embedded)): ${words}`;
}

function chunk(kind, text) {
  const body = new TextEncoder().encode(kind + text), result = new Uint8Array(body.length + 8);
  const view = new DataView(result.buffer);
  view.setUint32(0, body.length - 4);
  result.set(body, 4);
  view.setUint32(body.length + 4, crc(body));
  return result;
}

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let k = 0; k < 8; k++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

function xmp(note) {
  const text = note.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>' +
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"' +
    ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"' +
    ` xmp:CreatorTool="${SOFTWARE}" Iptc4xmpExt:DigitalSourceType="${DIGITAL_SOURCE}">` +
    `<dc:description><rdf:Alt><rdf:li xml:lang="x-default">${text}</rdf:li></rdf:Alt></dc:description>` +
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
  );
}
