/** Tables that Python writes as text: columns under a rule of dashes, two spaces between them. Pure. */

export interface TextTable {
  readonly before: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly after: string;
}

/** The table in a text, or null if there is none; it ends with the first empty line. */
export function parsedTable(text: string): TextTable | null {
  const lines = text.split("\n");
  const rule = lines.findIndex((line) => /^-+( {2}-+)+$/.test(line));
  if (rule < 1) {
    return null;
  }
  const columns = [...lines[rule].matchAll(/-+/g)].map((dashes) => dashes.index);
  const cut = (line: string): string[] => columns.map((start, i) => line.slice(start, columns[i + 1]).trim());
  const blank = lines.findIndex((line, i) => i > rule && line.trim() === "");
  const end = blank < 0 ? lines.length : blank;
  return {
    before: lines.slice(0, rule - 1).join(" ").trim(),
    header: cut(lines[rule - 1]),
    rows: lines.slice(rule + 1, end).map(cut),
    after: lines.slice(end).join(" ").trim(),
  };
}
