package seal_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/seal"
)

const (
	proofFile    = "testdata/record.tlog-proof"
	erasedFile   = "testdata/erased.tlog-proof"
	verifierFile = "testdata/log.pub"
)

// newProof proves a row in a log of several leaves.
func newProof(tb testing.TB, row seal.Row, origin string) (seal.Proof, note.Verifier, string) {
	tb.Helper()
	signer, verifier, vkey := newKey(tb, logName, 1)
	leaf, err := row.Hash()
	if err != nil {
		tb.Fatal(err)
	}
	const size, index = 1000, 700
	leaves := numbered(size)
	leaves[index] = leaf
	l := newLog(leaves...)
	root := l.root(tb)
	hashes, err := seal.ProveInclusion(size, index, root, l)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := seal.SignCheckpoint(seal.Checkpoint{Origin: origin, Size: size, Root: root}, signer)
	if err != nil {
		tb.Fatal(err)
	}
	return seal.Proof{Row: row, Index: index, Hashes: hashes, Checkpoint: signed}, verifier, vkey
}

func realRow(tb testing.TB) seal.Row {
	tb.Helper()
	return set(tb, sparseRecord(tb), "details", jsonbValue(`{"cost": 1.50}`))
}

// The bundles in testdata verify forever: a change of the format would break them.
func TestBundlesInTestdata(t *testing.T) {
	t.Parallel()
	row := realRow(t)
	for path, row := range map[string]seal.Row{proofFile: row, erasedFile: erase(t, erase(t, row, "reason"), "details")} {
		proof, _, vkey := newProof(t, row, logName)
		if *update {
			text, err := proof.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.WriteFile(path, text, 0o644), os.WriteFile(verifierFile, []byte(vkey+"\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := seal.ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(proof.Row, parsed.Row); diff != "" {
			t.Errorf("%s differs: %s", path, diff)
		}
		verifier, err := seal.LoadVerifier(verifierFile)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := parsed.Verify(logName, verifier); err != nil || c.Size != 1000 || c.Origin != logName {
			t.Errorf("%s: %v, %v", path, c, err)
		}
	}
}

func TestBundleOfEachKind(t *testing.T) {
	t.Parallel()
	for _, named := range vectorRows(t) {
		for _, origin := range []string{logName, seal.Origin(logName, 12)} {
			proof, verifier, _ := newProof(t, named.row, origin)
			text, err := proof.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := seal.ParseProof(text)
			if diff := cmp.Diff(proof, parsed); diff != "" || err != nil {
				t.Errorf("%s differs: %s, %v", named.name, diff, err)
			}
			for _, want := range []string{logName, origin} {
				if c, err := parsed.Verify(want, verifier); err != nil || c.Origin != origin {
					t.Errorf("%s as %s: %v, %v", named.name, want, c, err)
				}
			}
			for _, other := range []string{"", "other", logName + "/epoch/3", logName + "/"} {
				if _, err := parsed.Verify(other, verifier); !errors.Is(err, seal.ErrOrigin) {
					t.Errorf("%s as %q: %v", named.name, other, err)
				}
			}
		}
	}
}

// Each bit of a bundle counts.
func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	row := realRow(t)
	for _, row := range []seal.Row{row, erase(t, row, "reason"), sampleRow(seal.Event)} {
		proof, verifier, _ := newProof(t, row, logName)
		text, err := proof.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 1500 {
			t.Errorf("the bundle has %d bytes", len(text))
		}
		for i := range text {
			for bit := range 8 {
				flipped := bytes.Clone(text)
				flipped[i] ^= 1 << bit
				refuseBundle(t, flipped, verifier)
			}
			if i%5 > 0 {
				continue
			}
			refuseBundle(t, text[:i], verifier)
			refuseBundle(t, append(bytes.Clone(text[:i]), text[i+1:]...), verifier)
			for _, c := range []byte("\n\r =A\x00") {
				added := append(append(bytes.Clone(text[:i]), c), text[i:]...)
				refuseBundle(t, added, verifier)
			}
		}
		refuseBundle(t, append(bytes.Clone(text), '\n'), verifier)
	}
}

func refuseBundle(t *testing.T, text []byte, verifier note.Verifier) {
	t.Helper()
	parsed, err := seal.ParseProof(text)
	if err == nil {
		_, err = parsed.Verify(logName, verifier)
	}
	if err == nil {
		t.Fatalf("an altered bundle verifies: %q", text)
	}
	if strings.ContainsFunc(err.Error(), unicode.IsControl) || strings.Contains(err.Error(), "conflicts with") {
		t.Fatalf("error says too much: %v", err)
	}
}

// Each value of the row is proved: another one does not verify.
func TestEveryValueIsProved(t *testing.T) {
	t.Parallel()
	for kind := seal.Record; kind <= seal.Event; kind++ {
		proof, verifier, _ := newProof(t, sampleRow(kind), logName)
		for i, column := range seal.Columns(kind, 1) {
			value := bytes.Clone(proof.Row.Values[i])
			value[len(value)-1] ^= 1
			altered := proof
			altered.Row = set(t, proof.Row, column.Name, value)
			if _, err := altered.Verify(logName, verifier); !errors.Is(err, seal.ErrProof) {
				t.Errorf("%s of a %s: %v", column.Name, kind, err)
			}
			altered.Row = set(t, proof.Row, column.Name, nil)
			if _, err := altered.Verify(logName, verifier); !errors.Is(err, seal.ErrProof) && !errors.Is(err, seal.ErrRow) {
				t.Errorf("%s of a %s, NULL: %v", column.Name, kind, err)
			}
		}
	}
}

func TestVerifyNamesTheFault(t *testing.T) {
	t.Parallel()
	proof, verifier, _ := newProof(t, realRow(t), logName)
	_, other, _ := newKey(t, logName, 9)
	with := func(change func(p *seal.Proof)) seal.Proof { p := proof; change(&p); return p }
	for name, test := range map[string]struct {
		proof    seal.Proof
		verifier note.Verifier
		want     error
	}{
		"another key":      {proof, other, seal.ErrUnsigned},
		"nil key":          {proof, nil, seal.ErrKey},
		"another index":    {with(func(p *seal.Proof) { p.Index++ }), verifier, seal.ErrProof},
		"index outside":    {with(func(p *seal.Proof) { p.Index = 1000 }), verifier, seal.ErrBounds},
		"negative index":   {with(func(p *seal.Proof) { p.Index = -1 }), verifier, seal.ErrBounds},
		"a hash less":      {with(func(p *seal.Proof) { p.Hashes = p.Hashes[1:] }), verifier, seal.ErrProof},
		"no checkpoint":    {with(func(p *seal.Proof) { p.Checkpoint = nil }), verifier, seal.ErrMalformed},
		"no row":           {with(func(p *seal.Proof) { p.Row = seal.Row{} }), verifier, seal.ErrRow},
		"row of a newer v": {with(func(p *seal.Proof) { p.Row.Version = 2 }), verifier, seal.ErrRow},
	} {
		if c, err := test.proof.Verify(logName, test.verifier); !errors.Is(err, test.want) || c != (seal.Checkpoint{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := proof.Verify(logName); !errors.Is(err, seal.ErrKey) {
		t.Errorf("no key: %v", err)
	}
	if _, err := (seal.Proof{}).Verify(""); !errors.Is(err, seal.ErrRow) {
		t.Errorf("zero value: %v", err)
	}
}

func FuzzParseProof(f *testing.F) {
	proof, verifier, _ := newProof(f, realRow(f), logName)
	leaf, err := proof.Row.Hash()
	if err != nil {
		f.Fatal(err)
	}
	event, _, _ := newProof(f, sampleRow(seal.Event), logName)
	for _, p := range []seal.Proof{proof, event} {
		text, err := p.MarshalText()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := seal.ParseProof(text)
		if err != nil {
			return
		}
		again, err := p.MarshalText()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q is written as %q, %v", text, again, err)
		}
		_, _ = p.Row.Record()
		_, _ = p.Row.Seq()
		if _, err := p.Verify(logName, verifier); err == nil && p.Row.Kind == seal.Record {
			if got, err := p.Row.Hash(); err != nil || got != leaf {
				t.Fatalf("another row verifies: %q", text)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	proof, verifier, _ := newProof(b, realRow(b), logName)
	text, err := proof.MarshalText()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := seal.ParseProof(text)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Verify(logName, verifier); err != nil {
			b.Fatal(err)
		}
	}
}
