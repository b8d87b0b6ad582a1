package bytea_test

import (
	"bytes"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/hoc-analytics/coordaudit/internal/bytea"
)

func TestScanText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []byte
		bad  bool
	}{
		"Empty":       {text: "", want: []byte{}},
		"Hex":         {text: `\x00ff5c`, want: []byte{0, 0xFF, '\\'}},
		"HexOfNone":   {text: `\x`, want: []byte{}},
		"Escape":      {text: `a\\x\000\377'`, want: []byte("a\\x\x00\xff'")},
		"EscapedX":    {text: `\\x00`, want: []byte(`\x00`)},
		"BrokenHex":   {text: `\x0`, bad: true},
		"BrokenOctal": {text: `\38`, bad: true},
		"TooLarge":    {text: `\400`, bad: true},
		"NoDigits":    {text: `\`, bad: true},
	}
	for name, test := range tests {
		var got bytea.Bytes
		err := got.ScanText(pgtype.Text{String: test.text, Valid: true})
		if (err != nil) != test.bad || !bytes.Equal(got, test.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
	got := bytea.Bytes("before")
	if err := got.ScanText(pgtype.Text{}); err != nil || got != nil {
		t.Errorf("NULL: %q, %v; want none", got, err)
	}
}

func TestScanBytesCopies(t *testing.T) {
	t.Parallel()
	sent := []byte{1, 2}
	var got bytea.Bytes
	if err := got.ScanBytes(sent); err != nil {
		t.Fatal(err)
	}
	sent[0] = 9
	if !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("%v, want a copy", got)
	}
	if err := got.ScanBytes(nil); err != nil || got != nil {
		t.Errorf("NULL: %v, %v; want none", got, err)
	}
}
