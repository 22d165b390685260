// Package sheet writes tables for people who open them in a spreadsheet: CSV as RFC 4180 has it,
// with a byte order mark, without which Excel reads UTF-8 as something else, and with nothing in it
// that a spreadsheet would run.
//
// What is written here came from outside: names, addresses, descriptions that anybody may choose. A
// cell that begins with = is a formula to a spreadsheet, and formulas fetch addresses and start
// programs of whoever opens the file. Quoting does not help against that; a leading apostrophe does,
// and is what spreadsheets themselves write for "this is text".
package sheet

import (
	"encoding/csv"
	"io"
	"strings"
)

// bom marks the text as UTF-8.
const bom = "\ufeff"

// dangerous are the first characters of what spreadsheets take for a formula, or cut off and then
// take for one; the last four are the wide forms that East Asian versions accept as well.
const dangerous = "=+-@\t\r\n＝＋－＠"

// Writer writes one table.
type Writer struct{ csv *csv.Writer }

// New returns a writer on w and writes the mark and the head of the table.
func New(w io.Writer, head ...string) (*Writer, error) {
	if _, err := io.WriteString(w, bom); err != nil {
		return nil, err
	}
	t := &Writer{csv: csv.NewWriter(w)}
	t.csv.UseCRLF = true
	return t, t.Row(head...)
}

// Row writes one row. Cells are made safe and quoted where it is needed.
func (t *Writer) Row(cells ...string) error {
	safe := make([]string, len(cells))
	for i, c := range cells {
		safe[i] = Safe(c)
	}
	return t.csv.Write(safe)
}

// Flush writes what is buffered. It returns the first error of any write.
func (t *Writer) Flush() error {
	t.csv.Flush()
	return t.csv.Error()
}

// Safe returns a cell that no spreadsheet runs: text is text.
func Safe(cell string) string {
	// The byte order mark is no character to a spreadsheet: what stands behind it counts.
	if first := strings.TrimLeft(cell, bom); first != "" && strings.ContainsRune(dangerous, []rune(first)[0]) {
		return "'" + cell
	}
	return cell
}
