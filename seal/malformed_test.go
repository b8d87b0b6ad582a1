package seal_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/seal"
)

func TestMarshalRefuses(t *testing.T) {
	t.Parallel()
	proof, _, _ := newProof(t, realRow(t), logName)
	with := func(change func(p *seal.Proof)) seal.Proof { p := proof; change(&p); return p }
	huge := sampleRow(seal.Event)
	huge = set(t, huge, "body", make([]byte, seal.MaxProofBytes))
	for name, test := range map[string]struct {
		proof seal.Proof
		want  error
	}{
		"negative index":  {with(func(p *seal.Proof) { p.Index = -1 }), seal.ErrBounds},
		"index too large": {with(func(p *seal.Proof) { p.Index = seal.MaxSize }), seal.ErrBounds},
		"65 hashes":       {with(func(p *seal.Proof) { p.Hashes = make([]seal.Hash, 65) }), seal.ErrBounds},
		"no checkpoint":   {with(func(p *seal.Proof) { p.Checkpoint = nil }), seal.ErrMalformed},
		"long checkpoint": {with(func(p *seal.Proof) { p.Checkpoint = make([]byte, 1<<17) }), seal.ErrMalformed},
		"over 1 MiB":      {with(func(p *seal.Proof) { p.Row = huge }), seal.ErrMalformed},
	} {
		if text, err := test.proof.MarshalText(); !errors.Is(err, test.want) || text != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMalformedBundlesAreRefused(t *testing.T) {
	t.Parallel()
	proof, _, _ := newProof(t, realRow(t), logName)
	valid, err := proof.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfterN(string(valid), "\n", 4)
	extra := func(data string) string {
		return lines[0] + "extra " + base64.StdEncoding.EncodeToString([]byte(data)) + "\n" + lines[2] + lines[3]
	}
	for name, text := range map[string]string{
		"empty":               "",
		"another version":     strings.Replace(string(valid), "@v1", "@v2", 1),
		"no extra":            lines[0] + lines[2] + lines[3],
		"index first":         lines[0] + lines[2] + lines[1] + lines[3],
		"leading zero":        lines[0] + lines[1] + "index 0700\n" + lines[3],
		"index too large":     lines[0] + lines[1] + "index 1152921504606846976\n" + lines[3],
		"65 hashes":           lines[0] + lines[1] + lines[2] + strings.Repeat(lines[3][:45], 65) + "\nx\n",
		"over 1 MiB":          string(valid) + strings.Repeat("x", 1<<20),
		"windows line ends":   strings.ReplaceAll(string(valid), "\n", "\r\n"),
		"no checkpoint":       string(valid[:strings.Index(string(valid), "\n\n")+2]),
		"empty row":           extra(""),
		"row of another v":    extra("\x02\x01\x01"),
		"row cut off":         extra("\x01\x04\x01\x00\x00\x00\x08\x00"),
		"a huge length":       extra("\x01\x04\x01\x7f\xff\xff\xff\x00"),
		"a cut digest":        extra("\x01\x04\x01\xff\xff\xff\xfe\x00"),
		"bytes after the row": extra("\x01\x04\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\xff", 16) + "x"),
	} {
		if got, err := seal.ParseProof([]byte(text)); !errors.Is(err, seal.ErrMalformed) || got.Checkpoint != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"unknown kind": extra("\x01\x09\x01"), "newer leaf": extra("\x01\x01\x02")} {
		if _, err := seal.ParseProof([]byte(text)); !errors.Is(err, seal.ErrRow) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
